package handler

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync/atomic"
)

// Index answers "/" and "/index.html" with the paths a server has, and each
// other path with 404 and the same list: it is the end of a chain of servers
// that has no other. The body is that of upstream: {"paths": [...]}, sorted. It
// makes the promise of RecycleRequests.
type Index struct {
	list func() []string
	last atomic.Pointer[indexPages]
}

// indexPages are the answers for one list.
type indexPages struct {
	list           []string
	found, missing *page
}

// NewIndex makes the endpoint. list is called for each request, by many at once,
// and what it returns is not changed; the body is rendered when it differs from
// the last. Paths are the server's own, not a client's.
func NewIndex(list func() []string) *Index { return &Index{list: list} }

// ServeHTTP answers; a path that is missing is 404 for any method.
func (i *Index) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header()["Cache-Control"] = noCache
	if r.URL.Path != "/" && r.URL.Path != "/index.html" {
		i.pages().missing.serve(w, r)
		return
	}
	if onlyGetAndHead(w, r) {
		i.pages().found.serve(w, r)
	}
}

// RecycleRequests tells the engine that nothing of a request is kept.
func (i *Index) RecycleRequests() bool { return true }

func (i *Index) pages() *indexPages {
	list := i.list()
	last := i.last.Load()
	if last == nil || !slices.Equal(last.list, list) {
		last = newIndexPages(list)
		i.last.Store(last)
	}
	return last
}

// newIndexPages renders; a path given twice stands in the body once.
func newIndexPages(list []string) *indexPages {
	sorted := slices.Compact(slices.Sorted(slices.Values(list)))
	if sorted == nil {
		sorted = []string{} // an empty list, not null
	}
	body, err := json.MarshalIndent(map[string][]string{"paths": sorted}, "", "  ")
	if err != nil {
		panic("BUG: a list of strings does not marshal: " + err.Error())
	}
	body = append(body, '\n')
	return &indexPages{list, newPage(http.StatusOK, jsonType, body), newPage(http.StatusNotFound, jsonType, body)}
}
