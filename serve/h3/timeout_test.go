package h3

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/penstock-edge/penstock/serve/h3/frame"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// Every wait has a deadline (Q-2, S-1 to S-4), in fake time.

// slack is more than a packet and its answer take, and what is looked at once in
// a sweep.
const slack = 100 * time.Millisecond

func keepAlive(cfg *quic.Config) { cfg.KeepAlivePeriod = 3 * time.Second }

func TestNoControlStream(t *testing.T) {
	t.Parallel()
	script(t, "none", func(t *testing.T, n *network) {
		c := n.listen(hello).dialFrom(n.client, keepAlive)
		c.wantOpen("in time", settingsTimeout-slack)
		time.Sleep(2 * slack)
		c.wantClosed("no control stream", frame.MissingSettings)
	})
	script(t, "requests do not help", func(t *testing.T, n *network) {
		c := n.listen(hello).dialFrom(n.client, keepAlive)
		for range settingsTimeout/time.Second - 1 {
			c.wantLive("in time")
			time.Sleep(time.Second)
		}
		c.wantOpen("in time", time.Second-3*slack)
		time.Sleep(4 * slack)
		c.wantClosed("no control stream", frame.MissingSettings)
	})
	script(t, "SETTINGS that do not come", func(t *testing.T, n *network) {
		c := n.listen(hello).dialFrom(n.client, keepAlive)
		c.openUni(kindControl, "")
		time.Sleep(settingsTimeout + slack)
		c.wantClosed("no SETTINGS", frame.MissingSettings)
	})
	script(t, "other streams", func(t *testing.T, n *network) {
		c := n.listen(hello).dialFrom(n.client, keepAlive)
		c.openUni(kindEncoder, "")
		c.openUni(kindDecoder, "")
		time.Sleep(settingsTimeout + slack)
		c.wantClosed("no SETTINGS", frame.MissingSettings)
	})
	script(t, "in time", func(t *testing.T, n *network) {
		c := n.listen(hello).dialFrom(n.client, keepAlive)
		time.Sleep(settingsTimeout - slack)
		c.openUni(kindControl, settings())
		c.wantOpen("in time", 2*settingsTimeout)
		c.wantLive("in time")
	})
}

func TestQUICIdle(t *testing.T) {
	t.Parallel()
	script(t, "a peer that is silent", func(t *testing.T, n *network) {
		s := n.listen(hello)
		c := s.dialFrom(n.client)
		c.control = c.openUni(kindControl, settings())
		c.wantLive("at first")
		time.Sleep(defaultQUICIdleTimeout - time.Second)
		servetest.Want(t, "it is there", s.Live(), 1)
		time.Sleep(5 * time.Second) // the sweep gave credit meanwhile
		servetest.Want(t, "it has gone", s.Live(), 0)
	})
	script(t, "its handlers are told", func(t *testing.T, n *network) {
		h, runs, ended := waiter(awaitContext)
		s := n.listen(h)
		c := s.dialFrom(n.client)
		c.control = c.openUni(kindControl, settings())
		c.request(headers(get("/")...))
		<-runs
		time.Sleep(defaultQUICIdleTimeout + time.Second)
		servetest.WantErr(t, "the context", soon(t, "the context", ended), context.Canceled)
		servetest.Want(t, "it has gone", s.Live(), 0)
	})
}

// TestIdleTimeout: S-4; acknowledgements and keep-alives do not count.
func TestIdleTimeout(t *testing.T) {
	t.Parallel()
	script(t, "no request", func(t *testing.T, n *network) {
		_, c := n.connect(hello)
		c.wantOpen("in time", defaultIdleTimeout-time.Second)
		time.Sleep(3 * time.Second)
		c.wantClosed("idle", frame.NoError)
	})
	script(t, "no further request", func(t *testing.T, n *network) {
		_, c := n.connect(hello)
		c.wantOpen("in time", defaultIdleTimeout/2)
		c.wantLive("in time")
		c.wantOpen("it begins anew", defaultIdleTimeout-time.Second)
		time.Sleep(3 * time.Second)
		c.wantClosed("idle", frame.NoError)
	})
	script(t, "a handler that runs", func(t *testing.T, n *network) {
		_, c := n.connect(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(2 * defaultIdleTimeout)
			io.WriteString(w, "at last")
		})
		x := c.request(headers(get("/")...))
		c.wantOpen("it is not idle", 2*defaultIdleTimeout)
		x.wantAnswer("a slow one", "200", "at last")
	})
	script(t, "none", func(t *testing.T, n *network) {
		_, c := n.connect(hello, func(cfg *Config) { cfg.IdleTimeout = -1 })
		c.wantOpen("for ever", 10*time.Minute)
		c.wantLive("for ever")
	})
}

