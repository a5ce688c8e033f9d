package listener

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// childEnv names the role a test binary started by a test plays.
const childEnv = "LISTENER_TEST_CHILD"

func TestMain(m *testing.M) {
	if role := os.Getenv(childEnv); role != "" {
		child(role)
		return
	}
	fds := openDescriptors()
	code := m.Run()
	if code == 0 && !fuzzing() {
		code = leaks(fds)
	}
	os.Exit(code)
}

// fuzzing tells whether this process coordinates or runs fuzzing: its pipes and
// goroutines are the testing package's own.
func fuzzing() bool {
	for _, name := range []string{"test.fuzz", "test.fuzzworker"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != f.DefValue {
			return true
		}
	}
	return false
}

// leaks reports goroutines and descriptors that outlive the tests.
func leaks(fdsBefore map[string]string) int {
	var stacks string
	for range 100 {
		buf := make([]byte, 1<<20)
		stacks = string(buf[:runtime.Stack(buf, true)])
		if strings.Count(stacks, "\ngoroutine ") == 0 && len(newDescriptors(fdsBefore)) == 0 {
			return 0
		}
		time.Sleep(20 * time.Millisecond)
	}
	fmt.Fprintf(os.Stderr, "leaked descriptors: %v\ngoroutines:\n%s\n", newDescriptors(fdsBefore), stacks)
	return 1
}

// openDescriptors maps each open descriptor to what it is; empty where there is no /proc.
func openDescriptors() map[string]string {
	fds := make(map[string]string)
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		if target, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil {
			fds[e.Name()] = target
		}
	}
	return fds
}

// newDescriptors are the sockets that were not there before.
func newDescriptors(before map[string]string) (leaked []string) {
	for fd, target := range openDescriptors() {
		if strings.HasPrefix(target, "socket:") && before[fd] != target {
			leaked = append(leaked, fd+" "+target)
		}
	}
	return leaked
}

// want fails the test unless got equals want.
func want[T comparable](t *testing.T, why string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", why, got, want)
	}
}

// must fails the test at once on an error.
func must(t *testing.T, why string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", why, err)
	}
}

// listen makes a group that ends with the test.
func listen(t *testing.T, cfg Config) *Group {
	t.Helper()
	if cfg.Address == "" {
		cfg.Address = "127.0.0.1:0"
	}
	g, err := Listen(t.Context(), cfg)
	must(t, "Listen", err)
	t.Cleanup(func() { _ = g.Close() })
	return g
}

// dial connects to a group.
func dial(t *testing.T, g *Group) net.Conn {
	t.Helper()
	c, err := dialAddr(g.Addr(), 5*time.Second)
	must(t, "dial", err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func dialAddr(a net.Addr, timeout time.Duration) (net.Conn, error) {
	return net.DialTimeout(a.Network(), a.String(), timeout)
}

// serveEcho answers each connection of a group with the byte it sends, and
// closes it. It ends when Accept does, and returns how many it served.
func serveEcho(g *Group, pause time.Duration) (served int, err error) {
	for {
		c, err := g.Accept()
		if errors.Is(err, net.ErrClosed) {
			return served, nil
		}
		if err != nil {
			return served, err
		}
		served++
		go echoOnce(c)
		time.Sleep(pause)
	}
}

func echoOnce(c net.Conn) {
	defer c.Close()
	b := make([]byte, 1)
	if _, err := io.ReadFull(c, b); err == nil {
		_, _ = c.Write(b)
	}
}

// askEcho is the client of echoOnce on a connection that stands.
func askEcho(c net.Conn) error {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Write([]byte{'x'}); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if string(b) != "x" {
		return fmt.Errorf("answer %q, not served", b)
	}
	return nil
}
