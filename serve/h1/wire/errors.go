package wire

import "net/http"

// Error is why a message is refused: the status to answer with, and the rule.
// Reason never contains a byte of the peer's.
type Error struct {
	Status int
	Reason string
}

func (e *Error) Error() string { return e.Reason }

func bad(reason string) *Error { return &Error{http.StatusBadRequest, reason} }

// The errors are made once: refusing costs no allocation.
var (
	errBareLF       = bad("line does not end in CRLF (RFC 9112 §2.2)")
	errBareCR       = bad("CR without LF (RFC 9112 §2.2)")
	errEmptyLines   = bad("more than two empty lines before the request (RFC 9112 §2.2)")
	errRequestLine  = bad("malformed request line (RFC 9112 §3)")
	errMethod       = bad("method is not a token (RFC 9110 §9.1)")
	errVersion      = bad("malformed HTTP version (RFC 9112 §2.3)")
	errTarget       = bad("malformed request target (RFC 9112 §3.2)")
	errFieldName    = bad("malformed field name (RFC 9112 §5.1)")
	errFieldValue   = bad("forbidden byte in a field value (RFC 9110 §5.5)")
	errFold         = bad("folded or indented field line (RFC 9112 §5.2)")
	errHostMissing  = bad("Host is missing (RFC 9112 §3.2)")
	errHostRepeated = bad("Host is repeated (RFC 9112 §3.2)")
	errHost         = bad("Host is not a host (RFC 9110 §7.2)")
	errHostDiffers  = bad("Host differs from the request target (RFC 9112 §3.2.2)")
	errLength       = bad("malformed Content-Length (RFC 9110 §8.6)")
	errLengthTwice  = bad("Content-Length is repeated (RFC 9112 §6.3)")
	errLengthCoding = bad("Content-Length together with Transfer-Encoding (RFC 9112 §6.1)")
	errCoding       = bad("malformed Transfer-Encoding (RFC 9112 §6.1)")
	errCoding10     = bad("Transfer-Encoding in HTTP/1.0 (RFC 9112 §6.1)")

	errCodingUnknown = &Error{http.StatusNotImplemented, "unknown transfer coding (RFC 9112 §6.1)"}
	errMethodLong    = &Error{http.StatusNotImplemented, "method is too long (RFC 9112 §3)"}
	errTargetLong    = &Error{http.StatusRequestURITooLong, "request target is too long (RFC 9112 §3)"}
	errFieldsLarge   = &Error{http.StatusRequestHeaderFieldsTooLarge, "header section is too large (RFC 6585 §5)"}
	errFieldsMany    = &Error{http.StatusRequestHeaderFieldsTooLarge, "too many fields (RFC 6585 §5)"}
	errVersionMajor  = &Error{http.StatusHTTPVersionNotSupported, "only HTTP/1 is spoken here (RFC 9110 §15.6.6)"}
	errExpect        = &Error{http.StatusExpectationFailed, "unknown expectation (RFC 9110 §10.1.1)"}
	errConnect       = &Error{http.StatusMethodNotAllowed, "CONNECT to an origin server (RFC 9110 §9.3.6)"}
	errTrace         = &Error{http.StatusMethodNotAllowed, "TRACE is not served (RFC 9110 §9.3.8)"}

	errStatusLine  = bad("malformed status line (RFC 9112 §4)")
	errStatusLong  = &Error{http.StatusRequestHeaderFieldsTooLarge, "status line is too long (RFC 9112 §4)"}
	errNoContent   = bad("length or coding of an answer that has no content (RFC 9112 §6.1)")
	errOptionsMany = &Error{http.StatusRequestHeaderFieldsTooLarge, "too many connection options (RFC 9110 §7.6.1)"}

	errChunkSize     = bad("malformed chunk size (RFC 9112 §7.1)")
	errChunkExt      = bad("forbidden byte in a chunk extension (RFC 9112 §7.1.1)")
	errChunkOverhead = bad("too many bytes around too little chunk data (CVE-2023-39326)")
	errChunkEnd      = bad("chunk data is not followed by CRLF (RFC 9112 §7.1)")
	errTrailerLarge  = bad("trailer section is too large (RFC 9112 §7.1.2)") // 400: rule H1-7
)
