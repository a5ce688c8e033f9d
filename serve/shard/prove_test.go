//go:build linux

package shard

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// runShard starts a shard and ends it with the test.
func runShard(t testing.TB, cfg Config) *Shard {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	sh, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	sh.Start()
	t.Cleanup(func() { endShard(t, sh) })
	return sh
}

// endShard cuts what is left and waits for the end. A second call does nothing.
func endShard(t testing.TB, sh *Shard) {
	t.Helper()
	sh.Drain()
	sh.Cut(func(int) {})
	sh.Stop()
	select {
	case <-sh.Stopped():
	case <-time.After(10 * time.Second):
		buf := make([]byte, 1<<20)
		t.Fatalf("the shard does not end; live %d\n%s", sh.Live(), buf[:runtime.Stack(buf, true)])
	}
	sh.wg.Wait()
}

// onLeader runs f on the leader and waits for it.
func onLeader(t testing.TB, sh *Shard, f func()) {
	t.Helper()
	done := make(chan struct{})
	if !sh.Do(func(time.Time) { f(); close(done) }) {
		t.Fatal("the shard has ended")
	}
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("no leader reads the inbox")
	}
}

// adopt opens a descriptor in the shard as if it had been accepted.
func adopt(sh *Shard, fd int, svc *Service) bool {
	return sh.Do(func(time.Time) { sh.open(accepted{fd: fd, remote: netip.AddrPort{}}, svc) })
}

// pair makes two connected, non-blocking descriptors.
func pair(t testing.TB) (int, int) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fds[0], fds[1]
}

// asConn makes a net.Conn of a descriptor, and closes the descriptor.
func asConn(t testing.TB, fd int) net.Conn {
	t.Helper()
	f := os.NewFile(uintptr(fd), "test")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// stub is a driver made of functions; nil ones do nothing.
type stub struct {
	readable, timer, hangup, cut, closed func()
}

func call(f func()) {
	if f != nil {
		f()
	}
}

func (s *stub) OnReadable(time.Time) { call(s.readable) }
func (s *stub) OnWritable(time.Time) {}
func (s *stub) OnTimer(time.Time)    { call(s.timer) }
func (s *stub) OnHangup()            { call(s.hangup) }
func (s *stub) OnCut()               { call(s.cut) }
func (s *stub) OnOvertaken()         {}
func (s *stub) Drain(time.Time)      {}
func (s *stub) Close() error         { call(s.closed); return nil }

// saturate keeps the leader of sh busy until the returned function is called:
// pairs of its own connections send each other a byte for ever, so that every
// harvest finds something. steps counts them.
func saturate(t testing.TB, sh *Shard, steps *atomic.Int64) (stop func()) {
	t.Helper()
	var over atomic.Bool
	svc := &Service{Open: func(c *Conn) Driver {
		return &stub{readable: func() {
			var b [16]byte
			for {
				n, err := c.Read(b[:])
				if err == ErrWouldBlock {
					return
				}
				if err != nil || over.Load() {
					c.Done(nil)
					return
				}
				c.BeginHandler()
				steps.Add(1)
				c.EndHandler()
				if _, err := c.Write(b[:n]); err != nil {
					c.Done(err)
					return
				}
			}
		}}
	}}
	for range 16 {
		a, b := pair(t)
		syscall.Write(a, []byte("x")) // b will read it
		if !adopt(sh, a, svc) || !adopt(sh, b, svc) {
			t.Fatal("the shard has ended")
		}
	}
	return func() { over.Store(true) }
}

// foreign is an echo server and its client on Go's own poller.
func foreign(t testing.TB) (roundTrip func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(struct{ io.Writer }{c}, c); c.Close() }()
		}
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	var b [1]byte
	return func() {
		c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Write(b[:]); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, b[:]); err != nil {
			t.Fatal(err)
		}
	}
}

// Prove first (b): what else waits in Go's poller goes on beside a leader that
// never finds its shard idle.
func TestForeignRoundTrip(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		var steps atomic.Int64
		sh := runShard(t, Config{})
		stop := saturate(t, sh, &steps)
		defer stop()
		roundTrip := foreign(t)
		for range 50 {
			roundTrip()
		}
		if before := steps.Load(); before == 0 {
			t.Error("the leader was not busy")
		}
	})
}

