package h1

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/h1/wire"
)

// One test for each limit and each class of attack (edge-rules H1-*, S-*).

// TestHeadLimits: what a head may cost, and the answer beyond it (H1-12).
func TestHeadLimits(t *testing.T) {
	field := func(n int) string { return "X: " + strings.Repeat("v", n-len("X: \r\n")) + "\r\n" }
	fields := func(n int) string { return strings.Repeat("X: v\r\n", n) }
	for _, tt := range []struct {
		name string
		head string
		want int // 200: accepted
	}{
		{"target", "GET /" + strings.Repeat("a", wire.DefaultTargetBytes-1) + " HTTP/1.1\r\nHost: a\r\n\r\n", 200},
		{"target too long", "GET /" + strings.Repeat("a", wire.DefaultTargetBytes) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
		{"method too long", strings.Repeat("M", wire.DefaultMethodBytes+1) + " / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
		{"fields", "GET / HTTP/1.1\r\nHost: a\r\n" + field(wire.DefaultFieldBytes-20) + "\r\n", 200},
		{"one field too large", "GET / HTTP/1.1\r\nHost: a\r\n" + field(wire.DefaultFieldBytes+1) + "\r\n", 431},
		{"one field too large, endless", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("v", wire.DefaultFieldBytes+100), 431},
		{"100 fields", "GET / HTTP/1.1\r\nHost: a\r\n" + fields(wire.DefaultFields-1) + "\r\n", 200},
		{"101 fields", "GET / HTTP/1.1\r\nHost: a\r\n" + fields(wire.DefaultFields) + "\r\n", 431},
		{"three empty lines", "\r\n\r\n\r\n" + getHello, 400},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0},
	} {
		script(t, tt.name, func(t *testing.T, fm form) {
			c := dial(t, fm, hello)
			for s := tt.head; s != ""; { // in segments, as a network cuts it
				n := min(len(s), 1460)
				c.write(s[:n])
				s = s[n:]
			}
			if tt.want == 200 {
				c.want(tt.name, 200, "hello")
				c.write(getHello)
				c.want("the next", 200, "hello")
				return
			}
			s := c.got()
			a := c.next(tt.name, "GET", s)
			if tt.want != 0 && a.StatusCode != tt.want || a.StatusCode < 400 || !a.Close || a.rest != "" {
				t.Errorf("%s: got %q, want one %d that closes", tt.name, s, tt.want)
			}
			time.Sleep(2 * time.Second)
			c.wantClosed(tt.name)
			if n := c.cfg.Counters.Malformed.Load() + c.cfg.Counters.TooLarge.Load(); n != 1 {
				t.Errorf("%d refused heads counted, want 1", n)
			}
		})
	}
}

// TestSlowHeadHoldsLittle: a peer that sends a byte and waits holds no read buffer.
func TestSlowHeadHoldsLittle(t *testing.T) {
	script(t, "S-1", func(t *testing.T, fm form) {
		if fm.portable {
			return // a blocking Read has its buffer in hand
		}
		c := dial(t, fm, hello)
		c.write("G")
		c.wantIdle("one byte")
		if got := cap(c.h.conn.in.B); got > smallHead {
			t.Errorf("a connection with one byte holds %d, want %d at most", got, smallHead)
		}
		c.write(getHello[1:])
		c.want("the rest", 200, "hello")
	})
}

// TestPipelineFlood: requests whose answers are not read are not served (H1-17).
func TestPipelineFlood(t *testing.T) {
	script(t, "H1-17", func(t *testing.T, fm form) {
		var served atomic.Int64
		answer := strings.Repeat("x", 1000)
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			served.Add(1)
			io.WriteString(w, answer)
		})
		c.h.mu.Lock()
		c.h.window = 10_000
		c.h.mu.Unlock()
		const requests = 10_000
		c.write(strings.Repeat(getHello, requests))
		c.got()
		if n := served.Load(); n > 10+flushSize/1000+1+16<<10/int64(len(getHello)) {
			t.Errorf("%d requests served while nobody reads", n)
		}
		c.h.mu.Lock()
		kept := len(c.h.kept)
		c.h.mu.Unlock()
		if kept > highWater+flushSize {
			t.Errorf("%d bytes kept for a peer that does not read", kept)
		}
		c.h.take(-1)
		c.got()
		if n := served.Load(); n != requests {
			t.Errorf("%d requests served once the peer reads, want %d", n, requests)
		}
	})
}