// TestConnAge: H1-17.
func TestConnAge(t *testing.T) {
	t.Parallel()
	script(t, "an hour", func(t *testing.T, n *network) {
		_, c := n.connect(hello)
		begun := time.Now()
		for time.Since(begun) < defaultMaxConnAge*9/10-time.Minute {
			c.wantLive("in use")
			time.Sleep(time.Minute)
		}
		time.Sleep(defaultMaxConnAge/5 + 2*time.Minute)
		c.wantClosed("old", frame.NoError)
	})
	script(t, "a request that runs is served", func(t *testing.T, n *network) {
		_, c := n.connect(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(8 * time.Second)
			io.WriteString(w, "hello")
		}, func(cfg *Config) { cfg.MaxConnAge = 10 * time.Second })
		time.Sleep(8 * time.Second)
		c.request(headers(get("/")...)).wantAnswer("under way", "200", "hello")
		c.wantClosed("old", frame.NoError)
	})
	script(t, "so many requests", func(t *testing.T, n *network) {
		s, c := n.connect(hello, func(cfg *Config) { cfg.MaxRequests = 20 })
		for range 25 {
			str, err := c.q.OpenStream()
			if err != nil {
				break // closed
			}
			x := &exchange{c, str}
			x.write(headers(get("/")...))
			x.Close()
			x.answer()
			time.Sleep(slack)
		}
		c.wantClosed("enough", frame.NoError)
		got := s.count().Requests.Load()
		servetest.Want(t, "20 +-10 %", got >= 18 && got <= 22, true)
	})
}

// TestSlowHead: S-1.
func TestSlowHead(t *testing.T) {
	t.Parallel()
	head := headers(get("/", "x-a", strings.Repeat("abc", 20))...)
	slowly := func(x *exchange) {
		for i := 1; i < 20; i++ {
			time.Sleep(time.Second)
			x.write(head[i : i+1])
		}
	}
	for _, late := range []bool{false, true} {
		name := map[bool]string{false: "", true: ", on a goroutine of its own"}[late]
		begin := func(t *testing.T, n *network) (*site, *client) {
			s, c := n.connect(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/late" {
					time.Sleep(10 * tick)
				}
				io.WriteString(w, "hello")
			})
			if late {
				c.request(headers(get("/late")...)).wantAnswer("it is overtaken", "200", "hello")
			}
			return s, c
		}
		script(t, "byte by byte"+name, func(t *testing.T, n *network) {
			s, c := begin(t, n)
			x := c.open(head[:1])
			go slowly(x)
			time.Sleep(defaultReadHeadTimeout - slack)
			servetest.Want(t, "it is waited for", s.busy(), 1)
			c.wantLive("others are served meanwhile")
			time.Sleep(2 * slack)
			x.wantReset("too slow", frame.RequestIncomplete)
			servetest.Want(t, "it is counted", s.count().TimedOut.Load(), 1)
			c.wantLive("of that stream only")
			time.Sleep(20 * time.Second)
		})
		script(t, "in time"+name, func(t *testing.T, n *network) {
			_, c := begin(t, n)
			x := c.open(head[:1])
			time.Sleep(defaultReadHeadTimeout - slack)
			x.write(head[1:])
			time.Sleep(defaultReadHeadTimeout) // the body has its own
			x.Close()
			x.wantAnswer("in time", "200", "hello")
		})
	}
}

// TestBodyIdle: S-2.
func TestBodyIdle(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in string }{
		{"no byte", headers(post("/")...)},
		{"a part of a frame", headers(post("/")...) + data("abc")[:4]},
		{"no byte of a declared length", headers(post("/", "content-length", "5")...)},
	} {
		script(t, tt.name, func(t *testing.T, n *network) {
			s, c := n.connect(echo, slowBodies)
			x := c.open(tt.in)
			time.Sleep(defaultBodyIdleTimeout - slack)
			servetest.Want(t, "it is waited for", s.busy(), 1)
			time.Sleep(2 * slack)
			servetest.Want(t, "408", x.answer().status, "408")
			servetest.Want(t, "it is counted", s.count().TimedOut.Load(), 1)
			c.wantLive("of that stream only")
		})
	}
	script(t, "progress", func(t *testing.T, n *network) {
		_, c := n.connect(echo, slowBodies)
		x := c.open(headers(post("/")...))
		for range 3 {
			time.Sleep(defaultBodyIdleTimeout - slack)
			x.write(data("a"))
		}
		x.Close()
		x.wantAnswer("slow, but not idle", "200", "aaa")
	})
	script(t, "a peer that is answered may be silent", func(t *testing.T, n *network) {
		_, c := n.connect(func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			echo(w, r)
		})
		x := c.open(headers(post("/")...))
		time.Sleep(3 * defaultBodyIdleTimeout)
		x.write(data("abc"))
		x.Close()
		x.wantAnswer("a conversation", "200", "abc")
	})
	script(t, "the handler's own deadline", func(t *testing.T, n *network) {
		_, c := n.connect(func(w http.ResponseWriter, r *http.Request) {
			http.NewResponseController(w).SetReadDeadline(time.Now().Add(time.Second))
			begun := time.Now()
			_, err := r.Body.Read(make([]byte, 1))
			servetest.WantErr(t, "past it", err, os.ErrDeadlineExceeded)
			servetest.Want(t, "after", time.Since(begun), time.Second)
			http.NewResponseController(w).SetReadDeadline(time.Time{})
			echo(w, r)
		})
		x := c.open(headers(post("/")...))
		time.Sleep(5 * time.Second)
		x.write(data("abc"))
		x.Close()
		x.wantAnswer("another one", "200", "abc")
	})
}

