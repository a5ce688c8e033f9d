package proxy_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// faulty is an upstream that speaks by script, one for each request it gets.
type faulty struct {
	addr     string
	requests atomic.Int64 // heads that came
	mu       sync.Mutex   // guards the following
	bodies   []string
}

// script answers a request whose head was read. False: the connection ends.
type script func(f *faulty, c net.Conn, r *bufio.Reader, head string) bool

func newFaulty(t *testing.T, s script) *faulty {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(t, "listen", err)
	f := &faulty{addr: l.Addr().String()}
	var wg sync.WaitGroup
	var open sync.Map
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open.Store(c, true)
			wg.Go(func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for {
					head, err := readHead(r)
					if err != nil {
						return
					}
					f.requests.Add(1)
					if !s(f, c, r, head) {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		open.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
		wg.Wait()
	})
	return f
}

func readHead(r *bufio.Reader) (string, error) {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		b.WriteString(line)
		if err != nil || line == "\r\n" {
			return b.String(), err
		}
	}
}

// readBody reads what the head says, and notes it.
func (f *faulty) readBody(r *bufio.Reader, head string) {
	req, err := http.ReadRequest(bufio.NewReader(io.MultiReader(strings.NewReader(head), r)))
	if err != nil {
		return
	}
	b, err := io.ReadAll(req.Body)
	if err == nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.bodies = append(f.bodies, string(b))
	}
}

// say reads the request, writes text and closes.
func say(text string) script {
	return func(f *faulty, c net.Conn, r *bufio.Reader, head string) bool {
		f.readBody(r, head)
		io.WriteString(c, text)
		return false
	}
}

// stay reads the request, writes text, and waits for the proxy to end it.
func stay(text string) script {
	return func(f *faulty, c net.Conn, r *bufio.Reader, head string) bool {
		f.readBody(r, head)
		io.WriteString(c, text)
		io.Copy(io.Discard, r)
		return false
	}
}

func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// slowly writes text by the byte.
func slowly(text string) script {
	return func(f *faulty, c net.Conn, r *bufio.Reader, head string) bool {
		f.readBody(r, head)
		for i := range len(text) {
			if _, err := c.Write([]byte{text[i]}); err != nil {
				return false
			}
			time.Sleep(20 * time.Millisecond)
		}
		return false
	}
}

const good = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"

// cut is the wanted status of an answer that must not look whole.
const cut = -1

// standsStill is the fault that IdleTimeout ends.
const standsStill = "body stands still"

