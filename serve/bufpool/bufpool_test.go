package bufpool

import (
	"bytes"
	"testing"
)

func TestGetClass(t *testing.T) {
	for _, tt := range []struct {
		name string
		size int
		want int // cap
	}{
		{"nothing", 0, small},
		{"small", small, small},
		{"one more than small", small + 1, medium},
		{"medium", medium, medium},
		{"one more than medium", medium + 1, large},
		{"large", large, large},
		{"beyond the classes", large + 1, large + 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := Get(tt.size)
			defer b.Release()
			if len(b.B) != 0 {
				t.Errorf("len = %d, want an empty buffer", len(b.B))
			}
			if got := cap(b.B); got != tt.want {
				t.Errorf("cap = %d, want %d", got, tt.want)
			}
		})
	}
}

// A buffer of another capacity must not come back as one of a class.
func TestReleaseOtherCapacity(t *testing.T) {
	b := Get(small)
	b.B = append(b.B, make([]byte, small+1)...) // grown
	b.Release()
	b = Get(small)
	b.B = append(b.B, "abcd"...)[2:] // cut at its front
	b.Release()
	for range 100 {
		if b := Get(small); cap(b.B) != small {
			t.Fatalf("cap = %d, want %d", cap(b.B), small)
		}
	}
}

func TestRender(t *testing.T) {
	r := GetRender()
	r.WriteString("text")
	if !bytes.Equal(r.B, []byte("text")) {
		t.Errorf("B = %q, want %q", r.B, "text")
	}
	PutRender(r)
	if r := GetRender(); len(r.B) != 0 {
		t.Errorf("a lent buffer holds %d bytes, want none", len(r.B))
	}
}

func BenchmarkGetRelease(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		buf := Get(medium)
		buf.B = append(buf.B, 'x')
		buf.Release()
	}
}
