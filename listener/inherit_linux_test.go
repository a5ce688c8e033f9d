package listener

import (
	"fmt"
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
		{"two", "2", "77", "a:b", "[{3 a} {4 b}] <nil>"},
		{"no names", "1", "77", "", "[{3 }] <nil>"},
		{"no pid", "1", "", "", "[{3 }] <nil>"},
		{"for another process", "2", "78", "", "[] <nil>"},
		{"odd pid", "2", "x", "", "error"},
		{"odd number", "two", "77", "", "error"},
		{"negative", "-1", "77", "", "error"},
		{"too many", "1000000000", "77", "", "error"},
		{"names do not match", "2", "77", "a", "error"},
	} {
		env := map[string]string{envFDs: c.fds, envPID: c.pid, envNames: c.names}
		fds, err := inheritedFDs(func(k string) (string, bool) { return env[k], env[k] != "" }, 77)
		got := fmt.Sprint(fds, err)
		if err != nil {
			got = "error"
		}
		want(t, c.name, got, c.want)
	}
}

// A process takes over a group of two, a socket of another name, and refuses
// what is no listening socket.
func TestInherited(t *testing.T) {
	g := listen(t, Config{Sockets: 2})
	single := listen(t, Config{Address: "[::1]:0", Sockets: 1})
	odd, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(t, "udp", err)
	defer odd.Close()
	oddFile, err := odd.(*net.UDPConn).File()
	must(t, "udp file", err)
	defer oddFile.Close()

	files := []*os.File{dupFile(t, g.Sockets()[0]), dupFile(t, single.Sockets()[0]), oddFile, dupFile(t, g.Sockets()[1])}
	p := start(t, "inherit", files, envFDs+"=4", envNames+"=web:admin:quic:web")
	errLine := p.line()
	if !strings.Contains(errLine, "quic") || !strings.Contains(errLine, "descriptor 5") || strings.Contains(errLine, "web") {
		t.Errorf("error names the wrong thing: %q", errLine)
	}
	want(t, "groups", p.line(), "groups: 2")
	want(t, "first", p.line(), fmt.Sprint("web ", g.Addr(), " 2"))
	want(t, "second", p.line(), fmt.Sprint("admin ", single.Addr(), " 1"))
	want(t, "adopted once only", p.line(), "again: 0 <nil>")

	// From here on the successor alone accepts.
	for _, g := range []*Group{g, single} {
		g.Share()
		must(t, "Close", g.Close())
		for range 10 {
			must(t, "client of the successor", askEcho(dial(t, g)))
		}
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
