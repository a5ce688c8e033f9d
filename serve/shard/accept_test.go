//go:build linux

package shard

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/listener"
)

// idler is an echo that reports itself idle after each step, as an engine does.
type idler struct{ echo }

func (i *idler) OnReadable(now time.Time) {
	i.echo.OnReadable(now)
	if !i.c.busy && !i.c.detached {
		i.c.SetState(http.StateIdle)
	}
}
func (i *idler) OnWritable(now time.Time) { i.OnReadable(now) }

// serveService runs svc with one socket; echo connections that note idleness.
func serveService(t testing.TB, cfg Config, edit func(*Service)) (*Shard, *Service, *listener.Socket) {
	t.Helper()
	sh := runShard(t, cfg)
	svc, socket := listenEcho(t)
	svc.Open = func(c *Conn) Driver {
		return &idler{echo{c: c, handler: func(_ *Conn, s string) string { return s }}}
	}
	edit(svc)
	t.Cleanup(func() { socket.Close() })
	if err := sh.AddSocket(socket, svc); err != nil {
		t.Fatal(err)
	}
	return sh, svc, socket
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// eventually waits for what counters say, for seconds.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// Rule S-4: above a client's own ceiling connections are closed at once, and
// none of the others is touched; what ends makes room.
func TestGateRefuses(t *testing.T) {
	gate := listener.NewGate(listener.GateConfig{Total: 100, PerClient: 3, LimitLoopback: true})
	sh, svc, _ := serveService(t, Config{}, func(s *Service) { s.Gate = gate })
	addr := svc.Listener.Addr().String()
	var conns []net.Conn
	var readers []*bufio.Reader
	for range 3 {
		c, r := dial(t, addr)
		ask(t, c, r, "x")
		conns, readers = append(conns, c), append(readers, r)
	}
	for range 4 {
		c, r := dial(t, addr)
		if _, err := r.ReadByte(); err == nil || isTimeout(err) {
			t.Errorf("a fourth connection: %v", err)
		}
		c.Close()
	}
	if n := sh.Counters(); n.Refused.Load() != 4 || n.Evicted.Load() != 0 || sh.Live() != 3 {
		t.Errorf("refused %d, evicted %d, live %d", n.Refused.Load(), n.Evicted.Load(), sh.Live())
	}
	for i := range conns {
		ask(t, conns[i], readers[i], "still here")
	}
	conns[0].Close()
	eventually(t, "room", func() bool { return gate.Open() == 2 })
	c, r := dial(t, addr)
	ask(t, c, r, "room")
	for _, c := range append(conns, c) {
		c.Close()
	}
	eventually(t, "all given back", func() bool { return gate.Open() == 0 })
}

// At the total ceiling the connections that have been idle longest make room;
// one with a running request does not, though it is the oldest.
func TestGateEvictsOldestIdle(t *testing.T) {
	const total = evictions + 8
	gate := listener.NewGate(listener.GateConfig{Total: total, PerClient: -1})
	hold := make(chan struct{})
	entered := make(chan struct{}, 1)
	sh, svc, _ := serveService(t, Config{}, func(s *Service) {
		s.Gate = gate
		s.Open = func(c *Conn) Driver {
			return &idler{echo{c: c, handler: func(_ *Conn, s string) string {
				if s == "hold" {
					entered <- struct{}{}
					<-hold
				}
				return s
			}}}
		}
	})
	addr := svc.Listener.Addr().String()
	busy, busyr := dial(t, addr)
	io.WriteString(busy, "hold\n")
	<-entered
	var conns []net.Conn
	var readers []*bufio.Reader
	for range total - 1 {
		c, r := dial(t, addr)
		ask(t, c, r, "x")
		conns, readers = append(conns, c), append(readers, r)
		time.Sleep(200 * time.Microsecond) // an age of its own
	}
	ask(t, conns[0], readers[0], "the first becomes the youngest")
	if gate.Open() != total {
		t.Fatalf("%d open", gate.Open())
	}
	c, r := dial(t, addr)
	ask(t, c, r, "in")
	if n := sh.Counters().Evicted.Load(); n != evictions {
		t.Errorf("%d evicted", n)
	}
	for i := range conns {
		if i >= 1 && i <= evictions {
			if _, err := readers[i].ReadByte(); err != io.EOF {
				t.Errorf("connection %d, one of the oldest, is open: %v", i, err)
			}
		} else {
			ask(t, conns[i], readers[i], "kept")
		}
	}
	close(hold)
	if s, err := busyr.ReadString('\n'); s != "hold\n" {
		t.Errorf("the busy one: %q %v", s, err)
	}
}

// Open may refuse: the connection is closed and counted out.
func TestOpenRefuses(t *testing.T) {
	gate := listener.NewGate(listener.GateConfig{})
	sh, svc, _ := serveService(t, Config{}, func(s *Service) {
		s.Gate = gate
		s.Open = func(*Conn) Driver { return nil }
	})
	for range 3 {
		_, r := dial(t, svc.Listener.Addr().String())
		if _, err := r.ReadByte(); err == nil || isTimeout(err) {
			t.Error(err)
		}
	}
	eventually(t, "counted out", func() bool { return sh.Live() == 0 && gate.Open() == 0 })
}

// Rule S-5, injected: accepting pauses, clients wait in the queue, and it goes
// on by itself, also in a shard that nothing else wakes.
func TestAcceptPausesAndResumes(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		sh, svc, _ := serveService(t, Config{}, func(*Service) {})
		addr := svc.Listener.Addr().String()
		c, r := dial(t, addr)
		ask(t, c, r, "before")
		for range 4 { // 5, 10, 20, 40 ms
			var paused bool
			onLeader(t, sh, func() {
				sh.acceptFailed(sh.sockets[0], syscall.EMFILE)
				paused = sh.sockets[0].paused
			})
			if !paused {
				t.Fatal("not paused")
			}
		}
		d, dr := dial(t, addr)
		ask(t, d, dr, "after the pause")
		onLeader(t, sh, func() {
			if sh.sockets[0].paused {
				t.Error("paused still")
			}
		})
		// Idle ones made room.
		if _, err := r.ReadByte(); err != io.EOF {
			t.Errorf("the idle one: %v", err)
		}
	})
}

