package h1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// zzConn is a connection whose peer has sent all it will ever send.
type zzConn struct {
	mu     sync.Mutex
	in     []byte
	out    bytes.Buffer
	closed bool
}

func (c *zzConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0, net.ErrClosed
	}
	if len(c.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.in)
	c.in = c.in[n:]
	return n, nil
}

func (c *zzConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.Write(p)
}

func (c *zzConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	return nil
}
func (c *zzConn) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 80} }
func (c *zzConn) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4711}
}
func (c *zzConn) SetDeadline(time.Time) error      { return nil }
func (c *zzConn) SetReadDeadline(time.Time) error  { return nil }
func (c *zzConn) SetWriteDeadline(time.Time) error { return nil }

type zzListener struct {
	ch   chan net.Conn
	done chan struct{}
}

func (l *zzListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.ch:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *zzListener) Close() error   { return nil }
func (l *zzListener) Addr() net.Addr { return &net.TCPAddr{} }

// zzNetHTTP answers input with net/http.
func zzNetHTTP(h http.Handler, input string) string {
	c := &zzConn{in: []byte(input)}
	l := &zzListener{ch: make(chan net.Conn, 1), done: make(chan struct{})}
	over := make(chan struct{})
	srv := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0), ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed || s == http.StateHijacked {
			close(over)
		}
	}}
	l.ch <- c
	go srv.Serve(l)
	<-over
	close(l.done)
	srv.Close()
	return c.out.String()
}

// zzOurs answers input with this engine; cuts are the sizes of the segments.
func zzOurs(h http.Handler, input string, portable, recycle bool, cuts func() int) string {
	cfg := Complete(Config{Handler: h, Recycle: recycle, ErrorLog: slog.New(slog.DiscardHandler)})
	host := newMemHost(portable)
	conn := NewConn(cfg, host, Attachment{})
	host.serve(conn)
	for len(input) > 0 {
		n := len(input)
		if cuts != nil {
			n = min(n, cuts())
		}
		host.mu.Lock()
		host.in = append(host.in, []byte(input[:n]))
		host.mu.Unlock()
		host.edge(edgeReadable)
		input = input[n:]
		if cuts != nil {
			synctest.Wait()
		}
	}
	host.hangup(nil)
	<-host.ended
	return string(host.out)
}

type zzAnswer struct {
	status  int
	header  string
	body    string
	trailer string
	te      string
	length  int64
	close   bool
	err     string
}

func zzFlat(h http.Header) string {
	var s []string
	for k, vs := range h {
		if k == "Date" {
			continue
		}
		for _, v := range vs {
			s = append(s, k+": "+v)
		}
	}
	sort.Strings(s)
	return strings.Join(s, "\n")
}

func zzParse(out string, methods []string) (all []zzAnswer) {
	br := bufio.NewReader(strings.NewReader(out))
	for i := 0; ; {
		if _, err := br.Peek(1); err != nil {
			return all
		}
		m := "GET"
		if i < len(methods) {
			m = methods[i]
		}
		resp, err := http.ReadResponse(br, &http.Request{Method: m})
		if err != nil {
			return append(all, zzAnswer{err: "head: " + err.Error()})
		}
		b, err := io.ReadAll(resp.Body)
		if resp.Close {
			resp.Header.Del("Connection")
		}
		resp.Trailer.Del("X-P1")
		resp.Trailer.Del("X-P2")
		if resp.StatusCode == 304 {
			resp.Header.Del("Content-Length") // net/http drops a handler's own; RFC 9110 §8.6 allows it
		}
		if len(b) > 2000 { // net/http keeps back 2 KiB, we 8
			resp.TransferEncoding, resp.ContentLength = nil, 0
			resp.Header.Del("Content-Length")
		}
		for _, k := range []string{"X-T1", "X-T2"} {
			delete(resp.Header, k) // net/http sends announced trailers set early in the head too
		}
		a := zzAnswer{status: resp.StatusCode, header: zzFlat(resp.Header), body: string(b), trailer: zzFlat(resp.Trailer), te: fmt.Sprint(resp.TransferEncoding), length: resp.ContentLength, close: resp.Close}
		if err != nil {
			a.err = err.Error()
		}
		all = append(all, a)
		if resp.StatusCode >= 200 || resp.StatusCode == 101 {
			i++
		}
	}
}

