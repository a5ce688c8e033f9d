package proxy_test

import (
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// TestTimedRequests: the end of one request's time, which comes when it has been
// answered, ends the wait of no other one, though tasks are used again.
func TestTimedRequests(t *testing.T) {
	url := "h2c://" + plainH2(t)
	for _, f := range []form{forms[0], forms[4]} {
		t.Run(f.name, func(t *testing.T) {
			s := newService(t, unhurried(), url)
			front, client := f.serveFront(t, newProxy(t, proxy.Options{Service: s, RequestTimeout: 10 * time.Second}))
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() {
					for range 300 {
						a := do(t.Context(), client, "GET", front+"/", nil)
						if a.status != 200 || a.body != "good" {
							t.Errorf("got %d %q %v", a.status, a.body, a.err)
							return
						}
					}
				})
			}
			wg.Wait()
			servetest.Want(t, "failures", len(s.Status(time.Now()).Failures), 0)
		})
	}
}

// plainH2 is an upstream of HTTP/2 with prior knowledge that says good.
func plainH2(t testing.TB) (addr string) {
	t.Helper()
	return serveH2C(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "good") }))
}

// serveH2C serves h over HTTP/2 with prior knowledge, by package net/http, until the
// test ends.
func serveH2C(t testing.TB, h http.Handler) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(t, "listen", err)
	s := &http.Server{Protocols: new(http.Protocols), Handler: h}
	s.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-done })
	return l.Addr().String()
}
