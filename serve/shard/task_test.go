package shard

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// taskEcho is echo whose handlers run as tasks.
type taskEcho struct {
	c       *Conn
	handler func(t *Task, line string) string

	in     []byte
	line   string
	answer string

	mu   sync.Mutex // guards the following
	task *Task      // whose handler runs
}

func (e *taskEcho) OnReadable(time.Time) {
	for !e.c.busy && e.next() {
	}
}

// next serves a line, or reads. False: the step ends.
func (e *taskEcho) next() bool {
	if i := bytes.IndexByte(e.in, '\n'); i >= 0 {
		e.line, e.in = string(e.in[:i]), e.in[i+1:]
		return e.step(e.c.RunTask)
	}
	var b [4096]byte
	n, err := e.c.Read(b[:])
	if err == ErrWouldBlock {
		return false
	}
	if err != nil {
		e.c.Done(nil)
		return false
	}
	e.in = append(e.in, b[:n]...)
	return true
}

func (e *taskEcho) step(run func(Runner) bool) bool {
	parked, inline := false, false
	func() {
		defer func() {
			if !parked {
				inline = e.c.EndHandler()
			}
		}()
		e.c.BeginHandler()
		parked = run(e)
	}()
	if parked {
		return false
	}
	if _, err := e.c.Write([]byte(e.answer + "\n")); err != nil {
		e.c.Done(err)
	}
	return inline
}

func (e *taskEcho) Run() {
	defer func() {
		if v := recover(); v != nil {
			e.answer = fmt.Sprint("panic ", v)
		}
		e.setTask(nil) // it is somebody else's soon
	}()
	e.setTask(e.c.Task())
	e.answer = e.handler(e.c.Task(), e.line)
}

func (e *taskEcho) OnResume(now time.Time) {
	if e.step(func(Runner) bool { return e.c.ResumeTask() }) {
		e.OnReadable(now)
	}
}

func (e *taskEcho) OnWritable(now time.Time) { e.OnReadable(now) }
func (e *taskEcho) OnTimer(time.Time)        { e.c.Done(nil) }
func (e *taskEcho) OnHangup() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.task != nil {
		e.task.Interrupt()
	}
}

func (e *taskEcho) setTask(t *Task) {
	e.mu.Lock()
	e.task = t
	e.mu.Unlock()
}
func (e *taskEcho) OnCut()          { e.OnHangup() }
func (e *taskEcho) OnOvertaken()    {}
func (e *taskEcho) Drain(time.Time) { e.c.Done(nil) }
func (e *taskEcho) Close() error    { return nil }

// serveTasks runs one shard whose handlers are tasks.
func serveTasks(t testing.TB, handler func(*Task, string) string) (*Shard, string) {
	t.Helper()
	return serveDriver(t, func(c *Conn) Driver { return &taskEcho{c: c, handler: handler} })
}

