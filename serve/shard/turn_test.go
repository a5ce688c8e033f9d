//go:build linux

package shard

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Prove first (a), on one connection; invariant 6, second half: 64 requests of
// one read, the first handler does not come back, nobody else sends: the other
// 63 are answered meanwhile, the connection goes on, and the late answer
// arrives too.
func TestInvariant6NothingWaitsBehindATurn(t *testing.T) {
	for _, how := range []string{"hold", "led-hold", "spin"} {
		t.Run(how, func(t *testing.T) {
			eachProcs(t, func(t *testing.T) {
				s := serveMux(t)
				c, r := dial(t, s.addr)
				ask(t, c, r, "0 hello")
				const n = 64
				io.WriteString(c, batch(how, n))
				s.wantHeld(t, 1)
				got := answers(t, r, n-1)
				for id := 2; id <= n; id++ {
					want(t, fmt.Sprint("behind the first: ", id), got[fmt.Sprint(id)], "fast")
				}
				want(t, "the connection goes on", ask(t, c, r, "100 fast"), "100 fast")
				d, dr := dial(t, s.addr)
				want(t, "and so does the shard", ask(t, d, dr, "1 fast"), "1 fast")
				s.release()
				want(t, "the late answer", answers(t, r, 1)["1"], how)
				want(t, "afterwards", ask(t, c, r, "101 fast"), "101 fast")
				taken := &s.sh.counters.Overtaken
				if how == "led-hold" {
					taken = &s.sh.counters.HandOffs
				}
				if taken.Load() == 0 {
					t.Error("no hand-off was counted")
				}
			})
		})
	}
}

// Every handler of one connection may be late: each takeover goes on where the
// one before stopped, until all 64 run at a time.
func TestTurnAllLate(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		s := serveMux(t)
		c, r := dial(t, s.addr)
		const n = 64
		var b strings.Builder
		for id := range n {
			fmt.Fprintf(&b, "%d %s\n", id, []string{"hold", "led-hold"}[id%2])
		}
		io.WriteString(c, b.String())
		s.wantHeld(t, n)
		want(t, "behind them all", ask(t, c, r, "x fast"), "x fast")
		s.release()
		if got := answers(t, r, n); len(got) != n {
			t.Errorf("%d answers", len(got))
		}
	})
}

// What was gathered while a turn led leaves with the next leader's first step:
// earlier answers of the read, and what the late handler has said itself.
func TestTurnGathered(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		s := serveMux(t)
		c, r := dial(t, s.addr)
		io.WriteString(c, "1 fast\n2 say-hold\n")
		s.wantHeld(t, 1)
		got := answers(t, r, 2)
		want(t, "the earlier answer", got["1"], "fast")
		want(t, "what the late handler said", got["2"], "said")
		s.release()
		want(t, "its end", answers(t, r, 1)["2"], "say-hold")
	})
}

// Leading, TurnClock and LeadTurn by the word alone.
func TestTurnWord(t *testing.T) {
	sh := runShard(t, Config{})
	here, there := pair(t)
	defer syscall.Close(there)
	done := make(chan string, 1)
	svc := &Service{Open: func(c *Conn) Driver {
		c.Share()
		var once sync.Once
		step := func() (wrong string) {
			if c.Leading(0) || c.EndTurn(0) {
				return "the zero turn leads"
			}
			c.LeadTurn(0)
			a := c.BeginTurn()
			if !c.Leading(a) || c.TurnClock(a) != time.Unix(0, sh.wall.Load()) {
				return "a turn does not lead" // or its goroutine was preempted for 1 ms: see below
			}
			if !c.EndTurn(a) {
				return "overtaken"
			}
			if c.Leading(a) {
				return "a turn leads after its end"
			}
			c.LeadTurn(a) // late: nothing happens
			b := c.BeginTurn()
			c.LeadTurn(b)
			c.LeadTurn(b) // again: nothing happens
			before := time.Now().Round(0)
			if c.Leading(b) || c.Leading(a) || c.EndTurn(b) {
				return "a turn leads after LeadTurn"
			}
			if c.TurnClock(b).Before(before) || c.TurnClock(0).Before(before) {
				return "the clock of a turn that leads no more stands still"
			}
			return ""
		}
		return &stub{readable: func() { once.Do(func() { done <- step() }) }}
	}}
	// On a machine whose cores are shared the watchdog may overtake a turn of
	// no length at all; hardly each time.
	for range 20 {
		if !adopt(sh, here, svc) {
			t.Fatal("ended")
		}
		wrong := <-done
		if wrong == "" {
			return
		}
		t.Log(wrong)
		here, there = pair(t)
		defer syscall.Close(there)
	}
	t.Error("never as it should be")
}

