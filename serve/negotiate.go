package serve

// version is a protocol that a connection may speak.
type version int

const (
	versionNone version = iota
	versionHTTP1
	versionHTTP2
	versions
)

// ALPN names (RFC 7301 §6, RFC 9112 §9.8, RFC 9113 §3.2).
const (
	alpnHTTP1 = "http/1.1"
	alpnHTTP2 = "h2"
)

// offered are the ALPN names of a TLS listener, best first.
func (o *ServerOptions) offered() []string {
	switch {
	case o.DisableHTTP2:
		return []string{alpnHTTP1}
	case o.DisableHTTP1:
		return []string{alpnHTTP2}
	}
	return []string{alpnHTTP2, alpnHTTP1}
}

// negotiate chooses the engine of a connection: by ALPN under TLS. On clear
// listeners it is HTTP/1, whose engine hands over what begins with HTTP/2's
// preface (RFC 9113 §3.3, prior knowledge). Every case stands in this switch.
func (o *ServerOptions) negotiate(underTLS bool, alpn string) version {
	switch {
	case !underTLS && o.DisableHTTP1:
		return versionHTTP2
	case !underTLS:
		return versionHTTP1
	case alpn == alpnHTTP2:
		return versionHTTP2
	case alpn == alpnHTTP1:
		return versionHTTP1
	case alpn == "" && !o.DisableHTTP1: // a client without ALPN speaks HTTP/1 (RFC 9113 §3.2)
		return versionHTTP1
	default: // crypto/tls has refused foreign names; nothing is guessed here
		return versionNone
	}
}
