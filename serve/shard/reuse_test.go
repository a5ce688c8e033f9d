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

// Prove first (d), invariant 6: closes, cuts and accepts reuse descriptor
// numbers as fast as they can, under handlers that run detached. Every byte
// carries its connection's tag, and pipes and sockets that the shard never
// owned lie among the numbers to catch what strays.
func TestReuse(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		const clients, strangers = 24, 4
		sh := runShard(t, Config{})
		svc, socket := listenEcho(t)
		t.Cleanup(func() { socket.Close() })
		svc.Open = func(c *Conn) Driver { return &echo{c: c, handler: serveTagged} }
		if err := sh.AddSocket(socket, svc); err != nil {
			t.Fatal(err)
		}
		addr := svc.Listener.Addr().String()
		var over atomic.Bool
		time.AfterFunc(time.Second, func() { over.Store(true) })
		done := func() bool { return over.Load() || t.Failed() }

		var rounds, ended atomic.Int64
		var wg sync.WaitGroup
		for id := range clients {
			wg.Go(func() {
				for n := 0; !done(); n++ {
					tag := fmt.Sprintf("%02d.%d", id, n)
					if err := tagged(addr, tag); err != nil {
						t.Error(err)
					}
					rounds.Add(1)
				}
			})
		}
		for id := range strangers {
			wg.Go(func() {
				for n := 0; !done(); n++ {
					a, b := pair(t)
					mine := fmt.Sprintf("stranger %d %d", id, n)
					syscall.Write(a, []byte(mine))
					runtime.Gosched()
					var buf [256]byte
					m, err := syscall.Read(b, buf[:])
					if m < 0 || string(buf[:max(m, 0)]) != mine {
						t.Errorf("strange bytes, or ours taken, on a stranger's descriptor: %q %v", buf[:max(m, 0)], err)
					}
					if m, _ := syscall.Read(a, buf[:]); m > 0 {
						t.Errorf("bytes for somebody else: %q", buf[:m])
					}
					if err := syscall.Close(a); err != nil {
						t.Errorf("closed beneath its owner: %v", err)
					}
					if err := syscall.Close(b); err != nil {
						t.Errorf("closed beneath its owner: %v", err)
					}
				}
			})
		}
		wg.Go(func() {
			for !done() {
				time.Sleep(rand.N(20 * time.Millisecond))
				if rand.IntN(2) == 0 {
					sh.CutLargest()
				} else {
					sh.Cut(func(n int) { ended.Add(int64(n)) })
				}
			}
		})
		wg.Wait()
		eventually(t, "all gone", func() bool { return sh.Live() == 0 })
		sh.Leave(svc, func() {})
		onLeader(t, sh, func() {
			for i, c := range sh.conns {
				if c != nil {
					t.Errorf("slot %d is not free", i)
				}
			}
			if len(sh.free) != len(sh.conns) {
				t.Errorf("%d slots free of %d", len(sh.free), len(sh.conns))
			}
		})
		n := sh.Counters()
		t.Logf("%d connections, %d cut, %d overtaken, %d handed off, %d slots",
			rounds.Load(), ended.Load(), n.Overtaken.Load(), n.HandOffs.Load(), len(sh.conns))
	})
}

// serveTagged answers "<op> <tag>" by lines that carry the tag.
func serveTagged(c *Conn, line string) string {
	op, tag, _ := strings.Cut(line, " ")
	switch op {
	case "end": // the server's end
		c.Done(nil)
	case "detached": // cut and closed beneath it, most likely
		c.Lead()
		for range 20 {
			if _, err := c.Write([]byte(line + "\n")); err != nil {
				break
			}
			time.Sleep(rand.N(200 * time.Microsecond))
		}
	case "waits":
		c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		c.WaitReadable()
	case "much":
		for range 200 {
			c.Write([]byte(strings.Repeat(line+"\n", 256)))
		}
	case "late": // a goroutine that outlives its handler and its connection
		go func() {
			for range 20 {
				if _, err := c.Write([]byte(line + "\n")); err != nil {
					return
				}
				time.Sleep(rand.N(100 * time.Microsecond))
			}
		}()
		c.Done(nil)
	case "exit":
		runtime.Goexit()
	}
	return "fast " + tag
}

// tagged is the life of one connection. The server may end it at any point;
// what it sends meanwhile bears the connection's own tag.
func tagged(addr, tag string) error {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	c := nc.(*net.TCPConn)
	c.SetLinger(0) // no TIME_WAIT: ports last
	c.SetDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(c)
	ops := []string{"fast", "fast", "end", "detached", "waits", "much", "late", "exit"}
	for range 1 + rand.IntN(4) {
		op := ops[rand.IntN(len(ops))]
		if _, err := io.WriteString(c, op+" "+tag+"\n"); err != nil {
			return nil
		}
		if rand.IntN(6) == 0 {
			return nil // gone without a word
		}
		for {
			s, err := r.ReadString('\n')
			if isTimeout(err) {
				return fmt.Errorf("%s %s: left hanging", op, tag)
			}
			if err != nil {
				if !strings.HasPrefix("fast "+tag+"\n", s) && !strings.HasPrefix(op+" "+tag+"\n", s) {
					return fmt.Errorf("%s %s: at the end came %q", op, tag, s)
				}
				return nil
			}
			if s == "fast "+tag+"\n" {
				break
			}
			if _, got, _ := strings.Cut(strings.TrimSuffix(s, "\n"), " "); got != tag {
				return fmt.Errorf("%s %s: another's bytes %q", op, tag, s)
			}
		}
	}
	return nil
}