// A panic or Goexit ends its exchange only, inline and detached: what came with
// it in one read is answered, the connection and the shard live on.
func TestTurnGoexit(t *testing.T) {
	for _, op := range []string{"exit", "led-exit", "panic", "led-panic"} {
		t.Run(op, func(t *testing.T) {
			eachProcs(t, func(t *testing.T) {
				s := serveMux(t)
				c, r := dial(t, s.addr)
				const n = 64
				for range 5 {
					io.WriteString(c, batch(op, n))
					got := answers(t, r, n)
					want(t, "its own answer", got["1"], strings.TrimPrefix(op, "led-"))
					want(t, "the last of the read", got[fmt.Sprint(n)], "fast")
					io.WriteString(c, "1 "+op+"\n") // alone: nobody behind it steps
					want(t, "alone", answers(t, r, 1)["1"], strings.TrimPrefix(op, "led-"))
				}
				d, dr := dial(t, s.addr)
				want(t, "another connection", ask(t, d, dr, "1 fast"), "1 fast")
			})
		})
	}
}

// The hand-off may come wherever a handler can run: each kind of step is made
// for several connections in one round, the handler of the first does not come
// back, all others are served.
func TestTurnAnywhere(t *testing.T) {
	const n = 8
	for where, begin := range map[string]func(t *testing.T, s *muxServer, peers []net.Conn){
		"batch": func(t *testing.T, s *muxServer, peers []net.Conn) {
			onLeader(t, s.sh, func() { // so that one harvest finds them all
				for i, c := range peers {
					fmt.Fprintf(c, "%d hold\n", i)
				}
			})
		},
		"fresh": func(t *testing.T, s *muxServer, _ []net.Conn) {
			var fds []int
			for i := range n {
				a, b := pair(t)
				fds = append(fds, a)
				t.Cleanup(func() { syscall.Close(b) })
				syscall.Write(b, fmt.Appendf(nil, "%d hold\n", i))
			}
			onLeader(t, s.sh, func() {
				for _, fd := range fds {
					s.sh.open(accepted{fd: fd}, s.svc)
				}
			})
		},
		"fresh while draining": func(t *testing.T, s *muxServer, _ []net.Conn) {
			s.sh.Drain()
			for i := range n {
				a, b := pair(t)
				t.Cleanup(func() { syscall.Close(b) })
				syscall.Write(b, fmt.Appendf(nil, "%d hold\n", i))
				adopt(s.sh, a, s.svc)
			}
		},
		"inbox": func(t *testing.T, s *muxServer, _ []net.Conn) {
			onLeader(t, s.sh, func() {
				for _, m := range s.muxes() {
					m.late = "x hold\n"
					m.c.Wake()
				}
			})
		},
		"timer": func(t *testing.T, s *muxServer, _ []net.Conn) {
			onLeader(t, s.sh, func() {
				for _, m := range s.muxes() {
					m.late = "x hold\n"
					m.c.SetTimer(s.sh.now)
					s.sh.settle(m.c)
				}
			})
		},
		"drain": func(t *testing.T, s *muxServer, _ []net.Conn) {
			onLeader(t, s.sh, func() {
				for _, m := range s.muxes() {
					m.late = "x hold\n"
				}
			})
			s.sh.Drain()
		},
	} {
		t.Run(where, func(t *testing.T) {
			eachProcs(t, func(t *testing.T) {
				s := serveMux(t)
				var peers []net.Conn
				if !strings.HasPrefix(where, "fresh") {
					for range n {
						c, r := dial(t, s.addr)
						ask(t, c, r, "0 hello")
						peers = append(peers, c)
					}
				}
				begin(t, s, peers)
				s.wantHeld(t, n)
				onLeader(t, s.sh, func() {})
				s.release()
				if where == "drain" || where == "fresh while draining" {
					eventually(t, "drained", func() bool { return s.sh.Live() == 0 })
				}
				eventually(t, "all handlers have ended", func() bool {
					for _, m := range s.muxes() {
						m.mu.Lock()
						running := m.running
						m.mu.Unlock()
						if running > 0 {
							return false
						}
					}
					return true
				})
			})
		})
	}
}

