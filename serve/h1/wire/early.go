package wire

import (
	"bytes"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// unfinished finds what is wrong with a line that has not ended: a byte that can
// stand in no head, or too many bytes. Its sender is answered at once. line is
// without LF; line[:seen] was looked at before.
//
// Parse asks it about a whole line too, once that is known to be bad: of two
// faults the one that shows first is told, so the answer does not depend on
// how the network cut the bytes (TestLimitsByCut, FuzzRequestHead).
func (h *RequestHead) unfinished(line []byte, seen int, lim *Limits) *Error {
	if len(line) == 0 {
		return nil
	}
	shown, garbage := h.garbage(line, seen)
	// If one byte shows both, the excess is told, in every cut alike.
	if e := h.excess(line[:shown], lim); e != nil {
		return e
	}
	return garbage
}

// garbage finds the first forbidden byte. shown is the length of the shortest
// part of line that shows it; all of line if there is none.
func (h *RequestHead) garbage(line []byte, seen int) (shown int, e *Error) {
	if h.fieldAt == 0 && line[0] != '\r' && !semantics.IsTokenByte(line[0]) {
		return 1, errMethod // a TLS record, among others
	}
	// A CR that was the last byte before is looked at again: now it has a next one.
	for i := max(seen-1, 0); i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\r':
			if i+1 < len(line) {
				return i + 2, errBareCR
			}
		case h.fieldAt == 0 && (c < ' ' || c >= 0x7f):
			return i + 1, errRequestLine
		case !semantics.IsFieldValueByte(c):
			return i + 1, errFieldValue
		}
	}
	return len(line), nil
}

// excess tells whether line is more already than the limits allow.
func (h *RequestHead) excess(line []byte, lim *Limits) *Error {
	if h.fieldAt != 0 {
		switch {
		case len(line) == 1 && line[0] == '\r':
			return nil // the end of the section, not a field
		case len(h.fields) >= lim.Fields:
			return errFieldsMany
		case h.pos+len(line)+1-h.fieldAt > lim.FieldBytes: // the LF is still to come
			return errFieldsLarge
		}
		return nil
	}
	sp := bytes.IndexByte(line[:min(len(line), lim.MethodBytes+1)], ' ')
	switch {
	case sp < 0 && len(line) > lim.MethodBytes:
		return longMethod(line[:lim.MethodBytes+1])
	// The target's end is not looked for: version and CR are all that may follow it.
	case sp >= 0 && len(line)-(sp+1) > lim.TargetBytes+versionBytes-1:
		return errTargetLong
	}
	return nil
}

func longMethod(b []byte) *Error {
	if !semantics.IsToken(b) {
		return errMethod
	}
	return errMethodLong
}
