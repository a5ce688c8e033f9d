package frame_test

import (
	"fmt"
	"testing"

	"github.com/penstock-edge/penstock/serve/h3/frame"
)

func BenchmarkVarint(b *testing.B) {
	for _, v := range []uint64{37, 15293, 494878333, 151288809941952652} {
		in := frame.AppendVarint(nil, v)
		b.Run(fmt.Sprintf("read/bytes=%d", len(in)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if got, n := frame.ReadVarint(in); got != v || n != len(in) {
					b.Fatal(got, n)
				}
			}
		})
		b.Run(fmt.Sprintf("append/bytes=%d", len(in)), func(b *testing.B) {
			buf := make([]byte, 0, frame.MaxVarintSize)
			b.ReportAllocs()
			for b.Loop() {
				if out := frame.AppendVarint(buf, v); len(out) != len(in) {
					b.Fatal(out)
				}
			}
		})
	}
}

func BenchmarkReadHeader(b *testing.B) {
	in := frame.AppendHeader(nil, frame.TypeData, 1200)
	b.ReportAllocs()
	for b.Loop() {
		if h, n := frame.ReadHeader(in); h.Length != 1200 || n != 3 {
			b.Fatal(h, n)
		}
	}
}

func BenchmarkParseSettings(b *testing.B) {
	for _, n := range []int{4, 64} {
		payload := []byte(settings(100, n))
		b.Run(fmt.Sprintf("settings=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := frame.ParseSettings(payload); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
