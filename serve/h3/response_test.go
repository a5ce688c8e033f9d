package h3

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"

	"github.com/quic-go/quic-go/http3"

	"github.com/penstock-edge/penstock/serve/h3/frame"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// TestBrokenAnswers: what is not as long as it was said to be ends in a reset.
func TestBrokenAnswers(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		switch r.URL.Path {
		case "/short":
			hello(w, r)
		case "/short-flushed":
			hello(w, r)
			w.(http.Flusher).Flush()
		case "/long":
			n, err := io.WriteString(w, "hello hello")
			servetest.WantErr(t, "more than declared", err, http.ErrContentLength)
			servetest.Want(t, "nothing is taken", n, 0)
		case "/longer":
			hello(w, r)
			hello(w, r)
			_, err := io.WriteString(w, "!")
			servetest.WantErr(t, "more than declared", err, http.ErrContentLength)
		case "/nothing-allowed":
			w.WriteHeader(204)
			_, err := io.WriteString(w, "x")
			servetest.WantErr(t, "content of a 204", err, http.ErrBodyNotAllowed)
		}
	})
	a := s.agent()
	for _, path := range []string{"/short", "/short-flushed", "/long"} {
		r := a.get(path)
		servetest.WantErr(t, path, r.err, &http3.Error{Remote: true, ErrorCode: http3.ErrCode(frame.InternalError)})
	}
	a.get("/longer").want(t, "what was declared arrives", 200, "hellohello")
	a.get("/nothing-allowed").want(t, "the status arrives", 204, "")
	servetest.Want(t, "answers that are whole", s.cfg.Counters.Requests.Load(), 2)
	func() {
		defer func() {
			servetest.Want(t, "a status that is none panics", recover() != nil, true)
		}()
		new(response).WriteHeader(99)
	}()
}

// hints notes the informational heads of an answer.
type hints struct {
	mu   sync.Mutex
	seen []string
	come chan struct{} // a value for each
}

func (h *hints) trace(ctx context.Context) context.Context {
	h.come = make(chan struct{}, 10)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.seen = append(h.seen, fmt.Sprint(code, " ", header.Get("Link")))
			h.come <- struct{}{}
			return nil
		},
	})
}

// TestInterim: informational heads go out at once, 100 when the body is read.
func TestInterim(t *testing.T) {
	g := make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/hints":
			w.Header().Set("Link", "</a.css>")
			w.WriteHeader(103)
			<-g
			w.Header().Del("Link")
		case "/read":
			io.ReadAll(r.Body)
		case "/self":
			w.WriteHeader(100)
			io.ReadAll(r.Body)
		case "/behind":
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			io.ReadAll(r.Body)
		}
		hello(w, r)
	})
	a := s.agent()
	h := new(hints)
	early := make(chan reply, 1)
	go func() { early <- a.do(a.request(h.trace(context.Background()), "GET", "/hints", nil)) }()
	servetest.WantSoon(t, "103 comes before the answer", func() bool { h.mu.Lock(); defer h.mu.Unlock(); return len(h.seen) == 1 })
	close(g)
	r := <-early
	r.want(t, "then the answer", 200, "hello")
	servetest.Want(t, "with the fields it has by then", r.Header.Get("Link"), "")
	servetest.Want(t, "103 has its fields", strings.Join(h.seen, ","), "103 </a.css>")
	for _, tt := range []struct{ path, want string }{
		{"/read", "100 "}, {"/self", "100 "}, {"/behind", ""}, {"/unread", ""},
	} {
		h := new(hints)
		r := a.request(h.trace(context.Background()), "POST", tt.path, strings.NewReader("body"))
		r.Header.Set("Expect", "100-continue")
		a.do(r).want(t, tt.path, 200, "hello")
		servetest.Want(t, tt.path+": 1xx", strings.Join(h.seen, ","), tt.want)
	}
}

// TestFlush: what was flushed arrives while the handler runs.
func TestFlush(t *testing.T) {
	g := make(chan struct{}, 1)
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for i := range 100 {
			fmt.Fprintf(w, "%02d", i)
			w.(http.Flusher).Flush()
			<-g
		}
	})
	a := s.agent()
	resp, err := a.RoundTrip(a.request(context.Background(), "GET", "/", nil))
	servetest.Must(t, "the head comes with the first piece", err)
	defer resp.Body.Close()
	b := make([]byte, 2)
	for i := range 100 {
		_, err := io.ReadFull(resp.Body, b)
		servetest.Must(t, "a piece", err)
		servetest.Want(t, "piece by piece", string(b), fmt.Sprintf("%02d", i))
		g <- struct{}{}
	}
	_, err = resp.Body.Read(b)
	servetest.WantErr(t, "then the end", err, io.EOF)
}

