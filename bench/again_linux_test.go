package bench

import (
	"net/http"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A connection with more to read than a turn takes is read on once, also when an
// event tells of it before: else it would have two turns for each of the others'.
func TestReadOnOnce(t *testing.T) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, fd := range ends {
			_ = unix.Close(fd)
		}
	})
	c := feed(http.MethodGet, H1)
	c.w.buf = make([]byte, 16)
	c.w.start(c, 0, 0)
	c.socket.fd = ends[0]
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
	if _, err := unix.Write(ends[1], []byte(head+strings.Repeat("x", 1000))); err != nil {
		t.Fatal(err)
	}
	c.readable()
	c.readable() // by an event
	if n := len(c.w.again); n != 1 {
		t.Errorf("after a turn and an event it is listed %d times, want once", n)
	}
	turns := 0
	for ; len(c.w.again) > 0 && turns < 100; turns++ {
		c.w.readOn()
	}
	if s := c.w.stats; s.completed != 1 || s.bodyBytes != 1000 {
		t.Errorf("after %d turns: %d completed, %d bytes, %v", turns, s.completed, s.bodyBytes, s.first)
	}
}
