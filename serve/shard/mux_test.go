//go:build linux

package shard

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// mux is the smallest engine of a shared connection: each line "id op" is a
// request of its own, answered "id op" as soon as its handler is done.
type mux struct {
	c       *Conn
	handler func(r *muxRequest) string
	x       exclusive // steps, without their handlers

	// Owned by the leader, without a lock: -race watches.
	steps int
	in    []byte
	late  string // requests that OnWritable, OnTimer and Drain begin with

	mu       sync.Mutex // guards the following
	out      []byte
	notes    []chan<- struct{} // each, of capacity 1, is told of the next step
	running  int
	gone     bool // the peer has closed its half
	draining bool
	closed   bool
	err      error // of writing
}

// muxRequest is what a handler sees of its request.
type muxRequest struct {
	m      *mux
	turn   Turn
	id, op string
}

func (m *mux) OnReadable(time.Time) {
	m.x.enter()
	m.steps++
	m.mu.Lock()
	if !m.work() {
		m.mu.Unlock()
		return // overtaken
	}
	m.flush()
	if m.err != nil || m.over() {
		m.c.Done(m.err)
	}
	m.mu.Unlock()
	m.x.leave()
}

func (m *mux) OnWritable(now time.Time) { m.lateStep(now) }
func (m *mux) OnTimer(now time.Time)    { m.lateStep(now) }
func (m *mux) OnHangup()                {}
func (m *mux) OnCut()                   {}
func (m *mux) OnOvertaken()             {}

// Close: no step comes any more.
func (m *mux) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.tell()
	return nil
}

func (m *mux) Drain(now time.Time) {
	m.mu.Lock()
	m.draining = true
	m.mu.Unlock()
	m.lateStep(now)
}

func (m *mux) lateStep(now time.Time) {
	m.in, m.late = append([]byte(m.late), m.in...), ""
	m.OnReadable(now)
}

// work serves what there is. False: overtaken.
func (m *mux) work() bool {
	m.tell()
	for {
		for i := bytes.IndexByte(m.in, '\n'); i >= 0; i = bytes.IndexByte(m.in, '\n') {
			line := string(m.in[:i])
			m.in = m.in[i+1:]
			if !m.serve(line) {
				return false
			}
		}
		var b [4096]byte
		n, err := m.c.Read(b[:])
		m.in = append(m.in, b[:n]...)
		if err == ErrWouldBlock {
			return true
		}
		if err != nil {
			m.gone = true
			return true
		}
	}
}

// serve runs one request's handler, without the lock. False: overtaken.
func (m *mux) serve(line string) (inline bool) {
	r := &muxRequest{m: m}
	r.id, r.op, _ = strings.Cut(line, " ")
	m.running++
	if len(m.in) > 0 {
		m.c.WorkBehind()
	}
	m.mu.Unlock()
	m.x.leave()
	answer, returned := "exit", false
	defer func() {
		v := recover()
		if v != nil {
			answer = "panic"
		}
		if inline = m.c.EndTurn(r.turn); inline {
			m.x.enter()
		}
		m.mu.Lock()
		m.running--
		m.out = fmt.Appendln(m.out, r.id, answer)
		if !inline {
			m.flush()
			if m.err != nil || m.over() {
				m.c.Wake()
			}
		}
		if v == nil && !returned { // Goexit unwinds on
			if inline {
				m.x.leave()
			}
			m.mu.Unlock()
		}
	}()
	r.turn = m.c.BeginTurn()
	answer = m.handler(r)
	returned = true
	return
}

// over tells that nothing is left to do. mu is held.
func (m *mux) over() bool { return (m.gone || m.draining) && m.running == 0 }

func (m *mux) flush() {
	if len(m.out) > 0 && m.err == nil {
		_, m.err = m.c.Write(m.out)
	}
	m.out = m.out[:0]
}

// note asks for a step and is told of it, or of the end.
func (m *mux) note(ch chan<- struct{}) {
	m.mu.Lock()
	m.notes = append(m.notes, ch)
	if m.closed {
		m.tell()
	}
	m.mu.Unlock()
	m.c.Wake()
}

func (m *mux) tell() {
	for _, ch := range m.notes {
		ch <- struct{}{}
	}
	m.notes = nil
}

// lead is a known wait of the handler.
func (r *muxRequest) lead() { r.m.c.LeadTurn(r.turn) }

// say writes a line before the answer. Any goroutine.
func (r *muxRequest) say(text string) {
	m := r.m
	m.mu.Lock()
	defer m.mu.Unlock()
	m.out = fmt.Appendln(m.out, r.id, text)
	if !m.c.Leading(r.turn) {
		m.flush()
	}
}

