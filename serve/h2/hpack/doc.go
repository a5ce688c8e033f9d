// Package hpack is the header compression of RFC 7541 as a pure codec: bytes in,
// values out; no connection, no clock, no goroutine, no lock. A connection has one
// Decoder and one Encoder; each belongs to whoever reads, or writes, that
// connection, and their zero values are ready.
//
// What an idle connection holds is small on purpose: both types are a few words
// and make their table at the first insertion.
//
// Decoding is strict where the RFC leaves a choice, and bounded before it
// allocates (rules H2-3, H2-4). Field names that are common are constants; there
// is no cache of names that a peer could fill (rule H2-10).
//
// Encoding inserts what repeats on a connection and keeps what changes out of the
// table; see policy. A field that sits in the table is one byte and a few
// nanoseconds.
//
// Limitations: the dynamic table never exceeds 4096 bytes in either direction,
// the encoder's also 32 entries, so that every index is one byte. The encoder
// codes in Huffman only what it inserts.
//
// It may change before v1.
package hpack
