package h3

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/penstock-edge/penstock/serve/certs"
	"github.com/penstock-edge/penstock/serve/h3/frame"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// patience bounds every wait of a test. Only one that fails waits that long.
const patience = 10 * time.Second

// certificate is one for all tests.
var certificate = sync.OnceValue(func() tls.Certificate {
	cert, err := certs.SelfSigned([]string{"localhost"})
	if err != nil {
		panic(err)
	}
	return cert
})

// clientTLS is what clients need to know. They trust whom they meet.
func clientTLS() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: []string{ALPN}, ServerName: "localhost"}
}

// site is a server that listens.
type site struct {
	*Server
	t    *testing.T
	addr net.Addr
}

// udp is a socket on the loopback, which is closed at the end of the test.
func udp(t *testing.T, host string) net.PacketConn {
	t.Helper()
	socket, err := net.ListenPacket("udp", host+":0")
	servetest.Must(t, "a socket", err)
	t.Cleanup(func() { socket.Close() })
	return socket
}

// listen serves h on the loopback.
func listen(t *testing.T, h http.HandlerFunc, tune ...func(*Config)) *site {
	t.Helper()
	return listenOn(t, udp(t, "127.0.0.1"), h, tune...)
}

func listenOn(t *testing.T, socket net.PacketConn, h http.HandlerFunc, tune ...func(*Config)) *site {
	t.Helper()
	cfg := Config{Handler: h, ErrorLog: slog.New(slog.DiscardHandler)}
	for _, f := range tune {
		f(&cfg)
	}
	s, err := Listen([]net.PacketConn{socket}, &tls.Config{Certificates: []tls.Certificate{certificate()}}, Complete(cfg))
	servetest.Must(t, "Listen", err)
	t.Cleanup(func() { servetest.WantErr(t, "Close", s.Close(), nil) })
	return &site{s, t, socket.LocalAddr()}
}

// count are the counters of its connections.
func (s *site) count() *Counters { return s.cfg.Counters }

// client is a scripted one: QUIC is a library's, HTTP/3 on it is written here.
type client struct {
	t       *testing.T
	q       *quic.Conn
	control *quic.SendStream
}

// dial opens a connection and says nothing on it.
func (s *site) dial(tune ...func(*quic.Config)) *client {
	s.t.Helper()
	return s.dialFrom(udp(s.t, "127.0.0.1"), tune...)
}

func (s *site) dialFrom(socket net.PacketConn, tune ...func(*quic.Config)) *client {
	s.t.Helper()
	q, err := s.tryDial(socket, tune...)
	servetest.Must(s.t, "a connection", err)
	return &client{t: s.t, q: q}
}

func (s *site) tryDial(socket net.PacketConn, tune ...func(*quic.Config)) (*quic.Conn, error) {
	tr := &quic.Transport{Conn: socket}
	s.t.Cleanup(func() { tr.Close() })
	cfg := &quic.Config{MaxIdleTimeout: 5 * time.Minute, MaxIncomingUniStreams: 3}
	for _, f := range tune {
		f(cfg)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	q, err := tr.Dial(ctx, s.addr, clientTLS(), cfg)
	if err == nil {
		s.t.Cleanup(func() { q.CloseWithError(quic.ApplicationErrorCode(frame.NoError), "") })
	}
	return q, err
}

// connect opens a connection, and its control stream with SETTINGS.
func connect(t *testing.T, h http.HandlerFunc, tune ...func(*Config)) *client {
	t.Helper()
	return listen(t, h, tune...).connect()
}

func (s *site) connect(tune ...func(*quic.Config)) *client {
	s.t.Helper()
	c := s.dial(tune...)
	c.control = c.openUni(kindControl, settings())
	return c
}

// openUni opens a unidirectional stream of a type, and writes b behind it.
func (c *client) openUni(kind uint64, b string) *quic.SendStream {
	c.t.Helper()
	str, err := c.q.OpenUniStream()
	servetest.Must(c.t, "a unidirectional stream", err)
	write(c.t, str, varint(kind)+b)
	return str
}

// say writes frames on the control stream.
func (c *client) say(b string) { write(c.t, c.control, b) }

func write(t *testing.T, w io.Writer, b string) {
	t.Helper()
	if str, ok := w.(interface{ SetWriteDeadline(t time.Time) error }); ok {
		str.SetWriteDeadline(time.Now().Add(patience))
	}
	// The server may have stopped reading already.
	if _, err := io.WriteString(w, b); errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a write that waits: %v", err)
	}
}