// TestHostileFields: nothing a handler sets can split a head (H1-16), and each
// field that was changed or left out counts.
func TestHostileFields(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-A"] = []string{"a\r\nX-Evil: 1", "\x00b", " c "}
		w.Header()["X B"] = []string{"a"}
		w.Header()["x-\r\n"] = []string{"a"}
		w.Header()[""] = []string{"a"}
		w.Header()[":status"] = []string{"200"}
		w.Header()[http.TrailerPrefix+"X-T"] = []string{"a\nb"}
		hello(w, r)
	})
	a := s.agent()
	for n := range uint64(2) {
		r := a.get("/")
		r.want(t, "the answer", 200, "hello")
		servetest.Want(t, "forbidden bytes are spaces, and none is at an end", strings.Join(r.Header["X-A"], "|"), "a  X-Evil: 1|b|c")
		servetest.Want(t, "fields", len(r.Header), 3) // and Date, and Content-Type
		servetest.Want(t, "a trailer field likewise", r.Trailer.Get("X-T"), "a b")
		servetest.Want(t, "counted", s.cfg.Counters.Sanitised.Load(), 7*(n+1))
	}
}

// TestRequestFacts: what a handler is told of the connection.
func TestRequestFacts(t *testing.T) {
	srv := new(http.Server)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		servetest.Want(t, "Proto", r.Proto, "HTTP/3.0")
		servetest.Want(t, "ProtoMajor", r.ProtoMajor, 3)
		servetest.Want(t, "TLS", r.TLS != nil && r.TLS.NegotiatedProtocol == ALPN && r.TLS.HandshakeComplete, true)
		servetest.Want(t, "ServerContextKey", r.Context().Value(http.ServerContextKey), any(srv))
		local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		servetest.Want(t, "LocalAddrContextKey", fmt.Sprint(local), w.(*response).s.c.q.LocalAddr().String())
		servetest.Want(t, "Host", r.Host, "localhost")
		servetest.Want(t, "RequestURI", r.RequestURI, "/a?b")
		io.WriteString(w, r.RemoteAddr)
	}, func(cfg *Config) { cfg.Server = srv })
	a := s.agent()
	a.get("/a?b").want(t, "RemoteAddr", 200, a.quic.Conn.LocalAddr().String())
}

// TestContextEnds: a request's context ends with its client's interest, with the
// connection, and with the request.
func TestContextEnds(t *testing.T) {
	running := make(chan context.Context, 1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		running <- ctx
		if r.URL.Path == "/wait" {
			<-ctx.Done()
			_, err := io.WriteString(w, kb100)
			servetest.Want(t, "nobody takes the answer", err != nil, true)
		}
	})
	a := s.agent()
	ask := func(ctx context.Context) {
		done := make(chan struct{})
		go func() { a.do(a.request(ctx, "GET", "/wait", nil)); close(done) }()
		t.Cleanup(func() { <-done })
	}
	ctx, cancel := context.WithCancel(context.Background())
	ask(ctx)
	of := <-running
	servetest.WantErr(t, "it runs", of.Err(), nil)
	cancel()
	wait(t, "the client cancels", of.Done())
	a.get("/return")
	wait(t, "the handler returns", (<-running).Done())
	ask(context.Background())
	of = <-running
	a.leave()
	wait(t, "the connection ends", of.Done())
}

// TestConnectionClose: the field ends the connection behind its answer.
func TestConnectionClose(t *testing.T) {
	s := serve(t, with("Connection", "close", text(kb100)))
	a := s.agent()
	for n := range uint64(3) {
		r := a.get("/")
		r.want(t, "the answer is whole", 200, kb100)
		servetest.Want(t, "the field is not sent", r.Header.Get("Connection"), "")
		servetest.Want(t, "the connection ends", a.ended() != nil, true)
		a.leave()
		servetest.Want(t, "each has its own", s.cfg.Counters.Accepted.Load(), n+1)
	}
}
