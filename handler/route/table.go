package route

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Host is a site: the names it has, and its routes.
type Host struct {
	// Names are lower-case host names without port, or wildcards for all names below
	// one: "*.example.org". None: the host of all names that no other has.
	Names  []string
	Routes []Route
}

// Route is a set of requests and who answers them.
type Route struct {
	// ID names the route in metrics and logs. It is unique in its host.
	ID      string
	Match   Match
	Handler http.Handler
	// LongRunning: answers stream, and tunnels stay; see handler.Info.
	LongRunning bool
}

// Match says which requests are a route's. All that is given must hold.
type Match struct {
	// Path is one path, Prefix all paths below one: "/api" and "/api/" both take
	// /api/v1, the first one takes /api too; neither takes /apis. One of both.
	Path, Prefix string
	// Methods: one of these. GET takes HEAD too.
	Methods []string
	// Header fields that have a value: this one, or any if it is empty.
	Header map[string]string
	// Query parameters, likewise. Such a route answers 400 to a query that cannot be
	// read in whole (rule P-3).
	Query map[string]string
}

// conditions counts what a match asks for beside the path.
func (m *Match) conditions() int {
	n := len(m.Header) + len(m.Query)
	if len(m.Methods) > 0 {
		n++
	}
	return n
}

// Table is an immutable set of hosts.
type Table struct {
	names     map[string]*site
	wildcards map[string]*site // by the suffix with its dot
	rest      *site            // nil: there is none
}

// site is a Host, ready to be asked.
type site struct {
	exact    map[string][]*entry
	prefixes map[string][]*entry // without a slash at the end
	lengths  []int               // of prefixes, the longest first
}

// entry is a Route.
type entry struct {
	Route
	query bool
}

// New makes a table. All errors are reported, joined.
func New(hosts []Host) (*Table, error) {
	t := &Table{names: make(map[string]*site), wildcards: make(map[string]*site)}
	var errs []error
	for i := range hosts {
		h := &hosts[i]
		s, err := newSite(h)
		if err != nil {
			errs = append(errs, err)
		}
		errs = append(errs, t.name(h, s)...)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return t, nil
}

// name enters the names of a host.
func (t *Table) name(h *Host, s *site) (errs []error) {
	if len(h.Names) == 0 {
		if t.rest != nil {
			errs = append(errs, errors.New("two hosts have no names"))
		}
		t.rest = s
	}
	for _, name := range h.Names {
		table, key := t.names, name
		if suffix, wild := strings.CutPrefix(name, "*"); wild {
			table, key = t.wildcards, suffix
		}
		switch {
		case key == "" || key == "." || strings.Contains(key, "*") || key != strings.ToLower(key):
			errs = append(errs, fmt.Errorf("host %q: a name in lower case, or one behind \"*.\"", name))
		case table[key] != nil:
			errs = append(errs, fmt.Errorf("host %q was given twice", name))
		default:
			table[key] = s
		}
	}
	return errs
}

func newSite(h *Host) (*site, error) {
	s := &site{exact: make(map[string][]*entry), prefixes: make(map[string][]*entry)}
	var errs []error
	ids := make(map[string]bool)
	for i := range h.Routes {
		r := &h.Routes[i]
		if err := s.add(r); err != nil {
			errs = append(errs, fmt.Errorf("host %s, route %q: %w", h.label(), r.ID, err))
		}
		if ids[r.ID] {
			errs = append(errs, fmt.Errorf("host %s: two routes are called %q", h.label(), r.ID))
		}
		ids[r.ID] = true
	}
	for p := range s.prefixes {
		if !slices.Contains(s.lengths, len(p)) {
			s.lengths = append(s.lengths, len(p))
		}
	}
	slices.SortFunc(s.lengths, func(a, b int) int { return b - a })
	return s, errors.Join(errs...)
}

func (h *Host) label() string {
	if len(h.Names) == 0 {
		return "of all names"
	}
	return h.Names[0]
}

var (
	errOnePath = errors.New("a match has either a path or a prefix, which begins with a slash")
	errUnclean = errors.New("the path has empty or dot segments, which no request has that gets here")
	errHandler = errors.New("nobody answers: the handler is missing")
)

// add enters a route, the ones with most conditions in front.
func (s *site) add(r *Route) error {
	m := &r.Match
	table, key := s.exact, m.Path
	if m.Prefix != "" {
		table, key = s.prefixes, strings.TrimSuffix(m.Prefix, "/")
	}
	switch {
	case (m.Path == "") == (m.Prefix == "") || (m.Path + m.Prefix)[0] != '/':
		return errOnePath
	case ambiguous(m.Path + m.Prefix):
		return errUnclean
	case r.Handler == nil:
		return errHandler
	}
	for _, other := range table[key] {
		if m.conditions() == other.Match.conditions() && overlap(m, &other.Match) {
			return fmt.Errorf("requests could be meant for it and for %q; give one of them a further condition", other.ID)
		}
	}
	list := append(table[key], &entry{Route: *r, query: len(m.Query) > 0})
	slices.SortStableFunc(list, func(a, b *entry) int { return b.Match.conditions() - a.Match.conditions() })
	table[key] = list
	return nil
}

// overlap tells whether a request can meet both.
func overlap(a, b *Match) bool {
	if len(a.Methods) > 0 && len(b.Methods) > 0 && !slices.ContainsFunc(a.Methods, b.takesMethod) && !slices.ContainsFunc(b.Methods, a.takesMethod) {
		return false
	}
	return !contradict(a.Header, b.Header) && !contradict(a.Query, b.Query)
}

// contradict tells whether a name must have one value here and another there.
func contradict(a, b map[string]string) bool {
	for name, v := range a {
		if w, ok := b[name]; ok && v != "" && w != "" && v != w {
			return true
		}
	}
	return false
}
