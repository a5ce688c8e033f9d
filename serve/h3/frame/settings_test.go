package frame_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/h3/frame"
)

// settings is a payload of n unknown ones, from the given identifier on.
func settings(first uint64, n int) string {
	var p []byte
	for i := range uint64(n) {
		p = frame.AppendVarint(frame.AppendVarint(p, first+i), i)
	}
	return string(p)
}

func TestParseSettings(t *testing.T) {
	for _, tt := range []struct {
		name, payload string
		want          frame.Settings
		verdict       string
	}{
		{"7.2.4 none", "", frame.Settings{}, "right"},
		{"RFC 9204 5 table capacity", "\x01\x50\x00", frame.Settings{QPACKMaxTableCapacity: 4096}, "right"},
		{"7.2.4.1 section size", "\x06\x80\x01\x00\x00", frame.Settings{MaxFieldSectionSize: 65536}, "right"},
		{"7.2.4.1 section size 0 is not unlimited", "\x06\x00", frame.Settings{MaxFieldSectionSize: 1}, "right"},
		{"RFC 9204 5 blocked streams", "\x07\x10", frame.Settings{QPACKBlockedStreams: 16}, "right"},
		{"RFC 9220 3 extended CONNECT", "\x08\x01", frame.Settings{EnableConnectProtocol: true}, "right"},
		{"RFC 9220 3 no extended CONNECT", "\x08\x00", frame.Settings{}, "right"},
		{"RFC 9220 3 neither", "\x08\x02", frame.Settings{}, "H3_SETTINGS_ERROR: RFC 8441 3"},
		{"RFC 9297 2.1.1 datagrams", "\x33\x01", frame.Settings{H3Datagram: true}, "right"},
		{"RFC 9297 2.1.1 neither", "\x33\x40\x02", frame.Settings{}, "H3_SETTINGS_ERROR: RFC 9297 2.1.1"},
		{"7.2.4 unknown", "\x21\x05\x40\x40\x06\x00\x07", frame.Settings{}, "right"},
		{"7.2.4.1 of HTTP/2: 2", "\x02\x00", frame.Settings{}, "H3_SETTINGS_ERROR: 7.2.4.1"},
		{"7.2.4.1 of HTTP/2: 3", "\x03\x00", frame.Settings{}, "H3_SETTINGS_ERROR: 7.2.4.1"},
		{"7.2.4.1 of HTTP/2: 4", "\x04\x00", frame.Settings{}, "H3_SETTINGS_ERROR: 7.2.4.1"},
		{"7.2.4.1 of HTTP/2: 5, behind others", "\x06\x01\x05\x00", frame.Settings{}, "H3_SETTINGS_ERROR: 7.2.4.1"},
		{"7.2.4 twice", "\x06\x01\x06\x01", frame.Settings{}, "H3_SETTINGS_ERROR: 7.2.4"},
		{"7.2.4 twice, unknown", "\x21\x00\x06\x01\x21\x01", frame.Settings{}, "H3_SETTINGS_ERROR: 7.2.4"},
		{"7.2.4 twice, in other sizes", "\x21\x00\x40\x21\x01", frame.Settings{}, "H3_SETTINGS_ERROR: 7.2.4"},
		{"7.1 no value", "\x06", frame.Settings{}, "H3_FRAME_ERROR: 7.1"},
		{"7.1 half a value", "\x06\x80\x01", frame.Settings{}, "H3_FRAME_ERROR: 7.1"},
		{"7.1 half an identifier", "\x06\x01\x40", frame.Settings{}, "H3_FRAME_ERROR: 7.1"},
		{"7.1 more than half an identifier", "\xc0\x00\x00", frame.Settings{}, "H3_FRAME_ERROR: 7.1"},
		{"many", settings(100, 64), frame.Settings{}, "right"},
		{"the largest", settings(1<<60, 64), frame.Settings{}, "right"},
		{"too many", settings(100, 65), frame.Settings{}, "H3_EXCESSIVE_LOAD: 10.5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := frame.ParseSettings([]byte(tt.payload))
			if got != tt.want || verdict(err) != tt.verdict {
				t.Errorf("got %+v, %v, want %+v, %s", got, err, tt.want, tt.verdict)
			}
			if len(tt.payload) > frame.MaxSettingsSize {
				t.Errorf("%d bytes, above MaxSettingsSize", len(tt.payload))
			}
		})
	}
}

func TestAppendSettings(t *testing.T) {
	for _, tt := range []struct {
		name string
		s    frame.Settings
		want string
	}{
		{"none", frame.Settings{}, "\x04\x00"},
		{"a server's", frame.Settings{MaxFieldSectionSize: 65536, EnableConnectProtocol: true}, "\x04\x07\x06\x80\x01\x00\x00\x08\x01"},
		{"all", frame.Settings{
			MaxFieldSectionSize: frame.MaxVarint, QPACKMaxTableCapacity: 1, QPACKBlockedStreams: 2, EnableConnectProtocol: true, H3Datagram: true,
		}, "\x04\x11\x01\x01\x06\xff\xff\xff\xff\xff\xff\xff\xff\x07\x02\x08\x01\x33\x01"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := frame.AppendSettings([]byte("before"), tt.s)
			if string(got) != "before"+tt.want {
				t.Fatalf("got %q, want %q", got, tt.want)
			}
			if s, err := frame.ParseSettings([]byte(tt.want[2:])); err != nil || s != tt.s {
				t.Errorf("read again: got %+v, %v, want %+v", s, err, tt.s)
			}
		})
	}
}

