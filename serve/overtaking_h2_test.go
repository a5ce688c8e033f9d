package serve_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// TestOvertakingStreams: while the handler of the first stream does not return,
// the streams behind it and PING are answered, on the same connection. It is
// released by their answers, so if it held them up nothing would go on.
func TestOvertakingStreams(t *testing.T) {
	for _, form := range stopForms {
		for _, how := range []string{"/sleeps", "/computes"} {
			t.Run(form.name+how, func(t *testing.T) {
				servetest.CheckLeaks(t)
				entered, release := make(chan struct{}), make(chan struct{})
				var released atomic.Bool
				r := startServer(t, func(w http.ResponseWriter, r *http.Request) {
					switch r.URL.Path {
					case "/sleeps":
						close(entered)
						<-release
					case "/computes":
						close(entered)
						for !released.Load() {
							runtime.KeepAlive(r) // no call that the scheduler could use
						}
					}
					body, _ := io.ReadAll(r.Body)
					io.WriteString(w, r.URL.Path+string(body))
				}, form.secure, serve.ServerOptions{EventLoop: form.loop})
				p := dialH2(t, r.addr, form.secure)
				first := p.get(how)
				within(t, "its handler runs", entered)
				for i := range 20 {
					path := "/" + strconv.Itoa(i)
					p.want("behind it", p.get(path), "200", path)
				}
				post := p.open(false, request("POST", "/post")...)
				p.data(post, " a body", true)
				p.want("one with a body", post, "200", "/post a body")
				p.ping("are you?")
				p.await("PING is answered", func() bool { return len(p.pongs) > 0 })
				p.wantOpen("the first has not returned", first)
				released.Store(true)
				close(release)
				p.want("the first", first, "200", how)
			})
		}
	}
}

// TestOneSleepsInAHundred: handlers that sleep stop nobody, on their connection
// or beside it: they are woken when all others have been answered.
func TestOneSleepsInAHundred(t *testing.T) {
	const conns, streams, every = 20, 50, 100
	for _, form := range stopForms {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			release := make(chan struct{})
			r := startServer(t, func(w http.ResponseWriter, r *http.Request) {
				if n, _ := strconv.Atoi(r.URL.Path[1:]); n%every == 0 {
					<-release
				}
				io.WriteString(w, r.URL.Path)
			}, form.secure, serve.ServerOptions{EventLoop: form.loop})
			var sleepers sync.WaitGroup
			var others sync.WaitGroup
			var n int
			for range conns {
				p := dialH2(t, r.addr, form.secure)
				for range streams {
					path := fmt.Sprintf("/%d", n)
					s, waits := p.get(path), &others
					if n%every == 0 {
						waits = &sleepers
					}
					waits.Go(func() { p.want("stream", s, "200", path) })
					n++
				}
			}
			others.Wait()
			close(release)
			sleepers.Wait()
		})
	}
}
