//go:build linux

package shard

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/bufpool"
)

// exclusive counts entries that find somebody inside.
type exclusive struct {
	inside atomic.Int32
	broken atomic.Int64
}

func (x *exclusive) enter() {
	if x.inside.Add(1) != 1 {
		x.broken.Add(1)
	}
}
func (x *exclusive) leave() { x.inside.Add(-1) }

// watched is an echo whose steps and handlers note whether two meet.
type watched struct {
	echo
	x exclusive
}

func (w *watched) OnReadable(now time.Time) {
	w.x.enter()
	defer w.x.leave()
	w.echo.OnReadable(now)
}
func (w *watched) OnWritable(now time.Time) { w.OnReadable(now) }

// Invariant 1: each half of a connection is touched by one goroutine at a time:
// no step of a connection begins while another, or its handler, runs, wherever
// leadership goes meanwhile.
func TestInvariant1OneGoroutineAHalf(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		sh := runShard(t, Config{})
		var mu sync.Mutex
		var all []*watched
		plain := 0 // written by handlers of one connection only: -race watches
		svc := &Service{Open: func(c *Conn) Driver {
			w := &watched{}
			mine := 0
			w.echo = echo{c: c, handler: func(c *Conn, s string) string {
				mine++
				switch mine % 5 {
				case 1:
					c.Lead()
					runtime.Gosched()
				case 2:
					time.Sleep(time.Millisecond)
				case 3:
					for end := time.Now().Add(2 * time.Millisecond); time.Now().Before(end); {
					}
				}
				return fmt.Sprint(mine)
			}}
			mu.Lock()
			all = append(all, w)
			plain++
			mu.Unlock()
			return w
		}}
		const conns, lines = 8, 60
		var wg sync.WaitGroup
		for range conns {
			a, b := pair(t)
			c := asConn(t, b)
			if !adopt(sh, a, svc) {
				t.Fatal("ended")
			}
			wg.Go(func() {
				defer c.Close()
				r := bufio.NewReader(c)
				// Two lines at a time, so that a step and new bytes meet.
				for i := 0; i < lines; i += 2 {
					io.WriteString(c, "a\n")
					io.WriteString(c, "b\n")
					for j := range 2 {
						if s, err := r.ReadString('\n'); s != fmt.Sprintln(i+j+1) {
							t.Errorf("answer %d is %q (%v)", i+j+1, s, err)
							return
						}
					}
				}
			})
		}
		wg.Wait()
		mu.Lock()
		defer mu.Unlock()
		for _, w := range all {
			if n := w.x.broken.Load(); n > 0 {
				t.Errorf("%d steps began while another ran", n)
			}
		}
	})
}

// Invariant 2: the token has one holder, and epochs only grow.
func TestInvariant2Token(t *testing.T) {
	const takers, handlers = 4, 20000
	var tok token
	var x exclusive
	var taken, stolen atomic.Int64
	var lastEpoch uint64
	plain := 0 // what the leader owns: handed over by the word (-race)
	var over atomic.Bool
	var lead func()
	done := make(chan struct{})
	// lead is a leader's turn: the holder enters handlers until it is overtaken.
	lead = func() {
		x.enter()
		for {
			if epoch := tok.word.Load() & epochMask; epoch < lastEpoch {
				t.Errorf("epoch fell from %#x to %#x", lastEpoch, epoch)
			} else {
				lastEpoch = epoch
			}
			if plain++; plain > handlers {
				over.Store(true)
				x.leave()
				close(done)
				return
			}
			n := plain
			x.leave()
			w := tok.enter()
			if n%3 == 0 {
				runtime.Gosched() // the handler
			}
			if n%7 == 0 && tok.take(w) { // its own known wait
				taken.Add(1)
				go lead()
			}
			if !tok.leave(w) {
				return
			}
			x.enter()
		}
	}
	var wg sync.WaitGroup
	for range takers {
		wg.Go(func() {
			for !over.Load() {
				w := tok.word.Load()
				if tok.take(w) {
					stolen.Add(1)
					go lead()
				}
				runtime.Gosched()
			}
		})
	}
	go lead()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("leadership was lost")
	}
	wg.Wait()
	if n := x.broken.Load(); n > 0 {
		t.Errorf("%d times two held the token", n)
	}
	if got, want := tok.word.Load()/oneEpoch, uint64(taken.Load()+stolen.Load()); got != want {
		t.Errorf("epoch %d after %d takeovers", got, want)
	}
	t.Logf("%d known waits, %d takeovers, %d handlers", taken.Load(), stolen.Load(), plain)
}

