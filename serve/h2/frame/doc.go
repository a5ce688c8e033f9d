// Package frame is the frame layer of HTTP/2 (RFC 9113 §4 and §6, the settings
// of RFC 8441 and RFC 9218, and PRIORITY_UPDATE of RFC 9218 §7.1) as a pure
// codec: bytes in, values out; no connection, no clock, no goroutine, and
// nothing that allocates but a destination that has to grow.
//
// A reader takes nine bytes, and as soon as it has them:
//
//	h := frame.ParseHeader(b)   // what is it
//	h.Check()                   // all that the header alone shows
//	wait for h.Length bytes     // at most DefaultMaxSize: more never passes Check
//	frame.ParseX(h, payload)    // by h.Type; unknown types are dropped (RFC 9113 §5.5)
//
// Each ParseX takes a header that passed Check and exactly its payload; what
// they return refers into the payload. They know one frame only. What needs the
// state of a stream or connection is the engine's: that nothing, not even an
// unknown type, comes between HEADERS and its CONTINUATION (RFC 9113 §5.5, §6.2);
// idle and closed streams; windows; which settings may change.
//
// # Limitations
//
// Padding and the priority fields of HEADERS are read, never written. Check
// speaks for a server; of what a client must refuse it lacks PRIORITY_UPDATE
// (RFC 9218 §7.1).
//
// The package may change before v1.
package frame
