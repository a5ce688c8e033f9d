// Package frame is the frame layer of HTTP/3 (RFC 9114 §6.2 and §7, the settings
// of RFC 9204, RFC 9220 and RFC 9297, and PRIORITY_UPDATE of RFC 9218 §7.2) as a
// pure codec: bytes in, values out; no connection, no clock, no goroutine, and
// nothing that allocates but a destination that has to grow.
//
// All of it is made of variable-length integers (RFC 9000 §16), so a reader is
// one that asks for more:
//
//	h, n := frame.ReadHeader(b) // n 0: b ends in the header
//	h.Type.Reserved()           // H3_FRAME_UNEXPECTED, on any stream
//	frame.ParseX(payload)       // by h.Type; unknown types are dropped (RFC 9114 §9)
//
// Each ParseX takes exactly the payload; what they return refers into it. They
// know one frame only. What needs the state of a stream or connection is the
// engine's: which types a stream takes, and after which (RFC 9114 §4.1, §6.2.1);
// how much of a payload is worth waiting for, as a length can be 2^62-1; whether
// an identifier of GOAWAY or MAX_PUSH_ID moves the right way.
//
// # Limitations
//
// Nothing of server push is here but the types to refuse. PRIORITY_UPDATE is
// read, never written.
//
// The package may change before v1.
package frame
