package handler

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// A PathRecorderMux routes by path: an exact match first, then the prefix with
// most slashes, then the next server of the chain. It remembers its paths for
// an index. Its table is never changed but replaced as a whole, so that a
// request sees all of a change or nothing; all methods may be called by any
// goroutine, also while requests are routed.
//
// Unlike http.ServeMux it neither redirects nor cleans paths, and a path may be
// taken away.
//
// A route whose handler promises to keep nothing of a request (Recycler) lets the
// engine recycle those for it; requests of the other routes are not.
type PathRecorderMux struct {
	name     string
	notFound Route

	mu    sync.Mutex // of writers
	table atomic.Pointer[routeTable]
}

// A Route is one entry of a PathRecorderMux.
type Route struct {
	// Path begins with a slash. That of a prefix ends with one too.
	Path    string
	Handler http.Handler
	// Prefix routes all paths that begin with Path, and Path itself.
	Prefix bool
	// Unlisted keeps the path out of ListedPaths.
	Unlisted bool

	caller   string // of the registration
	recycles bool   // Handler keeps nothing of a request
}

// NewPathRecorderMux makes a mux without routes. name is for errors; notFound
// gets what no route matches, that is the delegate. If nil, NotFound.
func NewPathRecorderMux(name string, notFound http.Handler) *PathRecorderMux {
	if notFound == nil {
		notFound = NotFound{}
	}
	m := &PathRecorderMux{name: name, notFound: Route{Handler: notFound, recycles: recyclesAll(notFound)}}
	m.table.Store(newRouteTable(nil))
	return m
}

// ServeHTTP gives the request to the route of its path.
func (m *PathRecorderMux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	to := m.route(r.URL.Path)
	to.Handler.ServeHTTP(w, r)
	if to.recycles {
		MayRecycle(w)
	}
}

// RecyclesSomeRequests: those whose handlers promise it, the delegate's included.
func (m *PathRecorderMux) RecyclesSomeRequests() bool { return true }

func (m *PathRecorderMux) route(path string) *Route {
	if r := m.table.Load().find(path); r != nil {
		return r
	}
	return &m.notFound
}

// Handle adds a listed path. A path that is there already, as a prefix or not,
// is an error; so is one without a leading slash, and a nil handler.
func (m *PathRecorderMux) Handle(path string, h http.Handler) error {
	return m.add(Route{Path: path, Handler: h, caller: caller()})
}

// UnlistedHandle is Handle for a path that the index does not show.
func (m *PathRecorderMux) UnlistedHandle(path string, h http.Handler) error {
	return m.add(Route{Path: path, Handler: h, Unlisted: true, caller: caller()})
}

// HandlePrefix adds a listed prefix, which must end with a slash.
func (m *PathRecorderMux) HandlePrefix(path string, h http.Handler) error {
	return m.add(Route{Path: path, Handler: h, Prefix: true, caller: caller()})
}

// UnlistedHandlePrefix is HandlePrefix for one that the index does not show.
func (m *PathRecorderMux) UnlistedHandlePrefix(path string, h http.Handler) error {
	return m.add(Route{Path: path, Handler: h, Prefix: true, Unlisted: true, caller: caller()})
}

// Replace puts routes in the place of all that were there, at once. With an
// error, which names every fault, the table stays as it was.
func (m *PathRecorderMux) Replace(routes ...Route) error {
	from := caller()
	var errs []error
	seen := make(map[string]*Route, len(routes))
	table := make([]*Route, 0, len(routes))
	for _, r := range routes {
		r.caller, r.recycles = from, recyclesAll(r.Handler)
		errs = append(errs, m.check(&r, seen[r.Path]))
		seen[r.Path] = &r
		table = append(table, &r)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.table.Store(newRouteTable(table))
	return nil
}

// Unregister takes a path or prefix away. An unknown one is no error.
func (m *PathRecorderMux) Unregister(path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	routes := slices.DeleteFunc(m.table.Load().routes(), func(r *Route) bool { return r.Path == path })
	m.table.Store(newRouteTable(routes))
}

// ListedPaths are the paths for an index, sorted. The slice is the caller's.
func (m *PathRecorderMux) ListedPaths() []string {
	return slices.Clone(m.table.Load().listed)
}

func (m *PathRecorderMux) add(r Route) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.table.Load()
	there := old.exact[r.Path]
	if there == nil {
		there = old.prefixes[r.Path]
	}
	if err := m.check(&r, there); err != nil {
		return err
	}
	r.recycles = recyclesAll(r.Handler)
	m.table.Store(newRouteTable(append(old.routes(), &r)))
	return nil
}

// check says why r cannot be added; there is the route that has its path.
func (m *PathRecorderMux) check(r, there *Route) error {
	switch {
	case !strings.HasPrefix(r.Path, "/"):
		return fmt.Errorf("mux %s: path %q must begin with a slash", m.name, r.Path)
	case r.Prefix && !strings.HasSuffix(r.Path, "/"):
		return fmt.Errorf("mux %s: prefix %q must end with a slash", m.name, r.Path)
	case r.Handler == nil:
		return fmt.Errorf("mux %s: path %q has no handler", m.name, r.Path)
	case there != nil:
		return fmt.Errorf("mux %s: path %q was added twice; first at %s", m.name, r.Path, there.caller)
	}
	return nil
}

// caller is who called the exported method.
func caller() string {
	_, file, line, ok := runtime.Caller(2)
	if !ok {
		return "an unknown place"
	}
	return fmt.Sprintf("%s:%d", file, line)
}

// routeTable is all routes at one time. It is not changed after it was made.
type routeTable struct {
	exact, prefixes map[string]*Route
	listed          []string
	// What no prefix exceeds, so that a path of slashes costs no more.
	slashes, longest int
}

func newRouteTable(routes []*Route) *routeTable {
	t := &routeTable{exact: map[string]*Route{}, prefixes: map[string]*Route{}}
	for _, r := range routes {
		if !r.Unlisted {
			t.listed = append(t.listed, r.Path)
		}
		if !r.Prefix {
			t.exact[r.Path] = r
			continue
		}
		t.prefixes[r.Path] = r
		t.slashes = max(t.slashes, strings.Count(r.Path, "/"))
		t.longest = max(t.longest, len(r.Path))
	}
	slices.Sort(t.listed)
	return t
}

// find is the route of a path; nil: none.
func (t *routeTable) find(path string) *Route {
	if r := t.exact[path]; r != nil {
		return r
	}
	// Of the prefixes of one path, all of which end with a slash, the one with
	// most slashes is the longest: the last that is found.
	var found *Route
	end := 0
	for range t.slashes {
		next := strings.IndexByte(path[end:min(len(path), t.longest)], '/')
		if next < 0 {
			break
		}
		end += next + 1
		if r := t.prefixes[path[:end]]; r != nil {
			found = r
		}
		if end >= t.longest {
			break
		}
	}
	return found
}

// routes are all of them, in a slice of the caller's.
func (t *routeTable) routes() []*Route {
	all := make([]*Route, 0, len(t.exact)+len(t.prefixes)+1)
	for _, r := range t.exact {
		all = append(all, r)
	}
	for _, r := range t.prefixes {
		all = append(all, r)
	}
	return all
}