// Connections of both kinds in one batch: BeginHandler's keep their place until
// the handler is back, BeginTurn's go on.
func TestTurnMixed(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		s := serveMux(t)
		opened := 0
		onLeader(t, s.sh, func() {
			s.svc.Open = func(c *Conn) Driver {
				if opened++; opened%2 == 0 {
					return s.open(c)
				}
				return &echo{c: c, handler: func(_ *Conn, line string) string {
					id, op, _ := strings.Cut(line, " ")
					return id + " " + s.handle(&muxRequest{m: &mux{c: &Conn{sh: s.sh}}, id: id, op: op})
				}}
			}
		})
		const n, late = 32, 4
		conns := make([]net.Conn, n)
		readers := make([]*bufio.Reader, n)
		for i := range conns {
			conns[i], readers[i] = dial(t, s.addr)
			ask(t, conns[i], readers[i], "0 hello")
		}
		onLeader(t, s.sh, func() {
			for i, c := range conns {
				op := "fast"
				if i < late {
					op = "hold"
				}
				fmt.Fprintf(c, "1 %s\n2 fast\n", op)
			}
		})
		s.wantHeld(t, late)
		for i := late; i < n; i++ {
			got := answers(t, readers[i], 2)
			want(t, fmt.Sprint("connection ", i), got["1"]+got["2"], "fastfast")
		}
		shared := 0
		for i := range late {
			if _, ok := s.connDriver(t, i).(*mux); ok {
				shared++
				want(t, "the shared one goes on", answers(t, readers[i], 1)["2"], "fast")
			}
		}
		if shared != late/2 {
			t.Errorf("%d of %d are shared", shared, late)
		}
		s.release()
		for i := range late {
			if _, ok := s.connDriver(t, i).(*mux); ok {
				want(t, "the late answer", answers(t, readers[i], 1)["1"], "hold")
				continue
			}
			got := answers(t, readers[i], 2)
			want(t, "both of the other kind", got["1"]+got["2"], "holdfast")
		}
	})
}

// connDriver is the driver of the i-th connection that was opened.
func (s *muxServer) connDriver(t *testing.T, i int) (d Driver) {
	t.Helper()
	onLeader(t, s.sh, func() { d = s.sh.conns[i].drv })
	return d
}

// Wake from any goroutine makes a step; several make at least one, and none
// that comes after a step has begun is lost, whether the leader sleeps or is busy.
func TestTurnWake(t *testing.T) {
	for _, how := range []string{"idle", "busy"} {
		t.Run(how, func(t *testing.T) {
			eachProcs(t, func(t *testing.T) {
				s := serveMux(t)
				if how == "busy" {
					var steps atomic.Int64
					defer saturate(t, s.sh, &steps)()
				}
				c, r := dial(t, s.addr)
				io.WriteString(c, "1 led-hold\n")
				s.wantHeld(t, 1)
				m := s.muxes()[0]
				steps := func() (n int) {
					onLeader(t, s.sh, func() { n = m.steps })
					return n
				}
				before := steps()
				for range 100 {
					m.c.Wake()
				}
				eventually(t, "a step", func() bool { return steps() > before })
				const goroutines, notes = 8, 400
				var wg sync.WaitGroup
				for range goroutines {
					wg.Go(func() {
						ch := make(chan struct{}, 1)
						for i := range notes {
							m.note(ch)
							select {
							case <-ch:
							case <-time.After(10 * time.Second):
								t.Errorf("Wake %d is lost", i)
								return
							}
						}
					})
				}
				wg.Wait()
				s.release()
				want(t, "the answer", answers(t, r, 1)["1"], "led-hold")
			})
		})
	}
}

// restless is a driver whose every step asks for the next one.
type restless struct {
	stub
	c    *Conn
	over *atomic.Bool
}

func (r *restless) OnWritable(time.Time) {
	if !r.over.Load() {
		r.c.Wake()
	}
}

// Connections that are woken all the time hold up nobody: what comes while the
// inbox is read waits for the next round.
func TestTurnWakesHoldUpNobody(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		s := serveMux(t)
		var over atomic.Bool
		t.Cleanup(func() { over.Store(true) }) // before the shard is ended
		svc := &Service{Open: func(c *Conn) Driver {
			c.Share()
			d := &restless{c: c, over: &over}
			d.readable = c.Wake
			return d
		}}
		for range 3 {
			a, b := pair(t)
			t.Cleanup(func() { syscall.Close(b) })
			adopt(s.sh, a, svc)
		}
		c, r := dial(t, s.addr)
		for range 20 {
			want(t, "beside them", ask(t, c, r, "1 fast"), "1 fast")
		}
	})
}

