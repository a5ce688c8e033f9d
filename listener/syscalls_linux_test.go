package listener

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// countedEnv names the form of accepting TestCountedServer uses.
const countedEnv = "LISTENER_TEST_COUNTED"

// counted are the calls that could be made for each connection. What Go's
// scheduler does of its own accord (futex, epoll_pwait) is left out.
const counted = "accept,accept4,fcntl,epoll_ctl,getsockname,getpeername,getsockopt,setsockopt,fstat,dup,dup3,shutdown,read,write,close"

// TestSyscallsPerConnection keeps the counts that doc.go tells, by strace. The
// clients are in another process, and the difference between few and many
// connections is taken, so start and end of the process do not count.
func TestSyscallsPerConnection(t *testing.T) {
	for form, perConn := range map[string]map[string]int{
		"raw":      {"accept4": 1, "read": 1, "write": 1, "close": 1},
		"listener": {"accept4": 1, "fcntl": 1, "epoll_ctl": 2, "read": 1, "write": 1, "close": 1},
	} {
		t.Run(form, func(t *testing.T) {
			const few, many = 10, 60
			a, b := callsIn(tracedServer(t, form, few)), callsIn(tracedServer(t, form, many))
			for call := range strings.SplitSeq(counted, ",") {
				got, limit := b[call]-a[call], perConn[call]*(many-few)
				// The runtime makes a few calls of its own, and a loop may find its queue empty in between.
				if slack := (many - few) / 5; got < limit-slack || got > limit+slack {
					t.Errorf("%s: %d for %d connections, want %d for each", call, got, many-few, perConn[call])
				}
			}
			t.Logf("%d connections: %v; %d connections: %v", few, a, many, b)
		})
	}
}

// Calls that fail in between lose nobody and end nothing (rule O-6). strace
// makes the kernel fail them, so no line of ours knows of the test.
func TestInjectedAcceptErrors(t *testing.T) {
	for _, form := range []string{"raw", "listener"} {
		for _, fault := range []string{"EINTR", "ECONNABORTED", "EPROTO", "EMFILE", "ENOBUFS", "EPERM"} {
			t.Run(form+" "+fault, func(t *testing.T) {
				trace := tracedServer(t, form, 30, "-e", "inject=accept4:error="+fault+":when=1+2")
				injected := bytes.Count(trace, []byte("(INJECTED)"))
				if !bytes.Contains(trace, []byte("-1 "+fault)) || injected < 5 || injected > 100 {
					t.Errorf("%d calls failed with %s, want 5 to 100: no fault, or it spins", injected, fault)
				}
			})
		}
	}
}

// An error that says there is no listening socket is told to the caller of
// Accept: waiting would hide it, and trying again would spin.
func TestInjectedFatalErrorEndsAccept(t *testing.T) {
	trace := tracedServer(t, "fatal", 0, "-e", "inject=accept4:error=EINVAL")
	want(t, "calls that failed: Accept's and, in Close, the drain's", bytes.Count(trace, []byte("(INJECTED)")), 2)
}

// Where the kernel has no IPv6 a wildcard is an IPv4 socket.
func TestNoIPv6(t *testing.T) {
	trace := tracedServer(t, "no-ipv6", 3, "-e", "trace=socket", "-e", "inject=socket:error=EAFNOSUPPORT:when=1")
	want(t, "IPv6 was tried and refused", regexp.MustCompile(`socket\(AF_INET6.*EAFNOSUPPORT.*INJECTED`).Match(trace), true)
	want(t, "sockets made after it", bytes.Count(trace, []byte("socket(AF_INET, SOCK_STREAM")), 1)
}

// tracedServer serves n connections in a process under strace, and returns the trace.
func tracedServer(t *testing.T, form string, n int, args ...string) []byte {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("SKIPPED: there is no strace to count calls and inject faults with")
	}
	exe, err := os.Executable()
	must(t, "executable", err)
	file := filepath.Join(t.TempDir(), "trace")
	args = append([]string{"-f", "-qq", "-o", file, "-e", "signal=none", "-e", "trace=" + counted}, args...)
	cmd := exec.CommandContext(t.Context(), strace, append(args, exe, "-test.run=^TestCountedServer$", "-test.count=1")...)
	cmd.Env = append(os.Environ(), countedEnv+"="+form, "GORACE=atexit_sleep_ms=0") // or each race binary rests for a second
	in, err := cmd.StdinPipe()
	must(t, "stdin", err)
	out, err := cmd.StdoutPipe()
	must(t, "stdout", err)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	must(t, "start", cmd.Start())
	lines := bufio.NewReader(out)
	address, err := lines.ReadString('\n')
	if err != nil {
		_ = cmd.Wait()
		t.Skipf("SKIPPED: strace cannot trace here: %s", stderr.String())
	}
	askTraced(t, strings.TrimSpace(address), in, n)
	rest, _ := io.ReadAll(lines)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("traced process: %v\n%s%s", err, rest, stderr.String())
	}
	trace, err := os.ReadFile(file)
	must(t, "trace", err)
	return trace
}

