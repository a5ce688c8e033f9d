package h1

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// form is one of the two ways a host drives the engine.
type form struct {
	name     string
	portable bool
}

var forms = []form{{"loop", false}, {"portable", true}}

// script runs f in a bubble of fake time, once over each form of host.
func script(t *testing.T, name string, f func(t *testing.T, form form)) {
	t.Helper()
	for _, fm := range forms {
		t.Run(name+"/"+fm.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, fm) })
		})
	}
}

// peer is a client that speaks bytes, and reads answers with net/http's
// parser: a codec that is not ours.
type peer struct {
	t    *testing.T
	h    *memHost
	cfg  *Config
	log  *logBuffer
	read int // of h.out
}

// logBuffer is an error log that a test can look at.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func testConfig(h http.Handler) (Config, *logBuffer) {
	log := new(logBuffer)
	return Config{
		Handler:  h,
		Date:     new(semantics.DateCache),
		ErrorLog: slog.New(slog.NewTextHandler(log, nil)),
		Counters: new(Counters),
	}, log
}

// dial connects to handler.
func dial(t *testing.T, fm form, handler http.HandlerFunc) *peer {
	cfg, log := testConfig(handler)
	return dialConfig(t, fm, Complete(cfg), log)
}

func dialConfig(t *testing.T, fm form, cfg *Config, log *logBuffer) *peer {
	t.Helper()
	h := newMemHost(fm.portable)
	p := &peer{t: t, h: h, cfg: cfg, log: log}
	h.serve(NewConn(cfg, h, Attachment{Context: context.Background()}))
	t.Cleanup(func() { h.shutdown(t) })
	return p
}

// write sends s in one segment.
func (p *peer) write(s string) {
	p.h.mu.Lock()
	if s != "" {
		p.h.in = append(p.h.in, []byte(s))
	}
	p.h.pending |= edgeReadable
	p.h.cond.Broadcast()
	p.h.mu.Unlock()
}

// got returns what came since the last look, once everything has settled.
func (p *peer) got() string {
	synctest.Wait()
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	s := string(p.h.out[p.read:])
	p.read = len(p.h.out)
	return s
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body string
	rest string // what came behind it
}

// next reads the next answer of s with net/http's parser.
func (p *peer) next(why, method, s string) answer {
	p.t.Helper()
	br := bufio.NewReader(strings.NewReader(s))
	resp, err := http.ReadResponse(br, &http.Request{Method: method})
	if err != nil {
		p.t.Fatalf("%s: got %q, want an answer (%v)", why, s, err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatalf("%s: body of %q: %v", why, s, err)
	}
	rest, _ := io.ReadAll(br)
	return answer{resp, string(body), string(rest)}
}

// want reads one answer to a GET, and nothing behind it.
func (p *peer) want(why string, status int, body string) answer {
	p.t.Helper()
	return p.wantFor(why, http.MethodGet, status, body)
}

func (p *peer) wantFor(why, method string, status int, body string) answer {
	p.t.Helper()
	a := p.next(why, method, p.got())
	if a.StatusCode != status || a.body != body {
		p.t.Fatalf("%s: got %d %q, want %d %q", why, a.StatusCode, a.body, status, body)
	}
	if a.rest != "" {
		p.t.Fatalf("%s: got %q behind the answer, want nothing", why, a.rest)
	}
	return a
}

// wantRefused reads one error answer that closes.
func (p *peer) wantRefused(why string, status int) {
	p.t.Helper()
	a := p.next(why, http.MethodGet, p.got())
	if a.StatusCode != status {
		p.t.Fatalf("%s: got %d, want %d", why, a.StatusCode, status)
	}
	if !a.Close {
		p.t.Errorf("%s: got no Connection: close", why)
	}
	if a.rest != "" {
		p.t.Errorf("%s: got %q behind the answer, want nothing", why, a.rest)
	}
	p.h.mu.Lock()
	fin, done := p.h.fin, p.h.done
	p.h.mu.Unlock()
	if !fin && !done {
		p.t.Errorf("%s: neither FIN nor the end of the connection behind the answer", why)
	}
	p.write("GET /canary HTTP/1.1\r\nHost: a\r\n\r\n")
	if s := p.got(); s != "" {
		p.t.Errorf("%s: bytes behind it were served: %q", why, s)
	}
	time.Sleep(lingerTimeout + 100*time.Millisecond)
	p.wantClosed(why)
}

// wantSilent wants no byte now, and the connection open.
func (p *peer) wantIdle(why string) {
	p.t.Helper()
	if s := p.got(); s != "" {
		p.t.Fatalf("%s: got %q, want nothing", why, s)
	}
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	if p.h.closed || p.h.done || p.h.fin {
		p.t.Fatalf("%s: the connection ended (%v), want it open", why, p.h.doneErr)
	}
}

// wantClosed wants the connection ended, and no byte before.
func (p *peer) wantClosed(why string) {
	p.t.Helper()
	if s := p.got(); s != "" {
		p.t.Fatalf("%s: got %q, want nothing but the end", why, s)
	}
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	if !p.h.closed {
		p.t.Fatalf("%s: the connection is open, want it closed", why)
	}
}

// wantOpen wants the connection to serve another request.
func (p *peer) wantOpen(why string) {
	p.t.Helper()
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	if p.h.closed || p.h.done || p.h.fin {
		p.t.Fatalf("%s: the connection ended (%v), want it open", why, p.h.doneErr)
	}
}

func hello(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }

// echo answers with the method, the target and the body.
func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	io.WriteString(w, r.Method+" "+r.RequestURI+" "+string(b))
}

const getHello = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
