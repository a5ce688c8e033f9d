// Package qpack is the field compression of HTTP/3 (RFC 9204) as a pure codec,
// with the dynamic table off: bytes in, values out; no connection, no clock, no
// goroutine, no lock.
//
// We advertise SETTINGS_QPACK_MAX_TABLE_CAPACITY of 0, its default, and use none
// of what the peer offers. So no section waits for another stream, none depends
// on an earlier one, and nothing is kept for a connection: Decode and the
// encoding functions have no state. What a peer sends that would need a table is
// an error; its two streams are read by EncoderStream and DecoderStream.
//
// Decoding is strict where the RFC leaves a choice, and bounded before it
// allocates, by the limits of serve/h2/hpack and to the same fields.
//
// Without a table, encoding is repeated for each answer. A Cache takes that off:
// it has the octets of pairs that came twice. They mean the same on every
// connection, so one Cache serves many.
//
// # Limitations
//
// A pair that the static table has not is spelled out each time it is sent: an
// answer has some 100 octets of fields where HPACK would have 10.
//
// The package may change before v1.
package qpack
