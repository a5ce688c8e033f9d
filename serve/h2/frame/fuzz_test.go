package frame_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/penstock-edge/penstock/serve/h2/frame"
)

// addRules seeds with the frames of the rules, but for the long ones: the
// fuzzer would spend its time on making these shorter. TestRFC9113 and
// TestXNet have them.
func addRules(f *testing.F) {
	f.Helper()
	const longBytes = 128
	for _, r := range rules {
		for _, c := range r.cases {
			if len(c.frame) <= longBytes {
				addFrame(f, c.frame)
			}
		}
	}
}

// addFrame cuts a frame into the arguments of raw: bytes changed at random
// would hardly ever have the right length in front.
func addFrame(f *testing.F, b []byte) {
	f.Helper()
	f.Add(b[3], b[4], binary.BigEndian.Uint32(b[5:]), string(b[frame.HeaderSize:]))
}

// FuzzRoundTrip: an accepted frame, written again from what was read, reads
// alike; and it has the same bytes if it has nothing that we never write.
func FuzzRoundTrip(f *testing.F) {
	addRules(f)
	f.Fuzz(func(t *testing.T, typ, flags uint8, id uint32, payload string) {
		in := raw(frame.Type(typ), frame.Flags(flags), id, payload)
		if parse(in) != nil {
			return
		}
		h, p := frame.ParseHeader(in), in[frame.HeaderSize:]
		if header := frame.AppendHeader(nil, h); !bytes.Equal(header[:5], in[:5]) {
			t.Fatalf("header %q becomes %q", in[:frame.HeaderSize], header)
		}
		out, same := rewrite(h, p)
		if out == nil {
			return
		}
		if out[3] != in[3] || !bytes.Equal(out[5:9], in[5:9]) && in[5]&0x80 == 0 {
			t.Fatalf("%q becomes %q", in, out)
		}
		if h.Flags&frame.FlagPriority == 0 && read(out) != read(in) {
			t.Fatalf("%s becomes %s", read(in), read(out))
		}
		if same && in[5]&0x80 == 0 && !bytes.Equal(out, in) {
			t.Fatalf("%q becomes %q", in, out)
		}
	})
}

// rewrite writes a frame from what the parsers say. same: nothing was in it
// that the encoders leave out (padding, priority in HEADERS, reserved bits,
// flags without meaning). nil: we do not write this type.
func rewrite(h frame.Header, p []byte) (out []byte, same bool) {
	known := func(f frame.Flags) bool { return h.Flags&^f == 0 }
	unset := func(at int) bool { return p[at]&0x80 == 0 }
	switch h.Type {
	case frame.TypeData:
		data, _ := frame.ParseData(h, p)
		return frame.AppendData(nil, h.StreamID, h.Flags&end, data), known(end)
	case frame.TypeHeaders:
		flags := end | frame.FlagEndHeaders
		fragment, _, _ := frame.ParseHeaders(h, p)
		return frame.AppendHeaders(nil, h.StreamID, h.Flags&flags, fragment), known(flags)
	case frame.TypePriority:
		prio, _ := frame.ParsePriority(h, p)
		return frame.AppendPriority(nil, h.StreamID, prio), known(0)
	case frame.TypeRSTStream:
		return frame.AppendRSTStream(nil, h.StreamID, frame.ParseRSTStream(p)), known(0)
	case frame.TypeSettings:
		if h.Flags&ack != 0 {
			return frame.AppendSettingsAck(nil), known(ack)
		}
		var s []frame.Setting
		for i := range frame.NumSettings(p) {
			s = append(s, frame.SettingAt(p, i))
		}
		return frame.AppendSettings(nil, s...), known(0)
	case frame.TypePing:
		return frame.AppendPing(nil, h.Flags&ack, frame.ParsePing(p)), known(ack)
	case frame.TypeGoAway:
		last, code, debug := frame.ParseGoAway(p)
		return frame.AppendGoAway(nil, last, code, string(debug)), known(0) && unset(0)
	case frame.TypeWindowUpdate:
		increment, _ := frame.ParseWindowUpdate(h, p)
		return frame.AppendWindowUpdate(nil, h.StreamID, increment), known(0) && unset(0)
	case frame.TypeContinuation:
		return frame.AppendContinuation(nil, h.StreamID, h.Flags&frame.FlagEndHeaders, p), known(frame.FlagEndHeaders)
	case frame.TypePriorityUpdate:
		id, field, _ := frame.ParsePriorityUpdate(p)
		return frame.AppendPriorityUpdate(nil, id, string(field)), known(0) && unset(0)
	default:
		return nil, false
	}
}

// FuzzFinishHeaders: however a block is split, the fragments are the block.
func FuzzFinishHeaders(f *testing.F) {
	f.Add([]byte(""), uint16(1), uint8(0))
	f.Add([]byte("abc"), uint16(3), uint8(0))
	f.Add([]byte("abcdefg"), uint16(2), uint8(9))
	f.Add([]byte("abcdefgh"), uint16(2), uint8(255))
	f.Fuzz(func(t *testing.T, block []byte, maxSize uint16, spare uint8) {
		size := max(1, int(maxSize))
		got := finish(string(block), end, size, int(spare))
		if want := split(string(block), end, size); string(got) != want {
			t.Fatalf("%d bytes in frames of %d: %q, want %q", len(block), size, got, want)
		}
	})
}
