package h1

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

// benchHost gives requests in turn, n in a step, and drops what is written.
type benchHost struct {
	reqs    [][]byte
	turn    int
	left    int
	written int64
	now     time.Time
}

func (h *benchHost) Read(p []byte) (int, error) {
	if h.left == 0 {
		return 0, ErrWouldBlock
	}
	h.left--
	if h.turn++; h.turn >= len(h.reqs) {
		h.turn = 0
	}
	return copy(p, h.reqs[h.turn]), nil
}

func (h *benchHost) Write(p []byte) (int, error) {
	h.written += int64(len(p))
	return len(p), nil
}

func (h *benchHost) WriteBoth(head, _ []byte) (int, error) {
	_, err := h.Write(head)
	return 0, err
}

func (h *benchHost) WriteMore(p []byte) (int, error)                { return h.Write(p) }
func (h *benchHost) Buffered() int                                  { return 0 }
func (h *benchHost) CanSendFile() bool                              { return false }
func (h *benchHost) SendFile(*os.File, int64, int64) (int64, error) { panic("no sendfile here") }
func (h *benchHost) SendPipe(int, int64) (int64, error)             { panic("no pipe here") }
func (h *benchHost) WaitReadable() error                            { panic("nothing to wait for") }
func (h *benchHost) WaitWritable(int) error                         { panic("nothing to wait for") }
func (h *benchHost) WakeReader()                                    {}
func (h *benchHost) Blocks() bool                                   { return false }
func (h *benchHost) WallClock() time.Time                           { return h.Now() }
func (h *benchHost) Now() time.Time                                 { return h.now }
func (h *benchHost) SetTimer(time.Time)                             {}
func (h *benchHost) SetReadDeadline(time.Time)                      {}
func (h *benchHost) SetWriteDeadline(time.Time)                     {}
func (h *benchHost) BeginHandler()                                  {}
func (h *benchHost) EndHandler() bool                               { return true }
func (h *benchHost) RunTask(interface{ Run() }) bool                { panic("no benchmark runs tasks") }

func (h *benchHost) ResumeTask() bool             { panic("no benchmark runs tasks") }
func (h *benchHost) ContextValue(any) (any, bool) { return nil, false }
func (h *benchHost) Lead()                        {}
func (h *benchHost) WatchHangup()                 {}
func (h *benchHost) StopWatch()                   {}
func (h *benchHost) Draining() bool               { return false }
func (h *benchHost) ShedKeepAlive() bool          { return false }
func (h *benchHost) CloseWrite() error            { return nil }
func (h *benchHost) Done(error)                   {}
func (h *benchHost) Hijack() (net.Conn, error)    { panic("no hijack here") }
func (h *benchHost) RemoteAddr() net.Addr         { return nil }
func (h *benchHost) LocalAddr() net.Addr          { return nil }
func (h *benchHost) RemoteAddrString() string     { return "192.0.2.7:4711" }
func (h *benchHost) Peer() netip.AddrPort         { return netip.AddrPort{} }
func (h *benchHost) SetState(http.ConnState)      {}

const wrkRequest = "GET /hello HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"

const browserRequest = "GET /static/app.js?v=3 HTTP/1.1\r\nHost: www.example.org\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n" +
	"Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Connection: keep-alive\r\nReferer: https://www.example.org/\r\n" +
	"Cookie: session=0123456789abcdef0123456789abcdef\r\nSec-Fetch-Dest: script\r\n" +
	"Sec-Fetch-Mode: no-cors\r\nSec-Fetch-Site: same-origin\r\nPriority: u=2\r\n\r\n"

var helloBytes = []byte("Hello, world!\n")

func benchHandlers() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"plain": func(w http.ResponseWriter, r *http.Request) { w.Write(helloBytes) },
		"typed": func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h.Set("Content-Type", "text/plain; charset=utf-8")
			h.Set("Content-Length", "14")
			w.Write(helloBytes)
		},
	}
}

func benchConn(h http.Handler, recycle bool, reqs ...string) (*Conn, *benchHost) {
	cfg, _ := testConfig(h)
	cfg.Recycle = recycle
	host := &benchHost{now: time.Now()}
	for _, req := range reqs {
		host.reqs = append(host.reqs, []byte(req))
	}
	return NewConn(Complete(cfg), host, Attachment{}), host
}

// BenchmarkServe is the engine's own cost of a request: one request a step, as
// a client without pipelining makes it, the answer written to nowhere.
func BenchmarkServe(b *testing.B) {
	for _, req := range []struct {
		name string
		reqs []string
	}{
		{"wrk", []string{wrkRequest}},
		{"browser", []string{browserRequest}},
		// Each head differs from the one before: nothing is known of it.
		{"wrk-varied", varied(wrkRequest)},
		{"browser-varied", varied(browserRequest)},
	} {
		for _, handler := range []string{"plain", "typed"} {
			for _, recycle := range []bool{false, true} {
				mode := "fresh"
				if recycle {
					mode = "recycled"
				}
				b.Run(strings.Join([]string{req.name, handler, mode}, "/"), func(b *testing.B) {
					c, host := benchConn(benchHandlers()[handler], recycle, req.reqs...)
					b.ReportAllocs()
					for b.Loop() {
						host.left = 1
						c.OnReadable(host.now)
					}
					if want := int64(100 * b.N); host.written < want {
						b.Fatalf("%d bytes written, want %d or more", host.written, want)
					}
				})
			}
		}
	}
}

func BenchmarkServePost(b *testing.B) {
	req := "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + strings.Repeat("x", 1000)
	c, host := benchConn(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		if n != 1000 {
			b.Fatalf("body of %d bytes, want 1000", n)
		}
		w.Write(helloBytes)
	}), false, req)
	b.ReportAllocs()
	for b.Loop() {
		host.left = 1
		c.OnReadable(host.now)
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, size := range []struct {
		name string
		n    int
	}{{"1KiB", 1 << 10}, {"8KiB", 8 << 10}, {"16KiB", 16 << 10}, {"64KiB", 64 << 10}, {"1MiB", 1 << 20}} {
		body := make([]byte, size.n)
		text := string(body)
		for name, write := range map[string]func(w io.Writer){
			"bytes":  func(w io.Writer) { w.Write(body) },
			"string": func(w io.Writer) { io.WriteString(w, text) },
		} {
			b.Run(size.name+"/"+name, func(b *testing.B) {
				c, host := benchConn(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header()["Content-Type"] = octetStream
					write(w)
				}), false, wrkRequest)
				b.SetBytes(int64(size.n))
				b.ReportAllocs()
				for b.Loop() {
					host.left = 1
					c.OnReadable(host.now)
				}
				if want := int64(size.n) * int64(b.N); host.written < want {
					b.Fatalf("%d bytes written, want %d or more", host.written, want)
				}
			})
		}
	}
}

// varied makes requests for different targets.
func varied(req string) (reqs []string) {
	for _, name := range []string{"/one", "/three", "/fourth/of/them"} {
		_, rest, _ := strings.Cut(req, " HTTP")
		reqs = append(reqs, "GET "+name+" HTTP"+rest)
	}
	return reqs
}

var octetStream = []string{"application/octet-stream"}
