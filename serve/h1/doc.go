// Package h1 is the HTTP/1.1 server engine (RFC 9112) under net/http's handler
// contract. It knows neither sockets nor loops: a Host gives it bytes and
// deadlines, in one of two forms.
//
// # Process model
//
// A Conn has no goroutine. Its host steps it (OnReadable, OnWritable, OnTimer,
// Drain), and handlers run inside the step. In the event loop's form a step
// ends where reading would block; a handler that waits, or takes long, is
// overtaken: others lead meanwhile, its goroutine finishes this one exchange,
// and the host takes the connection back. In the portable form one goroutine a
// connection stays in OnReadable, and Read waits.
//
// What a connection does next is one state (state.go). The calls of a handler
// come from any goroutine, also after it has returned. Two locks keep them
// apart: rmu guards the read half (input buffer, body), wmu the write half
// (gathered output, answer); rmu is taken before wmu. When a handler returns,
// finish shuts both halves and waits for calls that are inside, waking a
// reader that waits for its peer. Later calls find their exchange over and get
// an error; they never touch the next one.
//
// # Reading path
//
//	OnReadable -> readHead (head.go)       bytes into a lent buffer, wire.RequestHead.Parse
//	           -> exchange.begin (request.go) one block: Request, URL, context, body, writer
//	           -> runHandler (finish.go)   ServeHTTP; Body.Read (body.go) takes from the same buffer
//	           -> finish -> head | drain | linger | over
//
// By default each request is new and its handler may keep it. All strings of a
// head are parts of one. A head whose bytes equal the last one's, which is what
// a client on a kept connection mostly sends, is compared instead of parsed,
// and its strings serve again. With Config.Recycle the block comes back too,
// or that of the requests for which the handler says so (MayRecycle).
//
// # Writing path
//
// Heads and short bodies gather in a lent buffer, which leaves in one Write
// when the input is drained, at 32 KiB, with Flush, or when the handler is
// overtaken. A body without Content-Length is kept back up to 8 KiB, so that its
// length can be told. The handler's fields are serialised at WriteHeader, ours
// (Date, framing, Connection) when the first bytes of the body are due. A long
// body goes to the host from where it lies, a file by SendFile. A handler that
// is 64 KiB ahead of its peer waits.
//
// # Limits
//
// They are named in limits.go, with reason and test; those of a head and of
// chunks in package wire. Whatever breaks a rule is answered once, with
// Connection: close, and nothing behind it is read as a request. Between
// requests a connection holds its struct and no buffer.
//
// # Limitations
//
//   - Not full duplex unless the handler asks for it, as net/http: the first
//     bytes of an answer wait for a request body of up to 256 KiB.
//   - SendFile needs a declared Content-Length; an answer in chunks is copied.
//   - http.CloseNotifier is not implemented; it was deprecated in Go 1.11.
//   - An answer to HTTP/1.0 begins with HTTP/1.1 (RFC 9110 §2.5); net/http's does not.
//   - A refused Upgrade, other than to h2c or TLS, ends the connection (H1-15).
//
// It may change before v1.
package h1
