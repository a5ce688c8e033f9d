package h2

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/link"
	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// server is net/http's, over clear HTTP/2 or TLS.
func server(t *testing.T, secure bool, h http.HandlerFunc) Options {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(!secure)
	s.Config.Protocols.SetHTTP2(secure)
	s.EnableHTTP2 = secure
	o := Options{}
	if secure {
		s.StartTLS()
		o.TLS = &tls.Config{RootCAs: s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	o.Address = s.Listener.Addr().String()
	return o
}

// client is one whose goroutines are waited for.
func client(t *testing.T, o Options) *Client {
	c := New(o)
	t.Cleanup(func() { c.Close(); c.Wait() })
	return c
}

func get(path string) *message.Request {
	return &message.Request{Method: "GET", Scheme: "http", Authority: "a", Target: path}
}

// ask makes a whole exchange.
func ask(ctx context.Context, c *Client, r *message.Request) (status int, body string, trailer []message.Field, err error) {
	x, err := c.Do(ctx, &link.Portable{}, r)
	if err != nil {
		return 0, "", nil, err
	}
	defer x.Close()
	status = x.Response().Status
	var b strings.Builder
	for {
		piece, err := x.Next()
		b.Write(piece)
		if err == io.EOF {
			return status, b.String(), x.Trailer(), nil
		}
		if err != nil {
			return status, b.String(), nil, err
		}
	}
}

func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Method", r.Method)
	w.Header().Set("X-Length", fmt.Sprint(r.ContentLength))
	w.Header().Set("Trailer", "X-Sum")
	n, _ := io.Copy(w, r.Body)
	w.Header().Set("X-Sum", fmt.Sprint(n, "-", r.Trailer.Get("X-T"), "."))
}

// TestExchanges: bodies of all sizes go both ways, over one connection.
func TestExchanges(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprint("secure ", secure), func(t *testing.T) {
			c := client(t, server(t, secure, echo))
			for _, size := range []int{0, 1, 1000, smallBody, smallBody + 1, 100_000, 3 << 20} {
				for _, known := range []bool{true, false} {
					text := strings.Repeat("x", size)
					r := get("/")
					r.Method, r.Body, r.Length = "POST", strings.NewReader(text), int64(size)
					if !known {
						r.Length = -1
						r.Trailer = func() []message.Field { return []message.Field{{Name: []byte("X-T"), Value: []byte("end")}} }
						r.Fields = []message.Field{{Name: []byte("X-A"), Value: []byte("b")}}
					}
					status, body, trailer, err := ask(t.Context(), c, r)
					if err != nil || status != 200 || body != text {
						t.Fatalf("%d known %v: got %d, %d bytes, %v", size, known, status, len(body), err)
					}
					if len(trailer) != 1 || string(trailer[0].Name) != "x-sum" || !strings.HasPrefix(string(trailer[0].Value), fmt.Sprint(size)) {
						t.Errorf("%d: trailer %q", size, trailer)
					}
				}
			}
			servetest.Want(t, "idle connections", c.Idle(), 1)
		})
	}
}

// TestManyStreams: many exchanges at once share few connections, and each gets its
// own answer.
func TestManyStreams(t *testing.T) {
	o := server(t, false, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", r.URL.Path, b, strings.Repeat("y", 20_000))
	})
	o.MaxStreams, o.MaxConns = 20, 3
	c := client(t, o)
	var wg sync.WaitGroup
	for i := range 1000 {
		wg.Go(func() {
			r := get(fmt.Sprint("/", i))
			r.Method = "POST"
			text := strings.Repeat(fmt.Sprint(i), 1+i%7000)
			r.Body, r.Length = strings.NewReader(text), int64(len(text))
			status, body, _, err := ask(t.Context(), c, r)
			if want := fmt.Sprint("/", i, " ", text, " ", strings.Repeat("y", 20_000)); err != nil || status != 200 || body != want {
				t.Errorf("%d: got %d, %d bytes, %v", i, status, len(body), err)
			}
		})
	}
	wg.Wait()
	if n := c.Idle(); n < 1 || n > 3 {
		t.Errorf("%d connections, want 1 to 3", n)
	}
}

