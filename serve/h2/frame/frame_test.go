package frame_test

import (
	"fmt"
	"strings"

	"github.com/penstock-edge/penstock/serve/h2/frame"
)

// raw is a frame as a peer sends it, made without the code under test.
func raw(t frame.Type, f frame.Flags, id uint32, payload string) []byte {
	n := len(payload)
	return append([]byte{
		byte(n >> 16), byte(n >> 8), byte(n), byte(t), byte(f),
		byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id),
	}, payload...)
}

func zeros(n int) string { return strings.Repeat("\x00", n) }

// read says in one line what a whole frame is to us: its contents, or the
// verdict on it.
func read(b []byte) string {
	h, p := frame.ParseHeader(b), b[frame.HeaderSize:]
	e := h.Check()
	if e != nil {
		return verdict(e)
	}
	reading, e := readPayload(h, p[:h.Length:h.Length])
	if e != nil {
		return verdict(e)
	}
	return fmt.Sprintf("%v %d: %s", h.Type, h.StreamID, reading)
}

func verdict(e *frame.Error) string {
	scope, section := "conn", e.Reason
	if e.Stream {
		scope = "stream"
	}
	section, _, _ = strings.Cut(section, ": ")
	return fmt.Sprintf("%s %v %s", scope, e.Code, section)
}

// readPayload is the switch of a reader that has no state.
func readPayload(h frame.Header, p []byte) (string, *frame.Error) {
	switch h.Type {
	case frame.TypeData:
		data, e := frame.ParseData(h, p)
		return fmt.Sprintf("%q", data), e
	case frame.TypeHeaders:
		fragment, prio, e := frame.ParseHeaders(h, p)
		if !prio.Present {
			return fmt.Sprintf("%q", fragment), e
		}
		return fmt.Sprintf("%q %s", fragment, showPriority(prio.DependsOn, prio.Exclusive, prio.Weight)), e
	case frame.TypePriority:
		prio, e := frame.ParsePriority(h, p)
		return showPriority(prio.DependsOn, prio.Exclusive, prio.Weight), e
	case frame.TypeRSTStream:
		return frame.ParseRSTStream(p).String(), nil
	case frame.TypeSettings:
		return readSettings(h, p)
	case frame.TypePing:
		return fmt.Sprintf("ack=%t %q", h.Flags&frame.FlagAck != 0, frame.ParsePing(p)), nil
	case frame.TypeGoAway:
		last, code, debug := frame.ParseGoAway(p)
		return fmt.Sprintf("%d %v %q", last, code, debug), nil
	case frame.TypeWindowUpdate:
		increment, e := frame.ParseWindowUpdate(h, p)
		return fmt.Sprint(increment), e
	case frame.TypeContinuation:
		return fmt.Sprintf("%q", p), nil
	case frame.TypePriorityUpdate:
		id, field, e := frame.ParsePriorityUpdate(p)
		return fmt.Sprintf("%d %q", id, field), e
	default:
		return fmt.Sprintf("%d bytes", len(p)), nil
	}
}

func showPriority(on uint32, exclusive bool, weight uint8) string {
	return fmt.Sprintf("on=%d exclusive=%t weight=%d", on, exclusive, weight)
}

func readSettings(h frame.Header, p []byte) (string, *frame.Error) {
	parts := []string{fmt.Sprintf("ack=%t", h.Flags&frame.FlagAck != 0)}
	for i := range frame.NumSettings(p) {
		s := frame.SettingAt(p, i)
		if e := s.Check(); e != nil {
			return "", e
		}
		parts = append(parts, fmt.Sprintf("%d=%d", s.ID, s.Value))
	}
	return strings.Join(parts, " "), nil
}
