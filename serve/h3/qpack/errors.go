package qpack

// Error is why bytes are refused. For the caller each ends the connection, save
// ErrTooManyFields, with a code that follows from who returns it (RFC 9204 §6):
// Decode, QPACK_DECOMPRESSION_FAILED; EncoderStream, QPACK_ENCODER_STREAM_ERROR;
// DecoderStream, QPACK_DECODER_STREAM_ERROR. It never contains a byte of the
// peer's.
type Error struct{ Reason string }

func (e *Error) Error() string { return "qpack: " + e.Reason }

// ErrTooManyFields ends a decoding at Limits.HardFields. Nothing but the section
// is lost, so it may end the stream only.
var ErrTooManyFields = &Error{"more fields than a field section may have (RFC 9114 §10.5.1)"}

// The errors are made once: refusing costs no allocation.
var (
	errTruncated = &Error{"field section is truncated (RFC 9204 §4.5)"}
	errInteger   = &Error{"integer is too large or too long (RFC 9204 §4.1.1)"}
	errHuffman   = &Error{"EOS or bad padding in a Huffman string (RFC 9204 §4.1.2, RFC 7541 §5.2)"}
	errInsert    = &Error{"field section needs a dynamic table (RFC 9204 §2.2.1)"}
	errBase      = &Error{"Base is negative (RFC 9204 §4.5.1.2)"}
	errDynamic   = &Error{"reference to a dynamic table (RFC 9204 §2.2.3)"}
	errIndex     = &Error{"index behind the static table (RFC 9204 §3.1)"}

	errCapacity     = &Error{"table capacity above the limit (RFC 9204 §4.3.1)"}
	errCapacityMany = &Error{"table capacity is set again and again (RFC 9204 §3.2.3)"}
	errInsertion    = &Error{"insertion into a table of capacity 0 (RFC 9204 §3.2.2)"}
	errDuplicate    = &Error{"duplicate of no entry (RFC 9204 §4.3.4)"}

	errAcknowledgment = &Error{"acknowledgment of a section without dynamic references (RFC 9204 §4.4.1)"}
	errIncrement      = &Error{"acknowledgment of insertions that were not sent (RFC 9204 §4.4.3)"}
)
