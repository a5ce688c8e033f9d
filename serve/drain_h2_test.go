package serve_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// A stop over HTTP/2 (RFC 9113 §6.8, H2-12): the timeline of drain_test.go, and
// on each connection
//
//	Shutdown ──┬─ GOAWAY 2^31-1, PING: streams that are on their way are served
//	           ├─ the PING's answer: GOAWAY with the last of them
//	           ├─ streams finish; the connection goes with the last one

// TestDrainUnderLoadH2 stops a server under net/http's own clients: some share
// a connection between all their requests, others connect for each. No request
// may fail that had a connection: net/http's Transport repeats what the server
// says it has not begun, and once the listener is closed nobody connects.
func TestDrainUnderLoadH2(t *testing.T) {
	for _, form := range stopForms {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			var served atomic.Int64
			r := startServer(t, func(w http.ResponseWriter, r *http.Request) {
				if served.Add(1)%7 == 0 {
					time.Sleep(2 * time.Millisecond)
				}
				body, _ := io.ReadAll(r.Body)
				w.Write(append([]byte("answer "), body...))
			}, form.secure, serve.ServerOptions{EventLoop: form.loop})
			load := &transportLoad{url: r.url(), stop: make(chan struct{})}
			for range 4 {
				shared := load.client(t, form.secure)
				for range 8 {
					load.group.Go(func() { load.run(shared) })
				}
			}
			for range 2 {
				load.group.Go(func() { load.runFresh(t, form.secure) })
			}
			servetest.WantSoon(t, "the load is under way", func() bool { return served.Load() > 1000 })
			r.stop(t)
			servetest.WantSoon(t, "no client connects any more", func() bool { return load.refused.Load() > 10 })
			close(load.stop)
			load.group.Wait()
			servetest.Want(t, "nothing was lost", load.lost.Load(), 0)
			servetest.Want(t, "all answers are right", load.wrong.Load(), 0)
			servetest.Want(t, "all that was served was answered", load.answered.Load(), served.Load())
			servetest.Want(t, "nothing was cut", r.DrainReport().Cut, 0)
			if err := load.first.Load(); err != nil {
				t.Logf("the first that was lost: %v", *err)
			}
		})
	}
}

// noConn is net/http's word for a connection that was closed, as an idle one is
// in a stop, before its first request was begun. Nothing was sent, yet the
// Transport does not try again.
const noConn = "http2: client conn could not be established"

// transportLoad is net/http's clients at work.
type transportLoad struct {
	url   string
	stop  chan struct{}
	group sync.WaitGroup

	answered, wrong, lost, refused atomic.Int64
	first                          atomic.Pointer[error] // of lost
}

// client speaks HTTP/2 and nothing else.
func (l *transportLoad) client(t *testing.T, secure bool) *http.Client {
	transport := &http.Transport{TLSClientConfig: clientTLS(), Protocols: form{http2: true, secure: secure}.speaks()}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// run asks one request after another.
func (l *transportLoad) run(c *http.Client) {
	for n := 0; !l.stopped(); n++ {
		l.ask(c, n)
	}
}

// runFresh connects for each.
func (l *transportLoad) runFresh(t *testing.T, secure bool) {
	c := l.client(t, secure)
	for n := 0; !l.stopped(); n++ {
		l.ask(c, n)
		c.CloseIdleConnections()
	}
}

func (l *transportLoad) stopped() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

// ask asks once; every third request has a body.
func (l *transportLoad) ask(c *http.Client, n int) {
	text := fmt.Sprint(n)
	var resp *http.Response
	var err error
	if n%3 == 0 {
		resp, err = c.Post(l.url, "text/plain", strings.NewReader(text))
	} else {
		resp, err = c.Get(l.url)
		text = ""
	}
	if err == nil {
		var body []byte
		body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if err == nil && (resp.StatusCode != 200 || string(body) != "answer "+text) {
			l.wrong.Add(1)
		}
	}
	op, _ := errors.AsType[*net.OpError](err)
	switch {
	case err == nil:
		l.answered.Add(1)
	case op != nil && op.Op == "dial", err != nil && strings.HasSuffix(err.Error(), noConn):
		l.refused.Add(1)
		time.Sleep(time.Millisecond) // rather than spin
	default:
		l.lost.Add(1)
		l.first.CompareAndSwap(nil, &err)
	}
}

// TestGoAwayTwice: what is on its way while the first GOAWAY is, is served; what
// comes behind the last one is refused, and may be repeated.
func TestGoAwayTwice(t *testing.T) {
	for _, form := range stopForms {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			entered, release := make(chan struct{}), make(chan struct{})
			r := startServer(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					close(entered)
					<-release
				}
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Errorf("%s: %v", r.URL, err)
				}
				io.WriteString(w, r.URL.Path+string(body))
			}, form.secure, serve.ServerOptions{EventLoop: form.loop})
			p := dialH2(t, r.addr, form.secure, (*h2Peer).holdAnswers)
			slow := p.get("/slow")
			within(t, "the slow handler runs", entered)
			half := p.open(false, request("POST", "/half")...)
			p.data(half, " sent", false)
			stopped := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				stopped <- r.Shutdown(ctx)
			}()
			p.await("the first GOAWAY", func() bool { return len(p.goaways) > 0 && len(p.held) > 0 })
			servetest.Want(t, "the first refuses nothing", p.farewell(), "2147483647 NO_ERROR; ")
			p.want("on its way as the stop began", p.get("/late"), "200", "/late")
			p.release()
			p.await("the last GOAWAY", func() bool { return len(p.goaways) > 1 })
			servetest.Want(t, "the last names the last stream", p.farewell(), "2147483647 NO_ERROR; 5 NO_ERROR; ")
			servetest.Want(t, "behind the last", p.outcome(p.get("/refused")), "reset REFUSED_STREAM")
			select {
			case err := <-stopped:
				t.Fatalf("stopped with streams under way: %v", err)
			default:
			}
			p.wantOpen("the slow handler goes on", slow)
			p.data(half, " and done", true)
			p.want("a half-sent body", half, "200", "/half sent and done")
			close(release)
			p.want("the slow handler", slow, "200", "/slow")
			p.wantEnd("the connection goes with its last stream")
			servetest.Must(t, "drained", within(t, "Shutdown returns", stopped))
			servetest.WantErr(t, "Serve", within(t, "Serve returns", r.ended), http.ErrServerClosed)
			servetest.Want(t, "finished after the stop", r.DrainReport().Finished, 3)
			servetest.Want(t, "nothing cut", r.DrainReport().Cut, 0)
			servetest.Want(t, "refused", r.Stats().StreamsRefused, 1)
		})
	}
}