func BenchmarkForeignRoundTrip(b *testing.B) {
	for _, procs := range []int{1, 2} {
		b.Run(fmt.Sprintf("procs=%d", procs), func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			var steps atomic.Int64
			sh := runShard(b, Config{})
			stop := saturate(b, sh, &steps)
			defer stop()
			roundTrip := foreign(b)
			begin := steps.Load()
			for b.Loop() {
				roundTrip()
			}
			b.ReportMetric(float64(steps.Load()-begin)/b.Elapsed().Seconds(), "steps/s")
		})
	}
}

// Prove first (e): what a step costs while a core is idle and an admin listener
// waits in Go's poller.
func BenchmarkIdleCore(b *testing.B) {
	for _, admin := range []bool{false, true} {
		for _, procs := range []int{1, 2} {
			b.Run(fmt.Sprintf("admin=%t/procs=%d", admin, procs), func(b *testing.B) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
				if admin {
					l, err := net.Listen("tcp", "127.0.0.1:0")
					if err != nil {
						b.Fatal(err)
					}
					srv := &http.Server{Handler: http.NotFoundHandler()}
					go srv.Serve(l)
					defer srv.Close()
				}
				b.Run("busy", func(b *testing.B) {
					var steps atomic.Int64
					sh := runShard(b, Config{})
					stop := saturate(b, sh, &steps)
					defer stop()
					begin := steps.Load()
					b.ResetTimer()
					for steps.Load()-begin < int64(b.N) {
						time.Sleep(100 * time.Microsecond)
					}
				})
				b.Run("one-client", func(b *testing.B) {
					_, addr := serveEcho(b, func(_ *Conn, s string) string { return s })
					c, r := dial(b, addr)
					for b.Loop() {
						ask(b, c, r, "x")
					}
				})
			})
		}
	}
}

// An edge that somebody else's poll took between the last harvest and the wait
// is not lost: arming looks again, also after the gate was ready before.
func TestGateLooksAgain(t *testing.T) {
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	here, there := pair[0], pair[1]
	defer syscall.Close(there)
	defer syscall.Close(here)
	if err := p.add(here, 1, 1); err != nil {
		t.Fatal(err)
	}
	var evs [batchSize]event
	wait := func(round int, why string) {
		t.Helper()
		done := make(chan error, 1)
		go func() { done <- p.wait(false) }()
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(3 * time.Second):
			t.Errorf("round %d: the leader sleeps on a ready set: %s", round, why)
			p.wake()
			<-done
		}
		if n := p.harvest(&evs); n != 1 || evs[0].slot != 1 || evs[0].gen != 1 {
			t.Fatalf("round %d: harvested %d, %+v", round, n, evs[0])
		}
		var b [64]byte
		syscall.Read(here, b[:])
	}
	for round := range 3 {
		syscall.Write(there, []byte("x"))
		time.Sleep(30 * time.Millisecond) // the scheduler polls meanwhile
		wait(round, "ready before the wait")
		go func() {
			time.Sleep(10 * time.Millisecond)
			syscall.Write(there, []byte("x"))
		}()
		wait(round, "ready during the wait")
		if t.Failed() {
			break
		}
	}
	p.close()
}

// A handler on a fresh connection holds the descriptor's lock through a call
// that may touch a disk (SendFile): others do not wait for it.
func TestTakeoverWhileSending(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		entered, release := make(chan struct{}, 1), make(chan struct{})
		_, addr := serveEcho(t, func(c *Conn, s string) string {
			if s == "disk" {
				c.mu.Lock() // as SendFile does
				entered <- struct{}{}
				<-release
				c.mu.Unlock()
			}
			return s
		})
		d, dr := dial(t, addr)
		ask(t, d, dr, "hello")
		c, r := dial(t, addr)
		io.WriteString(c, "disk\n")
		<-entered
		answered := make(chan string, 1)
		go func() {
			io.WriteString(d, "other\n")
			s, _ := dr.ReadString('\n')
			answered <- s
		}()
		select {
		case s := <-answered:
			if s != "other\n" {
				t.Errorf("%q", s)
			}
		case <-time.After(3 * time.Second):
			t.Error("the shard stands still behind a handler that holds its connection's lock")
		}
		close(release)
		if s, err := r.ReadString('\n'); s != "disk\n" {
			t.Errorf("%q %v", s, err)
		}
	})
}