// upstream is a server of package net: it answers each line with "up " before it.
func upstream(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var conns sync.Map
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Store(c, nil)
			wg.Go(func() {
				defer c.Close()
				for r := bufio.NewReader(c); ; {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					if _, err := io.WriteString(c, "up "+line); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		conns.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
		wg.Wait()
	})
	return l.Addr().String()
}

// pool keeps idle clients of a test's upstream.
type pool struct {
	addr string
	mu   sync.Mutex
	idle []*Client
	made atomic.Int64
}

func (p *pool) get(t *Task) (*Client, error) {
	for {
		p.mu.Lock()
		var u *Client
		if n := len(p.idle); n > 0 {
			u, p.idle = p.idle[n-1], p.idle[:n-1]
		}
		p.mu.Unlock()
		if u == nil {
			break
		}
		if u.Stale() {
			u.Close()
			continue
		}
		u.Attach(t)
		return u, nil
	}
	p.made.Add(1)
	t.Lead()
	nc, err := net.Dial("tcp", p.addr)
	if err != nil {
		return nil, err
	}
	return t.Adopt(nc)
}

func (p *pool) put(u *Client) {
	u.Detach()
	p.mu.Lock()
	p.idle = append(p.idle, u)
	p.mu.Unlock()
}

// ask sends a line upstream and gives the answer.
func (p *pool) ask(t *Task, line string) string {
	u, err := p.get(t)
	if err != nil {
		return err.Error()
	}
	if _, err := u.Write([]byte(line + "\n")); err != nil {
		u.Close()
		return err.Error()
	}
	var b []byte
	for !bytes.HasSuffix(b, []byte("\n")) {
		var part [512]byte
		n, err := u.Read(part[:])
		if err != nil {
			u.Close()
			return err.Error()
		}
		b = append(b, part[:n]...)
	}
	p.put(u)
	return strings.TrimSuffix(string(b), "\n")
}

// TestTasksAskUpstream: many connections at once, each gets its own answers, and
// waits do not hand leadership on.
func TestTasksAskUpstream(t *testing.T) {
	p := &pool{addr: upstream(t)}
	sh, addr := serveTasks(t, p.ask)
	const clients, rounds = 32, 200
	var wg sync.WaitGroup
	for i := range clients {
		c, r := dial(t, addr)
		wg.Go(func() {
			for k := range rounds {
				line := fmt.Sprintf("%d-%d", i, k)
				if got := ask(t, c, r, line); got != "up "+line {
					t.Errorf("got %q, want %q", got, "up "+line)
					return
				}
			}
		})
	}
	wg.Wait()
	made := p.made.Load()
	if made > clients {
		t.Errorf("%d connections for %d clients: idle ones are not used again", made, clients)
	}
	// Each dial hands on, as does what the watchdog finds on a busy machine.
	if n := sh.counters.HandOffs.Load(); n > 4*uint64(made)+100 {
		t.Errorf("%d hand-offs in %d requests: waits should switch, not hand on", n, clients*rounds)
	}
	if n := sh.counters.Clients.Load(); n != made {
		t.Errorf("%d connections to upstreams are counted, want %d", n, made)
	}
}

// TestTaskWaits: what ends a wait.
func TestTaskWaits(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	p := &pool{addr: silent.Addr().String()}
	read := func(task *Task, in time.Duration) error {
		u, err := p.get(task)
		if err != nil {
			return err
		}
		defer u.Close()
		if in != 0 {
			u.SetReadDeadline(time.Now().Add(in))
		}
		_, err = u.Read(make([]byte, 1))
		return err
	}
	waiting := make(chan struct{})
	ended := make(chan error, 1)
	_, addr := serveTasks(t, func(task *Task, line string) string {
		switch line {
		case "deadline":
			return fmt.Sprint(errors.Is(read(task, 20*time.Millisecond), os.ErrDeadlineExceeded))
		case "passed":
			return fmt.Sprint(errors.Is(read(task, -time.Second), os.ErrDeadlineExceeded))
		case "hangup":
			close(waiting)
			ended <- read(task, 0)
			return ""
		case "woken":
			var up atomic.Bool
			done := make(chan struct{})
			go func() {
				defer close(done)
				up.Store(true)
				task.Wake()
			}()
			for !up.Load() {
				task.Wait()
			}
			<-done
			return "up"
		case "panic":
			task.WakeAt(time.Millisecond)
			task.Wait()
			panic("late")
		case "yield": // overtaken, then parked: the next leader resumes it
			task.Lead()
			runtime.Gosched()
			task.WakeAt(time.Millisecond)
			task.Wait()
			return fmt.Sprint(task.sh.token.word.Load() == task.word.Load())
		}
		return line
	})
	c, r := dial(t, addr)
	for _, tt := range []struct{ line, want string }{
		{"deadline", "true"},
		{"passed", "true"},
		{"woken", "up"},
		{"panic", "panic late"},
		{"yield", "true"},
		{"plain", "plain"},
	} {
		if got := ask(t, c, r, tt.line); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.line, got, tt.want)
		}
	}
	c2, _ := dial(t, addr)
	io.WriteString(c2, "hangup\n")
	<-waiting
	c2.Close()
	if err := <-ended; err != ErrInterrupted {
		t.Errorf("the wait of a client that has left ended with %v, want %v", err, ErrInterrupted)
	}
}

// TestLateInterrupt: the end of a request that comes late ends nobody else's waits.
func TestLateInterrupt(t *testing.T) {
	var first *Task
	var interrupt func()
	_, addr := serveTasks(t, func(task *Task, line string) string {
		switch line {
		case "first":
			first, interrupt = task, task.Interrupter()
		case "late":
			interrupt()
		case "now":
			task.Interrupter()()
		}
		return fmt.Sprint(task == first, task.Interrupted())
	})
	c, r := dial(t, addr)
	for _, tt := range []struct{ line, want string }{
		{"first", "true false"}, {"late", "true false"}, {"now", "true true"}, {"late", "true false"}, {"plain", "true false"},
	} {
		if got := ask(t, c, r, tt.line); got != tt.want {
			t.Errorf("%s: got %q, want %q (same task, interrupted)", tt.line, got, tt.want)
		}
	}
}

