// Package h1 is the HTTP/1.1 client of the reverse proxy (RFC 9112): one Client
// for each upstream endpoint. It judges answers as strictly as the server engine
// judges requests, with the same codecs (serve/h1/wire).
//
// # Process model
//
// There is no goroutine for a connection. Do runs on the handler's goroutine: it
// takes an idle connection of its home, or dials, writes the request and reads
// until the head of the final answer is here. What waits is the connection
// (package link): the event loop serves others meanwhile. A body of up to 16 KiB
// and known length is read first and leaves with the head in one write. Any other
// body has a goroutine of its own, the pump (pump.go), while the handler's waits
// for the answer.
//
// # Ownership
//
// A connection belongs to one exchange, or lies idle in the pool of its home. An
// exchange belongs to the handler's goroutine until Close, and goes back to the
// client's pool then; the handle that the caller holds is never used again, so a
// late call finds nothing (exchange.go).
//
// A pump has a buffer of its own and borrows the connection for each write. It
// is done once the body is sent whole; only then may the connection be used
// again. If the exchange ends before, Close closes the connection, which makes
// the pump come out of a write, and takes it away; from then on the pump touches
// neither. It may still sit in a Read of the request's body, which is the
// server's to end when the handler returns: the pump's goroutine outlives the
// exchange by that, and Client.Wait waits for it.
//
// # Reading path
//
//	Do -> await (answer.go)   bytes into a lent buffer, wire.ResponseHead.Parse; 1xx
//	   -> final               where the body ends; fields, without those of the connection
//	Next, Ready (body.go)     pieces of the same buffer, chunked decoded in place
//	Close (exchange.go)       keep the connection, or close it
//
// # Which connections are kept
//
// One on which everything went as it should. All others are closed: the body was
// not sent whole, or the final answer came before it was; the answer was not read
// to its end, or bytes came behind it; Connection: close, HTTP/1.0, a body that
// ends with the connection; any 101, and any other answer where an upgrade was
// asked for; any error (clean, in exchange.go; TestDirty names each rule). Before
// an idle one is used, a look at its socket finds ends and early bytes (rule U-3).
//
// # Limits
//
// They are named in limits.go, with reason and test; those of a head and of chunks
// in serve/h1/wire.
//
// # Limitations
//
//   - No pipelining, no CONNECT, no HTTP/1.0 requests.
//   - Not full duplex: a final answer ends the sending of the request's body.
//   - Trailer fields are sent with chunked bodies only, and not announced.
//   - An exchange that waits for its answer holds a read buffer of 16 KiB.
//
// It may change before v1.
package h1