// Leadership is never taken out of "engine", nor with a word that has passed.
func TestInvariant2StaleWords(t *testing.T) {
	var tok token
	if tok.take(tok.word.Load()) {
		t.Error("taken out of engine")
	}
	w := tok.enter()
	if !tok.leave(w) {
		t.Fatal("not left")
	}
	if tok.take(w) || tok.leave(w) {
		t.Error("a handler that is over was overtaken")
	}
	w2 := tok.enter()
	if w2 == w {
		t.Error("two handlers of one leader look alike")
	}
	if tok.take(w) {
		t.Error("taken with the word of an earlier handler")
	}
	if !tok.take(w2) || tok.take(w2) || tok.leave(w2) {
		t.Error("not taken exactly once")
	}
	if got := tok.word.Load(); got != 1*oneEpoch {
		t.Errorf("word %#x", got)
	}
	// The sequence wraps within its half and never touches the epoch.
	tok.word.Store(5*oneEpoch | (oneEpoch - oneRequest))
	if w := tok.enter(); w != 5*oneEpoch|inHandler {
		t.Errorf("after the wrap: %#x", w)
	}
}

// Invariant 3: nothing that a leader calls on a connection outside a handler
// waits, whatever the peer does: all descriptors are non-blocking, a full
// socket keeps bytes back, an empty one says so.
func TestInvariant3LeaderNeverWaits(t *testing.T) {
	sh := runShard(t, Config{})
	a, b := pair(t)
	peer := asConn(t, b)
	defer peer.Close()
	stepped := make(chan string, 1)
	svc := &Service{Open: func(c *Conn) Driver {
		return &stub{readable: func() {
			var buf [16]byte
			if _, err := c.Read(buf[:]); err != ErrWouldBlock {
				stepped <- fmt.Sprintf("Read: %v", err)
				return
			}
			big := make([]byte, 4<<20) // far more than the socket takes
			if n, err := c.Write(big); n != len(big) || err != nil {
				stepped <- fmt.Sprintf("Write: %d %v", n, err)
				return
			}
			if c.Buffered() == 0 {
				stepped <- "nothing was kept back"
				return
			}
			flags, _, e := syscall.Syscall(syscall.SYS_FCNTL, uintptr(c.fd), syscall.F_GETFL, 0)
			if e != 0 || flags&syscall.O_NONBLOCK == 0 {
				stepped <- "F_GETFL: " + e.Error()
				return
			}
			stepped <- ""
		}}
	}}
	if !adopt(sh, a, svc) {
		t.Fatal("ended")
	}
	select {
	case s := <-stepped:
		if s != "" {
			t.Error(s)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the leader waits")
	}
	onLeader(t, sh, func() {}) // and leads on
	for what, fd := range map[string]int{"gate": sh.poll.gate, "ring": sh.poll.ring, "bell": sh.standby.fd} {
		flags, _, e := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFL, 0)
		if e != 0 || flags&syscall.O_NONBLOCK == 0 {
			t.Errorf("%s can block: flags %#x, %v", what, flags, e)
		}
	}
}

// Accepted descriptors do not block either: a raw read of one would hold its core.
func TestInvariant3AcceptedDoNotBlock(t *testing.T) {
	flags := make(chan uintptr, 1)
	_, addr := serveEcho(t, func(c *Conn, s string) string {
		f, _, _ := syscall.Syscall(syscall.SYS_FCNTL, uintptr(c.fd), syscall.F_GETFL, 0)
		flags <- f
		return s
	})
	c, r := dial(t, addr)
	ask(t, c, r, "x")
	if f := <-flags; f&syscall.O_NONBLOCK == 0 {
		t.Errorf("flags %#x", f)
	}
}

