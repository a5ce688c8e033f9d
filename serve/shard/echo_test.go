package shard

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// echo is the smallest engine: each line is a request, its handler answers a line.
type echo struct {
	c       *Conn
	handler func(c *Conn, line string) string

	in []byte

	mu  sync.Mutex // write half
	out []byte
}

func (e *echo) OnReadable(time.Time) {
	var b [4096]byte
	for {
		if !e.lines() {
			return
		}
		n, err := e.c.Read(b[:])
		if err == ErrWouldBlock {
			e.flush()
			return
		}
		if err != nil {
			e.flush()
			e.c.Done(nil)
			return
		}
		e.in = append(e.in, b[:n]...)
	}
}

// lines serves the complete lines; false: overtaken.
func (e *echo) lines() bool {
	for {
		i := bytes.IndexByte(e.in, '\n')
		if i < 0 {
			return true
		}
		line := string(e.in[:i])
		e.in = e.in[i+1:]
		inline := true
		answer := func() string {
			e.c.BeginHandler()
			defer func() { inline = e.c.EndHandler() }()
			return e.handler(e.c, line)
		}()
		e.write(answer + "\n")
		if !inline {
			e.flush()
			return false
		}
	}
}

func (e *echo) write(s string) {
	e.mu.Lock()
	e.out = append(e.out, s...)
	e.mu.Unlock()
}

func (e *echo) flush() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.out) > 0 {
		if _, err := e.c.Write(e.out); err != nil {
			e.c.Done(err)
		}
		e.out = e.out[:0]
	}
}

func (e *echo) OnWritable(now time.Time) { e.OnReadable(now) }
func (e *echo) OnTimer(time.Time)        { e.c.Done(nil) }
func (e *echo) OnHangup()                {}
func (e *echo) OnCut()                   {}
func (e *echo) OnOvertaken() {
	if e.mu.TryLock() {
		if len(e.out) > 0 {
			e.c.Write(e.out)
			e.out = e.out[:0]
		}
		e.mu.Unlock()
	}
}
func (e *echo) Drain(time.Time) { e.c.Done(nil) }
func (e *echo) Close() error    { return nil }

// serveEcho runs one shard with handler on a loopback address.
func serveEcho(t testing.TB, handler func(*Conn, string) string) (*Shard, string) {
	t.Helper()
	return serveDriver(t, func(c *Conn) Driver { return &echo{c: c, handler: handler} })
}

// serveDriver runs one shard whose connections have drivers by open.
func serveDriver(t testing.TB, open func(*Conn) Driver) (*Shard, string) {
	t.Helper()
	sh, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	svc, socket := listenEcho(t)
	svc.Open = open
	sh.Start()
	if err := sh.AddSocket(socket, svc); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		sh.Leave(svc, func() {})
		sh.Drain()
		sh.Cut(func(int) {})
		sh.Stop()
		select {
		case <-sh.Stopped():
		case <-time.After(10 * time.Second):
			buf := make([]byte, 1<<20)
			t.Errorf("the shard does not end; live %d\n%s", sh.Live(), buf[:runtime.Stack(buf, true)])
		}
		sh.wg.Wait()
		socket.Close()
	})
	return sh, svc.Listener.Addr().String()
}

func dial(t testing.TB, addr string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	return c, bufio.NewReader(c)
}

func ask(t testing.TB, c net.Conn, r *bufio.Reader, line string) string {
	t.Helper()
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("answer to %q: %v", line, err)
	}
	return strings.TrimSuffix(answer, "\n")
}

// eachProcs runs f on one core and on two.
func eachProcs(t *testing.T, f func(t *testing.T)) {
	for _, procs := range []int{1, 2} {
		t.Run(fmt.Sprintf("procs=%d", procs), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			f(t)
		})
	}
}

func TestEcho(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		_, addr := serveEcho(t, func(_ *Conn, s string) string { return "<" + s + ">" })
		c, r := dial(t, addr)
		for i := range 100 {
			q := fmt.Sprint("line ", i)
			if got := ask(t, c, r, q); got != "<"+q+">" {
				t.Fatalf("got %q", got)
			}
		}
	})
}