// TestBytesWhileParked: what a peer sends while its handler waits is looked at when
// that has ended, though the edge that told of it is past.
func TestBytesWhileParked(t *testing.T) {
	_, addr := serveTasks(t, func(task *Task, line string) string {
		if line != "early" {
			return line
		}
		var up atomic.Bool
		c := task.c
		c.Write([]byte("early\n")) // the answer, and the handler goes on
		go func() {
			for c.events.Load()&evRead == 0 {
				time.Sleep(time.Millisecond)
			}
			up.Store(true)
			task.Wake()
		}()
		for !up.Load() {
			task.Wait()
		}
		return "late"
	})
	c, r := dial(t, addr)
	if got := ask(t, c, r, "early"); got != "early" {
		t.Fatal(got)
	}
	io.WriteString(c, "next\n")
	for _, want := range []string{"late\n", "next\n"} {
		if got, err := r.ReadString('\n'); got != want {
			t.Fatalf("got %q and %v, want %q", got, err, want)
		}
	}
}

// TestDeadlineFromAside: a deadline that is set while the reader waits ends the wait
// when it comes, and not with the next look at the connection.
func TestDeadlineFromAside(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	p := &pool{addr: silent.Addr().String()}
	_, addr := serveTasks(t, func(task *Task, _ string) string {
		u, err := p.get(task) // a new one: the look at it comes in a second
		if err != nil {
			return err.Error()
		}
		defer u.Close()
		set := make(chan time.Time, 1)
		go func() {
			for task.state.Load() != taskParked {
				time.Sleep(time.Millisecond)
			}
			now := time.Now()
			u.SetReadDeadline(now)
			set <- now
		}()
		if _, err = u.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Sprint("read: ", err)
		}
		return time.Since(<-set).String()
	})
	c, r := dial(t, addr)
	var least time.Duration
	for range 5 { // one is prompt, however busy the machine is
		took, err := time.ParseDuration(ask(t, c, r, "go"))
		if err != nil {
			t.Fatal(err)
		}
		if least == 0 || took < least {
			least = took
		}
	}
	if least > time.Second/2 {
		t.Errorf("the best of 5 waits ended %v after its deadline", least)
	}
}

// TestIdleClientEnds: what an upstream does to an idle connection makes it stale.
func TestIdleClientEnds(t *testing.T) {
	for _, how := range []string{"nothing", "bytes", "fin", "reset"} {
		t.Run(how, func(t *testing.T) { testIdleClientEnds(t, how) })
	}
}

func testIdleClientEnds(t *testing.T, how string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := &pool{addr: l.Addr().String()}
	var idle *Client
	sh, addr := serveTasks(t, func(task *Task, line string) string {
		if line == "stale" {
			stale := idle.Stale()
			idle.Close()
			return fmt.Sprint(stale)
		}
		u, err := p.get(task)
		if err != nil {
			return err.Error()
		}
		u.Detach()
		idle = u
		return "idle"
	})
	c, r := dial(t, addr)
	if got := ask(t, c, r, "dial"); got != "idle" {
		t.Fatal(got)
	}
	up, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	switch how {
	case "bytes":
		io.WriteString(up, "x")
	case "fin":
		up.(*net.TCPConn).CloseWrite()
	case "reset":
		up.(*net.TCPConn).SetLinger(0)
		up.Close()
	}
	for how != "nothing" && sh.counters.Clients.Load() != 0 {
		time.Sleep(time.Millisecond) // until the leader has closed it
	}
	if got, want := ask(t, c, r, "stale"), fmt.Sprint(how != "nothing"); got != want {
		t.Errorf("stale: got %s, want %s", got, want)
	}
}

