package h3

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/penstock-edge/penstock/serve/h3/frame"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// RFC 9114 §4.1.1: requests and answers that are given up.

const cancelled = quic.StreamErrorCode(frame.RequestCancelled)

// waiter is a handler that reports that it runs, and then what op ended with.
func waiter(op func(w http.ResponseWriter, r *http.Request) error) (h http.HandlerFunc, runs chan struct{}, ended chan error) {
	runs, ended = make(chan struct{}, 1), make(chan error, 1)
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/live" {
			runs <- struct{}{}
			ended <- op(w, r)
		}
	}, runs, ended
}

// soon receives from c.
func soon[T any](t *testing.T, why string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("%s: not within %v", why, patience)
	}
	return v
}

func awaitContext(_ http.ResponseWriter, r *http.Request) error {
	<-r.Context().Done()
	return r.Context().Err()
}

func TestRFC9114Section4Cancel(t *testing.T) {
	t.Parallel()
	readBody := func(_ http.ResponseWriter, r *http.Request) error {
		_, err := io.Copy(io.Discard, r.Body)
		if r.Context().Err() == nil {
			return errors.New("the context lives on")
		}
		return err
	}
	writeOn := func(w http.ResponseWriter, r *http.Request) error {
		for {
			if _, err := w.Write(make([]byte, 32<<10)); err != nil {
				if r.Context().Err() == nil {
					return errors.New("the context lives on")
				}
				return err
			}
		}
	}
	for _, tt := range []struct {
		name   string
		op     func(w http.ResponseWriter, r *http.Request) error
		in     string
		cancel func(x *exchange)
		want   error
	}{
		{"4.1.1 RESET_STREAM reaches the reader", readBody, headers(post("/")...) + data("ab"), func(x *exchange) { x.CancelWrite(cancelled) }, errReset},
		{"4.1.1 RESET_STREAM within a frame", readBody, headers(post("/")...) + data("ab")[:3], func(x *exchange) { x.CancelWrite(cancelled) }, errReset},
		{"4.1.1 STOP_SENDING reaches the writer", writeOn, headers(get("/")...), func(x *exchange) { x.CancelRead(cancelled) }, errReset},
		{"4.1.1 STOP_SENDING reaches the context", awaitContext, headers(get("/")...), func(x *exchange) { x.CancelRead(cancelled) }, context.Canceled},
		{"4.1.1 both reach the context", awaitContext, headers(post("/")...), func(x *exchange) { x.CancelWrite(cancelled); x.CancelRead(cancelled) }, context.Canceled},
		{
			"the end of the connection reaches the context", awaitContext, headers(get("/")...),
			func(x *exchange) { x.c.q.CloseWithError(quic.ApplicationErrorCode(frame.NoError), "") }, context.Canceled,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, runs, ended := waiter(tt.op)
			c := connect(t, h)
			x := c.open(tt.in)
			soon(t, "the handler runs", runs)
			tt.cancel(x)
			servetest.WantErr(t, "the handler is told", soon(t, "the handler is told", ended), tt.want)
			if c.q.Context().Err() == nil {
				c.wantLive("of that stream only")
			}
		})
	}
	t.Run("4.1.1 RESET_STREAM within the head", func(t *testing.T) {
		t.Parallel()
		s := listen(t, unreached(t))
		c := s.connect()
		x := c.open(headers(get("/")...)[:8])
		servetest.WantSoon(t, "it is being read", func() bool { return s.busy() == 1 })
		x.CancelWrite(cancelled)
		x.wantReset("nothing was done", frame.RequestCancelled)
		servetest.Want(t, "it is counted", s.count().Resets.Load(), 1)
		c.wantLive("of that stream only")
	})
}

// stopped is the code with which the server stops reading.
func (x *exchange) stopped() frame.Code {
	x.c.t.Helper()
	select {
	case <-x.Context().Done():
	case <-time.After(patience):
		x.c.t.Fatal("the request is read on")
	}
	e, ok := errors.AsType[*quic.StreamError](context.Cause(x.Context()))
	if !ok {
		x.c.t.Fatalf("the request's stream ends with %v", context.Cause(x.Context()))
	}
	return frame.Code(e.ErrorCode)
}

