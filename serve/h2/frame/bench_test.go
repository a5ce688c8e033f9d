package frame_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"golang.org/x/net/http2"

	"github.com/penstock-edge/penstock/serve/h2/frame"
)

func BenchmarkParseHeader(b *testing.B) {
	in := raw(frame.TypeHeaders, 0x5, 1, "abc")
	b.ReportAllocs()
	for b.Loop() {
		if h := frame.ParseHeader(in); h.Length != 3 || h.StreamID != 1 {
			b.Fatal(h)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	for _, in := range [][]byte{
		raw(frame.TypeData, end, 1, "abc"), raw(frame.TypeHeaders, 0x5, 1, "abc"), raw(frame.TypeWindowUpdate, 0, 1, "abcd"),
		raw(frame.TypePing, 0, 1, "abcd"),
	} {
		h := frame.ParseHeader(in)
		want := h.Check()
		b.Run(fmt.Sprintf("%v/refused=%t", h.Type, want != nil), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if e := frame.ParseHeader(in).Check(); e != want {
					b.Fatal(e)
				}
			}
		})
	}
}

func BenchmarkAppendHeader(b *testing.B) {
	buf := make([]byte, 0, 64)
	h := frame.Header{Length: 3, StreamID: 1, Type: frame.TypeHeaders, Flags: 0x5}
	b.ReportAllocs()
	for b.Loop() {
		if out := frame.AppendHeader(buf, h); len(out) != frame.HeaderSize || out[2] != 3 {
			b.Fatal(out)
		}
	}
}

func BenchmarkParseData(b *testing.B) {
	for _, c := range []struct {
		name string
		in   []byte
	}{
		{"plain", raw(frame.TypeData, end, 1, block(1024))},
		{"padded", raw(frame.TypeData, padded, 1, "\x08"+block(1024)+zeros(8))},
	} {
		b.Run(c.name, func(b *testing.B) {
			h, p := frame.ParseHeader(c.in), c.in[frame.HeaderSize:]
			b.ReportAllocs()
			for b.Loop() {
				if data, e := frame.ParseData(h, p); len(data) != 1024 || e != nil {
					b.Fatal(len(data), e)
				}
			}
		})
	}
}

// BenchmarkFrames reads a HEADERS, a DATA and a WINDOW_UPDATE frame, as in an
// upload.
func BenchmarkFrames(b *testing.B) {
	frames := [][]byte{
		raw(frame.TypeHeaders, 0x4, 1, block(40)), raw(frame.TypeData, end, 1, block(1024)), raw(frame.TypeWindowUpdate, 0, 0, "\x00\x00\x04\x00"),
	}
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			for _, in := range frames {
				if e := parse(in); e != nil {
					b.Fatal(e)
				}
			}
		}
	})
	b.Run("xnet", func(b *testing.B) {
		in := bytes.NewReader(nil)
		fr := http2.NewFramer(io.Discard, in)
		fr.SetReuseFrames()
		all := bytes.Join(frames, nil)
		b.ReportAllocs()
		for b.Loop() {
			in.Reset(all)
			for range frames {
				if _, err := fr.ReadFrame(); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

func BenchmarkFinishHeaders(b *testing.B) {
	const maxSize = frame.DefaultMaxSize
	for _, n := range []int{40, maxSize, 3*maxSize + 7} {
		b.Run(fmt.Sprintf("bytes=%d", n), func(b *testing.B) {
			buf := append(frame.BeginHeaders(nil), block(n)...)
			buf = append(buf, zeros(3*frame.HeaderSize)...)
			more := max(0, n-1) / maxSize
			b.ReportAllocs()
			b.SetBytes(int64(n))
			for b.Loop() {
				out := frame.FinishHeaders(buf[:frame.HeaderSize+n], 0, 1, end, maxSize)
				if len(out) != n+(more+1)*frame.HeaderSize {
					b.Fatal(len(out))
				}
			}
		})
	}
}
