package frame

// ParseData returns the data of a DATA frame, without padding (RFC 9113 §6.1).
// Flow control counts the whole payload, h.Length, whatever comes back here.
func ParseData(h Header, p []byte) (data []byte, e *Error) {
	if h.Flags&FlagPadded == 0 {
		return p, nil
	}
	// RFC 9113 §4.2: too small to contain mandatory frame data. It could end the
	// stream only; a peer that frames so badly is not worth the difference.
	if len(p) == 0 {
		return nil, errDataPadSize
	}
	// RFC 9113 §6.1: padding of the payload's length or more MUST be a
	// connection error. Its bytes are not looked at: that is a MAY.
	if int(p[0]) >= len(p) {
		return nil, errDataPadding
	}
	return p[1 : len(p)-int(p[0])], nil
}

// AppendData appends a DATA frame. f is FlagEndStream or 0.
func AppendData(dst []byte, id uint32, f Flags, data []byte) []byte {
	return append(AppendDataHeader(dst, id, len(data), f), data...)
}

// AppendDataHeader appends the header of a DATA frame whose n bytes follow, or
// are sent from elsewhere. f is FlagEndStream or 0.
func AppendDataHeader(dst []byte, id uint32, n int, f Flags) []byte {
	return AppendHeader(dst, Header{uint32(n), id, TypeData, f})
}
