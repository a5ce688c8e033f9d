package servetest

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// settle is how long what a test started may take to end. Only a leak waits it out.
const settle = 5 * time.Second

// Main runs the tests of a package and fails when goroutines or descriptors
// are left over:
//
//	func TestMain(m *testing.M) { servetest.Main(m) }
//
// It looks only after a run without failures: a failed test ends early and leaves
// things behind. It does not return.
func Main(m *testing.M) {
	before := takeInventory()
	if before.files == nil {
		fmt.Fprintln(os.Stderr, "SKIPPED: no /proc/self/fd here, so descriptors are not checked for leaks")
	}
	code := m.Run()
	if code == 0 && !fuzzing() {
		if left := before.leftOver(settle); left != "" {
			fmt.Fprint(os.Stderr, "FAIL: left over after all tests:\n", left)
			code = 1
		}
	}
	os.Exit(code)
}

// CheckLeaks fails the test when goroutines or descriptors opened after the
// call are left at its end. Call it first, so that it looks last. Not for
// parallel tests: it would see what the others hold.
func CheckLeaks(tb testing.TB) {
	tb.Helper()
	before := takeInventory()
	tb.Cleanup(func() {
		if tb.Failed() {
			return
		}
		if left := before.leftOver(settle); left != "" {
			tb.Errorf("left over after %s:\n%s", tb.Name(), left)
		}
	})
}

// fuzzing tells whether this process is a fuzzing coordinator or worker: its
// pipes and goroutines are the testing package's own.
func fuzzing() bool {
	for _, name := range []string{"test.fuzz", "test.fuzzworker"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != f.DefValue {
			return true
		}
	}
	return false
}

// An inventory is what the process held at one moment.
type inventory struct {
	goroutines map[int]string // id to stack
	files      map[int]string // descriptor to what it is
}

func takeInventory() inventory {
	warmPoller()
	return inventory{goroutines(), descriptors()}
}

// warmPoller makes the runtime open its own epoll and eventfd, which it does at
// the first use of the network and keeps.
func warmPoller() {
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close()
	}
}

// leftOver describes what is held now and was not before, once it has had time
// to end. Empty: nothing.
func (before inventory) leftOver(limit time.Duration) string {
	var left string
	soon(limit, func() bool {
		http.DefaultClient.CloseIdleConnections()
		left = before.compare()
		return left == ""
	})
	return left
}

func (before inventory) compare() string {
	var b strings.Builder
	now := goroutines()
	for _, id := range sortedKeys(now) {
		if _, old := before.goroutines[id]; !old {
			fmt.Fprintf(&b, "%s\n\n", now[id])
		}
	}
	files := descriptors()
	for _, fd := range sortedKeys(files) {
		// A number passed on to another file is a leak too.
		if was, old := before.files[fd]; !old || was != files[fd] {
			fmt.Fprintf(&b, "descriptor %d: %s\n", fd, files[fd])
		}
	}
	return b.String()
}

func sortedKeys(m map[int]string) []int {
	keys := make([]int, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// goroutines returns the stacks of all goroutines but the caller's and those
// that the testing package and the runtime keep.
func goroutines() map[int]string {
	buf := make([]byte, 64<<10)
	n := runtime.Stack(buf, true)
	for n == len(buf) {
		buf = make([]byte, 2*len(buf))
		n = runtime.Stack(buf, true)
	}
	stacks := strings.Split(string(buf[:n]), "\n\n")
	out := make(map[int]string, len(stacks))
	for _, stack := range stacks[1:] { // the first is the caller's
		head, body, _ := strings.Cut(strings.TrimSpace(stack), "\n")
		fields := strings.Fields(head) // "goroutine 7 [chan receive]:"
		if len(fields) < 2 || kept(body) {
			continue
		}
		if id, err := strconv.Atoi(fields[1]); err == nil {
			out[id] = head + "\n" + body
		}
	}
	return out
}

// kept tells whether a goroutine outlives every test by design.
func kept(body string) bool {
	for _, f := range []string{
		"testing.(*M).", "testing.RunTests", "testing.(*T).Run(", "testing.tRunner.func", "testing.runFuzzing",
		"runtime.ensureSigM", "os/signal.loop", "os/signal.signal_recv",
	} {
		if strings.Contains(body, f) {
			return true
		}
	}
	return false
}

// descriptors returns the open descriptors of the process, by number. Where
// the system does not tell (no /proc), there are none to compare.
func descriptors() map[int]string {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	out := make(map[int]string, len(entries))
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// The descriptor that ReadDir used is closed by now, and has no target.
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			out[fd] = target
		}
	}
	return out
}
