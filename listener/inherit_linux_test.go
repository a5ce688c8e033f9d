package listener

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestInheritedEnvironment(t *testing.T) {
	for _, c := range []struct {
		name, fds, pid, names string
		want                  string
	}{
		{"nothing", "", "", "", "[] <nil>"},
		{"two", "2", "77", "a:b", "[3 a 4 b] <nil>"},
		{"no names", "1", "77", "", "[3 unknown] <nil>"},
		{"no pid", "1", "", "", "[3 unknown] <nil>"},
		{"for another process", "2", "78", "", "[] <nil>"},
		{"odd pid", "2", "x", "", "error"},
		{"odd number", "two", "77", "", "error"},
		{"negative", "-1", "77", "", "error"},
		{"too many", "1000000000", "77", "", "error"},
		{"names do not match", "2", "77", "a", "error"},
	} {
		env := map[string]string{envFDs: c.fds, envPID: c.pid, envNames: c.names}
		fds, err := inheritedFDs(func(k string) (string, bool) { return env[k], env[k] != "" }, 77)
		var list []any
		for _, i := range fds {
			list = append(list, i.fd, i.name)
		}
		got := fmt.Sprint(list, err)
		if err != nil {
			got = "error"
		}
		want(t, c.name, got, c.want)
	}
}

// A process takes over a group of two, another socket and one for UDP, by name;
// what cannot be had is told with its reason, and what nobody took is closed.
func TestInherit(t *testing.T) {
	g := listen(t, Config{Sockets: 2})
	single := listen(t, Config{Address: "[::1]:0", Sockets: 1})
	two, other := listen(t, Config{Sockets: 1}), listen(t, Config{Sockets: 1})
	idle, err := Bind(t.Context(), Config{Address: "127.0.0.1:0", Sockets: 1})
	must(t, "bind", err)
	defer idle.Close()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, "udp", err)
	defer udp.Close()
	udpFile, err := udp.(*net.UDPConn).File()
	must(t, "udp file", err)
	defer udpFile.Close()
	null, err := os.Open(os.DevNull)
	must(t, "file", err)
	defer null.Close()

	files := []*os.File{
		dupFile(t, g.Sockets()[0]), dupFile(t, single.Sockets()[0]), udpFile, dupFile(t, g.Sockets()[1]),
		dupFile(t, idle.Sockets()[0]), null, dupFile(t, two.Sockets()[0]), dupFile(t, other.Sockets()[0]),
	}
	p := start(t, "inherit", files, envFDs+"=8", envNames+"=web:admin:quic:web:idle:file:two:two")
	for _, c := range []struct{ name, want string }{
		{"read", "error: <nil>"},
		{"two sockets", fmt.Sprint("web ", g.Addr(), " 2 true")},
		{"one", fmt.Sprint("admin ", single.Addr(), " 1 true")},
		{"twice", `inherit socket "web": it was taken before, and can be once`},
		{"UDP for TCP", `inherit socket "quic": descriptor 5 is a UDP socket (ListenDatagram=); needed is a stream socket (ListenStream=)`},
		{"not listening", `inherit socket "idle": descriptor 7 is a stream socket that does not listen (a .socket unit needs Accept=no); needed is a stream socket (ListenStream=)`},
		{"a file", `inherit socket "file": descriptor 8 is no socket of a kind that is served; needed is a stream socket (ListenStream=)`},
		{"two addresses", fmt.Sprintf(`inherit socket "two": sockets of that name are on %v and on %v; give each address a name of its own (FileDescriptorName=)`, two.Addr(), other.Addr())},
		{"another name", `inherit socket "none": no such socket was passed on; there are quic, idle, file, two`},
		{"UDP", fmt.Sprint("packets: ", udp.LocalAddr(), " 1")},
		{"TCP for UDP", `inherit socket "admin": it was taken before, and can be once`},
		{"unused", fmt.Sprintf(`4 descriptor 7 "idle", a stream socket that does not listen (a .socket unit needs Accept=no) on %v; `+
			`descriptor 8 "file", no socket of a kind that is served; descriptor 9 "two", a stream socket (ListenStream=) on %v; `+
			`descriptor 10 "two", a stream socket (ListenStream=) on %v`, idle.Addr(), two.Addr(), other.Addr())},
		{"after the end", `inherit socket "two": sockets that nobody used at the start were closed then`},
		{"once only", "again: 0 <nil>   "},
		{"children have none", "left to children: 0"},
	} {
		want(t, c.name, p.line(), strings.TrimSpace(c.want))
	}

	// From here on the successor alone accepts.
	for _, g := range []*Group{g, single} {
		g.Share()
		must(t, "Close", g.Close())
		for range 10 {
			must(t, "client of the successor", askEcho(dial(t, g)))
		}
	}
	// And nobody from those it has closed.
	must(t, "Close", two.Close())
	must(t, "Close", files[6].Close())
	if c, err := dialAddr(two.Addr(), 5*time.Second); err == nil {
		c.Close()
		t.Error("somebody has the socket that nobody used")
	}
}