// The present of a handler that led away, or was overtaken, is the clock's: the
// loop's now belongs to another by then (-race watches).
func TestNowUnderHandler(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		_, addr := serveEcho(t, func(c *Conn, s string) string {
			if s == "other" {
				return s
			}
			c.Lead()
			begun := time.Now()
			for i := range 20 {
				time.Sleep(time.Millisecond)
				if now := c.Now(); now.Before(begun.Add(time.Duration(i) * time.Millisecond)) {
					return "Now stands still"
				}
				if now := c.WallClock(); now.Before(begun.Round(0).Add(-time.Second)) {
					return "WallClock stands still"
				}
			}
			return s
		})
		c, r := dial(t, addr)
		d, dr := dial(t, addr)
		ask(t, d, dr, "other")
		io.WriteString(c, "x\n")
		for range 50 {
			ask(t, d, dr, "other")
		}
		if s, err := r.ReadString('\n'); s != "x\n" {
			t.Errorf("%q %v", s, err)
		}
	})
}

// shaken is the handler of TestHandOff: "<op> <tag>" is answered "<op> <tag>".
type shaken struct {
	mu    sync.Mutex // for the op "lock"
	calls atomic.Int64
}

const (
	shakenBody = 16
	shakenBig  = 768 << 10
)

func (h *shaken) serve(c *Conn, line string) string {
	op, tag, _ := strings.Cut(line, " ")
	h.calls.Add(1)
	e := c.drv.(*echo)
	maybeLead := func() {
		if rand.IntN(3) == 0 {
			c.Lead()
		}
	}
	maybeLead()
	switch op {
	case "sleep":
		time.Sleep(rand.N(2 * time.Millisecond))
	case "lock":
		h.mu.Lock()
		if rand.IntN(4) == 0 {
			time.Sleep(time.Millisecond)
		}
		runtime.Gosched()
		h.mu.Unlock()
	case "compute":
		for end := time.Now().Add(rand.N(4 * time.Millisecond)); time.Now().Before(end); {
		}
	case "panic":
		func() {
			defer func() { _ = recover() }()
			maybeLead()
			panic(tag)
		}()
	case "exit":
		runtime.Goexit()
	case "foreign": // three goroutines write a part each, one after another
		e.flush()
		var wg sync.WaitGroup
		turn := make(chan struct{}, 1)
		parts := []string{op, " ", tag}
		for i, p := range parts {
			before := turn
			turn = make(chan struct{}, 1)
			after := turn
			if i == 0 {
				before <- struct{}{}
			}
			wg.Go(func() {
				<-before
				if rand.IntN(2) == 0 {
					c.Lead()
				}
				c.Write([]byte(p))
				_ = c.WallClock()
				after <- struct{}{}
			})
		}
		wg.Wait()
		return "" // the engine ends the line
	case "body":
		var got []byte
		var b [4]byte
		for len(got) < shakenBody {
			if n := min(len(e.in), shakenBody-len(got)); n > 0 {
				got, e.in = append(got, e.in[:n]...), e.in[n:]
				continue
			}
			n, err := c.Read(b[:min(len(b), shakenBody-len(got))])
			if err == ErrWouldBlock {
				err = c.WaitReadable()
			}
			if err != nil {
				return err.Error()
			}
			got = append(got, b[:n]...)
		}
		maybeLead()
		return line + " " + string(got)
	case "big":
		e.flush()
		piece := []byte(strings.Repeat(tag+"|", 1024))
		for sent := 0; sent < shakenBig; sent += len(piece) {
			if _, err := c.Write(piece); err != nil {
				return err.Error()
			}
			if c.Buffered() > 64<<10 {
				if err := c.WaitWritable(rand.IntN(64 << 10)); err != nil {
					return err.Error()
				}
			}
			if rand.IntN(64) == 0 {
				c.Lead()
			}
		}
	case "hijack":
		e.flush()
		conn, err := c.Hijack()
		if err != nil {
			return err.Error()
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "%s\n", line)
		r := bufio.NewReader(conn)
		for range 3 {
			s, err := r.ReadString('\n')
			if err != nil {
				return ""
			}
			io.WriteString(conn, tag+"="+s)
		}
	}
	maybeLead()
	return line
}

