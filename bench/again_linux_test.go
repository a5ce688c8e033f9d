package bench

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A connection with more to read than a turn takes is read on once, also when an
// event tells of it before: else it would have two turns for each of the others'.
func TestReadOnOnce(t *testing.T) {
	c := feed(http.MethodGet, H1)
	far := socketPair(t, c)
	c.w.buf = make([]byte, 16)
	c.w.start(c, 0, 0)
	const head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
	if _, err := unix.Write(far, []byte(head+strings.Repeat("x", 1000))); err != nil {
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

// The poller tells of what is new alone: an end that comes with the last bytes must
// not be missed, nor one that comes behind them.
func TestEndIsSeen(t *testing.T) {
	for _, late := range []bool{false, true} {
		t.Run(fmt.Sprintf("behind the bytes: %v", late), func(t *testing.T) {
			c := feed(http.MethodGet, H1)
			w := c.w
			w.buf = make([]byte, readBytes)
			if err := w.poller.open(1); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(w.poller.close)
			w.start(c, 0, 0)
			far := socketPair(t, c)
			ev := c.socket.event(c, false)
			if err := unix.EpollCtl(w.poller.fd, unix.EPOLL_CTL_ADD, c.socket.fd, &ev); err != nil {
				t.Fatal(err)
			}
			wait := func() { w.poller.wait(w, w.plan.now()+int64(patience)) }
			if _, err := unix.Write(far, []byte("HTTP/1.1 200 OK\r\n\r\nup to the end")); err != nil {
				t.Fatal(err)
			}
			if late {
				wait()
			}
			if err := unix.Shutdown(far, unix.SHUT_WR); err != nil {
				t.Fatal(err)
			}
			wait()
			if s := w.stats; s.completed != 1 || s.bodyBytes != 13 || s.closed != 1 {
				t.Errorf("%d completed, %d bytes, %d ended by the server, %v", s.completed, s.bodyBytes, s.closed, s.first)
			}
		})
	}
}

// socketPair gives c one end of a stream, and answers the other.
func socketPair(t *testing.T, c *conn) (far int) {
	t.Helper()
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	c.socket.fd = ends[0]
	t.Cleanup(func() {
		c.socket.close(c) // if c has not
		_ = unix.Close(ends[1])
	})
	return ends[1]
}