// TestDrainIdleH2: an idle connection goes once both GOAWAYs are said, whether it
// has served a request or none.
func TestDrainIdleH2(t *testing.T) {
	for _, form := range stopForms {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			r := startServer(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hi") },
				form.secure, serve.ServerOptions{EventLoop: form.loop})
			used, fresh := dialH2(t, r.addr, form.secure), dialH2(t, r.addr, form.secure)
			used.want("before the stop", used.get("/"), "200", "hi")
			r.stop(t)
			used.wantEnd("an idle connection goes")
			fresh.wantEnd("so does one without a request")
			servetest.Want(t, "its farewell", used.farewell(), "2147483647 NO_ERROR; 1 NO_ERROR; ")
			servetest.Want(t, "without a stream", fresh.farewell(), "2147483647 NO_ERROR; 0 NO_ERROR; ")
			servetest.Want(t, "nothing cut", r.DrainReport().Cut, 0)
		})
	}
}

// TestPrefaceAfterStop: a connection that was accepted before the stop and speaks
// after it began is served, and drained like the others.
func TestPrefaceAfterStop(t *testing.T) {
	for _, form := range stopForms {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			release := make(chan struct{})
			r := startServer(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					<-release
				}
				io.WriteString(w, "hi")
			}, form.secure, serve.ServerOptions{EventLoop: form.loop})
			busy := dialH2(t, r.addr, form.secure)
			slow := busy.get("/slow")
			var conn net.Conn
			conn, err := net.Dial("tcp", r.addr)
			servetest.Must(t, "dial", err)
			servetest.WantSoon(t, "both are accepted", func() bool { return r.Stats().Accepted == 2 })
			stopped := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				stopped <- r.Shutdown(ctx)
			}()
			busy.await("the stop is known", func() bool { return len(busy.goaways) > 0 })
			if form.secure {
				cfg := clientTLS()
				cfg.NextProtos = []string{"h2"}
				conn = tls.Client(conn, cfg)
			}
			conn.SetDeadline(time.Now().Add(patience))
			p := newH2Peer(t, conn, (*h2Peer).holdAnswers)
			p.want("a request after the stop began", p.get("/"), "200", "hi")
			p.await("GOAWAY", func() bool { return len(p.goaways) > 0 })
			p.release()
			p.wantEnd("the connection goes")
			servetest.Want(t, "its farewell", p.farewell(), "2147483647 NO_ERROR; 1 NO_ERROR; ")
			close(release)
			busy.want("the slow handler", slow, "200", "hi")
			servetest.Must(t, "drained", within(t, "Shutdown returns", stopped))
		})
	}
}

// TestStuckStream: at the deadline Shutdown gives up, and Close cuts the
// connection, however many of its streams are stuck.
func TestStuckStream(t *testing.T) {
	for _, form := range stopForms {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			entered, left := make(chan struct{}, 2), make(chan error, 2)
			r := startServer(t, func(w http.ResponseWriter, r *http.Request) {
				entered <- struct{}{}
				<-r.Context().Done()
				left <- r.Context().Err()
			}, form.secure, serve.ServerOptions{EventLoop: form.loop})
			p := dialH2(t, r.addr, form.secure)
			streams := []*h2Stream{p.get("/1"), p.get("/2")}
			for range streams {
				within(t, "a handler runs", entered)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			servetest.WantErr(t, "the deadline passes", r.Shutdown(ctx), context.DeadlineExceeded)
			select {
			case err := <-left:
				t.Fatalf("Shutdown ended a handler: %v", err)
			default:
			}
			servetest.Must(t, "Close", r.Close())
			for _, s := range streams {
				servetest.WantErr(t, "its context", within(t, "the handler ends", left), context.Canceled)
				if got := p.outcome(s); strings.HasPrefix(got, "2") {
					t.Errorf("a cut stream was answered with %s", got)
				}
			}
			servetest.Want(t, "one connection was cut", r.DrainReport().Cut, 1)
			servetest.WantErr(t, "Serve", within(t, "Serve returns", r.ended), http.ErrServerClosed)
		})
	}
}
