package handler

import "net/http"

var notFoundText = newPage(http.StatusNotFound, textPlain, []byte("404 page not found\n"))

// NotFound answers 404 in plain text. It makes the promise of RecycleRequests
// and allocates nothing.
type NotFound struct{}

// ServeHTTP answers 404, whatever the method.
func (NotFound) ServeHTTP(w http.ResponseWriter, r *http.Request) { notFoundText.serve(w, r) }

// RecycleRequests tells the engine that nothing of a request is kept.
func (NotFound) RecycleRequests() bool { return true }