func TestParseID(t *testing.T) {
	for _, tt := range []struct {
		name, payload string
		want          uint64
		verdict       string
	}{
		{"7.2.6 one byte", "\x08", 8, "right"},
		{"7.2.6 the largest", "\xff\xff\xff\xff\xff\xff\xff\xff", frame.MaxVarint, "right"},
		{"7.1 nothing", "", 0, "H3_FRAME_ERROR: 7.1"},
		{"7.1 half", "\x40", 0, "H3_FRAME_ERROR: 7.1"},
		{"7.1 more", "\x08\x00", 0, "H3_FRAME_ERROR: 7.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := frame.ParseID([]byte(tt.payload)); got != tt.want || verdict(err) != tt.verdict {
				t.Errorf("got %d, %v, want %d, %s", got, err, tt.want, tt.verdict)
			}
		})
	}
	for _, id := range []uint64{0, 4, 64, 1 << 20, frame.MaxVarint} {
		out := frame.AppendGoAway(nil, id)
		h, n := frame.ReadHeader(out)
		got, err := frame.ParseID(out[n:])
		if h.Type != frame.TypeGoAway || h.Length != uint64(len(out)-n) || got != id || err != nil {
			t.Errorf("GOAWAY %d: %x reads as %v, %d, %v", id, out, h, got, err)
		}
	}
}

func TestParsePriorityUpdate(t *testing.T) {
	const request, push = frame.TypePriorityUpdate, frame.TypePriorityPush
	for _, tt := range []struct {
		name    string
		typ     frame.Type
		payload string
		id      uint64
		field   string
		verdict string
	}{
		{"RFC 9218 7.2 request", request, "\x04u=1, i", 4, "u=1, i", "right"},
		{"RFC 9218 7.2 no field value", request, "\x40\x04", 4, "", "right"},
		{"RFC 9218 7.2 stream of the server", request, "\x01u=1", 0, "", "H3_ID_ERROR: RFC 9218 7.2"},
		{"RFC 9218 7.2 unidirectional stream", request, "\x02u=1", 0, "", "H3_ID_ERROR: RFC 9218 7.2"},
		{"RFC 9218 7.2 push", push, "\x04u=1", 0, "", "H3_ID_ERROR: RFC 9218 7.2"},
		{"7.1 nothing", request, "", 0, "", "H3_FRAME_ERROR: 7.1"},
		{"7.1 half an identifier", push, "\x80\x00", 0, "", "H3_FRAME_ERROR: 7.1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			id, field, err := frame.ParsePriorityUpdate(tt.typ, []byte(tt.payload))
			if id != tt.id || string(field) != tt.field || verdict(err) != tt.verdict {
				t.Errorf("got %d, %q, %v, want %d, %q, %s", id, field, err, tt.id, tt.field, tt.verdict)
			}
		})
	}
}

// TestFinishHeaders: the header is right for sections of each size.
func TestFinishHeaders(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 1<<14 - 1, 1 << 14, 1 << 20} {
		section := strings.Repeat("abcdefg", n/7+1)[:n]
		out := append(frame.BeginHeaders([]byte("before")), section...)
		out = frame.FinishHeaders(out, len("before"))
		in := out[len("before"):]
		h, size := frame.ReadHeader(in)
		if string(out[:6]) != "before" || h.Type != frame.TypeHeaders || h.Length != uint64(n) || string(in[size:]) != section {
			t.Errorf("%d bytes: got %v and %d bytes", n, h, len(in)-size)
		}
		if want := 3; n < 1<<14 && size != want {
			t.Errorf("%d bytes: a header of %d, want %d", n, size, want)
		}
	}
}

// TestErrors: each is an *Error, with a code.
func TestErrors(t *testing.T) {
	_, err := frame.ParseSettings([]byte{2, 0})
	var e *frame.Error
	if !errors.As(err, &e) || e.Code != frame.SettingsError {
		t.Errorf("got %v", err)
	}
}

func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	buf := make([]byte, 0, 128)
	payload := []byte(settings(100, 10))
	got := testing.AllocsPerRun(100, func() {
		out := frame.AppendSettings(buf, frame.Settings{MaxFieldSectionSize: 65536, EnableConnectProtocol: true})
		out = frame.AppendGoAway(out, 1<<20)
		out = frame.AppendHeader(out, frame.TypeData, 1<<20)
		out = frame.FinishHeaders(frame.BeginHeaders(out), len(out))
		if _, n := frame.ReadHeader(out); n == 0 {
			t.Error("no header")
		}
		if _, err := frame.ParseSettings(payload); err != nil {
			t.Error(err)
		}
		if _, err := frame.ParseSettings([]byte{2, 0}); err == nil {
			t.Error("a setting of HTTP/2 passes")
		}
	})
	if got != 0 {
		t.Errorf("%v allocations", got)
	}
}