// Prove first (a): 64 requests in one batch, the first handler sleeps, nobody
// else sends: the others are answered while it sleeps.
func TestBatchBehindSleeper(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		const n = 64
		release := make(chan struct{})
		entered := make(chan struct{}, n)
		_, addr := serveEcho(t, func(_ *Conn, s string) string {
			switch s {
			case "sleep":
				entered <- struct{}{}
				<-release
			}
			return s
		})
		conns := make([]net.Conn, n)
		readers := make([]*bufio.Reader, n)
		for i := range conns {
			conns[i], readers[i] = dial(t, addr)
			ask(t, conns[i], readers[i], "hello")
		}
		for i, c := range conns {
			q := "fast\n"
			if i == 0 {
				q = "sleep\n"
			}
			io.WriteString(c, q)
		}
		<-entered
		for i := 1; i < n; i++ {
			if _, err := readers[i].ReadString('\n'); err != nil {
				t.Fatalf("connection %d was not answered behind the sleeper: %v", i, err)
			}
		}
		close(release)
		if _, err := readers[0].ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	})
}

// A handler that computes is overtaken as well, and every connection goes on.
func TestHandlerComputes(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		sh, addr := serveEcho(t, func(_ *Conn, s string) string {
			if s == "spin" {
				for end := time.Now().Add(60 * time.Millisecond); time.Now().Before(end); {
				}
			}
			return s
		})
		c, r := dial(t, addr)
		d, dr := dial(t, addr)
		ask(t, d, dr, "x")
		for range 5 {
			io.WriteString(c, "spin\n")
			if got := ask(t, d, dr, "y"); got != "y" {
				t.Fatal(got)
			}
			if _, err := r.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
		}
		if sh.Counters().Overtaken.Load() == 0 {
			t.Error("no handler was overtaken")
		}
	})
}

func TestGoexit(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		_, addr := serveEcho(t, func(c *Conn, s string) string {
			switch s {
			case "exit":
				runtime.Goexit()
			case "exit detached":
				c.Lead()
				runtime.Goexit()
			}
			return s
		})
		for _, q := range []string{"exit", "exit detached", "exit"} {
			c, r := dial(t, addr)
			io.WriteString(c, q+"\n")
			if _, err := r.ReadByte(); err == nil {
				t.Fatalf("%s: answered", q)
			}
			d, dr := dial(t, addr)
			if got := ask(t, d, dr, "alive"); got != "alive" {
				t.Fatal(got)
			}
		}
	})
}

// Known waits: a handler reads more of its own connection while others go on.
func TestWaitReadable(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		_, addr := serveEcho(t, func(c *Conn, s string) string {
			if s != "more" {
				return s
			}
			var b [1]byte
			var got []byte
			e := c.drv.(*echo) // what came with the line is read ahead
			for len(got) < 5 {
				if len(e.in) > 0 {
					got, e.in = append(got, e.in[0]), e.in[1:]
					continue
				}
				n, err := c.Read(b[:])
				if err == ErrWouldBlock {
					if err := c.WaitReadable(); err != nil {
						return err.Error()
					}
					continue
				}
				if err != nil {
					return err.Error()
				}
				got = append(got, b[:n]...)
			}
			return string(got)
		})
		c, r := dial(t, addr)
		d, dr := dial(t, addr)
		for range 20 {
			io.WriteString(c, "more\n")
			ask(t, d, dr, "other")
			for _, b := range "abcde" {
				c.Write([]byte{byte(b)})
				ask(t, d, dr, "other")
			}
			if s, err := r.ReadString('\n'); err != nil || s != "abcde\n" {
				t.Fatalf("%q %v", s, err)
			}
		}
	})
}

// More than the socket takes: kept back, sent with EPOLLOUT, in order.
func TestWriteBeyondSocket(t *testing.T) {
	eachProcs(t, func(t *testing.T) {
		const pieces, size = 200, 64 << 10
		piece := bytes.Repeat([]byte("x"), size)
		_, addr := serveEcho(t, func(c *Conn, s string) string {
			for i := range pieces {
				piece[0] = byte(i)
				if _, err := c.Write(piece); err != nil {
					return ""
				}
				if c.Buffered() > 64<<10 {
					if err := c.WaitWritable(32 << 10); err != nil {
						return ""
					}
				}
			}
			return "end"
		})
		c, r := dial(t, addr)
		io.WriteString(c, "go\n")
		time.Sleep(20 * time.Millisecond)
		buf := make([]byte, size)
		for i := range pieces {
			if _, err := io.ReadFull(r, buf); err != nil {
				t.Fatal(i, err)
			}
			if buf[0] != byte(i) || buf[size-1] != 'x' {
				t.Fatalf("piece %d is %d", i, buf[0])
			}
		}
		if s, _ := r.ReadString('\n'); s != "end\n" {
			t.Fatalf("%q", s)
		}
	})
}
