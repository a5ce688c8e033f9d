package app

import (
	"bufio"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// lenient is a backend that takes whatever looks like a request, as many do: bare
// line feeds, spaces anywhere, the first length of several, chunks of any writing.
// It answers 200 and notes what was asked for.
type lenient struct {
	addr string

	mu      sync.Mutex // guards the following
	targets []string
}

func newLenient(t *testing.T) *lenient {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(t, "listen", err)
	b := &lenient{addr: l.Addr().String()}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer c.Close()
				for r := bufio.NewReader(c); b.serve(c, r); {
					continue
				}
			})
		}
	})
	t.Cleanup(func() { l.Close() }) // the proxy ends the connections
	return b
}

// serve takes one request. False: there is none.
func (b *lenient) serve(w io.Writer, r *bufio.Reader) bool {
	line := "\n"
	for strings.TrimSpace(line) == "" {
		var err error
		if line, err = r.ReadString('\n'); err != nil {
			return false
		}
	}
	words := strings.Fields(line)
	b.mu.Lock()
	b.targets = append(b.targets, words[min(1, len(words)-1)])
	b.mu.Unlock()
	length, chunked := int64(0), false
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "":
			b.skipBody(r, length, chunked)
			text := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
			if words[0] != "HEAD" {
				text += "ok"
			}
			_, err := io.WriteString(w, text)
			return err == nil
		case "content-length":
			if n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64); err == nil && length == 0 {
				length = n
			}
		case "transfer-encoding":
			chunked = chunked || strings.Contains(strings.ToLower(value), "chunked")
		}
	}
}

func (b *lenient) skipBody(r *bufio.Reader, length int64, chunked bool) {
	if !chunked {
		_, _ = io.CopyN(io.Discard, r, length)
		return
	}
	for {
		line, err := r.ReadString('\n')
		digits, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		n, perr := strconv.ParseInt(strings.TrimSpace(digits), 16, 64)
		if err != nil {
			return
		}
		if perr != nil || n == 0 {
			for strings.TrimSpace(line) != "" { // trailers
				if line, err = r.ReadString('\n'); err != nil {
					return
				}
			}
			return
		}
		_, _ = io.CopyN(io.Discard, r, n)
		_, _ = r.ReadString('\n')
	}
}

// TestConformanceRawCasesProxy: the raw cases before a lenient backend: the verdicts
// are those of a server, and no smuggled request arrives.
func TestConformanceRawCasesProxy(t *testing.T) {
	cases := readRawCases(t)
	// cl0-tail sends its canary as a request of its own, on purpose.
	cases = slices.DeleteFunc(cases, func(c rawCase) bool { return c.ID == "cl0-tail" })
	for _, loop := range []string{"on", "off"} {
		b := newLenient(t)
		p := start(t, nil, "reverse-proxy", "--to", "http://"+b.addr, "--listen", anyPort, "--tls-listen", anyPort, "--event-loop="+loop)
		for _, text := range p.urls {
			u, err := url.Parse(text)
			servetest.Must(t, "address", err)
			t.Run("event loop "+loop+"/"+u.Scheme, func(t *testing.T) {
				runRawCases(t, cases, u.Host, u.Scheme == "https")
				wantAlive(t, "after the cases", u.Host, u.Scheme == "https")
			})
		}
		b.mu.Lock()
		for _, target := range b.targets {
			if strings.Contains(target, "CANARY") {
				t.Errorf("event loop %s: a smuggled request has arrived: %s", loop, target)
			}
		}
		if len(b.targets) < 10 {
			t.Errorf("event loop %s: only %d requests have arrived", loop, len(b.targets))
		}
		b.mu.Unlock()
	}
}