// Invariant 4: what Write took is its own: the caller's slice may be reused at
// once, and the buffer is back when the bytes have left or the connection has
// ended. Built with race or invariants a buffer that came back too early would
// show as poison in the bytes of another, and one that came back twice panics.
func TestInvariant4BuffersBack(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		sh := runShard(t, Config{})
		const conns, pieces, size = 6, 60, 20 << 10
		var kept atomic.Int64
		var wg sync.WaitGroup
		for id := range conns {
			a, b := pair(t)
			if err := syscall.SetsockoptInt(a, syscall.SOL_SOCKET, syscall.SO_SNDBUF, size); err != nil {
				t.Fatal(err)
			}
			peer := asConn(t, b)
			var conn atomic.Pointer[Conn]
			svc := &Service{Open: func(c *Conn) Driver {
				conn.Store(c)
				return &echo{c: c, handler: func(c *Conn, s string) string {
					buf := make([]byte, size)
					for i := range pieces {
						for j := range buf {
							buf[j] = byte(id*pieces + i)
						}
						c.Write(buf)
						kept.Add(int64(c.Buffered()))
						clear(buf) // reused at once
						if other := bufpool.Get(size); true {
							other.B = append(other.B, 0xff, 0xee)
							other.Release()
						}
						if c.Buffered() > 256<<10 {
							c.WaitWritable(64 << 10)
						}
					}
					return "end"
				}}
			}}
			if !adopt(sh, a, svc) {
				t.Fatal("ended")
			}
			wg.Go(func() {
				defer peer.Close()
				r := bufio.NewReaderSize(peer, 4<<10)
				for range 2 {
					io.WriteString(peer, "go\n")
					// Nobody reads until something had to be kept back.
					for end := time.Now().Add(5 * time.Second); kept.Load() == 0 && time.Now().Before(end); {
						time.Sleep(time.Millisecond)
					}
					buf := make([]byte, size)
					for i := range pieces {
						if _, err := io.ReadFull(r, buf); err != nil {
							t.Error(err)
							return
						}
						if want := byte(id*pieces + i); bytes.Count(buf, []byte{want}) != size {
							t.Errorf("connection %d, piece %d: strange bytes, first %#x, want %#x", id, i, buf[0], want)
							return
						}
					}
					if s, err := r.ReadString('\n'); s != "end\n" {
						t.Errorf("%q %v", s, err)
						return
					}
				}
				// The leader looks: nothing is held between two requests.
				done := make(chan bool, 1)
				sh.Do(func(time.Time) {
					c := conn.Load()
					c.mu.Lock()
					done <- c.out == nil && c.Buffered() == 0
					c.mu.Unlock()
				})
				if !<-done {
					t.Error("an idle connection holds a buffer")
				}
			})
		}
		wg.Wait()
		if kept.Load() == 0 {
			t.Error("nothing was ever kept back: the test shows nothing")
		}
	})
}