// An error that ends accepting is told, the rest goes on.
func TestAcceptFatal(t *testing.T) {
	told := make(chan error, 1)
	sh, svc, _ := serveService(t, Config{Fatal: func(err error) { told <- err }}, func(*Service) {})
	c, r := dial(t, svc.Listener.Addr().String())
	ask(t, c, r, "x")
	onLeader(t, sh, func() { sh.acceptFailed(sh.sockets[0], syscall.EINVAL) })
	select {
	case err := <-told:
		if !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), svc.Listener.Addr().String()) {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("not told")
	}
	ask(t, c, r, "y")
}

// Out of descriptors in truth: the client waits and is served when there is one.
func TestOutOfDescriptors(t *testing.T) {
	sh, svc, _ := serveService(t, Config{}, func(*Service) {})
	c, r := dial(t, svc.Listener.Addr().String())
	ask(t, c, r, "x")
	to, err := netip.ParseAddrPort(svc.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	client, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	low := old
	low.Cur = uint64(client) + 64
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Skip(err)
	}
	var filler []int
	restore := sync.OnceFunc(func() {
		syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old)
		for _, fd := range filler {
			syscall.Close(fd)
		}
	})
	defer restore()
	for {
		fd, err := syscall.Dup(client)
		if err != nil {
			break
		}
		filler = append(filler, fd)
	}
	// c is not idle for the eviction: it has no place to make.
	onLeader(t, sh, func() {
		for _, c := range sh.conns {
			if c != nil {
				c.idleSince = 0
			}
		}
	})
	if err := syscall.Connect(client, &syscall.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "paused", func() bool {
		var paused bool
		onLeader(t, sh, func() { paused = sh.sockets[0].paused })
		return paused
	})
	ask(t, c, r, "others go on") // a hijack fails, and harms nobody
	restore()
	d := asConn(t, client)
	defer d.Close()
	ask(t, d, bufio.NewReader(d), "served late")
}

// A Hijack that fails for want of a descriptor leaves the connection as it was.
func TestHijackOutOfDescriptors(t *testing.T) {
	_, addr := serveEcho(t, func(c *Conn, s string) string {
		if s != "hijack" {
			return s
		}
		var old syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			return err.Error()
		}
		low := old
		low.Cur = uint64(c.fd) + 32
		syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low)
		var filler []int
		for {
			fd, err := syscall.Dup(c.fd)
			if err != nil {
				break
			}
			filler = append(filler, fd)
		}
		_, err := c.Hijack()
		syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old)
		for _, fd := range filler {
			syscall.Close(fd)
		}
		if err == nil {
			return "hijacked"
		}
		return "failed"
	})
	c, r := dial(t, addr)
	ask(t, c, r, "x")
	if got := ask(t, c, r, "hijack"); got != "failed" {
		t.Skip(got)
	}
	c.SetDeadline(time.Now().Add(5 * time.Second))
	for range 3 {
		ask(t, c, r, "goes on")
	}
}

