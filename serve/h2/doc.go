// Package h2 is the HTTP/2 server engine (RFC 9113, RFC 7541, RFC 9218, RFC
// 8441) under net/http's handler contract. It knows neither sockets nor loops:
// a Host gives it bytes and turns, in one of two forms. Its codecs, frame and
// hpack, are pure functions over bytes.
//
// # Process model
//
// A Conn has no goroutine. Its host steps it (OnReadable, OnWritable, OnTimer,
// Drain). A step reads all there is, takes every frame, runs the handler of
// each complete request inline, in the order of arrival, and gathers all
// answers, which leave in one write when the input is drained. A handler that
// returns soon costs no goroutine and no switch.
//
// One lock, Conn.mu, guards a connection and its streams. It is held while
// frames are taken and framed, and free while a handler runs. Whatever a step
// has still to do lies in Conn, never on the stack of the goroutine that runs
// a handler. So when a handler waits (knowingly: for its body, for a window;
// unknowingly: it sleeps, computes), another goroutine takes over, steps the
// same connection first and goes on behind the frame that was taken last. The
// overtaken handler keeps its stream and nothing else: it reaches the
// connection through the lock, and leaves what only a step may do to the next
// one (Conn.wake, Host.Wake). ARCHITECTURE.md draws it.
//
// In the portable form one goroutine stays in OnReadable, where Read waits
// without the lock, and each handler has a goroutine of its own.
//
// # Reading path
//
//	OnReadable -> work -> parse (input.go)      whole frames of a lent buffer
//	           -> take (recv.go)                by type, each RFC clause above its branch
//	           -> onBlock (headers.go) -> decode (head.go): HPACK and the rules for messages;
//	              a block that equals one of the last two is compared instead
//	           -> begin (request.go) -> serve, handle (handle.go): ServeHTTP
//
// A request whose body has not arrived with its head waits for the end of the
// input, since its DATA is mostly right behind. By default each request is new
// and its handler may keep it; with Config.Recycle its block comes back, or
// if its handler says so (MayRecycle).
//
// # Writing path
//
// The handler's fields are noted at WriteHeader and encoded when HEADERS are
// framed, in the order of sending, which HPACK needs. Content of unknown length
// is kept back up to 8 KiB, so that its length can be told. With a declared
// length the last DATA frame carries END_STREAM while the handler still runs.
// send.go tells of the three places where output waits, sched.go who is next.
//
// # Limits
//
// Ceilings are in limits.go, allowances that refill in budget.go, each with its
// reason and test. A message that breaks a rule resets its stream before any
// handler sees it; a spent budget ends the connection with ENHANCE_YOUR_CALM,
// counted by Reason. Between requests a connection holds its struct, its HPACK
// tables as far as they are filled and the last header blocks, and no buffer.
//
// # Limitations
//
//   - No server push; http.Pusher is not implemented.
//   - RFC 7540's dependency tree is ignored (RFC 9113 §5.3); RFC 9218 counts.
//   - A handler that stops reading its body holds the stream's window; see flow.go.
//   - A trailer field that is set by http.TrailerPrefix after the last byte of a
//     declared Content-Length comes too late: END_STREAM has gone with that byte.
//   - A reset, also our own of an aborted answer, drops what waits in the queue
//     of its stream.
//   - PRIORITY_UPDATE for a stream that is not open yet is ignored.
//   - MaxConnAge is looked at when a request begins.
//   - CONNECT without :protocol is refused with 405: an origin is no tunnel.
//
// It may change before v1.
package h2