// muxServer is a shard that serves mux connections on a loopback address.
type muxServer struct {
	sh   *Shard
	svc  *Service
	addr string

	held    chan string // ids of handlers that wait for release
	release func()
	free    chan struct{} // closed by release
	freed   atomic.Bool   // for those that compute
	lock    sync.Mutex    // for the op "lock"

	mu  sync.Mutex
	all []*mux
}

// newMuxServer starts it without a socket. At the test's end handlers are
// released, the shard is ended, and invariant 1 is looked at: no step of a
// connection began while another ran.
func newMuxServer(t testing.TB, cfg Config) *muxServer {
	t.Helper()
	s := &muxServer{held: make(chan string, 4096), free: make(chan struct{})}
	s.release = sync.OnceFunc(func() { s.freed.Store(true); close(s.free) })
	t.Cleanup(func() {
		for _, m := range s.muxes() {
			if n := m.x.broken.Load(); n > 0 {
				t.Errorf("invariant 1: %d steps of a connection began while another ran", n)
			}
		}
	})
	s.sh = runShard(t, cfg)
	t.Cleanup(s.release)
	s.svc = &Service{Open: func(c *Conn) Driver { return s.open(c) }}
	return s
}

// serveMux starts it with a socket.
func serveMux(t testing.TB) *muxServer {
	t.Helper()
	s := newMuxServer(t, Config{})
	svc, socket := listenEcho(t)
	svc.Open = s.svc.Open
	s.svc = svc
	t.Cleanup(func() { socket.Close() })
	if err := s.sh.AddSocket(socket, svc); err != nil {
		t.Fatal(err)
	}
	s.addr = svc.Listener.Addr().String()
	return s
}

// open makes the driver of a shared connection.
func (s *muxServer) open(c *Conn) *mux {
	c.Share()
	return s.driver(c)
}

func (s *muxServer) driver(c *Conn) *mux {
	m := &mux{c: c, handler: s.handle}
	s.mu.Lock()
	s.all = append(s.all, m)
	s.mu.Unlock()
	return m
}

func (s *muxServer) muxes() []*mux {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*mux(nil), s.all...)
}

// handle is the handler: the op says how it keeps its goroutine.
func (s *muxServer) handle(r *muxRequest) string {
	op, led := strings.CutPrefix(r.op, "led-")
	if led {
		r.lead()
	}
	switch op {
	case "hold":
		s.held <- r.id
		<-s.free
	case "say-hold":
		r.say("said")
		s.held <- r.id
		<-s.free
	case "spin":
		s.held <- r.id
		for !s.freed.Load() {
		}
	case "exit":
		runtime.Goexit()
	case "panic":
		panic(r.id)
	case "sleep":
		time.Sleep(rand.N(2 * time.Millisecond))
	case "lock":
		s.lock.Lock()
		if rand.IntN(4) == 0 {
			time.Sleep(time.Millisecond)
		}
		runtime.Gosched()
		s.lock.Unlock()
	case "compute":
		for end := time.Now().Add(rand.N(3 * time.Millisecond)); time.Now().Before(end); {
		}
	case "foreign": // its own goroutines call, also after it returned
		var wg sync.WaitGroup
		wg.Go(func() { r.say("said") })
		for range 3 {
			go func() {
				r.lead()
				_ = r.m.c.TurnClock(r.turn)
				r.m.c.Wake()
			}()
		}
		wg.Wait()
	case "wake":
		ch := make(chan struct{}, 1)
		r.lead()
		r.m.note(ch)
		<-ch
	}
	return r.op
}

// wantHeld waits until n handlers wait for release.
func (s *muxServer) wantHeld(t testing.TB, n int) {
	t.Helper()
	for i := range n {
		select {
		case <-s.held:
		case <-time.After(10 * time.Second):
			t.Fatalf("only %d of %d handlers began", i, n)
		}
	}
}

// batch is one write of n requests, ids from 1, the first of them op.
func batch(op string, n int) string {
	b := "1 " + op + "\n"
	for id := 2; id <= n; id++ {
		b += fmt.Sprintf("%d fast\n", id)
	}
	return b
}

// answers reads n lines, in any order, and returns them by their ids.
func answers(t testing.TB, r *bufio.Reader, n int) map[string]string {
	t.Helper()
	got := make(map[string]string)
	for range n {
		s, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("after %d answers of %d: %v", len(got), n, err)
		}
		id, text, _ := strings.Cut(strings.TrimSuffix(s, "\n"), " ")
		if before, ok := got[id]; ok {
			t.Errorf("request %s is answered twice: %q, %q", id, before, text)
		}
		got[id] = text
	}
	return got
}

// want compares one answer.
func want(t testing.TB, why string, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q", why, got, want)
	}
}

// halfClose sends FIN.
func halfClose(c net.Conn) { c.(*net.TCPConn).CloseWrite() }
