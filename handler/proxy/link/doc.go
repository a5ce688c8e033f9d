// Package link gives the proxy its transport connections to upstreams, and the
// means to wait on them.
//
// A Home is where a request runs. Under the event loop it is the shard that
// serves the request: the connection lies in the shard's epoll set, a wait
// gives the loop to other requests, and nothing is handed to Go's scheduler.
// Elsewhere (the portable form, HTTP/3, a test's recorder) it is the process:
// connections are net's and a wait parks the goroutine. The code above is the
// same for both: plain calls that wait.
//
// # Who may call what
//
// Read, Attach, Detach and Waiter.Wait belong to the goroutine that runs the
// handler (or the function given to Home.Go), and to nobody else. Write,
// WriteBoth and CloseWrite are for one goroutine at a time, which may be
// another one. It may set both deadlines too: that of a Read that waits counts
// from then on. Close and Waiter.Wake are for any.
package link