// zzScript runs the ops named in the query, so that the request says what the
// handler does.
func zzScript(w http.ResponseWriter, r *http.Request) {
	var log strings.Builder
	fmt.Fprintf(&log, "%s %q %q %q %q %v %q %q %s %v %v %d %v close=%v\n", r.Method, r.RequestURI, r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.URL.ForceQuery, r.URL.Scheme, r.URL.Host, r.Host, r.Proto, r.RemoteAddr, r.ContentLength, r.TransferEncoding, r.Close)
	log.WriteString(zzFlat(r.Header) + "\n")
	var ann []string
	for k := range r.Trailer {
		ann = append(ann, k)
	}
	slices.Sort(ann)
	fmt.Fprintf(&log, "announced %v nobody=%v\n", ann, r.Body == http.NoBody)
	wrote := false
	for op := range strings.SplitSeq(r.URL.RawQuery, ".") {
		if op == "" {
			continue
		}
		n, _ := strconv.Atoi(op[1:])
		switch op[0] {
		case 'w':
			if w.Header().Get("Content-Length") != "" {
				if wrote { // an overrun closes with net/http
					continue
				}
				n = min(n, 1)
			}
			wrote = true
			k, err := w.Write(bytes.Repeat([]byte{'a' + byte(n%26)}, n))
			fmt.Fprintf(&log, "w%d %d %v\n", n, k, err)
		case 'W':
			if w.Header().Get("Content-Length") != "" {
				continue
			}
			k, err := io.WriteString(w, log.String())
			_ = k
			if err != nil {
				fmt.Fprintf(&log, "W %v\n", err)
			}
		case 'h':
			w.Header().Set("X-N"+strconv.Itoa(n), op)
		case 's':
			if n >= 100 && n <= 999 && (n >= 200 || r.ProtoMinor == 1) {
				w.WriteHeader(n)
			}
		case 'f':
			w.(http.Flusher).Flush()
		case 'r':
			b := make([]byte, n)
			k, err := io.ReadFull(r.Body, b)
			fmt.Fprintf(&log, "r%d %d %q %v\n", n, k, b[:min(k, 20)], err)
		case 'R':
			if strings.Contains(r.URL.RawQuery, "B") { // net/http reads the trailer in Close
				continue
			}
			b, err := io.ReadAll(r.Body)
			if err == http.ErrBodyReadAfterClose {
				err = nil
			}
			fmt.Fprintf(&log, "R %d %v trailer %q\n", len(b), err, zzFlat(r.Trailer))
		case 'l':
			w.Header().Set("Content-Length", strconv.Itoa(n))
		case 'L':
			w.Header().Set("Content-Length", "junk")
		case 't':
			w.Header().Set("Trailer", "X-T"+strconv.Itoa(n))
		case 'T':
			w.Header().Set("X-T"+strconv.Itoa(n), "tv")
		case 'P':
			w.Header().Set(http.TrailerPrefix+"X-P"+strconv.Itoa(n), "pv")
		case 'c':
			w.Header().Set("Content-Type", "a/b"+strconv.Itoa(n))
		case 'C':
			w.Header()["Content-Type"] = nil
		case 'e':
			w.Header().Set("Content-Encoding", "gzip")
		case 'k':
			w.Header().Set("Connection", "close")
		case 'K':
			w.Header().Set("Connection", "keep-alive")
		case 'x':
			if log.Len() > 1500 {
				return
			}
			panic(http.ErrAbortHandler)
		case 'X':
			if log.Len() > 1500 {
				return
			}
			panic("boom")
		case 'H':
			if w.Header().Get("Content-Length") != "" {
				continue
			}
			io.WriteString(w, "<html>"[:min(6, n)])
		case 'B':
			r.Body.Close()
		case 'D':
			w.Header()["Date"] = nil
		case 'M':
			w.Header()["X-Multi"] = []string{"a", "b"}
		case 'I':
			w.Header().Set("X-Bad", "a\r\nb: c")
		}
	}
}

var zzOps = []string{"w", "w", "w", "W", "W", "h", "h", "s", "f", "r", "R", "R", "l", "t", "T", "P", "c", "C", "e", "k", "x", "X", "H", "B", "D", "M", "I"}

