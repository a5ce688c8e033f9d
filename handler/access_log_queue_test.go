package handler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// Rule O-4: whatever becomes of the log's place, no request waits or fails.

// logRequest answers one by a chain with l, and fails the test if it is not whole.
func logRequest(tb testing.TB, l *AccessLog) {
	tb.Helper()
	servetest.Want(tb, "the request is served", get(NewChain(NotFound{}, l), "/").Code, http.StatusNotFound)
}

// stuck is a Writer that hangs until it is freed.
type stuck struct {
	entered chan struct{}
	free    chan struct{}
}

func newStuck() *stuck { return &stuck{make(chan struct{}, 100), make(chan struct{})} }

func (s *stuck) Write(p []byte) (int, error) {
	s.entered <- struct{}{}
	<-s.free
	return len(p), nil
}

func TestAccessLogWriterHangs(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts AccessLogOptions
	}{
		{"bytes", AccessLogOptions{QueueBytes: 2000}},
		{"lines", AccessLogOptions{QueueLines: 10}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newStuck()
			tt.opts.Writer, tt.opts.FlushInterval = w, -1
			l := newAccessLog(t, tt.opts)
			logRequest(t, l)
			<-w.entered
			for range 99 {
				logRequest(t, l)
			}
			s := l.Stats()
			servetest.Want(t, "some are dropped, the bound is kept", s.Dropped > 80 && s.Dropped < 100 && s.Queued <= 2500, true)
			close(w.free)
			closeLog(t, l)
			s = l.Stats()
			servetest.Want(t, "each line is counted once", s.Written+s.Dropped, 100)
			servetest.Want(t, "nothing waits", s.Queued, 0)
			logRequest(t, l)
			servetest.Want(t, "after Close lines are dropped", l.Stats().Dropped, s.Dropped+1)
		})
	}
}

// A stop does not wait for a disk that hangs.
func TestAccessLogCloseDeadline(t *testing.T) { synctest.Test(t, testAccessLogCloseDeadline) }

func testAccessLogCloseDeadline(t *testing.T) {
	w := newStuck()
	l, err := NewAccessLog(AccessLogOptions{Writer: w, ErrorLog: slog.New(slog.DiscardHandler)})
	servetest.Must(t, "access log", err)
	logRequest(t, l)
	<-w.entered
	for range 3 {
		logRequest(t, l)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	start := time.Now()
	servetest.WantErr(t, "close", l.Close(ctx), context.DeadlineExceeded)
	servetest.Want(t, "after", time.Since(start), 5*time.Second)
	servetest.Want(t, "what waited is dropped", l.Stats().Dropped, 3)
	close(w.free)
	servetest.WantErr(t, "a second close, when it hangs no more", l.Close(t.Context()), nil)
	servetest.Want(t, "what hung is written", l.Stats(), AccessLogStats{Written: 1, Dropped: 3})
}

// Lines gather for the interval and leave in one write; Close does not wait for it.
func TestAccessLogGathers(t *testing.T) { synctest.Test(t, testAccessLogGathers) }

func testAccessLogGathers(t *testing.T) {
	w := newStuck()
	close(w.free)
	l, err := NewAccessLog(AccessLogOptions{Writer: w})
	servetest.Must(t, "access log", err)
	start := time.Now()
	for range 5 {
		logRequest(t, l)
	}
	<-w.entered
	servetest.Want(t, "after", time.Since(start), defaultLogFlush)
	synctest.Wait()
	servetest.Want(t, "lines in one write", l.Stats().Written, 5)
	logRequest(t, l)
	start = time.Now()
	servetest.WantErr(t, "close", l.Close(t.Context()), nil)
	servetest.Want(t, "at once", time.Since(start), 0)
	servetest.Want(t, "lines", l.Stats().Written, 6)
}

// flaky fails while broken, after the bytes it takes.
type flaky struct {
	mu     sync.Mutex
	takes  int
	broken bool
	got    bytes.Buffer
}

func (f *flaky) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken {
		n := min(f.takes, len(p))
		f.takes -= n
		f.got.Write(p[:n])
		return n, errors.New("no space left")
	}
	return f.got.Write(p)
}