// faults are those of rules U-1 to U-4. All must show: an answer of our own with the
// status, or a cut.
var faults = []struct {
	name   string
	script script // nil: nobody listens
	status int
	body   string // of an answer that is good in spite of it
}{
	{"connect refused", nil, 502, ""},
	{"reset at once", func(_ *faulty, c net.Conn, _ *bufio.Reader, _ string) bool { reset(c); return false }, 502, ""},
	{"end at once", say(""), 502, ""},
	{"reset in the head", func(f *faulty, c net.Conn, r *bufio.Reader, head string) bool {
		f.readBody(r, head)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-")
		time.Sleep(10 * time.Millisecond)
		reset(c)
		return false
	}, 502, ""},
	{"end in the head", say("HTTP/1.1 200 OK\r\nContent-Le"), 502, ""},
	{"end within the length", say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ngood"), cut, ""},
	{"reset within the length", func(f *faulty, c net.Conn, r *bufio.Reader, head string) bool {
		f.readBody(r, head)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ngood")
		time.Sleep(10 * time.Millisecond)
		reset(c)
		return false
	}, cut, ""},
	{"end within a chunk", say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ngood"), cut, ""},
	{"end before the last chunk", say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n"), cut, ""},
	{"bad chunk size", stay("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0x4\r\ngood\r\n0\r\n\r\n"), cut, ""},
	{"bad trailer", stay("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\nA : b\r\n\r\n"), cut, ""},
	{"no head in time", stay(""), 504, ""},
	{"half a head in time", stay("HTTP/1.1 200"), 504, ""},
	{"head by the byte", slowly("HTTP/1.1 200 OK\r\nX-Long: " + strings.Repeat("x", 1000)), 504, ""},
	{standsStill, stay("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ngood"), cut, ""},
	{"huge head", stay("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 70<<10)), 502, ""},
	{"many fields", stay("HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 5000) + "\r\n"), 502, ""},
	{"many informational", stay(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 6) + good), 502, ""},
	{"1xx and no more", stay("HTTP/1.1 102 Processing\r\n\r\n"), 504, ""},
	{"101 not asked for", stay("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"), 502, ""},
	{"length and coding", stay("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n"), 502, ""},
	{"length twice", stay("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\ngood"), 502, ""},
	{"bare LF", stay("HTTP/1.1 200 OK\nContent-Length: 4\n\ngood"), 502, ""},
	{"body on 204", stay("HTTP/1.1 204 No Content\r\n\r\ngood"), 502, ""},
	{"garbage", stay("SSH-2.0-OpenSSH_9.2\r\n"), 502, ""},
	{"HTTP/2", stay("HTTP/2.0 200 OK\r\n\r\n"), 502, ""},
	{"space before the colon", stay("HTTP/1.1 200 OK\r\nContent-Length : 4\r\n\r\ngood"), 502, ""},
	{"bytes behind", stay(good + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"), 200, "good"},
	{"old version", say("HTTP/1.0 200 OK\r\n\r\ngood"), 200, "good"},
}

// TestFaults: each fault, over each form, for requests that may be repeated and for
// those that may not: the client is told, nothing that broke off looks whole, and
// what could be written was written once.
func TestFaults(t *testing.T) {
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			var h swap
			url, client := f.serveFront(t, &h)
			for _, fault := range faults {
				for _, method := range []string{"GET", "POST"} {
					t.Run(fault.name+"/"+method, func(t *testing.T) {
						addr := "127.0.0.1:1" // nobody listens
						var u *faulty
						if fault.script != nil {
							u = newFaulty(t, fault.script)
							addr = u.addr
						}
						o := unhurried()
						switch {
						case fault.status == 504:
							o.HeadTimeout = short
						case fault.name == standsStill:
							o.IdleTimeout = short
						}
						s := newService(t, o, "http://"+addr)
						h.set(newProxy(t, proxy.Options{Service: s}))
						var body io.Reader
						if method == "POST" {
							body = strings.NewReader("precious")
						}
						a := do(t.Context(), client, method, url+"/", body)
						switch {
						case fault.status == cut && a.err == nil:
							t.Errorf("it looks whole: %d %q", a.status, a.body)
						case fault.status != cut && (a.err != nil || a.status != fault.status || fault.body != "" && a.body != fault.body):
							t.Errorf("got %d %q and %v, want %d %q", a.status, a.body, a.err, fault.status, fault.body)
						case fault.status >= 500 && !strings.Contains(a.body, ": "):
							t.Errorf("%q gives no reason", a.body)
						}
						if u != nil && method == "POST" && u.requests.Load() > 1 {
							t.Errorf("%d requests came", u.requests.Load())
						}
						s.Close()
						if n := s.Status(time.Now()).Connections; n != 0 {
							t.Errorf("%d connections are left", n)
						}
					})
				}
			}
		})
	}
}

// swap is a handler that tests replace.
type swap struct{ h atomic.Pointer[http.Handler] }

func (s *swap) set(h http.Handler) { s.h.Store(&h) }

func (s *swap) ServeHTTP(w http.ResponseWriter, r *http.Request) { (*s.h.Load()).ServeHTTP(w, r) }

// TestHead: body on an answer to HEAD is a fault too.
func TestHead(t *testing.T) {
	u := newFaulty(t, func(_ *faulty, c net.Conn, _ *bufio.Reader, head string) bool {
		text := "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"
		if strings.HasPrefix(head, "HEAD /bad") {
			text += "evil"
		}
		io.WriteString(c, text)
		return true
	})
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			url, client := f.serveFront(t, newProxy(t, proxy.Options{Service: newService(t, unhurried(), "http://"+u.addr)}))
			a := do(t.Context(), client, "HEAD", url+"/", nil)
			if a.err != nil || a.status != 200 || a.header.Get("Content-Length") != "4" || a.body != "" {
				t.Errorf("got %+v", a)
			}
			servetest.Want(t, "with a body", do(t.Context(), client, "HEAD", url+"/bad", nil).status, 502)
		})
	}
}

// TestBlackHole: an upstream whose system takes no connection.
func TestBlackHole(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(t, "listen", err)
	defer l.Close()
	// A listener that accepts nothing completes connections; one that is full does
	// not, but fills up differently on each system. So the reserved address is asked.
	s := unhurried()
	s.ConnectTimeout = 100 * time.Millisecond
	f := forms[0]
	url, client := f.serveFront(t, newProxy(t, proxy.Options{Service: newService(t, s, "http://192.0.2.1:9")}))
	if a := do(t.Context(), client, "POST", url+"/", bytes.NewReader(nil)); a.status != 504 && a.status != 502 {
		t.Errorf("got %+v", a)
	}
}

// TestEarlyAnswer: the answer comes while the request's content is still sent: it is
// passed on, and the connection is not used again.
func TestEarlyAnswer(t *testing.T) {
	var conns atomic.Int64
	u := newFaulty(t, func(_ *faulty, c net.Conn, _ *bufio.Reader, head string) bool {
		if strings.HasPrefix(head, "GET") {
			io.WriteString(c, good)
			return true
		}
		conns.Add(1)
		io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
		io.Copy(io.Discard, c) // until the proxy closes
		return false
	})
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			url, client := f.serveFront(t, newProxy(t, proxy.Options{Service: newService(t, unhurried(), "http://"+u.addr)}))
			pr, pw := io.Pipe()
			go func() {
				for {
					if _, err := pw.Write(make([]byte, 1000)); err != nil {
						return
					}
					time.Sleep(time.Millisecond)
				}
			}()
			a := do(t.Context(), client, "POST", url+"/", pr)
			pr.CloseWithError(io.ErrClosedPipe)
			if a.status != 413 && f.major > 1 {
				t.Errorf("got %+v", a)
			}
			servetest.Want(t, "the next one", do(t.Context(), client, "GET", url+"/", nil).body, "good")
		})
	}
}