// A connection that ends with bytes kept back returns its buffer as well.
func TestInvariant4CutReleases(t *testing.T) {
	sh := runShard(t, Config{})
	a, b := pair(t)
	defer syscall.Close(b)
	ready := make(chan *Conn, 1)
	svc := &Service{Open: func(c *Conn) Driver {
		return &stub{readable: func() {
			c.Write(make([]byte, 1<<20))
			ready <- c
		}}
	}}
	adopt(sh, a, svc)
	c := <-ready
	cut := make(chan int, 1)
	sh.Cut(func(n int) { cut <- n })
	if n := <-cut; n != 1 {
		t.Errorf("%d cut", n)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.out != nil || c.Buffered() != 0 || c.fd != -1 {
		t.Errorf("after the cut: out %v, %d bytes, descriptor %d", c.out, c.Buffered(), c.fd)
	}
}

// descriptors lists the process's open descriptors but the one it lists with.
func descriptors(t testing.TB) (n int, what string) {
	t.Helper()
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	var b strings.Builder
	for _, d := range dir {
		if to, err := os.Readlink("/proc/self/fd/" + d.Name()); err == nil {
			fmt.Fprintf(&b, "%s: %s\n", d.Name(), to)
			n++
		}
	}
	return n, b.String()
}

// settled waits until the counts are back, for seconds at most.
func settled(t *testing.T, fds, goroutines int) {
	t.Helper()
	var nf, ng int
	var what string
	for range 300 {
		nf, what = descriptors(t)
		ng = runtime.NumGoroutine()
		if nf <= fds && ng <= goroutines {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	buf := make([]byte, 1<<18)
	t.Errorf("descriptors %d, before %d; goroutines %d, before %d\n%s%s", nf, fds, ng, goroutines, what,
		buf[:runtime.Stack(buf, true)])
}

// Invariant 5: after the end the epoll set is empty, descriptors and goroutines
// are back at their number, whatever ran.
func TestInvariant5AllBack(t *testing.T) {
	for _, how := range []string{"drain", "cut", "cut under handlers", "hijacked", "never used", "refused"} {
		t.Run(how, func(t *testing.T) {
			// The first use of the poller and of net leaves descriptors behind.
			if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
				l.Close()
			}
			time.Sleep(10 * time.Millisecond)
			fds, _ := descriptors(t)
			goroutines := runtime.NumGoroutine()

			svc, socket := listenEcho(t)
			empty := make(chan struct{}, 64)
			sh, err := New(Config{Empty: func() {
				select {
				case empty <- struct{}{}:
				default:
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			var hijacked []net.Conn
			var mu sync.Mutex
			release := make(chan struct{})
			entered := make(chan struct{}, 64)
			handler := func(c *Conn, s string) string {
				switch s {
				case "hijack":
					nc, err := c.Hijack()
					if err != nil {
						t.Error(err)
						return ""
					}
					mu.Lock()
					hijacked = append(hijacked, nc)
					mu.Unlock()
					io.WriteString(nc, "hijacked\n")
				case "wait":
					entered <- struct{}{}
					c.WaitReadable()
					<-release
				}
				return s
			}
			svc.Open = func(c *Conn) Driver {
				if how == "refused" {
					return nil
				}
				return &echo{c: c, handler: handler}
			}
			sh.Start()
			if err := sh.AddSocket(socket, svc); err != nil {
				t.Fatal(err)
			}
			var peers []net.Conn
			const n = 12
			if how != "never used" {
				for range n {
					c, err := net.Dial("tcp", svc.Listener.Addr().String())
					if err != nil {
						t.Fatal(err)
					}
					c.SetDeadline(time.Now().Add(10 * time.Second))
					peers = append(peers, c)
					r := bufio.NewReader(c)
					switch how {
					case "refused":
						if _, err := r.ReadByte(); err == nil {
							t.Error("not refused")
						}
					case "hijacked":
						ask(t, c, r, "hijack")
					default:
						ask(t, c, r, "x")
					}
					if how == "cut under handlers" {
						io.WriteString(c, "wait\n")
						<-entered
					}
				}
			}
			sh.Leave(svc, func() {})
			sh.Drain()
			if how != "cut under handlers" {
				select {
				case <-empty:
				case <-time.After(10 * time.Second):
					t.Error("a drained shard does not get empty")
				}
			}
			if strings.HasPrefix(how, "cut") {
				cut := make(chan int, 1)
				sh.Cut(func(n int) { cut <- n })
				if got := <-cut; how == "cut under handlers" && got != n {
					t.Errorf("%d cut of %d", got, n)
				}
			}
			close(release)
			endShard(t, sh)
			socket.Close()
			for _, c := range append(peers, hijacked...) {
				c.Close()
			}
			if got := sh.Live(); got != 0 {
				t.Errorf("%d live", got)
			}
			if sh.wheel.count != 0 {
				t.Errorf("%d in the wheel", sh.wheel.count)
			}
			settled(t, fds, goroutines)
		})
	}
}

// The epoll set of a drained shard is empty but for nothing at all.
func TestInvariant5EmptySet(t *testing.T) {
	sh := runShard(t, Config{})
	svc, socket := listenEcho(t)
	svc.Open = func(c *Conn) Driver { return &echo{c: c, handler: func(_ *Conn, s string) string { return s }} }
	if err := sh.AddSocket(socket, svc); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		c, r := dial(t, svc.Listener.Addr().String())
		ask(t, c, r, "x")
	}
	watchedNow := func() int {
		b, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", sh.poll.set))
		if err != nil {
			t.Skip(err)
		}
		return strings.Count(string(b), "tfd:")
	}
	// A connection is answered before it is watched for the next request.
	eventually(t, "five connections and a listener are watched", func() bool { return watchedNow() == 6 })
	left := make(chan struct{})
	sh.Leave(svc, func() { close(left) })
	<-left
	sh.Drain()
	// One whose handler was overtaken is closed by that handler, a little later.
	eventually(t, "nothing is watched after Drain", func() bool { return watchedNow() == 0 })
	socket.Close()
}

// A connection that reaches the shard in the moment of its end is closed.
func TestInvariant5OpenedAtTheEnd(t *testing.T) {
	sh := runShard(t, Config{})
	first, peer1 := pair(t)
	second, peer2 := pair(t)
	c1, c2 := asConn(t, peer1), asConn(t, peer2)
	defer c1.Close()
	defer c2.Close()
	late := &Service{Open: func(*Conn) Driver { return &stub{} }}
	accept := make(chan bool, 1)
	svc := &Service{Open: func(c *Conn) Driver {
		return &stub{
			readable: func() { c.Done(nil) },
			// The last thing before the leader finds that nothing is left.
			closed: func() { accept <- adopt(sh, second, late) },
		}
	}}
	sh.Do(func(time.Time) {
		sh.ended = true
		sh.open(accepted{fd: first}, svc)
	})
	if !<-accept {
		syscall.Close(second)
	}
	c2.SetDeadline(time.Now().Add(3 * time.Second))
	var b [1]byte
	if _, err := c2.Read(b[:]); err != io.EOF {
		t.Errorf("left open for ever: %v", err)
	}
}

// Invariant 6, second half: no work waits behind a parked handler for longer
// than the watchdog; here only that it never waits for the handler itself,
// wherever in a step the next work comes from.
func TestInvariant6NothingWaitsBehindAHandler(t *testing.T) {
	for _, how := range []string{"parks", "computes", "system call"} {
		t.Run(how, func(t *testing.T) {
			eachProcs(t, func(t *testing.T) {
				release, entered := make(chan struct{}), make(chan struct{}, 1)
				var freed atomic.Bool
				var p [2]int
				syscall.Pipe(p[:])
				defer syscall.Close(p[0])
				defer syscall.Close(p[1])
				sh, addr := serveEcho(t, func(_ *Conn, s string) string {
					if s != "hold" {
						return s
					}
					entered <- struct{}{}
					switch how {
					case "parks":
						<-release
					case "computes":
						for !freed.Load() {
						}
					case "system call":
						var b [1]byte
						syscall.Read(p[0], b[:])
					}
					return s
				})
				old, oldr := dial(t, addr)
				ask(t, old, oldr, "x")
				c, r := dial(t, addr)
				io.WriteString(c, "hold\n")
				<-entered
				for range 3 { // open connections, new ones, and the inbox
					ask(t, old, oldr, "x")
					n, nr := dial(t, addr)
					ask(t, n, nr, "x")
					n.Close()
					onLeader(t, sh, func() {})
				}
				close(release)
				freed.Store(true)
				syscall.Write(p[1], []byte("x"))
				if s, err := r.ReadString('\n'); s != "hold\n" {
					t.Errorf("%q %v", s, err)
				}
			})
		})
	}
}
