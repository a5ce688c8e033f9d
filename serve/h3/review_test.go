package h3

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/penstock-edge/penstock/serve/h3/frame"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// TestSlowHandlerReads: S-2 measures how long the peer is waited for. A body that
// is here is read, however late its handler asks for it.
func TestSlowHandlerReads(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("x", 4*headBuffer)
	script(t, "all of it is here", func(t *testing.T, n *network) {
		done := make(chan struct{})
		s, c := n.connect(func(w http.ResponseWriter, r *http.Request) {
			defer close(done)
			b := make([]byte, headBuffer)
			got := 0
			for {
				k, err := r.Body.Read(b)
				if got += k; err != nil {
					servetest.WantErr(t, "the end of the body", err, io.EOF)
					break
				}
				time.Sleep(2 * defaultBodyIdleTimeout)
			}
			servetest.Want(t, "the body", got, len(body))
		})
		x := c.request(headers(post("/")...) + data(body))
		<-done
		x.wantAnswer("a slow handler", "200", "")
		servetest.Want(t, "nobody was too slow", s.count().TimedOut.Load(), 0)
	})
	script(t, "the rest comes when it is asked for", func(t *testing.T, n *network) {
		_, c := n.connect(func(w http.ResponseWriter, r *http.Request) {
			b := make([]byte, len(body))
			_, err := io.ReadFull(r.Body, b)
			servetest.WantErr(t, "the first part", err, nil)
			time.Sleep(2 * defaultBodyIdleTimeout)
			_, err = io.ReadFull(r.Body, b[:1])
			servetest.WantErr(t, "the second part", err, nil)
		})
		x := c.open(headers(post("/")...) + data(body))
		time.Sleep(2*defaultBodyIdleTimeout + time.Second)
		x.write(data("y"))
		x.Close()
		x.wantAnswer("a peer that was not asked", "200", "")
	})
	script(t, "waits count in sum", func(t *testing.T, n *network) {
		s, c := n.connect(echo)
		x := c.open(headers(post("/")...))
		for range 3 { // each shorter than the grace
			time.Sleep(bodyRateGrace/2 - slack)
			if s.count().TimedOut.Load() == 0 {
				x.write(data("x"))
			}
		}
		servetest.Want(t, "408", x.answer().status, "408")
		c.wantLive("of that stream only")
	})
}

// TestWriteDeadlineEnds: an answer that its handler's deadline has cut is reset,
// whenever the deadline passed, and though it was lifted behind that: the stream
// would never end.
func TestWriteDeadlineEnds(t *testing.T) {
	t.Parallel()
	script(t, "lifted", func(t *testing.T, n *network) {
		_, c := n.connect(func(w http.ResponseWriter, _ *http.Request) {
			rc := http.NewResponseController(w)
			rc.SetWriteDeadline(time.Now().Add(-time.Second))
			io.WriteString(w, "some")
			servetest.WantErr(t, "past it", rc.Flush(), os.ErrDeadlineExceeded)
			rc.SetWriteDeadline(time.Time{})
		})
		c.request(headers(get("/")...)).wantReset("not whole", frame.InternalError)
	})
	script(t, "at the end", func(t *testing.T, n *network) {
		s := n.listen(func(w http.ResponseWriter, _ *http.Request) {
			http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Second))
			io.WriteString(w, strings.Repeat("x", gatherSize)) // is sent when the handler has returned
		})
		c := s.dialFrom(n.client, keepAlive, func(cfg *quic.Config) {
			cfg.InitialStreamReceiveWindow, cfg.MaxStreamReceiveWindow = 1<<10, 1<<10
		})
		c.control = c.openUni(kindControl, settings())
		x := c.request(headers(get("/")...))
		time.Sleep(2 * time.Second)
		servetest.Want(t, "the handler has gone", s.busy(), 0)
		e, _ := errors.AsType[*quic.StreamError](x.answer().err)
		servetest.Want(t, "the stream is reset", e != nil && e.Remote && frame.Code(e.ErrorCode) == frame.InternalError, true)
	})
}

