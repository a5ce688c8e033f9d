// Package h2 is the HTTP/2 client of the reverse proxy (RFC 9113): one Client for
// each upstream endpoint, with prior knowledge in the clear and by ALPN over TLS. It
// judges answers as strictly as the server engine judges requests, with the same
// codecs (serve/h2/frame, serve/h2/hpack).
//
// # Process model
//
// Connections belong to a home and carry many exchanges. Each has one reader, which
// runs on the home (link.Home.Go), takes all frames of a read, and wakes the
// exchanges that they are for. An exchange writes its own frames; who finds somebody
// writing leaves his bytes to him (send.go). A body that does not leave with its
// head has a pump, as in package h1.
//
//	Do -> acquire (acquire.go)  a connection with a stream to spare, or a new one
//	   -> begin (send.go)       HEADERS and a small body in one write
//	   -> await (exchange.go)   until the reader has the head of the final answer
//	Next, Ready                 what the reader has buffered; credit goes back
//	Close                       RST_STREAM unless both sides have ended
//
// # Ownership
//
// conn.mu guards a connection and its streams; it is never held while bytes are
// written, nor while anybody waits. Fields of an answer are strings of the decoder,
// which nobody reuses.
//
// # Bounds
//
// A stream buffers its receive window, 256 KiB; a connection's window is that of all
// its streams, so that clients that do not read hold up nobody else's answers. Heads,
// trailers, CONTINUATION, control frames and what waits to be written are bounded in
// limits.go.
//
// # Limitations
//
//   - No server push (it is switched off), no priorities.
//   - A connection that died without a word is found when its streams time out.
//
// It may change before v1.
package h2
