package frame

// ErrCode is why a stream or connection ends (RFC 9113 §7). Unknown codes are
// legal and MUST NOT trigger special behaviour.
type ErrCode uint32

// The codes of RFC 9113 §7.
const (
	NoError            ErrCode = 0x0
	ProtocolError      ErrCode = 0x1
	InternalError      ErrCode = 0x2
	FlowControlError   ErrCode = 0x3
	SettingsTimeout    ErrCode = 0x4
	StreamClosed       ErrCode = 0x5
	FrameSizeError     ErrCode = 0x6
	RefusedStream      ErrCode = 0x7
	Cancel             ErrCode = 0x8
	CompressionError   ErrCode = 0x9
	ConnectError       ErrCode = 0xa
	EnhanceYourCalm    ErrCode = 0xb
	InadequateSecurity ErrCode = 0xc
	HTTP11Required     ErrCode = 0xd
)

var errCodeNames = [...]string{
	NoError:            "NO_ERROR",
	ProtocolError:      "PROTOCOL_ERROR",
	InternalError:      "INTERNAL_ERROR",
	FlowControlError:   "FLOW_CONTROL_ERROR",
	SettingsTimeout:    "SETTINGS_TIMEOUT",
	StreamClosed:       "STREAM_CLOSED",
	FrameSizeError:     "FRAME_SIZE_ERROR",
	RefusedStream:      "REFUSED_STREAM",
	Cancel:             "CANCEL",
	CompressionError:   "COMPRESSION_ERROR",
	ConnectError:       "CONNECT_ERROR",
	EnhanceYourCalm:    "ENHANCE_YOUR_CALM",
	InadequateSecurity: "INADEQUATE_SECURITY",
	HTTP11Required:     "HTTP_1_1_REQUIRED",
}

// String gives the RFC's name, or the number of an unknown code.
func (c ErrCode) String() string {
	if int64(c) < int64(len(errCodeNames)) {
		return errCodeNames[c]
	}
	return number(uint32(c))
}

// Error is a violation that one frame alone shows. Reason begins with the
// section it breaks, of RFC 9113 unless it names another, and never contains a
// byte of the peer's. The values are shared: compare, do not change them.
type Error struct {
	Code   ErrCode
	Stream bool // ends only the frame's stream, else the connection (RFC 9113 §5.4)
	Reason string
}

func (e *Error) Error() string { return e.Code.String() + ": " + e.Reason }

func connError(c ErrCode, reason string) *Error   { return &Error{Code: c, Reason: reason} }
func streamError(c ErrCode, reason string) *Error { return &Error{c, true, reason} }

// The errors are made once: refusing costs no allocation.
var (
	errTooLong = connError(FrameSizeError, "4.2: payload above SETTINGS_MAX_FRAME_SIZE")

	errDataStream  = connError(ProtocolError, "6.1: DATA on stream 0")
	errDataPadSize = connError(FrameSizeError, "4.2: DATA without its pad length")
	errDataPadding = connError(ProtocolError, "6.1: DATA with more padding than payload")

	errHeadersStream  = connError(ProtocolError, "6.2: HEADERS on stream 0")
	errHeadersEven    = connError(ProtocolError, "5.1.1: HEADERS on an even stream")
	errHeadersSize    = connError(FrameSizeError, "4.2: HEADERS without the fields of its flags")
	errHeadersPadding = connError(ProtocolError, "6.2: HEADERS with more padding than payload")

	errPriorityStream = connError(ProtocolError, "6.3: PRIORITY on stream 0")
	errPrioritySize   = streamError(FrameSizeError, "6.3: PRIORITY of other than 5 bytes")
	errPrioritySelf   = streamError(ProtocolError, "RFC 7540 5.3.1: stream depends on itself")

	errRSTStream     = connError(ProtocolError, "6.4: RST_STREAM on stream 0")
	errRSTStreamSize = connError(FrameSizeError, "6.4: RST_STREAM of other than 4 bytes")

	errSettingsStream  = connError(ProtocolError, "6.5: SETTINGS on a stream")
	errSettingsAck     = connError(FrameSizeError, "6.5: SETTINGS with ACK and a payload")
	errSettingsSize    = connError(FrameSizeError, "6.5: SETTINGS of other than a multiple of 6 bytes")
	errEnablePush      = connError(ProtocolError, "6.5.2: SETTINGS_ENABLE_PUSH is not 0 or 1")
	errInitialWindow   = connError(FlowControlError, "6.5.2: SETTINGS_INITIAL_WINDOW_SIZE above 2^31-1")
	errMaxFrameSize    = connError(ProtocolError, "6.5.2: SETTINGS_MAX_FRAME_SIZE outside 2^14 to 2^24-1")
	errConnectProtocol = connError(ProtocolError, "RFC 8441 3: SETTINGS_ENABLE_CONNECT_PROTOCOL is not 0 or 1")
	errNoPriorities    = connError(ProtocolError, "RFC 9218 2.1: SETTINGS_NO_RFC7540_PRIORITIES is not 0 or 1")

	errPushPromise = connError(ProtocolError, "8.4: PUSH_PROMISE to an endpoint that takes none")

	errPingStream = connError(ProtocolError, "6.7: PING on a stream")
	errPingSize   = connError(FrameSizeError, "6.7: PING of other than 8 bytes")

	errGoAwayStream = connError(ProtocolError, "6.8: GOAWAY on a stream")
	errGoAwaySize   = connError(FrameSizeError, "4.2: GOAWAY below 8 bytes")

	errWindowUpdateSize = connError(FrameSizeError, "6.9: WINDOW_UPDATE of other than 4 bytes")
	errIncrementConn    = connError(ProtocolError, "6.9: WINDOW_UPDATE of 0 on stream 0")
	errIncrementStream  = streamError(ProtocolError, "6.9: WINDOW_UPDATE of 0")

	errContinuationStream = connError(ProtocolError, "6.10: CONTINUATION on stream 0")

	errPriorityUpdateStream = connError(ProtocolError, "RFC 9218 7.1: PRIORITY_UPDATE on a stream")
	errPriorityUpdateSize   = connError(FrameSizeError, "4.2: PRIORITY_UPDATE below 4 bytes")
	errPrioritizedZero      = connError(ProtocolError, "RFC 9218 7.1: PRIORITY_UPDATE for stream 0")
	errPrioritizedPush      = connError(ProtocolError, "RFC 9218 7.1: PRIORITY_UPDATE for an idle push stream")
)
