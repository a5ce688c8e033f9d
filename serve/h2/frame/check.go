package frame

// Sizes of payloads that are fixed, or have a fixed part.
const (
	prioritySize       = 5 // RFC 9113 §6.3
	rstStreamSize      = 4 // §6.4
	settingSize        = 6 // §6.5.1, each
	pingSize           = 8 // §6.7
	goAwaySize         = 8 // §6.8, and debug data
	windowUpdateSize   = 4 // §6.9
	priorityUpdateSize = 4 // RFC 9218 §7.1, and the field value
)

// Check decides all that a server can tell from h alone, before the payload is
// there: so nobody waits for, or buffers, a payload that will be refused.
// Unknown types pass (RFC 9113 §4.1: MUST be ignored). What follows from the
// flags of DATA and HEADERS is left to their parsers.
//
// After a stream error of Check the payload follows and has to be skipped: it
// is at most DefaultMaxSize long.
func (h Header) Check() *Error {
	// RFC 9113 §4.2: MUST be FRAME_SIZE_ERROR, and end the connection if the
	// frame could alter its state, as field blocks, SETTINGS and all of stream 0
	// do. For the others, §5.4.1 lets us choose so too: the alternative is to
	// read up to 16 MiB to find the next frame.
	if h.Length > DefaultMaxSize {
		return errTooLong
	}
	switch h.Type {
	case TypeData:
		return h.checkData()
	case TypeHeaders:
		return h.checkHeaders()
	case TypePriority:
		return h.checkPriority()
	case TypeRSTStream:
		return h.checkRSTStream()
	case TypeSettings:
		return h.checkSettings()
	case TypePushPromise:
		// RFC 9113 §8.4: a client cannot push; MUST be PROTOCOL_ERROR. As a
		// client we never enable push, and §6.6 says the same.
		return errPushPromise
	case TypePing:
		return h.checkPing()
	case TypeGoAway:
		return h.checkGoAway()
	case TypeWindowUpdate:
		return h.checkWindowUpdate()
	case TypeContinuation:
		return h.checkContinuation()
	case TypePriorityUpdate:
		return h.checkPriorityUpdate()
	default:
		return nil
	}
}

func (h Header) checkData() *Error {
	// RFC 9113 §6.1: MUST be associated with a stream.
	if h.StreamID == 0 {
		return errDataStream
	}
	return nil
}

func (h Header) checkHeaders() *Error {
	switch {
	// RFC 9113 §6.2: MUST be associated with a stream.
	case h.StreamID == 0:
		return errHeadersStream
	// RFC 9113 §5.1.1: streams of clients MUST have odd numbers; a server opens
	// none here, so a response on an even one is as wrong.
	case h.StreamID&1 == 0:
		return errHeadersEven
	}
	return nil
}

func (h Header) checkPriority() *Error {
	switch {
	// RFC 9113 §6.3: always names a stream. Before the length: of two errors,
	// that of the connection MUST be told (§5.4).
	case h.StreamID == 0:
		return errPriorityStream
	// RFC 9113 §6.3: MUST be a stream error.
	case h.Length != prioritySize:
		return errPrioritySize
	}
	return nil
}

func (h Header) checkRSTStream() *Error {
	switch {
	// RFC 9113 §6.4: MUST be associated with a stream.
	case h.StreamID == 0:
		return errRSTStream
	// RFC 9113 §6.4: MUST be a connection error.
	case h.Length != rstStreamSize:
		return errRSTStreamSize
	}
	return nil
}

func (h Header) checkSettings() *Error {
	switch {
	// RFC 9113 §6.5: settings apply to a connection, never a stream.
	case h.StreamID != 0:
		return errSettingsStream
	// RFC 9113 §6.5: with ACK the payload MUST be empty.
	case h.Flags&FlagAck != 0 && h.Length != 0:
		return errSettingsAck
	// RFC 9113 §6.5: MUST be a multiple of 6.
	case h.Length%settingSize != 0:
		return errSettingsSize
	}
	return nil
}

func (h Header) checkPing() *Error {
	switch {
	// RFC 9113 §6.7: is not associated with any stream.
	case h.StreamID != 0:
		return errPingStream
	// RFC 9113 §6.7: 8 bytes of opaque data, always.
	case h.Length != pingSize:
		return errPingSize
	}
	return nil
}

func (h Header) checkGoAway() *Error {
	switch {
	// RFC 9113 §6.8: applies to the connection.
	case h.StreamID != 0:
		return errGoAwayStream
	// RFC 9113 §4.2: too small to contain mandatory frame data.
	case h.Length < goAwaySize:
		return errGoAwaySize
	}
	return nil
}

// checkWindowUpdate: the only type that both a stream and the connection take.
func (h Header) checkWindowUpdate() *Error {
	// RFC 9113 §6.9: MUST be a connection error, on a stream too.
	if h.Length != windowUpdateSize {
		return errWindowUpdateSize
	}
	return nil
}

func (h Header) checkContinuation() *Error {
	// RFC 9113 §6.10: MUST be associated with a stream. Which one is for the
	// engine, that knows the HEADERS before.
	if h.StreamID == 0 {
		return errContinuationStream
	}
	return nil
}

func (h Header) checkPriorityUpdate() *Error {
	switch {
	// RFC 9218 §7.1: is sent on stream 0; the prioritized one is in the payload.
	case h.StreamID != 0:
		return errPriorityUpdateStream
	// RFC 9113 §4.2: too small to contain mandatory frame data.
	case h.Length < priorityUpdateSize:
		return errPriorityUpdateSize
	}
	return nil
}