// A line that was cut by a full disk is ended before the next.
func TestAccessLogTornLine(t *testing.T) {
	w := &flaky{broken: true, takes: 10}
	var errorLog lines
	l := newAccessLog(t, AccessLogOptions{Writer: w, FlushInterval: -1, ErrorLog: slog.New(slog.NewTextHandler(&errorLog, nil))})
	for i := range 3 {
		logRequest(t, l)
		servetest.WantSoon(t, "lost", func() bool { return l.Stats().Dropped == uint64(i+1) })
	}
	w.mu.Lock()
	w.broken = false
	w.mu.Unlock()
	logRequest(t, l)
	closeLog(t, l)
	got := strings.Split(w.got.String(), "\n")
	servetest.Want(t, "lines", len(got), 3)
	servetest.Want(t, "the torn one", got[0], `{"time":"2`)
	servetest.Want(t, "the next is whole", strings.HasSuffix(got[1], "}"), true)
	servetest.Want(t, "stats", l.Stats(), AccessLogStats{Written: 1, Dropped: 3, Errors: 3})
	servetest.Want(t, "the loss is told at once, and at the end", strings.Count(errorLog.String(), "\n"), 2)
	servetest.Want(t, "with the reason", strings.Contains(errorLog.String(), "no space left"), true)
}

func TestAccessLogDiskFull(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	l := newAccessLog(t, AccessLogOptions{Path: "/dev/full", FlushInterval: -1})
	for range 50 {
		logRequest(t, l)
	}
	closeLog(t, l)
	s := l.Stats()
	servetest.Want(t, "all are lost and counted", s.Dropped, 50)
	servetest.Want(t, "none is written", s.Written, 0)
}

func TestAccessLogDeadPipe(t *testing.T) {
	r, w, err := os.Pipe()
	servetest.Must(t, "pipe", err)
	defer w.Close()
	r.Close()
	l := newAccessLog(t, AccessLogOptions{Writer: w, FlushInterval: -1})
	logRequest(t, l)
	closeLog(t, l)
	servetest.Want(t, "lost and counted", l.Stats(), AccessLogStats{Dropped: 1, Errors: 1})
}

// A pipe nobody reads holds up neither requests nor the stop.
func TestAccessLogFullPipe(t *testing.T) {
	r, w, err := os.Pipe()
	servetest.Must(t, "pipe", err)
	defer w.Close()
	defer r.Close()
	l := newAccessLog(t, AccessLogOptions{Writer: w, FlushInterval: -1, QueueBytes: 16 << 10})
	for range 2000 {
		logRequest(t, l)
	}
	servetest.WantSoon(t, "the pipe is full", func() bool { return l.Stats().Dropped > 0 || enqueue(t, l) })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	servetest.WantErr(t, "close", l.Close(ctx), context.DeadlineExceeded)
	servetest.WantErr(t, "the write was ended", l.Close(t.Context()), nil)
}

// enqueue makes more lines; false, for a loop.
func enqueue(tb testing.TB, l *AccessLog) bool {
	for range 100 {
		logRequest(tb, l)
	}
	return false
}

// Standard output that is a dead pipe does not end the process by SIGPIPE.
func TestAccessLogDeadStdout(t *testing.T) {
	if os.Getenv("ACCESS_LOG_CHILD") != "" {
		l := newAccessLog(t, AccessLogOptions{Path: "-", FlushInterval: -1})
		logRequest(t, l)
		closeLog(t, l)
		fmt.Fprintln(os.Stderr, "alive", l.Stats().Errors)
		os.Exit(0)
	}
	if runtime.GOOS != "linux" {
		t.Skip("standard output is written directly here")
	}
	r, w, err := os.Pipe()
	servetest.Must(t, "pipe", err)
	r.Close()
	var stderr bytes.Buffer
	child := exec.Command(os.Args[0], "-test.run=^TestAccessLogDeadStdout$")
	child.Env = append(os.Environ(), "ACCESS_LOG_CHILD=1")
	child.Stdout, child.Stderr = w, &stderr
	err = child.Run()
	w.Close()
	servetest.WantErr(t, "the child's end", err, nil)
	servetest.Want(t, "it lived", stderr.String(), "alive 1\n")
}

