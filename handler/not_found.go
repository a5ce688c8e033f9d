package handler

import (
	"context"
	"net/http"
)

var (
	notFoundText = newPage(http.StatusNotFound, textPlain, []byte("404 page not found\n"))
	notYetFound  = newPage(http.StatusServiceUnavailable, textPlain, []byte("503 the server is starting, not all paths are there yet\n"))
)

// notYetRetryAfter is how long, in seconds, a client waits for a path that may
// come.
var notYetRetryAfter = []string{"5"}

// NotFound answers 404 in plain text. It makes the promise of RecycleRequests
// and allocates nothing.
type NotFound struct{}

// ServeHTTP answers 404, whatever the method.
func (NotFound) ServeHTTP(w http.ResponseWriter, r *http.Request) { notFoundText.serve(w, r) }

// RecycleRequests tells the engine that nothing of a request is kept.
func (NotFound) RecycleRequests() bool { return true }

// EndOfChain is the end of a chain of servers. What reaches it has no path: it
// answers 503 with Retry-After to a request that came before all paths were
// installed (MarkEarly), since a 404 would be believed; the others get what
// NotFound answers.
type EndOfChain struct {
	// NotFound answers what is not there. If nil, the type of that name.
	NotFound http.Handler
}

// ServeHTTP answers 503 or lets NotFound answer.
func (e EndOfChain) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if IsEarly(r) {
		w.Header()["Retry-After"] = notYetRetryAfter
		w.Header()["Cache-Control"] = noCache
		notYetFound.serve(w, r)
		return
	}
	if e.NotFound == nil {
		notFoundText.serve(w, r)
		return
	}
	e.NotFound.ServeHTTP(w, r)
}

// RecycleRequests is the promise of NotFound.
func (e EndOfChain) RecycleRequests() bool { return e.NotFound == nil || recyclesAll(e.NotFound) }

// RecyclesSomeRequests likewise.
func (e EndOfChain) RecyclesSomeRequests() bool { return recyclesSome(e.NotFound) }

type earlyKey struct{}

// MarkEarly marks a request that has come before all paths were installed. The
// mark is set where the request arrives: if the end of the chain looked at the
// state of its own time, a request that missed a path which was installed just
// behind it would be answered 404.
func MarkEarly(r *http.Request) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), earlyKey{}, true))
}

// IsEarly tells whether r was marked by MarkEarly.
func IsEarly(r *http.Request) bool { return r.Context().Value(earlyKey{}) != nil }
