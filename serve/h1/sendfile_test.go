package h1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tempFile holds n bytes that tell their place.
func tempFile(t *testing.T, n int) (path string, content []byte) {
	t.Helper()
	content = make([]byte, n)
	for i := range content {
		content[i] = byte(i>>8) ^ byte(i)
	}
	path = filepath.Join(t.TempDir(), "file.bin")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, content
}

func TestSendFile(t *testing.T) {
	const size = 300_000
	path, content := tempFile(t, size)
	type opened func(f *os.File) io.Reader
	all := func(f *os.File) io.Reader { return f }
	for _, tt := range []struct {
		name   string
		begin  int64 // the file's position
		src    opened
		length int // declared; -1: none
		want   []byte
		sent   bool // by SendFile, in the loop's form
		pos    int64
	}{
		{"whole", 0, all, size, content, true, size},
		{"from its position", 1000, all, size - 1000, content[1000:], true, size},
		{"a part", 1000, func(f *os.File) io.Reader { return io.LimitReader(f, 100_000) }, 100_000, content[1000:101_000], true, 101_000},
		{"a short part is copied", 0, func(f *os.File) io.Reader { return io.LimitReader(f, 100) }, 100, content[:100], false, 100},
		{"more than there is", 0, func(f *os.File) io.Reader { return io.LimitReader(f, 1<<40) }, size, content, true, size},
		{"in chunks", 0, all, -1, content, false, size},
		{"hidden behind a reader", 0, func(f *os.File) io.Reader { return struct{ io.Reader }{f} }, size, content, false, size},
	} {
		script(t, tt.name, func(t *testing.T, fm form) {
			c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
				f, err := os.Open(path)
				if err != nil {
					t.Error(err)
					return
				}
				defer f.Close()
				f.Seek(tt.begin, io.SeekStart)
				if tt.length >= 0 {
					w.Header().Set("Content-Length", fmt.Sprint(tt.length))
				}
				n, err := io.Copy(w, tt.src(f))
				if err != nil || n != int64(len(tt.want)) {
					t.Errorf("io.Copy = %d, %v, want %d", n, err, len(tt.want))
				}
				if pos, _ := f.Seek(0, io.SeekCurrent); pos != tt.pos {
					t.Errorf("the file stands at %d, want %d", pos, tt.pos)
				}
			})
			c.write(getHello)
			a := c.next(tt.name, "GET", c.got())
			if !bytes.Equal([]byte(a.body), tt.want) {
				t.Errorf("body of %d bytes differs from the file's %d", len(a.body), len(tt.want))
			}
			if got, want := a.Header.Get("Content-Type"), http.DetectContentType(tt.want); got != want {
				t.Errorf("Content-Type = %q, want %q", got, want)
			}
			if sent := c.h.sent > 0; sent != (tt.sent && !fm.portable) {
				t.Errorf("SendFile used: %v, want %v", sent, tt.sent)
			}
			c.write(getHello)
			c.got()
			c.wantOpen("afterwards")
		})
	}
	script(t, "a slow peer", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) })
		c.h.mu.Lock()
		c.h.window = 100
		c.h.mu.Unlock()
		c.write(getHello)
		for range 200 {
			c.h.take(3000)
			c.got()
		}
		c.read = 0
		if a := c.next("in small windows", "GET", c.got()); !bytes.Equal([]byte(a.body), content) {
			t.Errorf("body of %d bytes differs", len(a.body))
		}
	})
	script(t, "HEAD", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) })
		c.write("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
		if a := c.wantFor("no body", "HEAD", 200, ""); a.ContentLength != size {
			t.Errorf("Content-Length = %d, want %d", a.ContentLength, size)
		}
	})
	script(t, "a range", func(t *testing.T, fm form) {
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) })
		c.write("GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=50000-149999\r\n\r\n")
		c.wantFor("its bytes", "GET", 206, string(content[50_000:150_000]))
	})
	script(t, "a file that shrinks", func(t *testing.T, fm form) {
		short, _ := tempFile(t, 100_000)
		c := dial(t, fm, func(w http.ResponseWriter, r *http.Request) {
			f, _ := os.Open(short)
			defer f.Close()
			w.Header().Set("Content-Length", "100000")
			w.(http.Flusher).Flush()
			os.Truncate(short, 50_000)
			if n, _ := io.Copy(w, io.LimitReader(f, 100_000)); n > 50_000 {
				t.Errorf("io.Copy = %d of a file of 50000", n)
			}
		})
		c.write(getHello + getHello)
		c.got()
		time.Sleep(2 * time.Second)
		c.wantClosed("bytes are missing")
	})
}

// whole tells whether out begins with a whole answer.
func whole(out string) bool {
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(out)), nil)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err == nil
}

// TestStandardHandlers: what net/http and its kin put around a ResponseWriter.
func TestStandardHandlers(t *testing.T) {
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-End")
		io.WriteString(w, "backend got "+string(b))
		w.Header().Set("X-End", "yes")
	}))
	defer back.Close()
	u, _ := url.Parse(back.URL)
	proxy := httputil.NewSingleHostReverseProxy(u)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /items/{id}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "item "+r.PathValue("id")) })
	for _, tt := range []struct {
		name, request string
		handler       http.Handler
		status        int
		body          string
	}{
		{"ReverseProxy", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", proxy, 200, "backend got abc"},
		{"ReverseProxy, chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", proxy, 200, "backend got abc"},
		{"TimeoutHandler", getHello, http.TimeoutHandler(http.HandlerFunc(hello), time.Minute, "late"), 200, "hello"},
		{"TimeoutHandler, late", getHello, http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), time.Millisecond, "late"), 503, "late"},
		{"MaxBytesHandler", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30\r\n\r\n" + strings.Repeat("x", 30), http.MaxBytesHandler(http.HandlerFunc(echo), 10), 400, "http: request body too large\n"},
		{"ServeMux", "POST /items/7 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", mux, 200, "item 7"},
		{"ServeMux, method", "GET /items/7 HTTP/1.1\r\nHost: a\r\n\r\n", mux, 405, "Method Not Allowed\n"},
		{"StripPrefix and Redirect", "GET /x HTTP/1.1\r\nHost: a\r\n\r\n", http.StripPrefix("/x", http.RedirectHandler("/y", http.StatusFound)), 302, "<a href=\"/y\">Found</a>.\n\n"},
	} {
		inRealTime(t, tt.name, func(t *testing.T, fm form) {
			for _, recycle := range []bool{false, true} {
				cfg, log := testConfig(tt.handler)
				cfg.Recycle = recycle
				c := dialConfig(t, fm, Complete(cfg), log)
				c.write(tt.request)
				s := c.until(tt.name, whole)
				a := c.next(tt.name, "GET", s)
				if a.StatusCode != tt.status || a.body != tt.body {
					t.Errorf("got %d %q, want %d %q", a.StatusCode, a.body, tt.status, tt.body)
				}
			}
		})
	}
}