// One socket, several shards: each gets its share, keeps it, and counts it.
func TestSpread(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		const shards, conns = 3, 30
		gate := listener.NewGate(listener.GateConfig{})
		svc, socket := listenEcho(t)
		var all []*Shard
		var spread []*Service
		var served [shards]atomic.Int64
		for i := range shards {
			sh := runShard(t, Config{Index: i})
			all = append(all, sh)
			spread = append(spread, &Service{Listener: svc.Listener, Gate: gate, Shard: sh, Open: func(c *Conn) Driver {
				if c.sh != sh {
					t.Error("opened by another shard")
				}
				served[i].Add(1)
				return &echo{c: c, handler: func(_ *Conn, s string) string { return fmt.Sprint(i, s) }}
			}})
		}
		first := spread[0]
		first.Spread = spread
		if err := all[0].AddSocket(socket, first); err != nil {
			t.Fatal(err)
		}
		var open []net.Conn
		for range conns {
			c, r := dial(t, svc.Listener.Addr().String())
			who := ask(t, c, r, "x")
			for range 3 {
				if again := ask(t, c, r, "x"); again != who {
					t.Errorf("moved from %s to %s", who, again)
				}
			}
			open = append(open, c)
		}
		for i, sh := range all {
			if n := served[i].Load(); n != conns/shards || sh.Live() != n {
				t.Errorf("shard %d: %d opened, %d live", i, n, sh.Live())
			}
		}
		for _, c := range open {
			c.Close()
		}
		eventually(t, "all given back", func() bool { return gate.Open() == 0 })
		// A shard that has ended takes nothing, and nothing hangs.
		endShard(t, all[2])
		refused := 0
		for range 6 {
			c, r := dial(t, svc.Listener.Addr().String())
			io.WriteString(c, "x\n")
			if _, err := r.ReadString('\n'); err != nil {
				refused++
				if isTimeout(err) {
					t.Error("left hanging")
				}
			}
			c.Close()
		}
		if refused != 2 {
			t.Errorf("%d of 6 refused by the third that has ended", refused)
		}
		eventually(t, "the gate is told of those that met an ended shard", func() bool { return gate.Open() == 0 })
		left := make(chan struct{})
		all[0].Leave(first, func() { close(left) })
		<-left
		socket.Close()
	})
}

func TestUnixSocket(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "s")
		g, err := listener.Listen(t.Context(), listener.Config{Network: "unix", Address: path})
		if err != nil {
			t.Fatal(err)
		}
		gate := listener.NewGate(listener.GateConfig{PerClient: 1, LimitLoopback: true})
		sh := runShard(t, Config{})
		addrs := make(chan string, 64)
		svc := &Service{Listener: g, Gate: gate, Open: func(c *Conn) Driver {
			addrs <- c.RemoteAddr().Network() + " " + c.RemoteAddrString() + " " + c.LocalAddr().String()
			return &echo{c: c, handler: (&shaken{}).serve}
		}}
		if err := sh.AddSocket(g.Sockets()[0], svc); err != nil {
			t.Fatal(err)
		}
		var conns []net.Conn
		for range 4 {
			c, err := net.Dial("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			c.SetDeadline(time.Now().Add(10 * time.Second))
			conns = append(conns, c)
			r := bufio.NewReader(c)
			for _, op := range []string{"fast", "sleep", "compute", "foreign", "lock"} {
				if got := ask(t, c, r, op+" tag"); got != op+" tag" {
					t.Error(got)
				}
			}
			// Two messages, one read each: a short read does not mean empty.
			io.WriteString(c, "fast 1\n")
			io.WriteString(c, "fast 2\n")
			for _, want := range []string{"fast 1\n", "fast 2\n"} {
				if s, err := r.ReadString('\n'); s != want {
					t.Errorf("%q %v", s, err)
				}
			}
			if got := <-addrs; got != "unix @ "+path {
				t.Errorf("addresses %q", got)
			}
		}
		if sh.Live() != 4 {
			t.Errorf("%d live", sh.Live())
		}
		for _, c := range conns {
			c.Close()
		}
		eventually(t, "all gone", func() bool { return sh.Live() == 0 && gate.Open() == 0 })
		sh.Leave(svc, func() {})
		onLeader(t, sh, func() {})
		g.Close()
	})
}

// Leave accepts what the kernel has completed, far more than a burst, and
// serves it; the gate is not asked and not told.
func TestLeaveDrainsTheQueue(t *testing.T) {
	const n = 3*acceptBurst + 5
	gate := listener.NewGate(listener.GateConfig{Total: 10})
	sh, svc, socket := serveService(t, Config{}, func(s *Service) { s.Gate = gate })
	// Nothing is accepted meanwhile.
	onLeader(t, sh, func() {
		k := sh.sockets[0]
		k.paused, k.resumeAt = true, sh.now.Add(time.Hour)
		sh.poll.pauseListener(k.FD(), k.slot)
	})
	var conns []net.Conn
	for range n {
		c, err := net.Dial("tcp", svc.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(c, "queued\n")
		conns = append(conns, c)
	}
	left := make(chan struct{})
	sh.Leave(svc, func() { close(left) })
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Fatal("Leave does not report")
	}
	socket.Close()
	for i, c := range conns {
		if s, err := bufio.NewReader(c).ReadString('\n'); s != "queued\n" {
			t.Fatalf("connection %d: %q %v", i, s, err)
		}
	}
	if got := sh.Counters().Accepted.Load(); got != n {
		t.Errorf("%d accepted", got)
	}
	for _, c := range conns {
		c.Close()
	}
	eventually(t, "all gone", func() bool { return sh.Live() == 0 })
	if gate.Open() != 0 {
		t.Errorf("the gate counts %d", gate.Open())
	}
	onLeader(t, sh, func() {
		if sh.sockets[0] != nil {
			t.Error("the socket is still watched")
		}
	})
}