func TestAccessLogReopen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "access.log")
	servetest.Must(t, "a file that is there", os.WriteFile(path, []byte("before\n"), 0o600))
	l := newAccessLog(t, AccessLogOptions{Path: path, FlushInterval: -1})
	logRequest(t, l)
	servetest.WantSoon(t, "written", func() bool { return l.Stats().Written == 1 })
	servetest.Must(t, "rename", os.Rename(path, path+".1"))
	logRequest(t, l)
	servetest.WantSoon(t, "written", func() bool { return l.Stats().Written == 2 })
	servetest.Want(t, "appended, and still the renamed file's", fileLines(t, path+".1"), 3)
	servetest.WantErr(t, "reopen", l.Reopen(), nil)
	servetest.WantErr(t, "and again, before a line came", l.Reopen(), nil)
	logRequest(t, l)
	closeLog(t, l)
	servetest.Want(t, "the new file", fileLines(t, path), 1)
	servetest.Want(t, "the old file", fileLines(t, path+".1"), 3)
	servetest.WantErr(t, "after Close", l.Reopen(), errLogClosed)
}

// A place that is gone leaves the log at the file it has.
func TestAccessLogReopenFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	servetest.Must(t, "mkdir", os.Mkdir(dir, 0o700))
	l := newAccessLog(t, AccessLogOptions{Path: filepath.Join(dir, "access.log"), FlushInterval: -1})
	servetest.Must(t, "rename", os.Rename(dir, dir+"2"))
	servetest.WantErr(t, "reopen", l.Reopen(), os.ErrNotExist)
	logRequest(t, l)
	closeLog(t, l)
	servetest.Want(t, "the line is in the old file", fileLines(t, filepath.Join(dir+"2", "access.log")), 1)
}

func TestNewAccessLogRefuses(t *testing.T) {
	_, err := NewAccessLog(AccessLogOptions{})
	servetest.WantErr(t, "no place", err, errNoLogPlace)
	_, err = NewAccessLog(AccessLogOptions{Path: filepath.Join(t.TempDir(), "none", "access.log")})
	servetest.WantErr(t, "no folder", err, os.ErrNotExist)
	servetest.WantErr(t, "a Writer's Reopen", newAccessLog(t, AccessLogOptions{Writer: io.Discard}).Reopen(), nil)
}

// Many requests at once: each line is whole and counted once, none comes twice.
func TestAccessLogConcurrent(t *testing.T) {
	var out lines
	l := newAccessLog(t, AccessLogOptions{Writer: &out, FlushInterval: time.Millisecond})
	chain := NewChain(NotFound{}, NewRequestID(RequestIDOptions{}), l)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				get(chain, "/")
			}
		})
	}
	wg.Wait()
	closeLog(t, l)
	seen := make(map[string]bool)
	for line := range strings.Lines(out.String()) {
		if seen[line] || !strings.HasPrefix(line, `{"time":`) || !strings.HasSuffix(line, "}\n") {
			t.Fatalf("line %q: twice, or torn", line)
		}
		seen[line] = true
	}
	servetest.Want(t, "lines", len(seen), 4000)
	servetest.Want(t, "stats", l.Stats(), AccessLogStats{Written: 4000})
}

func fileLines(tb testing.TB, path string) int {
	tb.Helper()
	b, err := os.ReadFile(path)
	servetest.Must(tb, "read", err)
	return bytes.Count(b, []byte("\n"))
}