// TestFreeTasks: tasks without a connection run, wait, and end with the shard.
func TestFreeTasks(t *testing.T) {
	p := &pool{addr: upstream(t)}
	var answers atomic.Int32
	ended := make(chan struct{})
	t.Cleanup(func() { // after the shard's own, which waits for its end
		select {
		case <-ended:
		default:
			t.Error("a task of Go outlived its shard")
		}
	})
	_, addr := serveTasks(t, func(task *Task, line string) string {
		for i := range 3 {
			task.Shard().Go(func(free *Task) {
				if p.ask(free, fmt.Sprint(i)) == fmt.Sprint("up ", i) {
					answers.Add(1)
				}
				task.Wake()
			})
		}
		for answers.Load() < 3 {
			task.Wait()
		}
		task.Shard().Go(func(free *Task) {
			for !free.Interrupted() {
				free.Wait()
			}
			close(ended)
		})
		return "done"
	})
	c, r := dial(t, addr)
	if s := ask(t, c, r, "go"); s != "done" {
		t.Errorf("got %q", s)
	}
}

// TestTasksOvertaken: tasks that lose leadership at any point, leave by panic or
// Goexit, or whose client leaves, disturb nobody else (invariants 1, 2 and 5).
func TestTasksOvertaken(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		p := &pool{addr: upstream(t)}
		_, addr := serveTasks(t, func(task *Task, line string) string {
			switch line[0] {
			case 'l':
				task.Lead()
			case 'c':
				for end := time.Now().Add(2 * time.Millisecond); time.Now().Before(end); {
				}
			case 's':
				time.Sleep(time.Millisecond)
			}
			answer := p.ask(task, line)
			switch line[len(line)-1] {
			case 'l':
				task.Lead()
			case 's':
				time.Sleep(time.Millisecond)
			case 'g':
				runtime.Goexit()
			}
			return p.ask(task, answer)
		})
		const clients, rounds = 16, 60
		var wg sync.WaitGroup
		for i := range clients {
			wg.Go(func() {
				rnd := rand.New(rand.NewPCG(uint64(i), 1))
				c, r := dial(t, addr)
				for k := range rounds {
					line := fmt.Sprintf("%c-%d-%d-%c", "plcs"[rnd.IntN(4)], i, k, "plsg"[rnd.IntN(4)])
					io.WriteString(c, line+"\n")
					if rnd.IntN(10) == 0 {
						c.Close() // and never asks again
						c, r = dial(t, addr)
						continue
					}
					got, err := r.ReadString('\n')
					if strings.HasSuffix(line, "g") {
						if err == nil {
							t.Errorf("a handler that called Goexit answered %q", got)
						}
						c, r = dial(t, addr)
						continue
					}
					if want := "up up " + line + "\n"; got != want || err != nil {
						t.Errorf("got %q and %v, want %q", got, err, want)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

// TestCutParked: a connection that is cut while its handler waits ends it, and
// the shard then ends (the clean-up waits for that).
func TestCutParked(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := &pool{addr: l.Addr().String()}
	ended := make(chan string, 1)
	sh, addr := serveTasks(t, func(task *Task, line string) string {
		s := p.ask(task, line)
		ended <- s
		return s
	})
	c, _ := dial(t, addr)
	io.WriteString(c, "hello\n")
	up, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer up.Close()
	if _, err := bufio.NewReader(up).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	sh.Cut(func(int) {})
	if got := <-ended; got != ErrInterrupted.Error() {
		t.Errorf("the handler's wait ended with %q, want %q", got, ErrInterrupted)
	}
}

// BenchmarkTask is a request that asks an upstream, over loopback, all in one
// process: as a task, and as a goroutine that hands leadership on.
func BenchmarkTask(b *testing.B) {
	run := func(b *testing.B, addr string) {
		const clients = 32
		var wg sync.WaitGroup
		left := atomic.Int64{}
		left.Store(int64(b.N))
		for range clients {
			c, r := dial(b, addr)
			c.SetDeadline(time.Time{})
			wg.Go(func() {
				for left.Add(-1) >= 0 {
					if got := ask(b, c, r, "x"); got != "up x" {
						b.Errorf("got %q", got)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	b.Run("coroutine", func(b *testing.B) {
		p := &pool{addr: upstream(b)}
		_, addr := serveTasks(b, p.ask)
		run(b, addr)
	})
	b.Run("goroutine", func(b *testing.B) {
		p := &pool{addr: upstream(b)}
		_, addr := serveEcho(b, func(c *Conn, line string) string { return p.ask(c.PlainTask(), line) })
		run(b, addr)
	})
}