// Invariant 6: Wake after the connection's close, and after the shard's end,
// reaches nothing.
func TestInvariant6WakeAfterClose(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		s := serveMux(t)
		var over atomic.Bool
		var wg sync.WaitGroup
		for range 20 {
			c, r := dial(t, s.addr)
			ask(t, c, r, "1 fast")
			all := s.muxes()
			m := all[len(all)-1]
			wg.Go(func() { // across the close, and the end
				for !over.Load() {
					m.c.Wake()
					runtime.Gosched()
				}
			})
			c.Close()
		}
		eventually(t, "all closed", func() bool { return s.sh.Live() == 0 })
		c, r := dial(t, s.addr)
		want(t, "who takes their slots", ask(t, c, r, "1 fast"), "1 fast")
		c.Close()
		endShard(t, s.sh)
		over.Store(true)
		wg.Wait()
		for _, m := range s.muxes() {
			for range 3 {
				m.c.Wake()
			}
		}
	})
}

// Invariant 6: who wakes a shard in the moment of its end does not ring a
// descriptor that has got the number since.
func TestInvariant6WakeAtTheEnd(t *testing.T) {
	p, err := newPoller()
	if err != nil {
		t.Fatal(err)
	}
	ring := p.ring
	p.close()
	for range 16 {
		fd, err := newEventfd()
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(fd)
		if fd == ring {
			break
		}
	}
	p.wake()
	if drainEventfd(ring) {
		t.Error("a stranger's eventfd was rung")
	}
}

// Invariant 5: whatever way the end comes while handlers run detached,
// descriptors and goroutines are back once these have returned.
func TestInvariant5TurnsAllBack(t *testing.T) {
	for _, how := range []string{"cut", "drain", "stop"} {
		t.Run(how, func(t *testing.T) {
			eachProcs(t, func(t *testing.T) {
				fds, _ := descriptors(t)
				goroutines := runtime.NumGoroutine()
				empty := make(chan struct{}, 64)
				s := newMuxServer(t, Config{Empty: func() { empty <- struct{}{} }})
				const n, each = 6, 3
				var peers []net.Conn
				for range n {
					a, b := pair(t)
					adopt(s.sh, a, s.svc)
					c := asConn(t, b)
					peers = append(peers, c)
					io.WriteString(c, "1 hold\n2 led-hold\n3 led-hold\n")
				}
				s.wantHeld(t, n*each)
				wantAnswers := func() {
					t.Helper()
					for _, c := range peers {
						r := bufio.NewReader(c)
						if got := answers(t, r, each); len(got) != each {
							t.Errorf("answers %v", got)
						}
						if _, err := r.ReadByte(); how == "drain" && err != io.EOF {
							t.Errorf("after the drain: %v", err)
						}
					}
				}
				switch how {
				case "cut":
					cut := make(chan int, 1)
					s.sh.Cut(func(n int) { cut <- n })
					if got := <-cut; got != n {
						t.Errorf("%d cut of %d", got, n)
					}
					for _, c := range peers {
						if _, err := c.Read(make([]byte, 1)); err == nil || isTimeout(err) {
							t.Errorf("after the cut: %v", err)
						}
					}
					if got := s.sh.Live(); got != 0 {
						t.Errorf("%d live under detached handlers", got)
					}
					s.sh.Stop()
					<-s.sh.Stopped() // the handlers are not waited for
					s.release()
				case "drain":
					s.sh.Drain()
					onLeader(t, s.sh, func() {})
					if got := s.sh.Live(); got != n {
						t.Errorf("%d live of %d", got, n)
					}
					s.release()
					wantAnswers()
					select {
					case <-empty:
					case <-time.After(10 * time.Second):
						t.Error("a drained shard does not get empty")
					}
				case "stop":
					s.sh.Drain()
					s.sh.Stop()
					onLeader(t, s.sh, func() {})
					s.release()
					wantAnswers()
					<-s.sh.Stopped()
				}
				endShard(t, s.sh)
				for _, c := range peers {
					c.Close()
				}
				settled(t, fds, goroutines)
			})
		})
	}
}

