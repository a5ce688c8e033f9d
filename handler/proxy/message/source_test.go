package message

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// idle never reads a byte, and never says why.
type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// TestSource: the last bytes of a body are given only when its length is known to be
// right.
func TestSource(t *testing.T) {
	for _, tt := range []struct {
		name string
		body io.Reader
		left int64
		want string
		err  error
	}{
		{"exact", strings.NewReader("hello"), 5, "hello", nil},
		{"by bytes", iotest.OneByteReader(strings.NewReader("hello")), 5, "hello", nil},
		{"end with the last bytes", iotest.DataErrReader(strings.NewReader("hello")), 5, "hello", nil},
		{"empty", strings.NewReader(""), 0, "", nil},
		{"unknown length", strings.NewReader("hello"), -1, "hello", nil},
		{"short", strings.NewReader("hell"), 5, "", errBodyShort},
		{"long", strings.NewReader("hello!"), 5, "", errBodyLong},
		{"one where none should be", strings.NewReader("h"), 0, "", errBodyLong},
		{"broken", iotest.ErrReader(io.ErrClosedPipe), 5, "", io.ErrClosedPipe},
		{"empty reads without end", idle{}, 5, "", io.ErrNoProgress},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := Source{Body: tt.body, Left: tt.left}
			got, p := "", make([]byte, 8)
			for {
				n, end, err := s.Next(p)
				got += string(p[:n])
				if err == nil && !end {
					continue
				}
				if !errors.Is(err, tt.err) || tt.err == nil && got != tt.want {
					t.Errorf("got %q, %v, want %q, %v", got, err, tt.want, tt.err)
				}
				return
			}
		})
	}
}
