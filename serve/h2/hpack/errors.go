package hpack

// Error is why a header block is refused. For the caller each is a connection
// error COMPRESSION_ERROR (RFC 9113 §4.3), save ErrTooManyFields. It never
// contains a byte of the peer's.
type Error struct{ Reason string }

func (e *Error) Error() string { return "hpack: " + e.Reason }

// ErrTooManyFields ends a decoding at Limits.HardFields (rule H2-4). The rest of
// the block is not decoded, so the connection's table is lost: it has to be closed.
var ErrTooManyFields = &Error{"more fields than a header block may have (RFC 9113 §10.5.1)"}

// The errors are made once: refusing costs no allocation.
var (
	errTruncated      = &Error{"header block is truncated (RFC 7541 §3.1)"}
	errInteger        = &Error{"integer is too large or too long (RFC 7541 §5.1)"}
	errHuffman        = &Error{"EOS or bad padding in a Huffman string (RFC 7541 §5.2)"}
	errIndex          = &Error{"index into neither table (RFC 7541 §2.3.3, §6.1)"}
	errSizeUpdate     = &Error{"table size update above the limit (RFC 7541 §6.3)"}
	errSizeUpdateLate = &Error{"table size update behind a field (RFC 7541 §4.2)"}
	errSizeUpdateMany = &Error{"more than two table size updates (RFC 7541 §4.2)"}
)
