package route

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Find tells the route of a request; nil: there is none, and the status says why:
// 421 for a host that is not ours, 400 for a path or query that cannot be told for
// certain, 405 where only the method is another one, 404.
func (t *Table) Find(r *http.Request) (found *Route, status int) {
	s := t.site(hostName(r.Host))
	if s == nil {
		return nil, http.StatusMisdirectedRequest
	}
	path := r.URL.Path
	if ambiguous(path) || r.URL.RawPath != "" && encodedSeparator(r.URL.RawPath) {
		return nil, http.StatusBadRequest
	}
	f := finding{r: r, status: http.StatusNotFound}
	if e := f.first(s.exact[path]); e != nil {
		return &e.Route, http.StatusOK
	}
	for _, n := range s.lengths {
		if n > len(path) || n < len(path) && path[n] != '/' || f.stop {
			continue
		}
		for _, e := range s.prefixes[path[:n]] {
			// "/api/" is not for "/api".
			if n == len(path) && strings.HasSuffix(e.Match.Prefix, "/") {
				continue
			}
			if f.holds(e) {
				return &e.Route, http.StatusOK
			}
		}
	}
	return nil, f.status
}

// site is the host of a name.
func (t *Table) site(name string) *site {
	if s := t.names[name]; s != nil {
		return s
	}
	if len(t.wildcards) > 0 {
		for rest := name; ; {
			dot := strings.IndexByte(rest, '.')
			if dot < 0 {
				break
			}
			if s := t.wildcards[rest[dot:]]; s != nil && dot > 0 {
				return s
			}
			rest = rest[dot+1:]
		}
	}
	return t.rest
}

// hostName is a host without its port. Engines have checked it and made it lower
// case.
func hostName(host string) string {
	if at := strings.LastIndexByte(host, ':'); at >= 0 && strings.IndexByte(host[at:], ']') < 0 {
		host = host[:at]
	}
	return host
}

// finding is one search.
type finding struct {
	r      *http.Request
	query  url.Values // nil: not read yet
	status int        // if nothing is found
	stop   bool       // it is certain that nothing is
}

func (f *finding) first(list []*entry) *entry {
	for _, e := range list {
		if f.holds(e) {
			return e
		}
	}
	return nil
}

// holds tells whether the conditions of e hold for the request.
func (f *finding) holds(e *entry) bool {
	m := &e.Match
	if f.stop || !has(m.Header, func(name string) []string { return f.r.Header[http.CanonicalHeaderKey(name)] }) {
		return false
	}
	if e.query {
		if f.query == nil && !f.readQuery() {
			return false
		}
		if !has(m.Query, func(name string) []string { return f.query[name] }) {
			return false
		}
	}
	if !m.takesMethod(f.r.Method) {
		f.status = http.StatusMethodNotAllowed
		return false
	}
	return true
}

// maxParameters bounds a query that is read (rule P-3).
const maxParameters = 10_000

// readQuery reads the query as a whole, or not at all.
func (f *finding) readQuery() bool {
	raw := f.r.URL.RawQuery
	q, err := url.ParseQuery(raw)
	if err != nil || strings.Count(raw, "&") >= maxParameters {
		f.status, f.stop = http.StatusBadRequest, true
		return false
	}
	f.query = q
	return true
}

func has(want map[string]string, values func(name string) []string) bool {
	for name, v := range want {
		got := values(name)
		if len(got) == 0 || v != "" && !slices.Contains(got, v) {
			return false
		}
	}
	return true
}

func (m *Match) takesMethod(method string) bool {
	return len(m.Methods) == 0 || slices.Contains(m.Methods, method) ||
		method == http.MethodHead && slices.Contains(m.Methods, http.MethodGet)
}

// ambiguous tells whether a decoded path means different things to different
// servers: segments that are dots or, but for the last, empty; backslash; NUL.
func ambiguous(path string) bool {
	if strings.IndexByte(path, '\\') >= 0 || strings.IndexByte(path, 0) >= 0 {
		return true
	}
	if !strings.Contains(path, "/.") && !strings.Contains(path, "//") {
		return false // nearly all
	}
	for rest := path; ; {
		at := strings.IndexByte(rest, '/')
		if at < 0 {
			return false
		}
		rest = rest[at+1:]
		segment, _, more := strings.Cut(rest, "/")
		if segment == "." || segment == ".." || segment == "" && more {
			return true
		}
	}
}

// encodedSeparator tells whether a raw path has %2f, %5c or %00.
func encodedSeparator(raw string) bool {
	for {
		at := strings.IndexByte(raw, '%')
		if at < 0 || at+2 >= len(raw) {
			return false
		}
		switch hex := raw[at+1 : at+3]; hex {
		case "2f", "2F", "5c", "5C", "00":
			return true
		}
		raw = raw[at+3:]
	}
}

// Knows tells whether a host, with or without a port, is one of the table's.
func (t *Table) Knows(host string) bool { return t.site(hostName(host)) != nil }