// A connection that comes back from Detach, shared by then, in a shard that
// drains: it learns of the drain though the first step is overtaken.
func TestTurnDrainIsNotLost(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		s := newMuxServer(t, Config{})
		shaken := make(chan struct{})
		s.svc.Open = func(c *Conn) Driver { return &shaking{mux: s.driver(c), shaken: shaken} }
		a, b := pair(t)
		c := asConn(t, b)
		defer c.Close()
		io.WriteString(c, "1 hold\n")
		adopt(s.sh, a, s.svc)
		onLeader(t, s.sh, func() {})
		s.sh.Drain()
		eventually(t, "the drain has passed it by", func() (passed bool) {
			onLeader(t, s.sh, func() { passed = s.sh.draining && s.sh.drainNext == len(s.sh.conns) })
			return passed
		})
		close(shaken)
		s.wantHeld(t, 1)
		onLeader(t, s.sh, func() {}) // it was overtaken
		s.release()
		r := bufio.NewReader(c)
		want(t, "the answer", answers(t, r, 1)["1"], "hold")
		if _, err := r.ReadByte(); err != io.EOF {
			t.Errorf("the drain: %v", err)
		}
	})
}

// shaking is a mux that begins on a goroutine of its own, as a TLS handshake
// does, and is shared from there.
type shaking struct {
	*mux
	begun  bool
	shaken chan struct{}
}

func (h *shaking) OnReadable(now time.Time) {
	if h.begun {
		h.mux.OnReadable(now)
		return
	}
	h.begun = true
	h.c.Detach(func() {
		<-h.shaken
		h.c.Share()
	})
}

func (h *shaking) Drain(now time.Time) {
	if h.begun {
		h.mux.Drain(now)
	}
}

// Share in Detach's goroutine meets the end of the step that began it (-race watches).
func TestTurnAfterHandshake(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		s := serveMux(t)
		shaken := make(chan struct{})
		close(shaken)
		onLeader(t, s.sh, func() {
			s.svc.Open = func(c *Conn) Driver { return &shaking{mux: s.driver(c), shaken: shaken} }
		})
		for range 200 {
			c, r := dial(t, s.addr)
			want(t, "the first request", ask(t, c, r, "1 fast"), "1 fast")
			c.Close()
		}
	})
}

// writer is a driver whose one step writes, and which notes OnWritable.
type writer struct {
	stub
	writable chan struct{}
}

func (w *writer) OnWritable(time.Time) {
	select {
	case w.writable <- struct{}{}:
	default:
	}
}

// What was kept back may leave by somebody's Uncork before the leader sees the
// edge: OnWritable comes all the same.
func TestTurnUncorked(t *testing.T) {
	sh := runShard(t, Config{})
	a, b := pair(t)
	peer := asConn(t, b)
	defer peer.Close()
	w := &writer{writable: make(chan struct{}, 1)}
	ready := make(chan *Conn, 1)
	adopt(sh, a, &Service{Open: func(c *Conn) Driver {
		c.Share()
		w.readable = func() {
			if c.Buffered() == 0 {
				c.Write(make([]byte, 4<<20))
				ready <- c
			}
		}
		return w
	}})
	c := <-ready
	onLeader(t, sh, func() {}) // the step has ended
	for len(w.writable) > 0 {
		<-w.writable
	}
	onLeader(t, sh, func() { // the edge waits meanwhile
		if c.Buffered() == 0 {
			t.Error("nothing was kept back")
		}
		go io.Copy(io.Discard, peer)
		for c.Buffered() > 0 {
			c.Cork()
			c.Write([]byte("x"))
			c.Uncork()
			runtime.Gosched()
		}
	})
	select {
	case <-w.writable:
	case <-time.After(5 * time.Second):
		t.Error("the driver is not told that all has left")
	}
}

// Rule S-3 for what a detached handler writes: no step of the leader's begins
// the clock, and no edge comes from a peer that takes nothing.
func TestTurnStalled(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		s := newMuxServer(t, Config{WriteIdleTimeout: 50 * time.Millisecond})
		a, b := pair(t)
		peer := asConn(t, b)
		defer peer.Close()
		adopt(s.sh, a, s.svc)
		io.WriteString(peer, "1 led-hold\n")
		s.wantHeld(t, 1)
		onLeader(t, s.sh, func() {})
		m := s.muxes()[0]
		m.mu.Lock()
		m.c.Write(make([]byte, 4<<20))
		m.mu.Unlock()
		eventually(t, "the connection is cut", func() bool {
			return s.sh.counters.Stalled.Load() == 1 && s.sh.Live() == 0
		})
	})
}

