package handler

import "net/http"

// A Recycler is a handler that may promise to keep nothing of any request after
// ServeHTTP has returned: see the package's description.
type Recycler interface{ RecycleRequests() bool }

// A SomeRecycler is a handler that may promise it for some of its requests: those
// for which it calls MayRecycle before it returns. A PathRecorderMux and a Chain are.
//
// It is the request that is marked, by whoever knows the handler that has served it,
// and not the handler that is asked once more when that has returned: its routes may
// have been replaced meanwhile. What nobody has marked is not used again, be it that
// a handler has panicked, that its answer had expired, or that a writer in between
// has no Unwrap.
type SomeRecycler interface{ RecyclesSomeRequests() bool }

// recyclesAll and recyclesSome are a handler's promise.
func recyclesAll(h http.Handler) bool {
	r, ok := h.(Recycler)
	return ok && r.RecycleRequests()
}

func recyclesSome(h http.Handler) bool {
	r, ok := h.(SomeRecycler)
	return ok && r.RecyclesSomeRequests()
}

// MayRecycle tells the engine, and a Chain in between, that nothing is kept of the
// request which w answers. It is for the request's own goroutine, behind the last use
// of the request, and has no effect where the engine does not recycle. It looks
// through writers that have an Unwrap method.
func MayRecycle(w http.ResponseWriter) {
	for {
		switch v := w.(type) {
		case interface{ MayRecycle() }:
			v.MayRecycle()
			return
		case interface{ Unwrap() http.ResponseWriter }:
			w = v.Unwrap()
		default:
			return
		}
	}
}
