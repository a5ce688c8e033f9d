package handler

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// gate is a sink that writes only while it is open.
type gate struct {
	open chan struct{}
	mu   sync.Mutex
	log  bytes.Buffer
}

func (g *gate) Write(b []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.log.Write(b)
}

// line is one event, as the queue sees it.
var line = []byte("0123456789\n")

func TestAuditBounds(t *testing.T) { synctest.Test(t, testAuditBounds) }

func testAuditBounds(t *testing.T) {
	for _, o := range []AuditOptions{
		{MaxEvents: 10, MaxBytes: -1},
		{MaxEvents: -1, MaxBytes: 10 * len(line)},
	} {
		g := &gate{open: make(chan struct{})}
		o.Sink = g
		q := newAuditQueue(o)
		q.start()
		for range 1000 {
			q.add(t.Context(), line) // the sink is stuck, and nothing waits
		}
		servetest.Want(t, "dropped", q.stats().Dropped, 990)
		close(g.open)
		servetest.Must(t, "shutdown", q.shutdown(t.Context()))
		servetest.Want(t, "written", q.stats(), AuditStats{Written: 10, Dropped: 990})
		servetest.Want(t, "whole lines", g.log.String(), strings.Repeat(string(line), 10))
		q.add(t.Context(), line)
		servetest.Want(t, "after the end", q.stats().Dropped, 991)
	}
}

func TestAuditDefaultBounds(t *testing.T) {
	q := newAuditQueue(AuditOptions{Sink: io.Discard})
	for range defaultAuditEvents + 5 { // nothing drains it
		q.add(t.Context(), line)
	}
	servetest.Want(t, "dropped", q.stats().Dropped, 5)
	q = newAuditQueue(AuditOptions{Sink: io.Discard})
	for range 5 {
		q.add(t.Context(), make([]byte, defaultAuditBytes/4))
	}
	servetest.Want(t, "dropped", q.stats().Dropped, 1)
	q.add(t.Context(), make([]byte, defaultAuditBytes+1))
	servetest.Want(t, "larger than all", q.stats().Dropped, 2)
}

func TestAuditBlocking(t *testing.T) { synctest.Test(t, testAuditBlocking) }

func testAuditBlocking(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	q := newAuditQueue(AuditOptions{Sink: g, Mode: AuditBlocking, MaxEvents: 2})
	q.start()
	q.add(t.Context(), line)
	q.add(t.Context(), line)
	began := time.Now()
	q.add(t.Context(), line)
	servetest.Want(t, "the wait is bounded", time.Since(began), defaultAuditTimeout)
	servetest.Want(t, "then it is dropped", q.stats().Dropped, 1)

	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Second, cancel)
	began = time.Now()
	q.add(ctx, line)
	servetest.Want(t, "the client leaves", time.Since(began), time.Second)
	began = time.Now()
	q.add(t.Context(), make([]byte, defaultAuditBytes+1))
	servetest.Want(t, "what never fits does not wait", time.Since(began), 0)

	time.AfterFunc(time.Second, func() { close(g.open) })
	for range 100 {
		q.add(t.Context(), line)
	}
	servetest.Want(t, "there is room", time.Since(began), time.Second)
	servetest.Must(t, "shutdown", q.shutdown(t.Context()))
	servetest.Want(t, "counts", q.stats(), AuditStats{Written: 102, Dropped: 3})
}

func TestAuditShutdown(t *testing.T) { synctest.Test(t, testAuditShutdown) }

func testAuditShutdown(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	q := newAuditQueue(AuditOptions{Sink: g, Mode: AuditBlocking, MaxEvents: 1, BlockTimeout: -1})
	q.start()
	q.add(t.Context(), line)
	waits := make(chan struct{})
	go func() {
		q.add(t.Context(), line)
		close(waits)
	}()
	synctest.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	servetest.WantErr(t, "a stuck sink", q.shutdown(ctx), context.DeadlineExceeded)
	<-waits // nobody waits for a queue that takes nothing more
	close(g.open)
	servetest.Must(t, "again", q.shutdown(t.Context()))
	servetest.Must(t, "and again", q.shutdown(t.Context()))
	servetest.Want(t, "counts", q.stats(), AuditStats{Written: 1, Dropped: 1})
}

// failsOnce is a sink that takes n bytes, then fails once.
type failsOnce struct {
	log bytes.Buffer
	n   int
}

func (f *failsOnce) Write(b []byte) (int, error) {
	if f.n >= 0 {
		n := min(f.n, len(b))
		f.log.Write(b[:n])
		f.n = -1
		return n, errors.New("disk full")
	}
	return f.log.Write(b)
}

func TestAuditTornLine(t *testing.T) {
	for n, want := range map[int]string{
		0:         "0123456789\n",
		4:         "0123\n0123456789\n", // the next line begins at the start of one
		len(line): "0123456789\n0123456789\n",
	} {
		f := &failsOnce{n: n}
		q := newAuditQueue(AuditOptions{Sink: f})
		q.start()
		q.add(t.Context(), line)
		servetest.WantSoon(t, "the failure is counted", func() bool { return q.stats().Failed == 1 })
		q.add(t.Context(), line)
		servetest.Must(t, "shutdown", q.shutdown(t.Context()))
		servetest.Want(t, "log", f.log.String(), want)
		servetest.Want(t, "counts", q.stats(), AuditStats{Written: 1, Failed: 1})
	}
}

// Rule O-4: a full disk, a pipe that nobody reads and one without a reader hold no
// request up, and fail none.
func TestAuditSinksThatFail(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("needs /dev/full (%s): %v", runtime.GOOS, err)
	}
	defer full.Close()
	deadReader, dead, err := os.Pipe()
	servetest.Must(t, "pipe", err)
	defer dead.Close()
	servetest.Must(t, "close", deadReader.Close())
	stuckReader, stuck, err := os.Pipe()
	servetest.Must(t, "pipe", err)
	defer stuckReader.Close()
	for name, sink := range map[string]*os.File{"full disk": full, "dead pipe": dead, "stuck pipe": stuck} {
		t.Run(name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			a := NewAudit(AuditOptions{Sink: sink, MaxEvents: 1000})
			h := NewChain(plainOK, a)
			r := request("GET", "/")
			for range 2000 {
				w := newStubWriter()
				h.ServeHTTP(w, r)
				servetest.Want(t, "answered", w.bytes, 2)
			}
			if sink != stuck {
				servetest.Must(t, "shutdown", a.Shutdown(t.Context()))
				servetest.Want(t, "nothing is written", a.Stats().Written, 0)
				servetest.Want(t, "all are counted", a.Stats().Failed+a.Stats().Dropped, 4000)
				return
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			servetest.WantErr(t, "shutdown", a.Shutdown(ended), context.Canceled)
			servetest.Want(t, "dropped", a.Stats().Dropped > 0, true)
			servetest.Must(t, "close", stuck.Close()) // the owner frees the goroutine
			servetest.Must(t, "shutdown", a.Shutdown(t.Context()))
		})
	}
}

func TestAuditConcurrent(t *testing.T) {
	var log bytes.Buffer
	q := newAuditQueue(AuditOptions{Sink: &log, Mode: AuditBlocking, MaxEvents: 10})
	q.start()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				q.add(t.Context(), line)
			}
		})
	}
	all.Wait()
	servetest.Must(t, "shutdown", q.shutdown(t.Context()))
	servetest.Want(t, "written", q.stats(), AuditStats{Written: 4000})
	servetest.Want(t, "whole lines", log.String(), strings.Repeat(string(line), 4000))
}
