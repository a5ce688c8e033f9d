package h1

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// splitHost gives the request in given pieces, and collects the answer.
type splitHost struct {
	benchHost
	pieces []string
	out    []byte
}

func (h *splitHost) Read(p []byte) (int, error) {
	if len(h.pieces) == 0 {
		return 0, ErrWouldBlock
	}
	n := copy(p, h.pieces[0])
	if h.pieces[0] = h.pieces[0][n:]; h.pieces[0] == "" {
		h.pieces = h.pieces[1:]
	}
	return n, nil
}

func (h *splitHost) Write(p []byte) (int, error) {
	h.out = append(h.out, p...)
	return len(p), nil
}

// WaitReadable finds the rest of what will come: there is no loop here.
func (h *splitHost) WaitReadable() error {
	if len(h.pieces) == 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// TestEverySplit: what is answered does not depend on how the network cut the
// requests, whether the cut shows as another read or as another step.
func TestEverySplit(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		fmt.Fprint(w, r.Method, r.URL, r.Host, len(r.Header), r.ContentLength, string(b), err, r.Trailer)
	})
	const requests = "\r\nGET /a?b=c HTTP/1.1\r\nHost: a.example\r\nX-A: 1\r\n\r\n" +
		"POST /b HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello" +
		"POST /c HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n3;e=1\r\nabc\r\nb\r\n01234567890\r\n0\r\nX-T: 1\r\n\r\n" +
		"GET /d HTTP/1.0\r\nConnection: close\r\n\r\n"
	for _, recycle := range []bool{false, true} {
		cfg, _ := testConfig(handler)
		cfg.Recycle = recycle
		done := Complete(cfg)
		run := func(asSteps bool, pieces ...string) string {
			h := &splitHost{}
			h.now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			c := NewConn(done, h, Attachment{Context: context.Background()})
			if asSteps {
				for _, p := range pieces {
					h.pieces = []string{p}
					if c.state == stateOver {
						break
					}
					c.OnReadable(h.now)
				}
				return string(h.out)
			}
			h.pieces = pieces
			c.OnReadable(h.now)
			return string(h.out)
		}
		want := run(false, requests)
		for i := 1; i < len(requests); i++ {
			for j := i; j < len(requests); j += 7 {
				pieces := []string{requests[:i]}
				if j > i {
					pieces = append(pieces, requests[i:j])
				}
				pieces = append(pieces, requests[j:])
				if got := run(false, pieces...); got != want {
					t.Fatalf("cut at %d and %d (recycle %v):\ngot  %q\nwant %q", i, j, recycle, got, want)
				}
			}
		}
	}
}

// TestEveryStep: likewise, with a step for each byte, where the handler does
// not wait for its body.
func TestEveryStep(t *testing.T) {
	cfg, _ := testConfig(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.URL.Path)
	}))
	done := Complete(cfg)
	const requests = "GET /a HTTP/1.1\r\nHost: a\r\n\r\nPOST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" +
		"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\nGET /d HTTP/1.1\r\nHost: a\r\n\r\n"
	answer := func(size int) string {
		h := &splitHost{}
		h.now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		c := NewConn(done, h, Attachment{})
		for s := requests; s != ""; {
			n := min(size, len(s))
			h.pieces = []string{s[:n]}
			s = s[n:]
			c.OnReadable(h.now)
		}
		return string(h.out)
	}
	want := answer(len(requests))
	for size := 1; size < 60; size++ {
		if got := answer(size); got != want {
			t.Fatalf("steps of %d bytes:\ngot  %q\nwant %q", size, got, want)
		}
	}
}
