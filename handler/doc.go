// Package handler holds the answers and filters of the serving commands. They
// know net/http only, so each of them also works under any other server.
//
// Endpoints are plain handlers over data given by the caller: Health (named
// checks in groups), Version, Metrics, Index, Drainz, OpenAPI, Respond (one fixed
// answer) and Site (the embedded pages of a server started without
// configuration).
//
// Filters are stages of a Chain (chain.go), on one record for each request
// (exchange.go) and one writer (writer.go). The default order, with the reason
// for each place, is in default_chain.go. Stages that count and end what runs
// share a Registry (in_progress.go).
//
// # Recycled requests
//
// A handler with a method RecycleRequests() bool that answers true promises to
// keep nothing of a request (not the Request, its Header, its URL, nor a
// string of them) after ServeHTTP returned. An engine may then reuse that
// memory for the next request. Handlers of this package that make the promise
// say so (Recycler).
//
// A Chain and a PathRecorderMux pass the promise on for each request: those of a
// route whose handler makes it are recycled, others are not (SomeRecycler). Under
// the tags race or invariants a recycled request is overwritten.
package handler
