package listener

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// hoardEnv marks the process of TestHoardingServer.
const hoardEnv = "LISTENER_TEST_HOARD"

// A server keeps every connection until it has no descriptor left. After
// shedAfter those who wait in the queue are turned away, those it has stay, and
// once it has let go it serves as before (rule S-5).
func TestSpareShedsWhenNothingElseHelps(t *testing.T) {
	const clients, mostHeld = 60, 32
	exe, err := os.Executable()
	must(t, "executable", err)
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestHoardingServer$", "-test.count=1")
	cmd.Env = append(os.Environ(), hoardEnv+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, "stdin", err)
	out, err := cmd.StdoutPipe()
	must(t, "stdout", err)
	must(t, "start", cmd.Start())
	lines := bufio.NewReader(out)
	address, err := lines.ReadString('\n')
	must(t, "address", err)
	address = strings.TrimSpace(address)

	ends := make(chan error, clients)
	for range clients {
		c, err := net.DialTimeout("tcp", address, 5*time.Second)
		must(t, "dial", err)
		defer c.Close()
		go func() { ends <- second(c.Read(make([]byte, 1))) }()
	}
	// The server holds fewer than its descriptors; all others are told.
	for range clients - mostHeld {
		select {
		case err := <-ends:
			want(t, "a client in the queue is turned away", err != nil, true)
		case <-time.After(20 * time.Second):
			t.Fatal("clients hang in the queue")
		}
	}
	must(t, "let go", second(fmt.Fprintln(in)))
	for i := mostHeld; i > 0; i-- { // those held, and whoever was shed beyond
		<-ends
	}
	c, err := net.DialTimeout("tcp", address, 5*time.Second)
	must(t, "dial afterwards", err)
	must(t, "client afterwards", askEcho(c))
	_ = in.Close()
	report, _ := io.ReadAll(lines)
	if err := cmd.Wait(); err != nil {
		t.Fatalf("server: %v\n%s", err, report)
	}
}

// While one loop sheds, the others leave the descriptor it gave up alone.
func TestNobodyAcceptsWhileSpareIsGivenUp(t *testing.T) {
	g := listen(t, Config{Sockets: 1, ErrorLog: slog.New(slog.DiscardHandler)})
	must(t, "start the loops", g.startAccepting())
	g.spare.shedding.Store(true)
	dial(t, g)
	time.Sleep(20 * time.Millisecond) // a loop that did not look would have accepted by now
	want(t, "accepted meanwhile", g.Sockets()[0].Accepted(), 0)
	g.spare.shedding.Store(false)
	c, err := g.Accept()
	must(t, "Accept afterwards", err)
	_ = c.Close()
}

// A spare that was taken by somebody else is reserved again, unless it is closed.
func TestSpareRegains(t *testing.T) {
	p := NewSpare()
	want(t, "reserved at first", p.fd >= 0, true)
	p.release()
	p.Regain()
	want(t, "reserved again", p.fd >= 0, true)
	held := p.fd
	p.Regain()
	want(t, "not twice", p.fd, held)
	must(t, "Close", p.Close())
	must(t, "Close twice", p.Close())
	p.Regain()
	want(t, "closed for good", p.fd, -1)
	g := listen(t, Config{Sockets: 1})
	dial(t, g)
	want(t, "a closed spare sheds nobody", p.Shed(g.Sockets()[0]), 0)
}

// TestHoardingServer is the process of TestSpareShedsWhenNothingElseHelps.
func TestHoardingServer(t *testing.T) {
	if os.Getenv(hoardEnv) == "" {
		t.Skip("a role of TestSpareShedsWhenNothingElseHelps")
	}
	lim := unix.Rlimit{Cur: 32, Max: 32}
	must(t, "setrlimit", unix.Setrlimit(unix.RLIMIT_NOFILE, &lim))
	var log lockedBuffer
	begin := time.Now()
	g, err := Listen(t.Context(), Config{
		Address: "127.0.0.1:0", Sockets: 2, shedAfter: 1500 * time.Millisecond,
		ErrorLog: slog.New(slog.NewTextHandler(&log, nil)),
	})
	must(t, "Listen", err)
	var h hoard
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			c, err := g.Accept()
			if err != nil {
				return
			}
			h.take(c)
		}
	}()
	fmt.Println(g.Addr())
	in := bufio.NewReader(os.Stdin)
	_, err = in.ReadString('\n')
	must(t, "wait for release", err)
	h.release()
	_, _ = io.Copy(io.Discard, in)
	must(t, "Close", g.Close())
	<-served
	limit := 2 * (int(time.Since(begin)/time.Second) + 1)
	if n := strings.Count(log.String(), "\n"); n < 1 || n > limit {
		t.Errorf("%d log lines, want 1 to %d:\n%s", n, limit, log.String())
	}
	want(t, "the log says that clients were turned away", regexp.MustCompile(`shed=[1-9]`).MatchString(log.String()), true)
}

// hoard keeps connections until release, and echoes from then on.
type hoard struct {
	mu sync.Mutex
	// mu guards the following.
	held     []net.Conn
	released bool
}

func (h *hoard) take(c net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.released {
		go echoOnce(c)
		return
	}
	h.held = append(h.held, c)
}

func (h *hoard) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.released = true
	for _, c := range h.held {
		_ = c.Close()
	}
}

// lockedBuffer is a bytes.Buffer for several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
