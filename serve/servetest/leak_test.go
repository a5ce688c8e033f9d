package servetest

import (
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestLeakSeesGoroutine(t *testing.T) {
	before := takeInventory()
	stop, gone := make(chan struct{}), make(chan struct{})
	go func() { defer close(gone); <-stop }()
	left := before.leftOver(0)
	if !strings.Contains(left, "TestLeakSeesGoroutine") {
		t.Errorf("a waiting goroutine is left over, with its stack; got %q", left)
	}
	close(stop)
	<-gone
	Want(t, "nothing is left once it ended", before.leftOver(settle), "")
}

func TestLeakSeesDescriptor(t *testing.T) {
	before := takeInventory()
	if before.files == nil {
		t.Skip("no /proc/self/fd on this system: descriptors are not checked")
	}
	r, w, err := os.Pipe()
	Must(t, "pipe", err)
	if left := before.leftOver(0); strings.Count(left, "pipe:") != 2 {
		t.Errorf("both ends of a pipe are left over; got %q", left)
	}
	r.Close()
	w.Close()
	Want(t, "nothing is left once closed", before.leftOver(settle), "")
}

// A number that was closed and passed on to another file is seen as well.
func TestLeakSeesReusedNumber(t *testing.T) {
	before := inventory{nil, map[int]string{3: "socket:[1]"}}
	after := descriptors()
	if after == nil {
		t.Skip("no /proc/self/fd on this system: descriptors are not checked")
	}
	before.goroutines = goroutines()
	if left := before.compare(); !strings.Contains(left, "descriptor") {
		t.Errorf("other files under known numbers are left over; got %q", left)
	}
}

// What ends by itself soon is no leak.
func TestLeakWaits(t *testing.T) {
	before := takeInventory()
	go time.Sleep(20 * time.Millisecond)
	Want(t, "a goroutine that ends by itself is no leak", before.leftOver(settle), "")
}

func TestCheckLeaks(t *testing.T) {
	t.Run("clean", func(t *testing.T) {
		CheckLeaks(t)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		Must(t, "listen", err)
		t.Cleanup(func() { l.Close() })
	})
}

func TestWantSoon(t *testing.T) {
	n := 0
	WantSoon(t, "the third look succeeds", func() bool { n++; return n == 3 })
	Want(t, "looks", n, 3)
	Want(t, "what never holds is told", soon(5*time.Millisecond, func() bool { return false }), false)
}
