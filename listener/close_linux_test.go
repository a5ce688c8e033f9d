package listener

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The same promise as TestCloseUnderLoad for the form of the event loop, which
// takes the steps itself: Quiesce, RoundTrip, Accept until EAGAIN, Close.
func TestRawCloseUnderLoad(t *testing.T) {
	for range 5 {
		rawLoadAndClose(t, listen(t, Config{Sockets: 16}))
	}
}

func rawLoadAndClose(t *testing.T, g *Group) {
	const clients, requests = 32, 200
	var asked, served atomic.Int64
	var server, load sync.WaitGroup
	left, stop := make(chan struct{}), make(chan struct{})
	for _, s := range g.Sockets() {
		server.Go(func() { serveSocket(s, &served, left) })
	}
	for range clients {
		load.Go(func() {
			for !isClosed(stop) {
				c, err := dialAddr(g.Addr(), 200*time.Millisecond)
				if err != nil {
					continue
				}
				asked.Add(1)
				if err := askEcho(c); err != nil {
					t.Errorf("a connected client was not served: %v", err)
					return
				}
			}
		})
	}
	for deadline := time.Now().Add(10 * time.Second); asked.Load() < requests && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	must(t, "Quiesce", g.Quiesce())
	time.Sleep(g.RoundTrip())
	close(left)
	server.Wait()
	must(t, "Close", g.Close())
	close(stop)
	load.Wait()
	wantNoneLost(t, served.Load(), asked.Load())
	if asked.Load() < requests {
		t.Errorf("only %d requests: no load", asked.Load())
	}
}

// serveSocket accepts until the queue is empty, again and again; after left is
// closed once more and then no longer.
func serveSocket(s *Socket, served *atomic.Int64, left chan struct{}) {
	var answers sync.WaitGroup
	defer answers.Wait()
	for last := false; !last; time.Sleep(200 * time.Microsecond) {
		last = isClosed(left) // before the queue is emptied
		for {
			fd, _, err := s.Accept()
			if Classify(err) == ClassRetry {
				continue
			}
			if err != nil {
				break
			}
			served.Add(1)
			answers.Go(func() { answer(fd) })
		}
	}
}

// answer is echoOnce on a bare descriptor, which it takes over.
func answer(fd int) {
	defer closeFD(fd)
	b := make([]byte, 1)
	if err := unix.SetNonblock(fd, false); err != nil {
		return
	}
	if n, err := unix.Read(fd, b); n == 1 && err == nil {
		_, _ = unix.Write(fd, b)
	}
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A handshake that is half done when the group is quiesced is finished: the
// filter drops the first segment of a handshake, not the last. The client is
// made to miss the SYN-ACK, and gets it when the server repeats it, after the
// quiesce (RFC 6298 §2: after 1 s).
func TestQuiesceLetsHandshakesFinish(t *testing.T) {
	g := listen(t, Config{Sockets: 1})
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	must(t, "socket", err)
	defer closeFD(fd)
	nothing := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0}
	must(t, "filter", unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &nothing}))
	addr := g.Addr().(*net.TCPAddr)
	err = unix.Connect(fd, &unix.SockaddrInet4{Port: addr.Port, Addr: [4]byte(addr.IP.To4())})
	want(t, "connect is under way", err, error(unix.EINPROGRESS))
	_, _, err = g.Sockets()[0].Accept()
	want(t, "half a handshake is not queued", Classify(err), ClassAgain)

	must(t, "Quiesce", g.Quiesce())
	must(t, "detach", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0))
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		accepted, _, err := g.Sockets()[0].Accept()
		if err == nil {
			closeFD(accepted)
			return
		}
		if Classify(err) != ClassAgain || time.Now().After(deadline) {
			t.Fatalf("the handshake was not finished: %v", err)
		}
	}
}

// Close gives handshakes that are under way the time it says it does.
func TestCloseWaitsARoundTrip(t *testing.T) {
	for _, c := range []struct {
		address string
		want    time.Duration
	}{{"127.0.0.1:0", LoopbackRoundTrip}, {"[::1]:0", LoopbackRoundTrip}, {":0", RoundTrip}} {
		g := listen(t, Config{Address: c.address})
		want(t, "round trip of "+c.address, g.RoundTrip(), c.want)
		dial(t, g)
		conn, err := g.Accept()
		must(t, "Accept", err)
		_ = conn.Close()
		begin := time.Now()
		must(t, "Close", g.Close())
		if took := time.Since(begin); took < c.want {
			t.Errorf("Close of %s took %v, less than a round trip of %v", c.address, took, c.want)
		}
	}
}
