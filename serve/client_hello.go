package serve

import "encoding/binary"

const (
	recordHandshake   = 22     // RFC 8446 §5.1
	typeClientHello   = 1      // §4
	extSessionTicket  = 35     // RFC 5077 §3.2
	extPreSharedKey   = 0x0029 // RFC 8446 §4.2.11
	helloFixed        = 2 + 32 // legacy_version, random
	helloPeek         = 2048   // where the hello of a resuming client ends, as a rule
	recordHeader      = 5
	handshakeHeader   = 4
	lengthAndTypeSize = 4
)

// offersResumption tells whether the begin of a connection is a ClientHello
// that offers a ticket: such a handshake costs no signature, and goes first
// when many wait (rule S-6). It only sorts a queue, so anything that is cut
// short or malformed is a plain no; crypto/tls decides what it really is.
func offersResumption(b []byte) bool {
	if len(b) < recordHeader+handshakeHeader || b[0] != recordHandshake || b[recordHeader] != typeClientHello {
		return false
	}
	b = b[recordHeader+handshakeHeader:]
	ok := true
	skip := func(n int) {
		if n > len(b) {
			ok, n = false, len(b)
		}
		b = b[n:]
	}
	vector := func(size int) { // one with a length of size bytes before it
		switch {
		case len(b) < size:
			ok, b = false, nil
		case size == 1:
			skip(1 + int(b[0]))
		default:
			skip(2 + int(binary.BigEndian.Uint16(b)))
		}
	}
	skip(helloFixed)
	vector(1) // legacy_session_id
	vector(2) // cipher_suites
	vector(1) // legacy_compression_methods
	skip(2)   // length of the extensions
	for ok && len(b) >= lengthAndTypeSize {
		kind, size := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
		if kind == extPreSharedKey || kind == extSessionTicket && size > 0 {
			return true
		}
		skip(lengthAndTypeSize + int(size))
	}
	return false
}