// TestFullDuplex: an answer begins, and goes on, while the request's content comes.
func TestFullDuplex(t *testing.T) {
	c := client(t, server(t, false, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).Flush()
		b := make([]byte, 64)
		for {
			n, err := r.Body.Read(b)
			w.Write(bytes.ToUpper(b[:n]))
			http.NewResponseController(w).Flush()
			if err != nil {
				return
			}
		}
	}))
	pr, pw := io.Pipe()
	r := get("/")
	r.Method, r.Body, r.Length = "POST", pr, -1
	x, err := c.Do(t.Context(), &link.Portable{}, r)
	servetest.Must(t, "the head comes before the content", err)
	defer x.Close()
	for _, word := range []string{"one", "two", "three"} {
		io.WriteString(pw, word)
		piece, err := x.Next()
		servetest.Must(t, word, err)
		servetest.Want(t, "the echo", string(piece), strings.ToUpper(word))
	}
	pw.Close()
	_, err = x.Next()
	servetest.WantErr(t, "the end", err, io.EOF)
}

// TestSlowReaders: clients that do not read hold up nobody else.
func TestSlowReaders(t *testing.T) {
	c := client(t, server(t, false, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/large" {
			w.Write(make([]byte, 8<<20))
			return
		}
		io.WriteString(w, "small")
	}))
	var stuck []message.Exchange
	for range 50 {
		x, err := c.Do(t.Context(), &link.Portable{}, get("/large"))
		servetest.Must(t, "large", err)
		stuck = append(stuck, x)
	}
	for range 20 {
		_, body, _, err := ask(t.Context(), c, get("/small"))
		servetest.Must(t, "beside them", err)
		servetest.Want(t, "body", body, "small")
	}
	for _, x := range stuck {
		x.Close()
	}
	_, body, _, err := ask(t.Context(), c, get("/large"))
	servetest.Must(t, "afterwards", err)
	servetest.Want(t, "its length", len(body), 8<<20)
}

// TestInterim: informational answers are told.
func TestInterim(t *testing.T) {
	c := client(t, server(t, false, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a>")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusNoContent)
	}))
	r := get("/")
	var told []string
	r.Informational = func(status int, fields []message.Field) {
		told = append(told, fmt.Sprint(status, " ", string(fields[0].Value)))
	}
	status, _, _, err := ask(t.Context(), c, r)
	servetest.Must(t, "answer", err)
	servetest.Want(t, "status", status, 204)
	servetest.Want(t, "told", strings.Join(told, ","), "103 </a>")
}

func kindOf(err error) message.Kind {
	if e, ok := errors.AsType[*message.Error](err); ok {
		return e.Kind
	}
	return 0
}

// TestCancelled: a client that leaves ends its stream, and nothing else.
func TestCancelled(t *testing.T) {
	left := make(chan struct{})
	c := client(t, server(t, false, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			<-r.Context().Done()
			close(left)
		}
	}))
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	_, err := c.Do(ctx, &link.Portable{}, get("/wait"))
	servetest.Want(t, "kind", kindOf(err), message.Cancelled)
	<-left
	_, _, _, err = ask(t.Context(), c, get("/"))
	servetest.Must(t, "the connection goes on", err)
	servetest.Want(t, "connections", c.Idle(), 1)
}