// askTraced queues n clients, lets the server begin, and reads its answers.
func askTraced(t *testing.T, address string, in io.WriteCloser, n int) {
	t.Helper()
	conns := make([]net.Conn, n)
	for i := range conns {
		c, err := net.Dial("tcp", address)
		must(t, "dial", err)
		defer c.Close()
		must(t, "write", second(c.Write([]byte("x"))))
		conns[i] = c
	}
	must(t, "begin", second(fmt.Fprintln(in, n)))
	for _, c := range conns {
		must(t, "deadline", c.SetDeadline(time.Now().Add(20*time.Second)))
		must(t, "answer", second(io.ReadFull(c, make([]byte, 1))))
	}
	_ = in.Close()
}

// callsIn counts the calls of a trace by name.
func callsIn(trace []byte) map[string]int {
	calls := make(map[string]int)
	// "1234  accept4(..." begins a call; "<... accept4 resumed>" ends one counted already.
	for _, m := range regexp.MustCompile(`(?m)^\d+\s+(\w+)\(`).FindAllSubmatch(trace, -1) {
		calls[string(m[1])]++
	}
	return calls
}

// TestCountedServer is the process of tracedServer: it waits until all
// clients are queued and have sent their byte, then serves them.
func TestCountedServer(t *testing.T) {
	form := os.Getenv(countedEnv)
	if form == "" {
		t.Skip("a role of tracedServer")
	}
	cfg := Config{Address: "127.0.0.1:0", Sockets: 1}
	if form == "no-ipv6" {
		cfg.Address = ":0"
		runtime.LockOSThread() // strace counts the calls of each thread
	}
	g, err := Listen(t.Context(), cfg)
	must(t, "Listen", err)
	want(t, "IPv4 only", g.Addr().(*net.TCPAddr).IP.Equal(net.IPv4zero), form == "no-ipv6")
	fmt.Println(g.Addr())
	var n int
	_, err = fmt.Scanln(&n)
	must(t, "number of clients", err)
	serve := map[string]func(*testing.T, *Group){"raw": serveRaw, "listener": serveConn, "fatal": serveFatal, "no-ipv6": serveConn}[form]
	for range max(n, 1) { // "fatal" needs no client
		serve(t, g)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	want(t, "Close owns up that a queue was not drained", g.Close() != nil, form == "fatal")
}

// serveRaw is the life of a short connection in the event loop.
func serveRaw(t *testing.T, g *Group) {
	fd, _, err := g.Sockets()[0].Accept()
	for Classify(err) == ClassRetry || Classify(err) == ClassBackOff {
		fd, _, err = g.Sockets()[0].Accept()
	}
	must(t, "Accept", err)
	b := make([]byte, 8)
	n, err := unix.Read(fd, b)
	must(t, "read", err)
	_, err = unix.Write(fd, b[:n])
	must(t, "write", err)
	closeFD(fd)
}

// serveConn is the same for a user of net.Listener.
func serveConn(t *testing.T, g *Group) {
	c, err := g.Accept()
	must(t, "Accept", err)
	b := make([]byte, 8)
	n, err := c.Read(b)
	must(t, "Read", err)
	if _, ok := c.RemoteAddr().(*net.TCPAddr); !ok || !slices.Equal(b[:n], []byte("x")) {
		t.Fatalf("from %v: %q", c.RemoteAddr(), b[:n])
	}
	_ = c.LocalAddr()
	must(t, "Write", second(c.Write(b[:n])))
	must(t, "Close", c.Close())
}

// serveFatal finds that Accept is over, and says so again.
func serveFatal(t *testing.T, g *Group) {
	for range 2 {
		_, err := g.Accept()
		want(t, "class of Accept's error", Classify(err), ClassFatal)
		want(t, "it is no regular end", errors.Is(err, net.ErrClosed), false)
	}
}
