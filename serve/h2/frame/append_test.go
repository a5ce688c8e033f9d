package frame_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/h2/frame"
)

func TestAppend(t *testing.T) {
	header := frame.Header{Length: 0x010203, StreamID: 0x7a0b0c0d, Type: 0xee, Flags: 0xa5}
	put := make([]byte, frame.HeaderSize)
	frame.PutHeader(put, header)
	for _, c := range []struct {
		name string
		got  []byte
		want []byte
	}{
		{"header", frame.AppendHeader(nil, header), []byte("\x01\x02\x03\xee\xa5\x7a\x0b\x0c\x0d")},
		{"header put", put, []byte("\x01\x02\x03\xee\xa5\x7a\x0b\x0c\x0d")},
		{"DATA", frame.AppendData(nil, 1, 0, []byte("abc")), raw(frame.TypeData, 0, 1, "abc")},
		{"DATA, END_STREAM", frame.AppendData(nil, 1, end, nil), raw(frame.TypeData, end, 1, "")},
		{"DATA header", frame.AppendDataHeader(nil, 1, 3, end), raw(frame.TypeData, end, 1, "abc")[:9]},
		{"HEADERS", frame.AppendHeaders(nil, 1, 0x5, []byte("abc")), raw(frame.TypeHeaders, 0x5, 1, "abc")},
		{"PRIORITY", frame.AppendPriority(nil, 1, frame.Priority{DependsOn: 3, Weight: 7}), raw(frame.TypePriority, 0, 1, "\x00\x00\x00\x03\x07")},
		{"PRIORITY, exclusive", frame.AppendPriority(nil, 1, frame.Priority{DependsOn: 3, Exclusive: true}), raw(frame.TypePriority, 0, 1, "\x80\x00\x00\x03\x00")},
		{"RST_STREAM", frame.AppendRSTStream(nil, 1, frame.RefusedStream), raw(frame.TypeRSTStream, 0, 1, "\x00\x00\x00\x07")},
		{"SETTINGS, empty", frame.AppendSettings(nil), raw(frame.TypeSettings, 0, 0, "")},
		{
			"SETTINGS",
			frame.AppendSettings(nil, frame.Setting{ID: frame.SettingMaxConcurrentStreams, Value: 100}, frame.Setting{ID: frame.SettingInitialWindowSize, Value: 1 << 20}),
			raw(frame.TypeSettings, 0, 0, entry(3, 100)+entry(4, 1<<20)),
		},
		{"SETTINGS, ACK", frame.AppendSettingsAck(nil), raw(frame.TypeSettings, ack, 0, "")},
		{"PING", frame.AppendPing(nil, 0, [8]byte([]byte("abcdefgh"))), raw(frame.TypePing, 0, 0, "abcdefgh")},
		{"PING, ACK", frame.AppendPing(nil, ack, [8]byte([]byte("abcdefgh"))), raw(frame.TypePing, ack, 0, "abcdefgh")},
		{"GOAWAY", frame.AppendGoAway(nil, 5, frame.EnhanceYourCalm, "abc"), raw(frame.TypeGoAway, 0, 0, "\x00\x00\x00\x05\x00\x00\x00\x0babc")},
		{"GOAWAY, last open", frame.AppendGoAway(nil, 1<<31-1, frame.NoError, ""), raw(frame.TypeGoAway, 0, 0, "\x7f\xff\xff\xff\x00\x00\x00\x00")},
		{"WINDOW_UPDATE", frame.AppendWindowUpdate(nil, 0, frame.MaxWindow), raw(frame.TypeWindowUpdate, 0, 0, "\x7f\xff\xff\xff")},
		{"CONTINUATION", frame.AppendContinuation(nil, 1, frame.FlagEndHeaders, []byte("abc")), raw(frame.TypeContinuation, 0x4, 1, "abc")},
		{"PRIORITY_UPDATE", frame.AppendPriorityUpdate(nil, 3, "u=1"), raw(frame.TypePriorityUpdate, 0, 0, "\x00\x00\x00\x03u=1")},
	} {
		t.Run(c.name, func(t *testing.T) {
			if !bytes.Equal(c.got, c.want) {
				t.Errorf("%q, want %q", c.got, c.want)
			}
		})
	}
}

// block is a field block of n bytes, no two near ones alike.
func block(n int) string {
	return strings.Repeat("abcdefghijklmnopqrstuvwxyz0123456", n/33+1)[:n]
}