// TestClientLeaves: the upstream is told soon.
func TestClientLeaves(t *testing.T) {
	asked, told := make(chan struct{}, 1), make(chan struct{}, 1)
	u := newFaulty(t, func(_ *faulty, c net.Conn, r *bufio.Reader, head string) bool {
		if strings.Contains(head, "/body") {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ngood")
		}
		asked <- struct{}{}
		io.Copy(io.Discard, r)
		told <- struct{}{}
		return false
	})
	for _, f := range forms {
		for _, path := range []string{"/head", "/body"} {
			t.Run(f.name+path, func(t *testing.T) {
				servetest.CheckLeaks(t)
				o := proxy.ServiceOptions{} // limits of a minute
				url, client := f.serveFront(t, newProxy(t, proxy.Options{Service: newService(t, o, "http://"+u.addr)}))
				ctx, cancel := contextWithCancel(t)
				ended := make(chan answer, 1)
				go func() { ended <- do(ctx, client, "GET", url+path, nil) }()
				<-asked
				cancel()
				<-told
				if a := <-ended; a.err == nil {
					t.Errorf("got %+v", a)
				}
			})
		}
	}
}

// TestFailureLogIsBounded: an upstream that is gone does not fill the log.
func TestFailureLogIsBounded(t *testing.T) {
	var b lockedBuffer
	s := newService(t, unhurried(), "http://127.0.0.1:1")
	p, err := proxy.New(proxy.Options{Service: s, ErrorLog: b.logger()})
	servetest.Must(t, "proxy", err)
	url, client := forms[0].serveFront(t, p)
	begin := time.Now()
	const requests = 200
	for range requests {
		servetest.Want(t, "status", do(t.Context(), client, "GET", url, nil).status, 502)
	}
	lines := strings.Count(b.String(), "\n")
	if most := 10 * (2 + int(time.Since(begin)/time.Second)); lines > most || lines == 0 {
		t.Errorf("%d lines of %d failures, want 1 to %d", lines, requests, most)
	}
	if !strings.Contains(b.String(), `reason="upstream connect refused"`) || !strings.Contains(b.String(), "upstream=http://127.0.0.1:1") {
		t.Errorf("no reason in %s", b.String())
	}
}