// TestRFC9114Section4Server: what the server gives up, and how.
func TestRFC9114Section4Server(t *testing.T) {
	t.Parallel()
	t.Run("4.1 an answer before the request ends", func(t *testing.T) {
		t.Parallel()
		c := connect(t, hello)
		x := c.open(headers(post("/")...) + data("abc"))
		x.wantAnswer("early", "200", "hello")
		servetest.Want(t, "the rest is not wanted", x.stopped(), frame.NoError)
		c.wantLive("early")
	})
	t.Run("4.1 a refusal before the request ends", func(t *testing.T) {
		t.Parallel()
		c := connect(t, hello)
		x := c.open(headers(pseudo("TRACE", "/")...))
		x.wantAnswer("refused", "405", "")
		servetest.Want(t, "the rest is not wanted", x.stopped(), frame.NoError)
	})
	t.Run("4.1.2 malformed before the request ends", func(t *testing.T) {
		t.Parallel()
		c := connect(t, unreached(t))
		x := c.open(headers(get("/", "connection", "close")...))
		servetest.Want(t, "stopped", x.stopped(), frame.MessageError)
		x.wantReset("and reset", frame.MessageError)
	})
}

// TestRFC9114Section4Broken: answers that do not come to their end.
func TestRFC9114Section4Broken(t *testing.T) {
	t.Parallel()
	t.Run("a panic", func(t *testing.T) {
		t.Parallel()
		s := listen(t, func(_ http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/live" {
				panic("a bug of the handler")
			}
		})
		c := s.connect()
		x := c.open(headers(post("/")...))
		x.wantReset("no answer", frame.InternalError)
		servetest.Want(t, "stopped", x.stopped(), frame.InternalError)
		servetest.Want(t, "it is counted", s.count().Panics.Load(), 1)
		c.wantLive("of that stream only")
	})
	t.Run("a handler that is given up by http.ErrAbortHandler, behind a part of its answer", func(t *testing.T) {
		t.Parallel()
		s := listen(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/live" {
				io.WriteString(w, "part")
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
		})
		c := s.connect()
		a := c.request(headers(get("/")...)).answer()
		e, ok := errors.AsType[*quic.StreamError](a.err)
		servetest.Want(t, "it shows that bytes are missing", ok && frame.Code(e.ErrorCode) == frame.InternalError, true)
		servetest.Want(t, "it is no panic", s.count().Panics.Load(), 0)
		c.wantLive("of that stream only")
	})
	t.Run("4.1.2 an answer that is shorter than it says", func(t *testing.T) {
		t.Parallel()
		c := connect(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/live" {
				w.Header().Set("Content-Length", "10")
				io.WriteString(w, "short")
			}
		})
		_, ok := errors.AsType[*quic.StreamError](c.request(headers(get("/")...)).answer().err)
		servetest.Want(t, "it shows that bytes are missing", ok, true)
		c.wantLive("of that stream only")
	})
}

// TestRFC9220Tunnel: extended CONNECT, RFC 9114 §4.4.
func TestRFC9220Tunnel(t *testing.T) {
	t.Parallel()
	c := connect(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/live" {
			return
		}
		servetest.Want(t, "the method", r.Method, http.MethodConnect)
		servetest.Want(t, "the protocol", r.Header.Get(":protocol"), "websocket")
		servetest.Want(t, "the target", r.RequestURI, "/chat")
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		b := make([]byte, 100)
		for {
			n, err := r.Body.Read(b)
			if n > 0 {
				io.WriteString(w, strings.ToUpper(string(b[:n])))
			}
			if err != nil {
				servetest.WantErr(t, "the client's end", err, io.EOF)
				return
			}
		}
	})
	x := c.open(headers(append(pseudo("CONNECT", "/chat"), ":protocol", "websocket", "sec-websocket-version", "13")...))
	read := func(n int) (got string) {
		x.SetReadDeadline(time.Now().Add(patience))
		b := make([]byte, 1)
		for {
			frames, rest := parseFrames(got)
			if len(frames) == n && rest == "" {
				return frames[n-1].payload
			}
			k, err := x.Read(b)
			if got += string(b[:k]); err != nil {
				t.Fatalf("a tunnel that ends with %v behind %q", err, got)
			}
		}
	}
	servetest.Want(t, "200 opens it, while the request goes on", c.decode(read(1))[":status"], "200")
	for _, word := range []string{"a", "bc"} {
		x.write(data(word))
		servetest.Want(t, "an echo", read(1), strings.ToUpper(word))
	}
	x.Close()
	rest, err := io.ReadAll(x)
	servetest.WantErr(t, "closed by both", err, nil)
	servetest.Want(t, "nothing is left", string(rest), "")
	c.wantLive("the tunnel is closed")
}