// exchange is a request stream.
type exchange struct {
	c *client
	*quic.Stream
}

// open opens a request stream and writes b on it; more may follow.
func (c *client) open(b string) *exchange {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	str, err := c.q.OpenStreamSync(ctx)
	servetest.Must(c.t, "a stream", err)
	x := &exchange{c, str}
	x.write(b)
	return x
}

// request is open, and the end of the stream.
func (c *client) request(b string) *exchange {
	c.t.Helper()
	x := c.open(b)
	x.Close()
	return x
}

func (x *exchange) write(b string) {
	x.c.t.Helper()
	write(x.c.t, x.Stream, b)
}

// answer is what came back on a request stream.
type answer struct {
	interim         []string
	status          string
	header, trailer map[string]string
	body            string
	err             error // how it ended, if not well
}

// answer reads to the end of the stream.
func (x *exchange) answer() (a answer) {
	x.c.t.Helper()
	x.SetReadDeadline(time.Now().Add(patience))
	all, err := io.ReadAll(x)
	a.err = err
	frames, rest := parseFrames(string(all))
	if rest != "" && err == nil {
		x.c.t.Errorf("the answer ends within a frame: %q", rest)
	}
	for _, f := range frames {
		switch {
		case f.kind == kindData && a.trailer == nil:
			a.body += f.payload
		case f.kind != kindHeaders:
			x.c.t.Errorf("an answer with a frame of type %#x", f.kind)
		case a.status != "":
			a.trailer = x.c.decode(f.payload)
		default:
			fields := x.c.decode(f.payload)
			if status := fields[":status"]; status[0] == '1' {
				a.interim = append(a.interim, status)
				continue
			}
			a.status, a.header = fields[":status"], fields
		}
	}
	return a
}

// wantAnswer wants a whole answer with this status and content.
func (x *exchange) wantAnswer(why, status, body string) answer {
	x.c.t.Helper()
	a := x.answer()
	servetest.WantErr(x.c.t, why+": the stream's end", a.err, nil)
	servetest.Want(x.c.t, why+": the status", a.status, status)
	servetest.Want(x.c.t, why+": the content", a.body, body)
	return a
}

// wantReset wants the stream reset, and nothing answered.
func (x *exchange) wantReset(why string, code frame.Code) {
	x.c.t.Helper()
	a := x.answer()
	if e, ok := errors.AsType[*quic.StreamError](a.err); !ok || !e.Remote {
		x.c.t.Errorf("%s: got answer %q and error %v, want a reset", why, a.status, a.err)
	} else {
		servetest.Want(x.c.t, why, frame.Code(e.ErrorCode).String(), code.String())
	}
	servetest.Want(x.c.t, why+": no answer", a.status, "")
}

// wantClosed wants the connection ended by the server.
func (c *client) wantClosed(why string, code frame.Code) {
	c.t.Helper()
	select {
	case <-c.q.Context().Done():
	case <-time.After(patience):
		c.t.Fatalf("%s: the connection is open, want %v", why, code)
	}
	err := context.Cause(c.q.Context())
	if e, ok := errors.AsType[*quic.ApplicationError](err); !ok || !e.Remote {
		c.t.Errorf("%s: the connection has ended with %v, want %v", why, err, code)
	} else {
		servetest.Want(c.t, why, frame.Code(e.ErrorCode).String(), code.String())
	}
}

// wantLive wants the connection to serve another request.
func (c *client) wantLive(why string) {
	c.t.Helper()
	a := c.request(headers(get("/live")...)).answer()
	if a.err != nil || a.status == "" {
		c.t.Errorf("%s: the next request: status %q, %v", why, a.status, a.err)
	}
}
