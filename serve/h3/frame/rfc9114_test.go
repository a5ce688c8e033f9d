package frame_test

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/h3/frame"
)

// unhex reads hexadecimal digits with spaces between them.
func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// verdict is the code of an error and the section that it names.
func verdict(err error) string {
	if err == nil {
		return "right"
	}
	s := err.Error()
	return s[:strings.LastIndex(s, ": ")]
}

// TestVarint holds the examples of RFC 9000 §A.1, and the bounds of each size.
func TestVarint(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     uint64
		shortest bool
	}{
		{"A.1 eight bytes", "c2197c5eff14e88c", 151288809941952652, true},
		{"A.1 four bytes", "9d7f3e7d", 494878333, true},
		{"A.1 two bytes", "7bbd", 15293, true},
		{"A.1 one byte", "25", 37, true},
		{"A.1 one byte in two", "4025", 37, false},
		{"0", "00", 0, true},
		{"0 in eight bytes", "c000000000000000", 0, false},
		{"the largest of one byte", "3f", 63, true},
		{"the smallest of two", "4040", 64, true},
		{"the largest of two", "7fff", 1<<14 - 1, true},
		{"the smallest of four", "80004000", 1 << 14, true},
		{"the largest of four", "bfffffff", 1<<30 - 1, true},
		{"the smallest of eight", "c000000040000000", 1 << 30, true},
		{"the largest", "ffffffffffffffff", frame.MaxVarint, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := unhex(t, tt.in)
			for n := range in {
				if v, size := frame.ReadVarint(in[:n:n]); v != 0 || size != 0 {
					t.Errorf("of %d bytes: got %d, %d", n, v, size)
				}
			}
			for _, more := range []string{"", "\xff", "\x00\x00\x00\x00\x00\x00\x00\x00"} {
				if v, n := frame.ReadVarint(append(slices.Clip(in), more...)); v != tt.want || n != len(in) {
					t.Errorf("got %d, %d, want %d, %d", v, n, tt.want, len(in))
				}
			}
			got := hex.EncodeToString(frame.AppendVarint(nil, tt.want))
			if tt.shortest && got != tt.in || len(got) > len(tt.in) || frame.VarintSize(tt.want) != len(got)/2 {
				t.Errorf("encoded: got %s, want %s, of %d bytes", got, tt.in, frame.VarintSize(tt.want))
			}
		})
	}
}

func TestVarintTooLarge(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an integer of 63 bits is written")
		}
	}()
	frame.AppendVarint(nil, frame.MaxVarint+1)
}

// TestHeader: RFC 9114 §7.1, in all sizes of both integers.
func TestHeader(t *testing.T) {
	for _, h := range []frame.Header{
		{Type: frame.TypeData},
		{Type: frame.TypeHeaders, Length: 100},
		{Type: frame.TypePriorityUpdate, Length: 1 << 20},
		{Type: 0x21, Length: 3},
		{Type: frame.MaxVarint, Length: frame.MaxVarint},
	} {
		in := frame.AppendHeader(nil, h.Type, h.Length)
		for n := range in {
			if got, size := frame.ReadHeader(in[:n:n]); got != (frame.Header{}) || size != 0 {
				t.Errorf("%v: of %d bytes: got %v, %d", h, n, got, size)
			}
		}
		if got, n := frame.ReadHeader(append(in, 0xff)); got != h || n != len(in) {
			t.Errorf("got %v, %d, want %v, %d", got, n, h, len(in))
		}
	}
	if got := frame.AppendHeader([]byte("before"), frame.TypeGoAway, 64); string(got) != "before\x07\x40\x40" {
		t.Errorf("got %q", got)
	}
}

// TestTypes: RFC 9114 §7.2.8, §11.2.1.
func TestTypes(t *testing.T) {
	names := map[frame.Type]string{
		0x0: "DATA", 0x1: "HEADERS", 0x3: "CANCEL_PUSH", 0x4: "SETTINGS", 0x5: "PUSH_PROMISE", 0x7: "GOAWAY",
		0xd: "MAX_PUSH_ID", 0xf0700: "PRIORITY_UPDATE", 0xf0701: "PRIORITY_UPDATE", 0x21: "0x21", 0x2: "0x2",
	}
	for typ, want := range names {
		if got := typ.String(); got != want {
			t.Errorf("%d: got %s, want %s", uint64(typ), got, want)
		}
	}
	reserved := map[frame.Type]bool{0x2: true, 0x6: true, 0x8: true, 0x9: true}
	for typ := range frame.Type(0x100) {
		if got := typ.Reserved(); got != reserved[typ] {
			t.Errorf("%v: reserved is %v, want %v", typ, got, reserved[typ])
		}
	}
	for n := range uint64(100) {
		if typ := frame.Type(0x1f*n + 0x21); typ.Reserved() || !strings.HasPrefix(typ.String(), "0x") {
			t.Errorf("%v has to be ignored", typ)
		}
	}
}

// TestStreamTypes: RFC 9114 §6.2, RFC 9204 §4.2.
func TestStreamTypes(t *testing.T) {
	for typ, want := range map[frame.StreamType]string{
		0: "control stream", 1: "push stream", 2: "QPACK encoder stream", 3: "QPACK decoder stream", 0x21: "0x21",
	} {
		if got := typ.String(); got != want {
			t.Errorf("%d: got %s, want %s", uint64(typ), got, want)
		}
	}
}

// TestCodes: RFC 9114 §8.1, RFC 9204 §8.3.
func TestCodes(t *testing.T) {
	for code, want := range map[frame.Code]string{
		0x100: "H3_NO_ERROR", 0x101: "H3_GENERAL_PROTOCOL_ERROR", 0x102: "H3_INTERNAL_ERROR",
		0x103: "H3_STREAM_CREATION_ERROR", 0x104: "H3_CLOSED_CRITICAL_STREAM", 0x105: "H3_FRAME_UNEXPECTED",
		0x106: "H3_FRAME_ERROR", 0x107: "H3_EXCESSIVE_LOAD", 0x108: "H3_ID_ERROR", 0x109: "H3_SETTINGS_ERROR",
		0x10a: "H3_MISSING_SETTINGS", 0x10b: "H3_REQUEST_REJECTED", 0x10c: "H3_REQUEST_CANCELLED",
		0x10d: "H3_REQUEST_INCOMPLETE", 0x10e: "H3_MESSAGE_ERROR", 0x10f: "H3_CONNECT_ERROR",
		0x110: "H3_VERSION_FALLBACK", 0x200: "QPACK_DECOMPRESSION_FAILED", 0x201: "QPACK_ENCODER_STREAM_ERROR",
		0x202: "QPACK_DECODER_STREAM_ERROR", 0: "0x0", 0xff: "0xff", 0x111: "0x111", 1<<62 - 1: "0x3fffffffffffffff",
	} {
		if got := code.String(); got != want {
			t.Errorf("%d: got %s, want %s", uint64(code), got, want)
		}
	}
}