// TestEarlyEnds: a request behind the handshake is not early, though what is
// asked at its end may take a while yet.
func TestEarlyEnds(t *testing.T) {
	t.Parallel()
	script(t, "POST", func(t *testing.T, n *network) {
		s := n.listen(func(w http.ResponseWriter, r *http.Request) {
			servetest.Want(t, "the handshake is complete", r.TLS.HandshakeComplete, true)
			hello(w, r)
		}, takesEarly, func(cfg *Config) {
			cfg.Admit = func(netip.Addr) bool { time.Sleep(time.Second); return true }
			cfg.Release = func(netip.Addr) {}
		})
		c := s.dialFrom(n.client)
		c.request(headers(post("/")...)+data("abc")).wantAnswer("behind the handshake", "200", "hello")
		servetest.Want(t, "refused", s.count().TooEarly.Load(), 0)
		time.Sleep(time.Second)
	})
	script(t, "GET whose end does not come", func(t *testing.T, n *network) {
		s := n.listen(hello, takesEarly, func(cfg *Config) {
			cfg.Admit = func(netip.Addr) bool { time.Sleep(100 * time.Millisecond); return true }
			cfg.Release = func(netip.Addr) {}
		})
		c := n.early(s)
		x := c.open(headers(get("/")...))
		x.wantAnswer("served behind the handshake", "200", "hello")
		servetest.Want(t, "refused", s.count().TooEarly.Load(), 0)
		time.Sleep(time.Second)
	})
}

// TestTunnelFrames: in a tunnel there is nothing but DATA (RFC 9114 §4.4).
func TestTunnelFrames(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	c := connect(t, reads(ended))
	x := c.open(headers(append(pseudo("CONNECT", "/"), ":protocol", "websocket")...) + data("abc"))
	x.write(headers("x", "1"))
	c.wantClosed("a trailer section in a tunnel", frame.FrameUnexpected)
	servetest.Want(t, "the handler is told", soon(t, "its end", ended) != nil, true)
}

// promise is a stream that tells of a long frame, of which little comes.
type promise func(p []byte) (int, error)

func (f promise) Read(p []byte) (int, error) { return f(p[:min(len(p), 1000)]) }

// TestPromisedFrame: memory follows what has come, not what a frame's length
// promises: a few bytes a stream would hold a whole head each.
func TestPromisedFrame(t *testing.T) {
	const size = 1 << 20
	for _, come := range []int{1, headBuffer, 40 << 10, 100 << 10, size} {
		in := strings.NewReader(strings.Repeat("0123456789abcdef", size/16)[:come])
		var r input
		buffers := map[int]bool{}
		r.str = promise(func(p []byte) (int, error) {
			buffers[cap(r.buf.B)] = true
			return in.Read(p)
		})
		b, err := r.take(size)
		if come == size {
			servetest.WantErr(t, "all has come", err, nil)
			servetest.Want(t, "its end", string(b[size-16:]), "0123456789abcdef")
		} else {
			servetest.WantErr(t, "the end", err, io.ErrUnexpectedEOF)
		}
		if got, most := cap(r.buf.B), 4*max(come, headBuffer); got > most {
			t.Errorf("%d bytes of %d have come: %d are held, want at most %d", come, size, got, most)
		}
		if len(buffers) > 10 {
			t.Errorf("%d buffers for one frame, want fewer: each is a copy", len(buffers))
		}
		r.release()
	}
}

// line is a socket that sends 100 kB a second.
type line struct{ net.PacketConn }

func (l line) WriteTo(b []byte, to net.Addr) (int, error) {
	time.Sleep(time.Duration(len(b)) * 10 * time.Microsecond)
	return l.PacketConn.WriteTo(b, to)
}

// TestAnswersInTurn: of answers that are not incremental, as a Priority field
// says unless it says more (RFC 9218 §4.2), the second one waits for the first.
// That its peer takes none of it meanwhile is not the peer's doing (S-3).
func TestAnswersInTurn(t *testing.T) {
	t.Parallel()
	script(t, "a slow line", func(t *testing.T, n *network) {
		ended := make(chan error, 2)
		s := listenOn(t, line{n.server}, func(w http.ResponseWriter, r *http.Request) { ended <- much(w, r) })
		c := s.dialFrom(n.client, keepAlive)
		c.control = c.openUni(kindControl, settings())
		for range 2 {
			x := c.request(headers(get("/", "priority", "u=3")...))
			go func() {
				_, err := io.Copy(io.Discard, x)
				servetest.WantErr(t, "the answer", err, nil)
			}()
		}
		begun := time.Now()
		for range 2 {
			servetest.WantErr(t, "the writer", <-ended, nil)
		}
		servetest.Want(t, "the second one has waited", time.Since(begun) > 2*defaultWriteIdleTimeout, true)
		servetest.Want(t, "nobody was too slow", s.count().TimedOut.Load(), 0)
		time.Sleep(time.Second)
	})
}
