package listener

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// acceptRaw waits until somebody is queued and accepts.
func acceptRaw(t *testing.T, g *Group) (int, netip.AddrPort) {
	t.Helper()
	for range 1000 {
		for _, s := range g.Sockets() {
			fd, remote, err := s.Accept()
			if err == nil {
				t.Cleanup(func() { closeFD(fd) })
				return fd, remote
			}
			want(t, "class", Classify(err), ClassAgain)
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("nobody came")
	return -1, netip.AddrPort{}
}

func TestSocketAccept(t *testing.T) {
	for _, c := range []struct {
		network, address, dial string
	}{
		{"tcp4", "127.0.0.1:0", "127.0.0.1"},
		{"tcp6", "[::1]:0", "::1"},
		{"tcp", ":0", "127.0.0.1"}, // mapped, to be unmapped
		{"tcp", ":0", "::1"},
		{"unix", filepath.Join(t.TempDir(), "s"), ""},
		{"unix", "@penstock-listener-test", ""},
	} {
		t.Run(c.network+" "+c.dial, func(t *testing.T) {
			g := listen(t, Config{Network: c.network, Address: c.address, Sockets: 2})
			addr := g.Addr().String()
			if c.dial != "" {
				addr = net.JoinHostPort(c.dial, fmt.Sprint(g.Addr().(*net.TCPAddr).Port))
			}
			client, err := net.Dial(g.Addr().Network(), addr)
			must(t, "dial", err)
			defer client.Close()
			fd, remote := acceptRaw(t, g)
			if c.dial != "" {
				want(t, "remote", remote.String(), client.LocalAddr().String())
			} else {
				want(t, "remote of a unix peer", remote, netip.AddrPort{})
			}
			fl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
			must(t, "F_GETFL", err)
			want(t, "non-blocking", fl&unix.O_NONBLOCK != 0, true)
			fdfl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			must(t, "F_GETFD", err)
			want(t, "close-on-exec", fdfl&unix.FD_CLOEXEC != 0, true)
			_, err = client.Write([]byte("x"))
			must(t, "write", err)
		})
	}
}

// Promise: a connection is accepted without an allocation, an empty queue is
// found without one.
func TestSocketAcceptAllocs(t *testing.T) {
	g := listen(t, Config{Sockets: 1})
	s := g.Sockets()[0]
	const runs = 50
	for range runs + 1 {
		dial(t, g)
	}
	time.Sleep(g.RoundTrip())
	want(t, "allocations for a connection", testing.AllocsPerRun(runs, func() {
		fd, _, err := s.Accept()
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		closeFD(fd)
	}), 0)
	want(t, "allocations for an empty queue", testing.AllocsPerRun(runs, func() {
		if _, _, err := s.Accept(); Classify(err) != ClassAgain {
			t.Errorf("class of %v", err)
		}
	}), 0)
}

// Options are set once, on the listening socket.
func TestOptionsAreInherited(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
		want map[string]int
	}{
		{"defaults", Config{}, map[string]int{
			"TCP_NODELAY": 1, "SO_KEEPALIVE": 1, "TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4,
			"TCP_USER_TIMEOUT": 120_000, "TCP_DEFER_ACCEPT": 0, "TCP_NOTSENT_LOWAT": 0,
		}},
		{"set", Config{
			KeepAliveIdle: 90 * time.Second, KeepAliveInterval: 6500 * time.Millisecond, KeepAliveCount: 7,
			UserTimeout: 12 * time.Second, NotSentLowat: 32 << 10, Nagle: true,
		}, map[string]int{
			"TCP_NODELAY": 0, "SO_KEEPALIVE": 1, "TCP_KEEPIDLE": 90, "TCP_KEEPINTVL": 7, "TCP_KEEPCNT": 7,
			"TCP_USER_TIMEOUT": 12000, "TCP_NOTSENT_LOWAT": 32 << 10,
		}},
		{
			"user timeout follows keep-alive",
			Config{KeepAliveIdle: 20 * time.Second, KeepAliveInterval: 5 * time.Second, KeepAliveCount: 2},
			map[string]int{"TCP_KEEPIDLE": 20, "TCP_USER_TIMEOUT": 30_000},
		},
		{"user timeout without keep-alive", Config{KeepAliveIdle: -1}, map[string]int{"TCP_USER_TIMEOUT": 120_000}},
		{"off", Config{KeepAliveIdle: -1, UserTimeout: -1}, map[string]int{"SO_KEEPALIVE": 0, "TCP_USER_TIMEOUT": 0}},
	} {
		for _, address := range []string{"127.0.0.1:0", ":0"} {
			t.Run(c.name+" "+address, func(t *testing.T) {
				c.cfg.Address = address
				g := listen(t, c.cfg)
				dial(t, g)
				fd, _ := acceptRaw(t, g)
				for name, value := range c.want {
					want(t, name, getOption(t, fd, name), value)
				}
			})
		}
	}
}

func getOption(t *testing.T, fd int, name string) int {
	t.Helper()
	level, opt := unix.IPPROTO_TCP, map[string]int{
		"TCP_NODELAY": unix.TCP_NODELAY, "TCP_KEEPIDLE": unix.TCP_KEEPIDLE, "TCP_KEEPINTVL": unix.TCP_KEEPINTVL,
		"TCP_KEEPCNT": unix.TCP_KEEPCNT, "TCP_USER_TIMEOUT": unix.TCP_USER_TIMEOUT, "TCP_DEFER_ACCEPT": unix.TCP_DEFER_ACCEPT,
		"TCP_NOTSENT_LOWAT": unix.TCP_NOTSENT_LOWAT,
	}[name]
	if name == "SO_KEEPALIVE" {
		level, opt = unix.SOL_SOCKET, unix.SO_KEEPALIVE
	}
	v, err := unix.GetsockoptInt(fd, level, opt)
	must(t, "getsockopt "+name, err)
	return v
}

func TestDeferAccept(t *testing.T) {
	g := listen(t, Config{Sockets: 1, DeferAccept: 3 * time.Second})
	want(t, "option is on", getOption(t, g.Sockets()[0].FD(), "TCP_DEFER_ACCEPT") > 0, true)
	c := dial(t, g)
	time.Sleep(10 * time.Millisecond)
	_, _, err := g.Sockets()[0].Accept()
	want(t, "silent client is not queued", Classify(err), ClassAgain)
	_, err = c.Write([]byte("x"))
	must(t, "write", err)
	acceptRaw(t, g)
}

func TestReusePortFailureIsAnError(t *testing.T) {
	_, err := Bind(t.Context(), Config{
		Address: "127.0.0.1:0", Sockets: 2,
		setReusePort: func(int) error { return unix.ENOPROTOOPT },
	})
	if err == nil || !strings.Contains(err.Error(), "SO_REUSEPORT") || !errors.Is(err, syscall.ENOPROTOOPT) {
		t.Errorf("got %v", err)
	}
}

// wantHolder checks that err names the address and exactly this process.
func wantHolder(t *testing.T, why string, err error, address string, pid int) {
	t.Helper()
	e, ok := errors.AsType[*InUseError](err)
	if !ok {
		t.Fatalf("%s: got %v, want an InUseError", why, err)
	}
	want(t, why+": EADDRINUSE", errors.Is(err, syscall.EADDRINUSE), true)
	want(t, why+": names the address once", strings.Count(err.Error(), address), 1)
	if len(e.Holders) != 1 || e.Holders[0].PID != pid || e.Holders[0].Program == "" {
		t.Errorf("%s: holders %+v, want pid %d", why, e.Holders, pid)
	}
}

func TestStrangersGroupIsNamed(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		t.Run(address, func(t *testing.T) {
			p := start(t, "hold "+address, nil)
			address := p.line()
			early, err := Bind(t.Context(), Config{Address: address, Sockets: 2})
			must(t, "Bind beside a stranger who does not listen", err)
			defer early.Close()
			p.say("listen")
			want(t, "child", p.line(), "listening")

			pid := p.cmd.Process.Pid
			wantHolder(t, "Listen after the stranger", early.Listen(), address, pid)
			_, err = Listen(t.Context(), Config{Address: address, Sockets: 2})
			wantHolder(t, "Listen of a group", err, address, pid)
			_, err = Listen(t.Context(), Config{Address: address, Sockets: 1})
			wantHolder(t, "Listen of one socket", err, address, pid)

			g, err := Listen(t.Context(), Config{Address: address, Sockets: 2, Join: true})
			must(t, "Join", err)
			must(t, "Close", g.Close())
		})
	}
}