// finish makes HEADERS of a block, behind other bytes, in a buffer with spare
// bytes of capacity.
func finish(block string, f frame.Flags, maxSize, spare int) []byte {
	const before = "before"
	dst := make([]byte, 0, len(before)+frame.HeaderSize+len(block)+spare)
	dst = frame.BeginHeaders(append(dst, before...))
	dst = append(dst, block...)
	return frame.FinishHeaders(dst, len(before), 7, f, maxSize)[len(before):]
}

func TestFinishHeaders(t *testing.T) {
	const maxSize = frame.DefaultMaxSize
	for _, n := range []int{0, 1, maxSize - 1, maxSize, maxSize + 1, 2 * maxSize, 2*maxSize + 1, 3*maxSize + 7} {
		for _, f := range []frame.Flags{0, end, end | frame.FlagEndHeaders} {
			for _, spare := range []int{0, 1, 1 << 10} {
				got := finish(block(n), f, maxSize, spare)
				if want := split(block(n), f, maxSize); string(got) != want {
					t.Errorf("%d bytes, flags %#x, %d spare: %s", n, f, spare, summary(got))
				}
			}
		}
	}
}

// split is what FinishHeaders has to make, without its moving of bytes.
func split(block string, f frame.Flags, maxSize int) string {
	typ, out := frame.TypeHeaders, ""
	f &^= frame.FlagEndHeaders
	for len(block) > maxSize {
		out += string(raw(typ, f, 7, block[:maxSize]))
		block, typ, f = block[maxSize:], frame.TypeContinuation, 0
	}
	return out + string(raw(typ, f|frame.FlagEndHeaders, 7, block))
}

func summary(b []byte) (s string) {
	for len(b) >= frame.HeaderSize {
		h := frame.ParseHeader(b)
		s += h.Type.String() + " "
		b = b[min(len(b), frame.HeaderSize+int(h.Length)):]
	}
	return s
}

func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	buf := make([]byte, 0, 64<<10)
	settings := [...]frame.Setting{{ID: frame.SettingMaxConcurrentStreams, Value: 100}, {ID: frame.SettingMaxHeaderListSize, Value: 65536}}
	fields := block(2*frame.DefaultMaxSize + 1)
	for name, f := range map[string]func(){
		"append": func() {
			b := frame.AppendSettings(buf, settings[:]...)
			b = frame.AppendSettings(b, frame.Setting{ID: frame.SettingEnablePush})
			b = frame.AppendSettingsAck(b)
			b = frame.AppendPing(b, ack, [8]byte{1})
			b = frame.AppendGoAway(b, 1, frame.NoError, "bye")
			b = frame.AppendRSTStream(b, 1, frame.Cancel)
			b = frame.AppendWindowUpdate(b, 1, 1)
			b = frame.AppendPriority(b, 1, frame.Priority{})
			b = frame.AppendPriorityUpdate(b, 1, "u=1")
			b = frame.AppendContinuation(b, 1, 0, []byte("abc"))
			b = frame.AppendHeaders(b, 1, 0, []byte("abc"))
			if b = frame.AppendData(b, 1, end, []byte("abc")); len(b) == 0 {
				t.Fatal("nothing appended")
			}
		},
		"finish": func() {
			b := append(frame.BeginHeaders(buf), fields...)
			if b = frame.FinishHeaders(b, 0, 1, end, frame.DefaultMaxSize); len(b) != len(fields)+3*frame.HeaderSize {
				t.Fatal("not split")
			}
		},
		"parse": func() {
			for _, r := range rules {
				for _, c := range r.cases {
					parse(c.frame)
				}
			}
		},
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
}

// parse is read without words: all that a reader calls.
func parse(b []byte) (e *frame.Error) {
	h, p := frame.ParseHeader(b), b[frame.HeaderSize:]
	if e := h.Check(); e != nil {
		return e
	}
	switch h.Type {
	case frame.TypeData:
		_, e = frame.ParseData(h, p)
	case frame.TypeHeaders:
		_, _, e = frame.ParseHeaders(h, p)
	case frame.TypePriority:
		_, e = frame.ParsePriority(h, p)
	case frame.TypeRSTStream:
		frame.ParseRSTStream(p)
	case frame.TypeSettings:
		for i := range frame.NumSettings(p) {
			if e := frame.SettingAt(p, i).Check(); e != nil {
				return e
			}
		}
	case frame.TypePing:
		frame.ParsePing(p)
	case frame.TypeGoAway:
		frame.ParseGoAway(p)
	case frame.TypeWindowUpdate:
		_, e = frame.ParseWindowUpdate(h, p)
	case frame.TypePriorityUpdate:
		_, _, e = frame.ParsePriorityUpdate(p)
	default: // CONTINUATION is all fragment, unknown types are dropped
	}
	return e
}
