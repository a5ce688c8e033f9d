package serve

// version is a protocol that a connection may speak.
type version int

const (
	versionNone version = iota
	versionHTTP1
)

// ALPN names (RFC 7301 §6, RFC 9112 §9.8).
const alpnHTTP1 = "http/1.1"

// offered are the ALPN names of a TLS listener, best first.
var offered = []string{alpnHTTP1}

// negotiate chooses the engine of a connection: by ALPN under TLS, and on
// clear listeners HTTP/1, whose engine answers an HTTP/2 preface with 505.
// Every case stands in this switch.
func negotiate(underTLS bool, alpn string) version {
	switch {
	case !underTLS:
		return versionHTTP1
	case alpn == alpnHTTP1:
		return versionHTTP1
	case alpn == "": // a client without ALPN speaks HTTP/1 (RFC 9113 §3.2)
		return versionHTTP1
	default: // crypto/tls has refused foreign names; nothing is guessed here
		return versionNone
	}
}