// TestSlowReader: a handler that writes to a peer that does not read waits, and
// what is kept for the peer stays bounded (S-3).
func TestSlowReader(t *testing.T) {
	for _, size := range []int{1 << 10, 32 << 10, 1 << 20} {
		script(t, fmt.Sprintf("S-3 writes of %d", size), func(t *testing.T, fm form) {
			const total = 4 << 20
			var wrote atomic.Int64
			c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
				b := make([]byte, size)
				for n := 0; n < total; n += size {
					if _, err := w.Write(b); err != nil {
						t.Error(err)
					}
					wrote.Add(int64(size))
				}
			})
			c.h.mu.Lock()
			c.h.window = 0
			c.h.mu.Unlock()
			c.write(getHello)
			c.got()
			c.h.mu.Lock()
			kept, largest := len(c.h.kept), c.h.largest
			c.h.mu.Unlock()
			if kept > 2*highWater+copyLimit {
				t.Errorf("%d bytes kept, want the handler to wait", kept)
			}
			if largest > highWater+copyLimit {
				t.Errorf("one Write of %d bytes, want 64 KiB at most", largest)
			}
			for range total/100_000 + 10 {
				c.h.take(100_000)
				c.got()
			}
			c.h.take(-1)
			c.read = 0
			a := c.next("once it reads", "GET", c.got())
			if len(a.body) != total || wrote.Load() != total {
				t.Errorf("%d bytes came, %d were written, want %d", len(a.body), wrote.Load(), total)
			}
			c.write(getHello[:5])
			c.wantOpen("afterwards")
		})
	}
}

// TestLinger: after an error answer input is read for a while, bounded in time and bytes.
func TestLinger(t *testing.T) {
	script(t, "bytes", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.write("BAD\r\n\r\n")
		c.got()
		for range 5 {
			c.write(strings.Repeat("x", maxLingerBytes/4))
		}
		c.wantClosed("more than 64 KiB behind the error")
	})
	script(t, "time", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.write("BAD\r\n\r\n")
		c.got()
		for range 3 {
			time.Sleep(lingerTimeout / 2)
			c.write("x")
		}
		c.wantClosed("more than 1 s behind the error")
	})
	script(t, "the peer closes", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.write("BAD\r\n\r\n")
		c.got()
		c.h.hangup(nil)
		c.wantClosed("both halves are closed")
	})
	script(t, "the error answer cannot leave", func(t *testing.T, fm form) {
		if fm.portable {
			return // Write waits there under the host's deadline
		}
		c := dial(t, fm, hello)
		c.h.mu.Lock()
		c.h.window = 10
		c.h.mu.Unlock()
		c.write("BAD\r\n\r\n")
		c.got()
		c.h.mu.Lock()
		fin := c.h.fin
		c.h.mu.Unlock()
		if fin {
			t.Error("FIN before the answer has left")
		}
		c.h.take(-1)
		c.got()
		c.h.mu.Lock()
		fin = c.h.fin
		c.h.mu.Unlock()
		if !fin {
			t.Error("no FIN once the answer has left")
		}
	})
}

// TestMaxBodyBytes: a body that is too large fails its handler's Read.
func TestMaxBodyBytes(t *testing.T) {
	limited := func(t *testing.T, fm form, h http.HandlerFunc) *peer {
		cfg, log := testConfig(h)
		cfg.MaxBodyBytes = 10
		return dialConfig(t, fm, Complete(cfg), log)
	}
	readAll := func(t *testing.T, want string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			var e *http.MaxBytesError
			if !errors.As(err, &e) || e.Limit != 10 {
				t.Errorf("Body.Read = %v, want *http.MaxBytesError", err)
			}
			if string(b) != want {
				t.Errorf("read %q, want %q", b, want)
			}
		}
	}
	script(t, "declared", func(t *testing.T, fm form) {
		c := limited(t, fm, readAll(t, ""))
		c.write(fmt.Sprintf(post, 11) + "0123456789a")
		c.wantRefused("11 bytes declared", 413)
	})
	script(t, "declared and expected", func(t *testing.T, fm form) {
		c := limited(t, fm, readAll(t, ""))
		c.write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n")
		c.wantRefused("a body that is too large is not asked for", 413)
	})
	script(t, "chunked", func(t *testing.T, fm form) {
		c := limited(t, fm, readAll(t, "0123456789"))
		c.write("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n01234567\r\n8\r\n89abcdef\r\n0\r\n\r\n")
		c.wantRefused("16 bytes in chunks", 413)
	})
	script(t, "the handler answers itself", func(t *testing.T, fm form) {
		c := limited(t, fm, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			http.Error(w, "no", 400)
		})
		c.write(fmt.Sprintf(post, 11) + "0123456789a")
		if a := c.wantFor("its own answer", "POST", 400, "no\n"); !a.Close {
			t.Error("the connection is kept, though its body was not read")
		}
	})
	script(t, "small enough", func(t *testing.T, fm form) {
		c := limited(t, fm, echo)
		c.write(fmt.Sprintf(post, 10) + "0123456789")
		c.wantFor("10 bytes", "POST", 200, "POST / 0123456789")
		c.write("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n0\r\n\r\n")
		c.wantFor("10 bytes in a chunk", "POST", 200, "POST / 0123456789")
	})
}

