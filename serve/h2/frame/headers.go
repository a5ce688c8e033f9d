package frame

import "slices"

// ParseHeaders returns the field block fragment of a HEADERS frame and its
// priority fields (RFC 9113 §6.2). A stream error comes with the fragment: it
// still has to be decoded, and CONTINUATION to be followed, or the compression
// state of the connection is lost (§4.3).
func ParseHeaders(h Header, p []byte) (fragment []byte, prio Priority, e *Error) {
	pad := 0
	if h.Flags&FlagPadded != 0 {
		// RFC 9113 §4.2: too small to contain mandatory frame data.
		if len(p) == 0 {
			return nil, Priority{}, errHeadersSize
		}
		pad, p = int(p[0]), p[1:]
	}
	if h.Flags&FlagPriority != 0 {
		// RFC 9113 §4.2, as above.
		if len(p) < prioritySize {
			return nil, Priority{}, errHeadersSize
		}
		prio, e = ParsePriority(h, p)
		p = p[prioritySize:]
	}
	// RFC 9113 §6.2: padding of the payload's length or more MUST be a connection
	// error; RFC 7540 §6.2 says so of any that exceeds what remains for the
	// fragment, which priority fields make less. It outweighs an error of the
	// stream: one of the connection MUST be told (RFC 9113 §5.4).
	if pad > len(p) {
		return nil, Priority{}, errHeadersPadding
	}
	return p[:len(p)-pad], prio, e
}

// BeginHeaders appends room for a header. The field block is encoded behind
// it, then FinishHeaders makes a frame of both:
//
//	at := len(dst)
//	dst = frame.BeginHeaders(dst)
//	dst = … // append the field block
//	dst = frame.FinishHeaders(dst, at, id, frame.FlagEndStream, maxSize)
func BeginHeaders(dst []byte) []byte { return AppendHeader(dst, Header{}) }

// FinishHeaders makes a HEADERS frame of the field block dst[at+HeaderSize:],
// with its header at dst[at:]; nothing else may follow the block. A block above
// maxSize, the peer's SETTINGS_MAX_FRAME_SIZE, is split into CONTINUATION
// frames (RFC 9113 §4.3), which moves its bytes. f is FlagEndStream or 0;
// END_HEADERS is set here, on the last frame, whatever f says.
func FinishHeaders(dst []byte, at int, id uint32, f Flags, maxSize int) []byte {
	n := len(dst) - at - HeaderSize
	if n > maxSize {
		return splitHeaders(dst, at, id, f, maxSize)
	}
	PutHeader(dst[at:], Header{uint32(n), id, TypeHeaders, f | FlagEndHeaders})
	return dst
}

// splitHeaders works from the last fragment to the first: each moves by the
// headers that come before it, into room that is free by then.
//
//	[9 reserved][ maxSize ][ maxSize ][ rest ]
//	[HEADERS][ maxSize ][CONTINUATION][ maxSize ][CONTINUATION][ rest ]
func splitHeaders(dst []byte, at int, id uint32, f Flags, maxSize int) []byte {
	block := at + HeaderSize
	n := len(dst) - block
	more := (n - 1) / maxSize // CONTINUATION frames
	dst = slices.Grow(dst, more*HeaderSize)[:len(dst)+more*HeaderSize]
	last := FlagEndHeaders
	for i := more; i > 0; i-- {
		from, to := block+i*maxSize, block+min((i+1)*maxSize, n)
		at := from + i*HeaderSize
		copy(dst[at:], dst[from:to])
		PutHeader(dst[at-HeaderSize:], Header{uint32(to - from), id, TypeContinuation, last})
		last = 0
	}
	// RFC 9113 §6.2: END_STREAM stands on HEADERS, though CONTINUATION follows.
	PutHeader(dst[at:], Header{uint32(maxSize), id, TypeHeaders, f &^ FlagEndHeaders})
	return dst
}

// AppendHeaders appends a HEADERS frame with a fragment encoded before. f is of
// FlagEndStream and FlagEndHeaders.
func AppendHeaders(dst []byte, id uint32, f Flags, fragment []byte) []byte {
	return append(AppendHeader(dst, Header{uint32(len(fragment)), id, TypeHeaders, f}), fragment...)
}

// AppendContinuation appends a CONTINUATION frame (RFC 9113 §6.10), whose
// payload is a fragment and nothing else. f is FlagEndHeaders or 0.
func AppendContinuation(dst []byte, id uint32, f Flags, fragment []byte) []byte {
	return append(AppendHeader(dst, Header{uint32(len(fragment)), id, TypeContinuation, f}), fragment...)
}
