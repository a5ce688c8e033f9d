package static_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/handler/static"
	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/certs"
)

var engineNames = []string{"h1 clear", "h1 TLS", "h2", "h3"}

// forEngines runs f with a client of each engine that serves h.
func forEngines(t *testing.T, h http.Handler, f func(t *testing.T, url string, client *http.Client)) {
	for _, name := range engineNames {
		t.Run(name, func(t *testing.T) {
			addr := serveWith(t, name, h)
			scheme := "https://"
			if name == "h1 clear" {
				scheme = "http://"
			}
			f(t, scheme+addr, clientOf(t, name))
		})
	}
}

// serveWith serves h on loopback until the end of the test.
func serveWith(tb testing.TB, name string, h http.Handler) (addr string) {
	tb.Helper()
	s := &serve.Server{Handler: h, Options: serve.ServerOptions{ErrorLog: slog.New(slog.DiscardHandler)}}
	if name != "h1 clear" {
		cert, err := certs.SelfSigned(nil)
		must(tb, err)
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	}
	var run func() error
	if name == "h3" {
		g, err := listener.BindPackets(tb.Context(), listener.PacketConfig{Address: "127.0.0.1:0", ErrorLog: s.Options.ErrorLog})
		must(tb, err)
		addr, run = g.Addr().String(), func() error { return s.ServeHTTP3(g, "", "") }
	} else {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		must(tb, err)
		addr, run = l.Addr().String(), func() error { return s.Serve(l) }
		if name != "h1 clear" {
			run = func() error { return s.ServeTLS(l, "", "") }
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- run() }()
	tb.Cleanup(func() {
		s.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			tb.Errorf("serve: %v", err)
		}
	})
	return addr
}

func clientOf(tb testing.TB, name string) *http.Client {
	trust := &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"} // who serves is not what is tested
	if name == "h3" {
		transport := &http3.Transport{TLSClientConfig: trust}
		tb.Cleanup(func() { transport.Close() })
		return &http.Client{Transport: transport}
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(name != "h2")
	protocols.SetHTTP2(name == "h2")
	transport := &http.Transport{TLSClientConfig: trust, Protocols: protocols, DisableCompression: true}
	tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// newFile makes a file of bytes that tell their place.
func newFile(tb testing.TB, dir, name string, size int) []byte {
	tb.Helper()
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(i) ^ byte(i>>8) ^ byte(i>>16)
	}
	must(tb, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	old := time.Now().Add(-time.Hour)
	must(tb, os.Chtimes(filepath.Join(dir, name), old, old))
	return content
}

func newHandler(tb testing.TB, dir string, opts static.Options) *static.Handler {
	tb.Helper()
	h, err := static.New(dir, opts)
	must(tb, err)
	tb.Cleanup(func() { h.Close() })
	return h
}

// fetch asks for a range, or for all.
func fetch(client *http.Client, url, ranges string) (resp *http.Response, body []byte, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, nil, err
	}
	if ranges != "" {
		r.Header.Set("Range", "bytes="+ranges)
	}
	resp, err = client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp, body, err
}

// One open file is sent to many clients at once, from different places, behind the
// chain and without: each gets its bytes.
func TestOneOpenFileManyAnswers(t *testing.T) {
	dir := t.TempDir()
	content := newFile(t, dir, "big", 1<<20)
	files := newHandler(t, dir, static.Options{})
	stages, err := handler.NewDefaultChain(files, handler.DefaultOptions{})
	must(t, err)
	for name, h := range map[string]http.Handler{"bare": files, "behind the chain": stages} {
		t.Run(name, func(t *testing.T) {
			forEngines(t, h, func(t *testing.T, url string, client *http.Client) {
				var wg sync.WaitGroup
				for range 4 {
					wg.Go(func() {
						for range 5 {
							from := rand.IntN(len(content))
							wantRange(t, client, url+"/big", content, from, from+rand.IntN(len(content)-from))
							wantParts(t, client, url+"/big", content)
						}
						if resp, body, err := fetch(client, url+"/big", ""); err != nil || resp.StatusCode != 200 || !bytes.Equal(body, content) {
							t.Errorf("whole: %d bytes, %v", len(body), err)
						}
					})
				}
				wg.Wait()
			})
		})
	}
}

func wantRange(t *testing.T, client *http.Client, url string, content []byte, first, last int) {
	resp, body, err := fetch(client, url, fmt.Sprintf("%d-%d", first, last))
	if err != nil || resp.StatusCode != http.StatusPartialContent || !bytes.Equal(body, content[first:last+1]) {
		t.Errorf("%d-%d: %d bytes, %v", first, last, len(body), err)
	}
}

// wantParts asks for parts that are sent from the file and parts that are copied.
func wantParts(t *testing.T, client *http.Client, url string, content []byte) {
	resp, body, err := fetch(client, url, "100000-299999,5-9,-50000")
	if err != nil || resp.StatusCode != http.StatusPartialContent {
		t.Errorf("parts: %v", err)
		return
	}
	_, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || resp.ContentLength != int64(len(body)) {
		t.Errorf("parts: %v, %d of %d bytes", err, len(body), resp.ContentLength)
	}
	r := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for _, want := range [][]byte{content[100_000:300_000], content[5:10], content[len(content)-50_000:]} {
		p, err := r.NextRawPart()
		if err != nil {
			t.Errorf("parts: %v", err)
			return
		}
		if got, err := io.ReadAll(p); err != nil || !bytes.Equal(got, want) {
			t.Errorf("a part of %d bytes, want %d: %v", len(got), len(want), err)
		}
	}
}

// A file that shrinks while it is sent: the client sees that its answer is not
// whole, and no byte stands in for a missing one (rule F-2).
func TestShrinkingFileOverEngines(t *testing.T) {
	const size = 64 << 20 // more than all buffers on the way
	for _, ranges := range []string{"", "10-60000000", "0-30000000,40000000-"} {
		dir := t.TempDir()
		h := newHandler(t, dir, static.Options{})
		forEngines(t, h, func(t *testing.T, url string, client *http.Client) {
			must(t, os.WriteFile(filepath.Join(dir, "big"), nil, 0o600))
			must(t, os.Truncate(filepath.Join(dir, "big"), size)) // sparse: zeros
			name := filepath.Join(dir, "big")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/big", nil)
			must(t, err)
			if ranges != "" {
				r.Header.Set("Range", "bytes="+ranges)
			}
			resp, err := client.Do(r)
			must(t, err)
			defer resp.Body.Close()
			begin := make([]byte, 1000)
			_, err = io.ReadFull(resp.Body, begin)
			must(t, err)
			must(t, os.Truncate(name, 1<<20))
			n, err := io.Copy(io.Discard, resp.Body)
			if err == nil {
				t.Errorf("Range %q: %d of %d bytes and no error: the client believes it has the file", ranges, n+1000, resp.ContentLength)
			}
			if n+1000 >= resp.ContentLength {
				t.Errorf("Range %q: all %d bytes came: padded?", ranges, n+1000)
			}
			// The server lives, and tells the new length.
			resp, body, err := fetch(client, url+"/big", "")
			if err != nil || resp.StatusCode != 200 || len(body) != 1<<20 {
				t.Errorf("afterwards: %d bytes, %v", len(body), err)
			}
		})
	}
}