// slowBodies leaves BodyIdleTimeout alone.
func slowBodies(cfg *Config) { cfg.BodyMinRate, cfg.IdleTimeout = -1, -1 }

// TestBodyRate: S-2; each byte in time, and all too slow.
func TestBodyRate(t *testing.T) {
	t.Parallel()
	drip := func(c *client, x *exchange, bytes, times int) {
		for range times {
			time.Sleep(100 * time.Millisecond)
			x.write(data(strings.Repeat("x", bytes)))
		}
		x.Close()
	}
	script(t, "too slow", func(t *testing.T, n *network) {
		s, c := n.connect(echo)
		x := c.open(headers(post("/")...))
		go drip(c, x, defaultBodyMinRate/10-2, 300)
		time.Sleep(bodyRateGrace - slack)
		servetest.Want(t, "the grace", s.busy(), 1)
		time.Sleep(3 * time.Second)
		servetest.Want(t, "408", x.answer().status, "408")
		c.wantLive("of that stream only")
		time.Sleep(30 * time.Second)
	})
	script(t, "fast enough", func(t *testing.T, n *network) {
		_, c := n.connect(echo)
		x := c.open(headers(post("/")...))
		drip(c, x, defaultBodyMinRate/10+2, 300)
		servetest.Want(t, "the content", len(x.answer().body), 300*(defaultBodyMinRate/10+2))
	})
}

// much writes 6.4 MB.
func much(w http.ResponseWriter, r *http.Request) error {
	for range 100 {
		if _, err := w.Write(make([]byte, 64<<10)); err != nil {
			return errors.Join(err, r.Context().Err())
		}
	}
	return nil
}

// askMuch is a client with a window of 32 KiB that asks for them; what its
// handler ends with is told.
func (n *network) askMuch() (s *site, c *client, x *exchange, ended chan error) {
	n.t.Helper()
	h, runs, ended := waiter(much)
	s = n.listen(h)
	c = s.dialFrom(n.client, keepAlive, func(cfg *quic.Config) {
		cfg.InitialStreamReceiveWindow, cfg.MaxStreamReceiveWindow = 32<<10, 32<<10
	})
	c.control = c.openUni(kindControl, settings())
	x = c.request(headers(get("/")...))
	<-runs
	return s, c, x, ended
}

// TestStalledReader: S-3.
func TestStalledReader(t *testing.T) {
	t.Parallel()
	script(t, "nothing is taken", func(t *testing.T, n *network) {
		s, c, x, ended := n.askMuch()
		time.Sleep(defaultWriteIdleTimeout - slack)
		servetest.Want(t, "it is waited for", s.busy(), 1)
		// What was taken at first has earned a second period.
		time.Sleep(defaultWriteIdleTimeout + 2*slack)
		servetest.WantErr(t, "the writer", soon(t, "the writer", ended), errStalled)
		servetest.Want(t, "it is counted", s.count().TimedOut.Load(), 1)
		e, _ := errors.AsType[*quic.StreamError](x.answer().err)
		servetest.Want(t, "the stream is reset", e != nil && frame.Code(e.ErrorCode) == frame.ExcessiveLoad, true)
		c.wantLive("of that stream only")
	})
	script(t, "too little is taken", func(t *testing.T, n *network) {
		_, c, x, ended := n.askMuch()
		go func() { // 100 bytes a second
			for b := make([]byte, 100); ; time.Sleep(time.Second) {
				if _, err := x.Read(b); err != nil {
					return
				}
			}
		}()
		err := <-ended
		servetest.WantErr(t, "the writer", err, errStalled)
		servetest.WantErr(t, "the context", err, context.Canceled)
		c.wantLive("of that stream only")
		time.Sleep(2 * time.Second) // the reader sees it
	})
	script(t, "slow, but not too slow", func(t *testing.T, n *network) {
		_, _, x, ended := n.askMuch()
		got := 0
		for b := make([]byte, 32<<10); ; time.Sleep(50 * time.Second / 32) {
			k, err := x.Read(b)
			if got += k; err != nil {
				servetest.WantErr(t, "the answer", err, io.EOF)
				break
			}
		}
		servetest.WantErr(t, "the writer", <-ended, nil)
		servetest.Want(t, "all of it", got > 100*64<<10, true)
	})
}

// TestHandshakeTimeout: Q-2.
func TestHandshakeTimeout(t *testing.T) {
	t.Parallel()
	script(t, "a handshake that stalls", func(t *testing.T, n *network) {
		s := n.listen(hello)
		stop := stall(t, s, n.client)
		servetest.WantSoon(t, "it is open", func() bool { return s.admission.open.Load() == 1 })
		time.Sleep(2*defaultHandshakeTimeout + slack)
		servetest.Want(t, "it has ended", s.admission.open.Load(), 0)
		servetest.Want(t, "it is counted", s.count().HandshakeErrors.Load(), 1)
		stop()
	})
}