// Invariant 1 under every way in which handlers keep or leave their goroutine:
// bytes and FIN arrive during takeovers, in pieces of any size, and no edge is
// lost: each request is answered once, then comes the end.
func TestInvariant1TurnSteps(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		s := serveMux(t)
		end := time.Now().Add(1500 * time.Millisecond)
		var wg sync.WaitGroup
		var requests atomic.Int64
		for id := range 24 {
			wg.Go(func() {
				for n := 0; time.Now().Before(end) && !t.Failed(); n++ {
					k := 1 + rand.IntN(40)
					if err := s.life(fmt.Sprintf("%d.%d", id, n), k); err != nil {
						t.Error(err)
					}
					requests.Add(int64(k))
				}
			})
		}
		wg.Wait()
		eventually(t, "all gone", func() bool { return s.sh.Live() == 0 })
		n := s.sh.Counters()
		t.Logf("%d requests, %d overtaken, %d handed off, %d connections",
			requests.Load(), n.Overtaken.Load(), n.HandOffs.Load(), n.Accepted.Load())
	})
}

var muxOps = []string{
	"fast", "fast", "fast", "sleep", "lock", "compute", "foreign", "wake", "exit", "panic",
	"led-fast", "led-sleep", "led-lock", "led-foreign", "led-exit", "led-panic",
}

// life is one connection with n requests, whose every answer is looked for.
func (s *muxServer) life(tag string, n int) error {
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	expect := make(map[string]int)
	var b strings.Builder
	for i := range n {
		op := muxOps[rand.IntN(len(muxOps))]
		id := fmt.Sprintf("%s.%d", tag, i)
		fmt.Fprintf(&b, "%s %s\n", id, op)
		switch kind := strings.TrimPrefix(op, "led-"); kind {
		case "exit", "panic":
			expect[id+" "+kind]++
		case "foreign":
			expect[id+" said"]++
			expect[id+" "+op]++
		default:
			expect[id+" "+op]++
		}
	}
	go func() {
		for rest := b.String(); rest != ""; {
			k := min(len(rest), 1+rand.IntN(200))
			io.WriteString(c, rest[:k])
			rest = rest[k:]
			switch rand.IntN(4) {
			case 0:
				time.Sleep(rand.N(time.Millisecond))
			case 1:
				runtime.Gosched()
			}
		}
		halfClose(c)
	}()
	r := bufio.NewReader(c)
	for {
		line, err := r.ReadString('\n')
		if err == io.EOF && line == "" {
			break
		}
		if err != nil {
			return fmt.Errorf("%s: %d answers of %d are missing, first of %v: %w", tag, len(expect), n, expect, err)
		}
		line = strings.TrimSuffix(line, "\n")
		if expect[line]--; expect[line] < 0 {
			return fmt.Errorf("%s: unexpected %q", tag, line)
		} else if expect[line] == 0 {
			delete(expect, line)
		}
	}
	if len(expect) > 0 {
		return fmt.Errorf("%s: the end came before %v", tag, expect)
	}
	return nil
}

// The server stops in the middle of all that: the shard ends, nobody hangs.
func TestTurnStopInTheMiddle(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		for range 3 {
			s := serveMux(t)
			var stop atomic.Bool
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() {
					for !stop.Load() {
						_ = s.life("x", 1+rand.IntN(20)) // cut, most likely
					}
				})
			}
			time.Sleep(100 * time.Millisecond)
			if rand.IntN(2) == 0 {
				s.sh.Cut(func(int) {})
			}
			s.sh.Leave(s.svc, func() {})
			endShard(t, s.sh)
			stop.Store(true)
			if n := s.sh.Live(); n != 0 {
				t.Errorf("%d connections left", n)
			}
			// Later dials wait in the queue of a socket that nobody accepts from.
			s.svc.Listener.Close()
			wg.Wait()
		}
	})
}

// A turn that is not overtaken costs no allocation.
func TestTurnAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("counts differ under -race")
	}
	c := unstarted(t)
	if n := testing.AllocsPerRun(1000, func() {
		turn := c.BeginTurn()
		if !c.Leading(turn) || !c.EndTurn(turn) {
			t.Fatal("overtaken")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// unstarted is a connection of a shard that nobody leads.
func unstarted(t testing.TB) *Conn {
	t.Helper()
	sh, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sh.finish)
	return &Conn{sh: sh}
}
