// Package serve puts an http.Handler in front of the internet.
//
// Server is a drop-in for the serving use of http.Server: listeners of package
// listener, and plain TCP and Unix listeners, are served by per-core event
// loops (serve/shard); any other net.Listener by one goroutine a connection.
// SecureServingInfo is the face that API servers know, with its two channels.
//
// # Life of a connection
//
// A shard accepts (listener, shard), a listed proxy tells whose the connection is
// (proxied.go), TLS is shaken hands on a bounded set of goroutines (tls.go), the protocol is chosen in one switch (negotiate.go),
// and the engine serves (h1, h2). HTTP/3 has sockets and loops of its own
// (http3.go, h3). At the stop, drain.go draws the timeline.
//
// # The server around it
//
// GenericServer is the API server's: Config is completed and made a server with
// hooks, health checks and sources (config.go, generic_server.go), which are
// chained by delegation (delegation.go) and stop under one deadline
// (generic_drain.go). APISERVER.md goes through it row by row.
//
// # Limitations
//
// The last step of rule S-7 cuts the connection with most unsent bytes, of which
// those in the queues of HTTP/2 streams (1 MiB at most) are not counted, nor
// those of HTTP/3.
package serve
