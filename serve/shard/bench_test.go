//go:build linux

package shard

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// benchHandler answers a line; the first letter says how.
func benchHandler(s string) string {
	switch s[0] {
	case 's':
		time.Sleep(50 * time.Millisecond)
	case 'c':
		for end := time.Now().Add(5 * time.Millisecond); time.Now().Before(end); {
		}
	}
	return s
}

// serveTwin is the same service by package net, a goroutine a connection.
func serveTwin(b *testing.B) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				r := bufio.NewReader(c)
				var out []byte
				for {
					s, err := r.ReadString('\n')
					if err != nil {
						return
					}
					out = append(append(out[:0], benchHandler(s[:len(s)-1])...), '\n')
					if _, err := c.Write(out); err != nil {
						return
					}
				}
			})
		}
	})
	b.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}

// BenchmarkEcho has 64 clients in this process ask one after another. Of the
// slow kinds one request in a hundred sleeps 50 ms or computes 5 ms; p50 and
// p99 are those of the fast ones. The clients share the cores with the server.
func BenchmarkEcho(b *testing.B) {
	for _, mix := range []struct{ name, slow string }{{"fast", ""}, {"sleep-50ms", "s"}, {"compute-5ms", "c"}} {
		for _, procs := range []int{1, 2} {
			for _, by := range []string{"shard", "net"} {
				b.Run(fmt.Sprintf("%s/procs=%d/%s", mix.name, procs, by), func(b *testing.B) {
					defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
					var addr string
					if by == "net" {
						addr = serveTwin(b)
					} else {
						_, addr = serveEcho(b, func(_ *Conn, s string) string { return benchHandler(s) })
					}
					benchClients(b, addr, mix.slow)
				})
			}
		}
	}
}

func benchClients(b *testing.B, addr, slow string) {
	const clients = 64
	conns := make([]net.Conn, clients)
	for i := range conns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		conns[i] = c
	}
	took := make([][]time.Duration, clients)
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for i, c := range conns {
		wg.Go(func() {
			fast, slow := []byte("fast\n"), []byte(slow+"low\n")
			var buf [16]byte
			for {
				n := next.Add(1)
				if n > int64(b.N) {
					return
				}
				q := fast
				if len(slow) > 4 && n%100 == 0 {
					q = slow
				}
				begun := time.Now()
				if _, err := c.Write(q); err != nil {
					b.Error(err)
					return
				}
				if _, err := io.ReadFull(c, buf[:len(q)]); err != nil {
					b.Error(err)
					return
				}
				if n%100 != 0 {
					took[i] = append(took[i], time.Since(begun))
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	all := slices.Concat(took...)
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-us")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

// chain is a driver whose steps hand leadership on without end: the next leader
// steps it first, in a turn that hands on again.
type chain struct {
	stub
	c    *Conn
	n    int
	done chan struct{}
}

func (k *chain) OnReadable(time.Time) {
	for k.n > 0 {
		if k.n--; k.n == 0 {
			close(k.done)
		}
		turn := k.c.BeginTurn()
		k.c.LeadTurn(turn)
		if !k.c.EndTurn(turn) {
			return
		}
	}
}

// BenchmarkTurn is what a shared connection's handlers cost: inline, beside the
// bracket of the other kind; handed on, from LeadTurn to the next leader's step
// of the connection; and woken, from Wake by another goroutine to the step. Of
// requests 64 come in one read of one connection; late: the first of them waits
// until the others are answered.
func BenchmarkTurn(b *testing.B) {
	b.Run("inline", func(b *testing.B) {
		c := unstarted(b)
		b.ReportAllocs()
		for b.Loop() {
			if turn := c.BeginTurn(); !c.EndTurn(turn) {
				b.Fatal("overtaken")
			}
		}
	})
	b.Run("inline/handler", func(b *testing.B) {
		c := unstarted(b)
		b.ReportAllocs()
		for b.Loop() {
			c.BeginHandler()
			if !c.EndHandler() {
				b.Fatal("overtaken")
			}
		}
	})
	for _, procs := range []int{1, 2} {
		b.Run(fmt.Sprintf("hand-off/procs=%d", procs), func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			sh := runShard(b, Config{})
			k := &chain{n: b.N, done: make(chan struct{})}
			here, there := pair(b)
			defer syscall.Close(there)
			b.ReportAllocs()
			b.ResetTimer()
			adopt(sh, here, &Service{Open: func(c *Conn) Driver {
				c.Share()
				k.c = c
				return k
			}})
			<-k.done
			b.StopTimer()
			onLeader(b, sh, func() {})
		})
		b.Run(fmt.Sprintf("wake/procs=%d", procs), func(b *testing.B) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			sh := runShard(b, Config{})
			here, there := pair(b)
			defer syscall.Close(there)
			w := &writer{writable: make(chan struct{}, 1)}
			conn := make(chan *Conn, 1)
			adopt(sh, here, &Service{Open: func(c *Conn) Driver {
				c.Share()
				conn <- c
				return w
			}})
			c := <-conn
			b.ReportAllocs()
			for b.Loop() {
				c.Wake()
				<-w.writable
			}
		})
		for _, op := range []string{"fast", "led-late"} {
			b.Run(fmt.Sprintf("read=64/%s/procs=%d", op, procs), func(b *testing.B) {
				defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
				benchReads(b, op)
			})
		}
	}
}

// benchReads has one client write 64 requests at a time.
func benchReads(b *testing.B, op string) {
	s := serveMux(b)
	late := make(chan struct{})
	onLeader(b, s.sh, func() {
		s.svc.Open = func(c *Conn) Driver {
			m := s.open(c)
			m.handler = func(r *muxRequest) string {
				if r.op == "led-late" {
					r.lead()
					<-late
				}
				return r.op
			}
			return m
		}
	})
	c, r := dial(b, s.addr)
	c.SetDeadline(time.Time{})
	q := []byte(batch(op, 64))
	b.ResetTimer()
	for n := 0; n < b.N; n += 64 {
		if _, err := c.Write(q); err != nil {
			b.Fatal(err)
		}
		for i := range 64 {
			if i == 63 && op == "led-late" {
				late <- struct{}{}
			}
			if _, err := r.ReadSlice('\n'); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}