// TestHeadTimeout and a refused connection, and no HTTP/2 at all.
func TestFailures(t *testing.T) {
	c := client(t, server(t, false, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	r := get("/")
	r.HeadTimeout = 20 * time.Millisecond
	_, err := c.Do(t.Context(), &link.Portable{}, r)
	servetest.Want(t, "no head in time", kindOf(err), message.HeadTimeout)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(t, "listen", err)
	l.Close()
	_, err = client(t, Options{Address: l.Addr().String()}).Do(t.Context(), &link.Portable{}, get("/"))
	servetest.Want(t, "nobody listens", kindOf(err), message.ConnectRefused)

	h1 := httptest.NewUnstartedServer(http.NotFoundHandler())
	h1.Config.ErrorLog = log.New(io.Discard, "", 0)
	h1.StartTLS()
	defer h1.Close()
	_, err = client(t, Options{Address: h1.Listener.Addr().String(), TLS: &tls.Config{InsecureSkipVerify: true}}).Do(t.Context(), &link.Portable{}, get("/"))
	servetest.Want(t, "no h2", kindOf(err), message.HandshakeFailed)
}

// TestBodyLength: a body that is not as long as it said ends the stream before the
// upstream can take it for complete.
func TestBodyLength(t *testing.T) {
	complete := make(chan string, 10)
	c := client(t, server(t, false, func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			complete <- r.URL.Path
		}
	}))
	for _, size := range []int{10, 100_000} {
		for _, by := range []int64{-1, 1} {
			r := get(fmt.Sprint("/", size, by))
			r.Method, r.Body, r.Length = "POST", strings.NewReader(strings.Repeat("x", size)), int64(size)+by
			_, err := c.Do(t.Context(), &link.Portable{}, r)
			servetest.Want(t, r.Target, kindOf(err), message.RequestFailed)
		}
	}
	_, _, _, err := ask(t.Context(), c, get("/good"))
	servetest.Must(t, "afterwards", err)
	servetest.Want(t, "taken for complete", <-complete, "/good")
	servetest.Want(t, "more", len(complete), 0)
}

// TestExpect: content is held back until 100 (Continue), which package net/http says
// when its handler reads; after a final answer it is not sent.
func TestExpect(t *testing.T) {
	o := server(t, false, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refuse" {
			w.WriteHeader(http.StatusExpectationFailed)
			return
		}
		echo(w, r)
	})
	o.ExpectTimeout = -1
	c := client(t, o)
	for _, length := range []int64{100_000, -1} {
		for path, status := range map[string]int{"/": 200, "/refuse": 417} {
			text := strings.Repeat("x", 100_000)
			body := &watched{r: strings.NewReader(text)}
			r := get(path)
			r.Method, r.Body, r.Length, r.Expect = "POST", body, length, true
			got, echoed, _, err := ask(t.Context(), c, r)
			servetest.Must(t, "exchange", err)
			servetest.Want(t, "status", got, status)
			servetest.Want(t, "the content was read", body.read.Load(), status == 200)
			servetest.Want(t, "the echo is whole", echoed == text, status == 200)
		}
	}
	servetest.Want(t, "connections", c.Idle(), 1)
}

// TestExpectHolds: not a byte of the content leaves before 100 (Continue), or before
// the time for that is over.
func TestExpectHolds(t *testing.T) {
	for _, said := range []bool{true, false} {
		t.Run(fmt.Sprint("continue ", said), func(t *testing.T) {
			early := make(chan bool, 1)
			o := scripted(t, func(p *peer) {
				p.WriteSettings()
				id, fields := p.head()
				servetest.Want(t, "expect", fields["expect"], "100-continue")
				if said {
					p.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
					early <- p.data()
					p.SetReadDeadline(time.Time{})
					p.answer(id, false, ":status: 100")
				}
				if !p.data() {
					return
				}
				p.answer(id, true, ":status: 204")
			})
			o.ExpectTimeout = -1
			if !said {
				o.ExpectTimeout = 50 * time.Millisecond
			}
			r := get("/")
			r.Method, r.Body, r.Length, r.Expect = "POST", strings.NewReader("content"), 7, true
			begin := time.Now()
			status, _, _, err := ask(t.Context(), client(t, o), r)
			servetest.Must(t, "exchange", err)
			servetest.Want(t, "status", status, 204)
			if said {
				servetest.Want(t, "content before 100", <-early, false)
			} else if d := time.Since(begin); d < 50*time.Millisecond {
				t.Errorf("the content was held back for %v only", d)
			}
		})
	}
}

// watched tells whether anybody has read.
type watched struct {
	r    io.Reader
	read atomic.Bool
}

func (w *watched) Read(p []byte) (int, error) {
	w.read.Store(true)
	return w.r.Read(p)
}
