package frame

// Code is why a stream or connection ends (RFC 9114 §8.1, RFC 9204 §6). Unknown
// codes are legal and MUST be treated as H3_NO_ERROR (RFC 9114 §9).
type Code uint64

// The codes of RFC 9114 §8.1 and RFC 9204 §8.3.
const (
	NoError              Code = 0x100
	GeneralProtocolError Code = 0x101
	InternalError        Code = 0x102
	StreamCreationError  Code = 0x103
	ClosedCriticalStream Code = 0x104
	FrameUnexpected      Code = 0x105
	FrameError           Code = 0x106
	ExcessiveLoad        Code = 0x107
	IDError              Code = 0x108
	SettingsError        Code = 0x109
	MissingSettings      Code = 0x10a
	RequestRejected      Code = 0x10b
	RequestCancelled     Code = 0x10c
	RequestIncomplete    Code = 0x10d
	MessageError         Code = 0x10e
	ConnectError         Code = 0x10f
	VersionFallback      Code = 0x110

	QPACKDecompressionFailed Code = 0x200
	QPACKEncoderStreamError  Code = 0x201
	QPACKDecoderStreamError  Code = 0x202
)

// codeNames are in the order of their codes, from NoError on.
var codeNames = [...]string{
	"H3_NO_ERROR",
	"H3_GENERAL_PROTOCOL_ERROR",
	"H3_INTERNAL_ERROR",
	"H3_STREAM_CREATION_ERROR",
	"H3_CLOSED_CRITICAL_STREAM",
	"H3_FRAME_UNEXPECTED",
	"H3_FRAME_ERROR",
	"H3_EXCESSIVE_LOAD",
	"H3_ID_ERROR",
	"H3_SETTINGS_ERROR",
	"H3_MISSING_SETTINGS",
	"H3_REQUEST_REJECTED",
	"H3_REQUEST_CANCELLED",
	"H3_REQUEST_INCOMPLETE",
	"H3_MESSAGE_ERROR",
	"H3_CONNECT_ERROR",
	"H3_VERSION_FALLBACK",
}

// String gives the RFC's name, or the number of an unknown code.
func (c Code) String() string {
	switch c {
	case QPACKDecompressionFailed:
		return "QPACK_DECOMPRESSION_FAILED"
	case QPACKEncoderStreamError:
		return "QPACK_ENCODER_STREAM_ERROR"
	case QPACKDecoderStreamError:
		return "QPACK_DECODER_STREAM_ERROR"
	default:
	}
	if i := c - NoError; i < Code(len(codeNames)) { // below NoError it wraps
		return codeNames[i]
	}
	return number(uint64(c))
}

// Error is a violation that the bytes alone show; here, and in the compression,
// each ends the connection. Reason begins with the section it breaks, of RFC 9114
// unless it names another, and never contains a byte of the peer's. The values
// are shared: compare, do not change them.
type Error struct {
	Code   Code
	Reason string
}

func (e *Error) Error() string { return e.Code.String() + ": " + e.Reason }

// The errors are made once: refusing costs no allocation.
var (
	errSettingsSize      = &Error{FrameError, "7.1: SETTINGS ends within a setting"}
	errSettingsMany      = &Error{ExcessiveLoad, "10.5: more settings than anyone has a use for"}
	errSettingsTwice     = &Error{SettingsError, "7.2.4: a setting comes twice"}
	errSettingsH2        = &Error{SettingsError, "7.2.4.1: a setting of HTTP/2"}
	errConnectProtocol   = &Error{SettingsError, "RFC 8441 3: SETTINGS_ENABLE_CONNECT_PROTOCOL is not 0 or 1"}
	errDatagram          = &Error{SettingsError, "RFC 9297 2.1.1: SETTINGS_H3_DATAGRAM is not 0 or 1"}
	errIDSize            = &Error{FrameError, "7.1: payload is not one identifier"}
	errPrioritySize      = &Error{FrameError, "7.1: PRIORITY_UPDATE ends within its identifier"}
	errPrioritizedStream = &Error{IDError, "RFC 9218 7.2: PRIORITY_UPDATE for what is no request stream"}
	errPrioritizedPush   = &Error{IDError, "RFC 9218 7.2: PRIORITY_UPDATE for a push that was not promised"}
)