// client runs one connection after another until stop; every byte is checked.
func (h *shaken) client(t *testing.T, addr string, id int, stop func() bool) {
	ops := []string{"fast", "fast", "fast", "sleep", "lock", "compute", "panic", "exit", "foreign", "body", "big", "hijack", "gone", "pipeline"}
	var c net.Conn
	var r *bufio.Reader
	defer func() {
		if c != nil {
			c.Close()
		}
	}()
	fail := func(op string, format string, args ...any) {
		t.Errorf("client %d, %s: %s", id, op, fmt.Sprintf(format, args...))
	}
	for n := 0; !stop() && !t.Failed(); n++ {
		if c == nil {
			var err error
			if c, err = net.Dial("tcp", addr); err != nil {
				fail("dial", "%v", err)
				return
			}
			c.SetDeadline(time.Now().Add(20 * time.Second))
			r = bufio.NewReader(c)
		}
		op := ops[rand.IntN(len(ops))]
		tag := fmt.Sprintf("%03d-%06d", id, n)
		line := op + " " + tag
		expect := func(want string) bool {
			got, err := r.ReadString('\n')
			if got != want+"\n" {
				fail(op, "want %.80q, got %.80q (%v)", want, got, err)
				return false
			}
			return true
		}
		switch op {
		case "gone":
			io.WriteString(c, "sleep "+tag+"\n")
			c.Close()
			c = nil
			continue
		case "pipeline":
			io.WriteString(c, "fast "+tag+"\nsleep "+tag+"\nlock "+tag+"\nfast "+tag+"\n")
			for _, op := range []string{"fast", "sleep", "lock", "fast"} {
				if !expect(op + " " + tag) {
					return
				}
			}
			continue
		}
		io.WriteString(c, line+"\n")
		switch op {
		case "exit":
			if b, err := r.ReadByte(); err == nil {
				fail(op, "answered %q", b)
			}
			c.Close()
			c = nil
		case "body":
			body := (tag + strings.Repeat("#", shakenBody))[:shakenBody]
			for i := range shakenBody {
				io.WriteString(c, body[i:i+1])
				runtime.Gosched()
			}
			if !expect(line + " " + body) {
				return
			}
		case "big":
			piece := strings.Repeat(tag+"|", 1024)
			buf := make([]byte, len(piece))
			for got := 0; got < shakenBig; got += len(piece) {
				if _, err := io.ReadFull(r, buf); err != nil || string(buf) != piece {
					fail(op, "after %d bytes: %v, %.40q", got, err, buf)
					return
				}
			}
			if !expect(line) {
				return
			}
		case "hijack":
			if !expect(line) {
				return
			}
			for i := range 3 {
				fmt.Fprintf(c, "%d\n", i)
				if !expect(fmt.Sprintf("%s=%d", tag, i)) {
					return
				}
			}
			if b, err := r.ReadByte(); err != io.EOF {
				fail(op, "no end after Close: %q %v", b, err)
			}
			c.Close()
			c = nil
		default:
			if !expect(line) {
				return
			}
		}
	}
}

// Prove first (c): every way in which a handler may keep or leave its goroutine,
// many at once, leadership taken at any point; no byte is lost or strays.
func TestHandOff(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		h := &shaken{}
		sh, addr := serveEcho(t, h.serve)
		end := time.Now().Add(1500 * time.Millisecond)
		var wg sync.WaitGroup
		for id := range 32 {
			wg.Go(func() { h.client(t, addr, id, func() bool { return time.Now().After(end) }) })
		}
		wg.Wait()
		n := sh.Counters()
		t.Logf("%d handlers, %d overtaken, %d handed off, %d hijacked, %d accepted",
			h.calls.Load(), n.Overtaken.Load(), n.HandOffs.Load(), n.Hijacked.Load(), n.Accepted.Load())
	})
}

// The server stops in the middle of all that: the shard ends, nobody hangs.
func TestStopInTheMiddle(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		for range 3 {
			h := &shaken{}
			sh := runShard(t, Config{})
			svc, socket := listenEcho(t)
			svc.Open = func(c *Conn) Driver { return &echo{c: c, handler: h.serve} }
			if err := sh.AddSocket(socket, svc); err != nil {
				t.Fatal(err)
			}
			var stop atomic.Bool
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() {
					for !stop.Load() {
						c, err := net.Dial("tcp", svc.Listener.Addr().String())
						if err != nil {
							return
						}
						c.SetDeadline(time.Now().Add(10 * time.Second))
						r := bufio.NewReader(c)
						for !stop.Load() {
							op := []string{"fast", "sleep", "lock", "compute", "big", "foreign", "body"}[rand.IntN(7)]
							if _, err := io.WriteString(c, op+" x\n"); err != nil {
								break
							}
							if op == "body" || op == "big" {
								break
							}
							if _, err := r.ReadString('\n'); err != nil {
								break
							}
						}
						c.Close()
					}
				})
			}
			time.Sleep(100 * time.Millisecond)
			sh.Leave(svc, func() {})
			endShard(t, sh)
			stop.Store(true)
			socket.Close()
			wg.Wait()
			if n := sh.Live(); n != 0 {
				t.Errorf("%d connections left", n)
			}
		}
	})
}
