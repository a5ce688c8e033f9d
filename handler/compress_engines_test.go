package handler_test

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/handler/static"
)

// gzipRequest is a GET that takes gzip: the client leaves the content as it comes.
func gzipRequest(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	must(t, err)
	r.Header.Set("Accept-Encoding", "gzip")
	return r
}

func askGzip(t *testing.T, client *http.Client, url string) *http.Response {
	t.Helper()
	resp, err := client.Do(gzipRequest(t, url))
	must(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// wantCut asks for what its handler aborts. A reset may overtake the head (QUIC).
func wantCut(t *testing.T, client *http.Client, url string) {
	t.Helper()
	resp, err := client.Do(gzipRequest(t, url))
	if err != nil {
		return
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Error("an aborted answer looks whole")
	}
}

// The filter around files, inside of the default chain, over all engines.
func TestCompressOverEngines(t *testing.T) {
	text := strings.Repeat("All work and no play makes Jack a dull boy.\n", 20_000)
	dir := t.TempDir()
	for name, content := range map[string]string{"long.txt": text, "short.txt": "short", "packed.png": text} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
		old := time.Now().Add(-time.Hour)
		must(t, os.Chtimes(filepath.Join(dir, name), old, old))
	}
	files, err := static.New(dir, static.Options{})
	must(t, err)
	t.Cleanup(func() { files.Close() })
	compress, err := handler.NewCompress(handler.CompressOptions{Encodings: []string{"gzip"}, Types: []string{"text/plain", "text/event-stream"}})
	must(t, err)
	mux := http.NewServeMux()
	mux.Handle("/", compress.Wrap(files))
	next := make(chan struct{})
	mux.Handle("/events", compress.Wrap(events(next)))
	mux.Handle("/cut", compress.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, text)
		w.(http.Flusher).Flush() // the head has gone
		panic(http.ErrAbortHandler)
	})))
	chain, err := handler.NewDefaultChain(mux, handler.DefaultOptions{})
	must(t, err)
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			url, client, _ := e.start(t, chain)
			wantGzip(t, askGzip(t, client, url+"/long.txt"), text)
			for _, name := range []string{"short.txt", "packed.png"} {
				resp := askGzip(t, client, url+"/"+name)
				b, err := io.ReadAll(resp.Body)
				if err != nil || resp.Header.Get("Content-Encoding") != "" || resp.ContentLength != int64(len(b)) {
					t.Errorf("%s: %v, %v", name, resp.Header, err)
				}
			}
			wantCut(t, client, url+"/cut")
			readEvents(t, askGzip(t, client, url+"/events"), next)
		})
	}
}

func wantGzip(t *testing.T, resp *http.Response, want string) {
	t.Helper()
	if resp.Header.Get("Content-Encoding") != "gzip" || !strings.HasPrefix(resp.Header.Get("Etag"), "W/") || resp.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("fields %v", resp.Header)
	}
	zr, err := gzip.NewReader(resp.Body)
	must(t, err)
	got, err := io.ReadAll(zr)
	if err != nil || string(got) != want {
		t.Errorf("%d bytes, want %d: %v", len(got), len(want), err)
	}
}

// events sends one for each turn that next gives.
func events(next chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n", i)
			w.(http.Flusher).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
	}
}

// readEvents reads each event before it lets the next one be sent.
func readEvents(t *testing.T, resp *http.Response, next chan struct{}) {
	t.Helper()
	zr, err := gzip.NewReader(resp.Body)
	must(t, err)
	lines := bufio.NewReader(zr)
	for i := range 3 {
		line, err := lines.ReadString('\n')
		if err != nil || line != fmt.Sprintf("data: %d\n", i) {
			t.Errorf("event %d: %q, %v", i, line, err)
		}
		next <- struct{}{}
	}
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("behind the last: %q, %v", rest, err)
	}
}
