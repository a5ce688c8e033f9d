package link_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/link"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// TestStreams: many exchanges of few HTTP/2 connections wait for upstreams at one
// time, each as a task: all get their own answer, also beside handlers that are
// overtaken, panic, end their goroutine, or lose their client.
func TestStreams(t *testing.T) {
	const asks = 400
	addr := upstream(t, nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(t, "listen", err)
	portable := &link.Portable{}
	srv := &serve.Server{
		Options: serve.ServerOptions{Tasks: true, MaxStreams: 200, ErrorLog: slog.New(slog.DiscardHandler)},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := link.HomeOf(r.Context(), portable).Dial(r.Context(), "tcp", addr)
			if err != nil {
				return // the client has left
			}
			defer c.Close()
			kind := strings.TrimLeft(r.URL.Path, "/0123456789")
			first := say(c, "one"+r.URL.Path)
			switch kind {
			case "panic":
				panic(http.ErrAbortHandler)
			case "goexit":
				runtime.Goexit()
			case "silence":
				say(c, "silence")
				return
			case "spin": // until it is overtaken
				for begin := time.Now(); time.Since(begin) < 5*time.Millisecond; {
					continue
				}
			case "flush":
				io.WriteString(w, strings.Repeat(" ", 5000))
				http.NewResponseController(w).Flush()
			}
			io.WriteString(w, first+" "+say(c, "two"+r.URL.Path))
		}),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetUnencryptedHTTP2(true)
	kinds := []string{"plain", "plain", "flush", "spin", "panic", "goexit", "silence"}
	var wg sync.WaitGroup
	slots := make(chan struct{}, 150)
	for i := range asks {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			kind := kinds[i%len(kinds)]
			path := fmt.Sprintf("/%d/%s", i, kind)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if kind == "silence" {
				time.AfterFunc(time.Millisecond, cancel)
			}
			body, err := ask(ctx, tr, l.Addr().String(), path)
			good := kind != "panic" && kind != "goexit" && kind != "silence"
			want := "up one" + path + " up two" + path
			switch {
			case good && (err != nil || strings.TrimSpace(body) != want):
				t.Errorf("%s: got %q and %v, want %q", path, strings.TrimSpace(body), err, want)
			case !good && err == nil:
				t.Errorf("%s: got %q, want an error", path, body)
			}
		})
	}
	wg.Wait()
	tr.CloseIdleConnections()
	srv.Close()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("serve: %v", err)
	}
}

func ask(ctx context.Context, tr *http.Transport, addr, path string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return "", err
	}
	res, err := tr.RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return string(b), err
}