// TestChunkAbuse: no resync, no endless extensions or trailers (H1-4 to H1-7).
func TestChunkAbuse(t *testing.T) {
	const head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, tt := range []struct{ name, body string }{
		{"H1-4 size", "0x3\r\nabc\r\n0\r\n\r\n"},
		{"H1-4 data too long", "3\r\nabcd\r\n0\r\n\r\n"},
		{"H1-5 LF", "3\nabc\r\n0\r\n\r\n"},
		{"H1-6 extensions", strings.Repeat("1;"+strings.Repeat("e", 200)+"\r\na\r\n", 1000) + "0\r\n\r\n"},
		{"H1-7 trailer", "0\r\n" + strings.Repeat("X: v\r\n", 40) + "\r\n"},
	} {
		script(t, tt.name, func(t *testing.T, fm form) {
			failed := false
			c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
				_, err := io.Copy(io.Discard, r.Body)
				failed = err != nil
			})
			c.write(head + tt.body + "GET /canary HTTP/1.1\r\nHost: a\r\n\r\n")
			a := c.next(tt.name, "POST", c.got())
			if a.StatusCode < 400 || !a.Close || a.rest != "" || !failed {
				t.Errorf("got %d, close %v, rest %q, Body.Read failed: %v; want an error that closes", a.StatusCode, a.Close, a.rest, failed)
			}
		})
	}
}

// TestGoexit: a handler that ends its goroutine ends its connection, and no
// lock stays held.
func TestGoexit(t *testing.T) {
	for _, when := range []string{"before", "within"} {
		script(t, when, func(t *testing.T, fm form) {
			c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
				if when == "within" {
					io.WriteString(w, "part")
					w.(http.Flusher).Flush()
				}
				runtime.Goexit()
			})
			c.write(getHello)
			c.got()
			c.h.mu.Lock()
			defer c.h.mu.Unlock()
			if c.h.inHandler {
				t.Error("EndHandler was not called")
			}
			if !c.h.closed {
				t.Error("the connection is open")
			}
			if !c.h.conn.rmu.TryLock() || !c.h.conn.wmu.TryLock() {
				t.Error("a lock is held")
			}
		})
	}
}

// TestManyPanics: the process and other connections live.
func TestManyPanics(t *testing.T) {
	script(t, "24", func(t *testing.T, fm form) {
		for i := range 100 {
			c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
				switch i % 3 {
				case 0:
					panic(nil)
				case 1:
					w.Write(make([]byte, 100_000))
					panic("after")
				case 2:
					w.WriteHeader(9999)
				}
			})
			c.write(getHello)
			c.got()
			c.wantClosed("a panic")
		}
	})
}

// TestPeerReset: a handler learns of a dead peer by its Write, and is not
// called again.
func TestPeerReset(t *testing.T) {
	script(t, "while it writes", func(t *testing.T, fm form) {
		var failed error
		n := 0
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			n++
			for range 100 {
				if _, failed = w.Write(make([]byte, 10_000)); failed != nil {
					return
				}
			}
		})
		c.h.mu.Lock()
		c.h.writeErr = syscall.EPIPE
		c.h.mu.Unlock()
		c.write(getHello + getHello)
		c.got()
		if !errors.Is(failed, syscall.EPIPE) {
			t.Errorf("Write = %v, want %v", failed, syscall.EPIPE)
		}
		if n != 1 {
			t.Errorf("%d requests handled, want 1", n)
		}
		c.wantClosed("a dead peer")
	})
	script(t, "while it reads", func(t *testing.T, fm form) {
		var failed error
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			_, failed = io.Copy(io.Discard, r.Body)
		})
		c.write(fmt.Sprintf(post, 100) + "x")
		c.wantIdle("waits for the body")
		c.h.hangup(syscall.ECONNRESET)
		c.got()
		if !errors.Is(failed, syscall.ECONNRESET) {
			t.Errorf("Body.Read = %v, want %v", failed, syscall.ECONNRESET)
		}
		time.Sleep(2 * time.Second)
		c.wantClosed("a dead peer")
	})
}

// TestUpgradeRefused: behind a refused upgrade nothing is read as HTTP (H1-15).
func TestUpgradeRefused(t *testing.T) {
	script(t, "websocket", func(t *testing.T, fm form) {
		n := 0
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) { n++ })
		c.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + getHello)
		if a := c.want("refused", 200, ""); !a.Close {
			t.Error("no Connection: close")
		}
		time.Sleep(2 * time.Second)
		c.wantClosed("after a refused upgrade")
		if n != 1 {
			t.Errorf("%d requests handled, want 1", n)
		}
	})
	script(t, "h2c is ignored", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: \r\n\r\n")
		c.want("served in HTTP/1.1", 200, "hello")
		c.wantOpen("no upgrade was refused")
	})
}
