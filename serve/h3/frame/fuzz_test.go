package frame_test

import (
	"testing"

	"github.com/penstock-edge/penstock/serve/h3/frame"
)

// FuzzVarint: any number there and back, and any bytes read as their length says.
func FuzzVarint(f *testing.F) {
	f.Add([]byte("\xc2\x19\x7c\x5e\xff\x14\xe8\x8c"), uint64(37))
	f.Add([]byte("\x40\x25"), uint64(1<<62-1))
	f.Fuzz(func(t *testing.T, in []byte, v uint64) {
		v &= frame.MaxVarint
		out := frame.AppendVarint(nil, v)
		if got, n := frame.ReadVarint(out); got != v || n != len(out) || n != frame.VarintSize(v) {
			t.Fatalf("%d: %x reads as %d, of %d bytes", v, out, got, n)
		}
		got, n := frame.ReadVarint(in)
		if len(in) == 0 || len(in) < 1<<(in[0]>>6) {
			if n != 0 || got != 0 {
				t.Fatalf("%x: got %d, %d", in, got, n)
			}
			return
		}
		want := uint64(in[0] & 0x3f) // RFC 9000 §A.1, as it stands there
		for _, c := range in[1:n] {
			want = want<<8 + uint64(c)
		}
		if n != 1<<(in[0]>>6) || got != want || frame.VarintSize(got) > n {
			t.Fatalf("%x: got %d, %d, want %d", in, got, n, want)
		}
	})
}

// FuzzPayloads: no panic, whatever comes; and what is accepted, written again,
// reads alike.
func FuzzPayloads(f *testing.F) {
	for _, s := range []string{"", "\x06\x80\x01\x00\x00\x08\x01", "\x02\x00", "\x06\x01\x06\x01", "\x04u=1, i", "\x40\x04", settings(100, 65)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		if s, err := frame.ParseSettings(payload); err == nil {
			out := frame.AppendSettings(nil, s)
			h, n := frame.ReadHeader(out)
			again, err := frame.ParseSettings(out[n:])
			if err != nil || again != s || h.Length != uint64(len(out)-n) || len(payload) > frame.MaxSettingsSize {
				t.Fatalf("%x: %+v becomes %+v, %v", payload, s, again, err)
			}
		} else if s != (frame.Settings{}) {
			t.Fatalf("%x: %+v with %v", payload, s, err)
		}
		id, err := frame.ParseID(payload)
		streamID, field, perr := frame.ParsePriorityUpdate(frame.TypePriorityUpdate, payload)
		if v, n := frame.ReadVarint(payload); err == nil && (id != v || n != len(payload)) ||
			perr == nil && (streamID != v || string(field) != string(payload[n:])) {
			t.Fatalf("%x: got %d, and %d, %q", payload, id, streamID, field)
		}
	})
}