// What the environment says and what was passed on must agree; descriptors of our
// own are not touched.
func TestInheritWrongNumber(t *testing.T) {
	g := listen(t, Config{Sockets: 1})
	p := start(t, "inherit", []*os.File{dupFile(t, g.Sockets()[0])}, envFDs+"=3", envNames+"=web:a:b")
	want(t, "refused", p.line(), "error: inherit sockets: LISTEN_FDS is 3, but descriptor 4 was not passed on")
}

// Connections of inherited sockets have the options that those of ours have.
func TestInheritOptions(t *testing.T) {
	plain := net.ListenConfig{KeepAlive: -1}
	plain.SetMultipathTCP(false)
	l, err := plain.Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, "listen", err)
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	must(t, "file", err)
	defer f.Close()
	in := &Inheritance{left: []inherited{inheritedDup(t, f, "web")}}
	g, err := in.Group("web", Config{DeferAccept: 2 * time.Second})
	must(t, "take", err)
	defer g.Close()
	for _, o := range []struct {
		name       string
		level, opt int
		want       int
	}{
		{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
		{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 60},
		{"TCP_USER_TIMEOUT", unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 120_000},
	} {
		got, err := unix.GetsockoptInt(g.Sockets()[0].FD(), o.level, o.opt)
		must(t, o.name, err)
		want(t, o.name, got, o.want)
	}
}

// A socket that lacks some of the options is used all the same, and the log tells.
func TestInheritLacksOptions(t *testing.T) {
	var multipath net.ListenConfig
	multipath.SetMultipathTCP(true)
	l, err := multipath.Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, "listen", err)
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	must(t, "file", err)
	defer f.Close()
	var log strings.Builder
	in := &Inheritance{left: []inherited{inheritedDup(t, f, "web")}}
	g, err := in.Group("web", Config{ErrorLog: slog.New(slog.NewTextHandler(&log, nil))})
	must(t, "take", err)
	defer g.Close()
	if protocol, err := unix.GetsockoptInt(g.Sockets()[0].FD(), unix.SOL_SOCKET, unix.SO_PROTOCOL); err != nil || protocol != unix.IPPROTO_MPTCP {
		t.Skip("this system has no MPTCP")
	}
	want(t, "TCP_NODELAY at least", log.Len() == 0 || !strings.Contains(log.String(), "TCP_NODELAY"), true)
	go serveEcho(g, 0)
	must(t, "it serves", askEcho(dial(t, g)))
}

// inheritedDup is a duplicate of f, as if it had been passed on.
func inheritedDup(t *testing.T, f *os.File, name string) inherited {
	t.Helper()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD, 0)
	must(t, "dup", err)
	i := inherited{fd: fd, name: name}
	want(t, name+" was passed on", i.inspect(), true)
	return i
}

