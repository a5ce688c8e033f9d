package message

import "fmt"

// Kind says in what an upstream has failed. The words stand in logs and metrics.
type Kind uint8

const (
	ConnectRefused  Kind = iota + 1 // nobody listens, or no route
	ConnectTimeout                  // nothing came back
	HandshakeFailed                 // TLS, or the HTTP/2 preface
	ResetEarly                      // the connection ended before a byte of the answer
	HeadTimeout                     // no head in time
	HeadCut                         // the connection ended within the head
	Malformed                       // an answer that breaks the protocol (rule U-4)
	HeadTooLarge                    // more than 64 KiB, or too many informational answers (U-2)
	BodyCut                         // the connection ended within the body
	BodyTimeout                     // no byte of the body in time
	Refused                         // the upstream says that it has not processed the request (REFUSED_STREAM, GOAWAY)
	RequestFailed                   // the client's own body broke off
	Cancelled                       // the client has left, or the request's time is over
	UnaskedUpgrade                  // 101 that nobody asked for, or of another protocol
	NoUpgrade                       // an ordinary answer with 2xx, where only a tunnel can have that status; or none is offered (RFC 8441 §3)

	Kinds // how many there are, the zero one included
)

var kinds = [...]string{
	ConnectRefused: "upstream connect refused", ConnectTimeout: "upstream connect timeout",
	HandshakeFailed: "upstream handshake failed", ResetEarly: "upstream reset before answer",
	HeadTimeout: "upstream header timeout", HeadCut: "upstream header cut", Malformed: "upstream answer malformed",
	HeadTooLarge: "upstream header too large", BodyCut: "upstream body cut", BodyTimeout: "upstream body timeout",
	Refused: "upstream refused stream", RequestFailed: "request body failed", Cancelled: "request cancelled",
	UnaskedUpgrade: "upstream upgrade not asked for", NoUpgrade: "upstream did not upgrade",
}

func (k Kind) String() string {
	if int(k) < len(kinds) && kinds[k] != "" {
		return kinds[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Error is why an exchange has failed.
type Error struct {
	Kind Kind
	// Unsent: certainly no byte of the request reached the upstream's
	// application: any request may be repeated.
	Unsent bool
	// Reused: the connection had served before, and ended before any byte of
	// this answer: a request that may be repeated gets one more try (rule U-5).
	Reused bool
	// Answered: some of an answer was read, so that the request must not be
	// repeated, whatever its method.
	Answered bool
	Err      error
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Kind.String()
	}
	return e.Kind.String() + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }
