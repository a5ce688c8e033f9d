package handler

import (
	"fmt"
	"net/http"
	"strings"
)

// A PathRule is what a chain is to know of the requests for some paths.
type PathRule struct {
	// Pattern is one path, "/version", or all paths below one that ends in a
	// slash, "/assets/".
	Pattern string
	// Name is the route's, in metrics and logs. If empty, Pattern.
	Name string
	// LongRunning: the handler streams, watches or upgrades. It is the route
	// that tells, never the request: a client could choose to be without limits.
	LongRunning bool
	// Exempt: no limit of load applies.
	Exempt bool
}

// ProbeRules are for the paths by which a server is watched: the health groups,
// with the checks below them, and /metrics. They are exempt, by their exact
// paths and for any client: a User-Agent is easily forged.
//
// They are for a server that answers all of these itself. What is passed on to another,
// by a route for all paths, must not be exempt: see PublicProbeRules.
func ProbeRules() []PathRule {
	return []PathRule{
		{Pattern: "/healthz", Exempt: true},
		{Pattern: "/healthz/", Name: "/healthz", Exempt: true},
		{Pattern: "/livez", Exempt: true},
		{Pattern: "/livez/", Name: "/livez", Exempt: true},
		{Pattern: "/readyz", Exempt: true},
		{Pattern: "/readyz/", Name: "/readyz", Exempt: true},
		{Pattern: "/metrics", Exempt: true},
	}
}

// PublicProbeRules are those of ProbeRules for the health groups themselves, which is
// what a public address has (serve.Config.PublicHealth). A path below them, or
// /metrics, is a route's behind it like any other: exempt, it would be a way around
// the limits, and around authentication where probes need none.
func PublicProbeRules() []PathRule {
	return []PathRule{
		{Pattern: "/healthz", Exempt: true},
		{Pattern: "/livez", Exempt: true},
		{Pattern: "/readyz", Exempt: true},
	}
}

// PathRules tells the rule of a path: the equal one, else the longest that the path
// is below. It is immutable, and allocates nothing.
type PathRules struct {
	exact, below map[string]*Info
	longest      int   // pattern in below
	root         *Info // of "/", which is in below too; nil: there is none
	// What has the length of no pattern is not hashed (BenchmarkStages/request_info).
	exactLengths, belowLengths lengths
}

// lengths is a set of lengths. Those from 63 on are one.
type lengths uint64

func lengthBit(n int) lengths    { return 1 << min(n, 63) }
func (l lengths) has(n int) bool { return l&lengthBit(n) != 0 }

// NewPathRules makes a table. An empty or relative pattern, and one given twice, is
// an error.
func NewPathRules(routes ...PathRule) (*PathRules, error) {
	t := &PathRules{exact: make(map[string]*Info), below: make(map[string]*Info)}
	for _, r := range routes {
		if !strings.HasPrefix(r.Pattern, "/") || unclean(r.Pattern) {
			return nil, fmt.Errorf("path rule %q: the pattern must be an absolute path without dot or empty segments", r.Pattern)
		}
		table, set := t.exact, &t.exactLengths
		if strings.HasSuffix(r.Pattern, "/") {
			table, set = t.below, &t.belowLengths
			t.longest = max(t.longest, len(r.Pattern))
		}
		if table[r.Pattern] != nil {
			return nil, fmt.Errorf("path rule %q was given twice", r.Pattern)
		}
		info := &Info{Route: r.Name, LongRunning: r.LongRunning, Exempt: r.Exempt}
		if info.Route == "" {
			info.Route = r.Pattern
		}
		table[r.Pattern] = info
		*set |= lengthBit(len(r.Pattern))
		if r.Pattern == "/" {
			t.root = info
		}
	}
	return t, nil
}

// Resolve tells what is known of r; without a rule, the class alone. A path with
// dot or empty segments has none: what it names, and so whether it is
// exempt, would be another's decision.
func (t *PathRules) Resolve(r *http.Request) Info {
	info := t.lookup(r.URL.Path)
	info.Class = ClassOf(r.Method)
	return info
}

func (t *PathRules) lookup(path string) Info {
	if t.exactLengths.has(len(path)) {
		if info := t.exact[path]; info != nil {
			return *info
		}
	}
	// Only prefixes that a pattern could equal are looked up: a path of many
	// slashes costs no more than the longest pattern has.
	var info *Info
	if strings.HasPrefix(path, "/") {
		info = t.root
	}
	for end := min(len(path), t.longest); end > 1; end-- {
		if path[end-1] != '/' || !t.belowLengths.has(end) {
			continue
		}
		if found := t.below[path[:end]]; found != nil {
			info = found
			break
		}
	}
	if info == nil || unclean(path) {
		return Info{}
	}
	return *info
}

// unclean tells of segments that are empty, "." or "..". The last may be empty.
func unclean(path string) bool {
	if !strings.Contains(path, "/.") && !strings.Contains(path, "//") {
		return false // nearly all: these searches cost little
	}
	for rest := path; ; {
		i := strings.IndexByte(rest, '/')
		if i < 0 {
			return false
		}
		rest = rest[i+1:]
		switch {
		case strings.HasPrefix(rest, "/"), rest == ".", rest == "..", strings.HasPrefix(rest, "./"), strings.HasPrefix(rest, "../"):
			return true
		}
	}
}

// ClassOf is the class of a method. RFC 9110 §9.2.1: these are safe; CONNECT is not.
func ClassOf(method string) Class {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return ClassRead
	}
	return ClassMutating
}

// RequestInfo sets Exchange.Info. It goes before the stages that read it.
type RequestInfo struct {
	resolve func(r *http.Request) Info
}

// NewRequestInfo makes the stage; resolve (PathRules.Resolve, as a rule) is called
// by many requests at once. The routes it names must be few, and not a client's
// to make: they are labels of metrics.
func NewRequestInfo(resolve func(r *http.Request) Info) *RequestInfo { return &RequestInfo{resolve} }

// Begin sets Info.
func (s *RequestInfo) Begin(x *Exchange) bool {
	x.Info = s.resolve(x.Request)
	return true
}
