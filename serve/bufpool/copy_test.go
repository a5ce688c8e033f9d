package bufpool

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestCopy(t *testing.T) {
	text := strings.Repeat("0123456789", 5000)
	broken := errors.New("broken")
	for _, tt := range []struct {
		name string
		src  io.Reader
		dst  io.Writer
		n    int64
		err  error
	}{
		{"all", strings.NewReader(text), io.Discard, 50_000, nil},
		{"nothing", strings.NewReader(""), io.Discard, 0, nil},
		{"the end comes with the last bytes", iotest.DataErrReader(strings.NewReader(text)), io.Discard, 50_000, nil},
		{"the source breaks", io.MultiReader(strings.NewReader(text[:10]), iotest.ErrReader(broken)), io.Discard, 10, broken},
		{"the destination breaks", strings.NewReader(text), &short{10, broken}, 10, broken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			// A plain Writer: io.Discard's own ReadFrom is not asked for.
			n, err := Copy(struct{ io.Writer }{tt.dst}, tt.src, 4<<10)
			if n != tt.n || !errors.Is(err, tt.err) {
				t.Errorf("%d %v, want %d %v", n, err, tt.n, tt.err)
			}
		})
	}
	var b bytes.Buffer
	if _, err := Copy(&b, strings.NewReader(text), 100); err != nil || b.String() != text {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
}

// short takes n bytes, then fails.
type short struct {
	n   int
	err error
}

func (s *short) Write(p []byte) (int, error) { return min(s.n, len(p)), s.err }