// Several UDP sockets of one name are steered among like a group of our own; without
// the program there is no group.
func TestInheritPackets(t *testing.T) {
	const sockets = 3
	for _, fails := range []bool{false, true} {
		own, err := BindPackets(t.Context(), PacketConfig{Address: "127.0.0.1:0", Sockets: sockets, ReadBuffer: -1, WriteBuffer: -1})
		must(t, "bind", err)
		if !own.Steered() {
			t.Skip("this system does not steer")
		}
		in := new(Inheritance)
		for _, c := range own.Conns() {
			f, err := c.File()
			must(t, "file", err)
			in.left = append(in.left, inheritedDup(t, f, "quic"))
			f.Close()
		}
		addr := own.Addr()
		must(t, "close", own.Close())
		cfg := PacketConfig{ReadBuffer: -1, WriteBuffer: -1, SteerByte: 2}
		if fails {
			cfg.steer = func(int, int, int) error { return unix.EPERM }
			_, err := in.Packets("quic", cfg)
			if err == nil || !strings.Contains(err.Error(), "pass a single one") {
				t.Errorf("without steering: %v", err)
			}
			again, err := BindPackets(t.Context(), PacketConfig{Address: addr.String(), Sockets: 1, ReadBuffer: -1, WriteBuffer: -1})
			must(t, "all were closed", err)
			must(t, "close", again.Close())
			continue
		}
		g, err := in.Packets("quic", cfg)
		must(t, "take", err)
		want(t, "address", g.Addr().String(), addr.String())
		want(t, "steer byte", g.SteerByte(), 2)
		client, err := net.Dial("udp", addr.String())
		must(t, "dial", err)
		for i := range 2 * sockets {
			_, err := client.Write([]byte{0x40, 9, 9, byte(i), 9})
			must(t, "write", err)
			b := make([]byte, 16)
			c := g.Conns()[i%sockets]
			must(t, "deadline", c.SetReadDeadline(time.Now().Add(10*time.Second)))
			n, err := c.Read(b)
			must(t, fmt.Sprint("packet ", i), err)
			want(t, "packet", string(b[:n]), string([]byte{0x40, 9, 9, byte(i), 9}))
		}
		client.Close()
		must(t, "close", g.Close())
	}
}

func dupFile(t *testing.T, s *Socket) *os.File {
	t.Helper()
	fd, err := unix.FcntlInt(uintptr(s.FD()), unix.F_DUPFD_CLOEXEC, 0)
	must(t, "dup", err)
	f := os.NewFile(uintptr(fd), "passed on")
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// Without descriptors the accept loops neither spin nor end nor lose anybody,
// and go on when there are some again (rule S-5).
func TestOutOfDescriptors(t *testing.T) {
	const clients, ceiling = 90, 16
	p := start(t, "scarce", nil)
	address, limit, _ := strings.Cut(p.line(), " ")
	want(t, "ceiling is half of the limit", limit, fmt.Sprint(ceiling))
	conns := make([]net.Conn, clients)
	for i := range conns {
		c, err := net.DialTimeout("tcp", address, 5*time.Second)
		must(t, "dial", err)
		conns[i] = c
		defer c.Close()
	}
	time.Sleep(2500 * time.Millisecond)
	errs := make(chan error, clients)
	for _, c := range conns {
		go func() { errs <- askEcho(c) }()
	}
	for range conns {
		must(t, "client", <-errs)
	}
	_ = p.in.Close()
	var lines, wallMS, cpuMS int64
	_, err := fmt.Sscan(p.line(), &lines, &wallMS, &cpuMS)
	must(t, "report", err)
	if limit := 2 * (wallMS/1000 + 1); lines < 1 || lines > limit {
		t.Errorf("%d log lines in %d ms, want 1 to %d", lines, wallMS, limit)
	}
	if cpuMS > wallMS/2 {
		t.Errorf("%d ms of CPU in %d ms: it spins", cpuMS, wallMS)
	}
	t.Logf("%d lines, %d ms, %d ms CPU", lines, wallMS, cpuMS)
}