func TestPlainListenerIsNamed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, "listen", err)
	defer l.Close()
	address := l.Addr().String()
	for _, cfg := range []Config{{Sockets: 1}, {Sockets: 2}, {Sockets: 2, Join: true}} {
		cfg.Address = address
		_, err = Listen(t.Context(), cfg)
		wantHolder(t, "Listen", err, address, syscall.Getpid())
	}
}

// A restart does not have to wait for connections in TIME_WAIT.
func TestRestartDuringTimeWait(t *testing.T) {
	for _, sockets := range []int{1, 2} {
		g := listen(t, Config{Sockets: sockets})
		address := g.Addr().String()
		done := make(chan struct{})
		go func() { defer close(done); _, _ = serveEcho(g, 0) }()
		for range 5 {
			must(t, "client", askEcho(dial(t, g))) // the server closes first
		}
		must(t, "Close", g.Close())
		<-done
		again := listen(t, Config{Address: address, Sockets: 3 - sockets})
		must(t, "Close", again.Close())
	}
}

func BenchmarkSocketAccept(b *testing.B) {
	g, err := Listen(b.Context(), Config{Address: "127.0.0.1:0", Sockets: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer g.Close()
	s := g.Sockets()[0]
	b.Run("empty", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := s.Accept(); Classify(err) != ClassAgain {
				b.Fatal(err)
			}
		}
	})
}