func zzGen(r *rand.Rand) (input string, methods []string) {
	var b strings.Builder
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	for range 1 + r.IntN(3) {
		m := pick("GET", "GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "FOO")
		methods = append(methods, m)
		path := pick("/", "/a", "/a/b", "/a%20b", "/a//b", "//x", "/%2f", "/a;b", "/a:b", "/~x", "/a*b", "/[x]", "/a|b", "/é"[:1]+"%C3%A9", "/a,b=c&d+e$f@g!h'(i)", "/a\"b", "/x{y}", "/^`")
		var ops []string
		for range r.IntN(6) {
			op := pick(zzOps...)
			n := pick("0", "1", "2", "3", "10", "200", "511", "700")
			switch op {
			case "s":
				n = pick("200", "200", "204", "304", "404", "500", "599", "103", "100", "102")
			case "h", "t", "T", "P":
				n = pick("1", "2")
			case "l":
				n = pick("1", "10")
			}
			ops = append(ops, op+n)
		}
		target := path
		if len(ops) > 0 || r.IntN(4) == 0 {
			target += "?" + strings.Join(ops, ".")
		}
		if r.IntN(12) == 0 {
			target = "http://h.example" + target
		}
		minor := "1"
		if r.IntN(6) == 0 {
			minor = "0"
		}
		fmt.Fprintf(&b, "%s %s HTTP/1.%s\r\nHost: h.example\r\n", m, target, minor)
		said := false
		for range r.IntN(4) {
			f := pick("Accept: */*", "X-A: 1", "X-A:  2\t", "x-a: 3", "Pragma: no-cache", "Cookie: a=b", "User-Agent: x", "Accept-Encoding: gzip", "Connection: keep-alive", "Connection: close", "Connection: foo, close", "X-Empty:", "Te: trailers", "weird_name!: v", "Cache-Control: max-age=1", "Upgrade: websocket", "Via: \xff")
			if strings.HasPrefix(f, "Connection") {
				if said {
					continue // close and keep-alive both: we close, net/http does not in 1.0
				}
				said = true
			}
			b.WriteString(f)
			b.WriteString("\r\n")
		}
		body := ""
		switch k := r.IntN(5); {
		case k == 0:
			body = strings.Repeat("z", []int{0, 1, 5, 100, 3000}[r.IntN(5)])
			fmt.Fprintf(&b, "Content-Length: %d\r\n", len(body))
		case k == 1 && minor == "1":
			b.WriteString("Transfer-Encoding: chunked\r\n")
			tr := r.IntN(3)
			if tr > 0 {
				b.WriteString("Trailer: X-Tr, X-Never\r\n")
			}
			for range r.IntN(4) {
				n := 1 + r.IntN(40)
				body += fmt.Sprintf("%x%s\r\n%s\r\n", n, pick("", ";a=b"), strings.Repeat("c", n))
			}
			body += "0\r\n"
			if tr > 0 {
				body += "X-Tr: tv\r\n"
			}
			if r.IntN(4) == 0 {
				body += "X-Unannounced: tv\r\n"
			}
			body += "\r\n"
		}
		b.WriteString("\r\n")
		b.WriteString(body)
	}
	return b.String(), methods
}

// zzDiff is how two lists of answers differ, but for the wanted differences.
func zzDiff(want, got []zzAnswer) string {
	for i, w := range want {
		if w.err != "" && i < len(want) { // aborted: how much had left depends on buffers
			want = want[:i]
			got = got[:min(i, len(got))]
			break
		}
	}
	for i := range max(len(want), len(got)) {
		if i >= len(want) {
			return fmt.Sprintf("zzAnswer %d: net/http has none, we %+v", i, got[i])
		}
		if i >= len(got) {
			return fmt.Sprintf("zzAnswer %d: net/http %+v, we none", i, want[i])
		}
		if want[i] != got[i] {
			return fmt.Sprintf("zzAnswer %d:\nnet/http %+v\nwe       %+v", i, want[i], got[i])
		}
	}
	return ""
}

func TestDifferential(t *testing.T) {
	seeds := 4000
	if n, err := strconv.Atoi(os.Getenv("SEEDS")); err == nil {
		seeds = n
	}
	var found []string
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 1))
		input, methods := zzGen(r)
		synctest.Test(t, func(t *testing.T) {
			want := zzParse(zzNetHTTP(http.HandlerFunc(zzScript), input), methods)
			for mode := range 4 {
				var cuts func() int
				if r.IntN(3) == 0 {
					cuts = func() int { return 1 + r.IntN(60) }
				}
				got := zzParse(zzOurs(http.HandlerFunc(zzScript), input, mode&1 != 0, mode&2 != 0, cuts), methods)
				if d := zzDiff(want, got); d != "" {
					found = append(found, fmt.Sprintf("seed %d mode %d input:\n%s\n%s", seed, mode, input, d))
					break
				}
			}
		})
		if len(found) > 5 {
			break
		}
	}
	for _, f := range found {
		t.Error(f)
	}
}
