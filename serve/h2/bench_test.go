package h2

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
	xhpack "golang.org/x/net/http2/hpack"
)

// benchHost gives one read a step, made by next, and counts what is written.
// Every answer's head that arrives is one HEADERS frame.
type benchHost struct {
	conn    *Conn
	next    func(p []byte) int // fills p with the input of a step
	given   bool
	written int64
	heads   int // HEADERS frames
	ends    int // frames with END_STREAM
	resets  int
	goaways int
	left    int // of a frame's payload that the next write goes on with
	turn    Turn
	now     time.Time
}

func (h *benchHost) Read(p []byte) (int, error) {
	if h.given {
		return 0, ErrWouldBlock
	}
	h.given = true
	return h.next(p), nil
}

// Write walks over the frames.
func (h *benchHost) Write(p []byte) (int, error) {
	h.written += int64(len(p))
	for b := p; len(b) > 0; {
		if h.left > 0 {
			n := min(h.left, len(b))
			h.left -= n
			b = b[n:]
			continue
		}
		if b[4]&1 != 0 && b[3] <= 1 {
			h.ends++
		}
		switch b[3] {
		case 1:
			h.heads++
		case 3:
			h.resets++
		case 7:
			h.goaways++
		}
		h.left = int(b[0])<<16 + int(b[1])<<8 + int(b[2])
		b = b[9:]
	}
	return len(p), nil
}

func (h *benchHost) Buffered() int                            { return 0 }
func (h *benchHost) Blocks() bool                             { return false }
func (h *benchHost) Now() time.Time                           { return h.now }
func (h *benchHost) TurnClock(Turn) time.Time                 { return h.now }
func (h *benchHost) SetTimer(time.Time)                       {}
func (h *benchHost) BeginTurn() Turn                          { h.turn++; return h.turn }
func (h *benchHost) ContextValue(any, Turn, Task) (any, bool) { return nil, false }
func (h *benchHost) RunTask(TaskRunner) (parked, inline bool) { panic("no tasks here") }
func (h *benchHost) EndTurn(Turn) bool                        { return true }
func (h *benchHost) LeadTurn(Turn)                            { panic("nobody leads on") }
func (h *benchHost) Leading(Turn) bool                        { return true }
func (h *benchHost) WorkBehind()                              {}
func (h *benchHost) Wake()                                    {}
func (h *benchHost) Draining() bool                           { return false }
func (h *benchHost) ShedKeepAlive() bool                      { return false }
func (h *benchHost) CloseWrite() error                        { return nil }
func (h *benchHost) Done(error)                               {}
func (h *benchHost) RemoteAddr() net.Addr                     { return nil }
func (h *benchHost) LocalAddr() net.Addr                      { return nil }
func (h *benchHost) RemoteAddrString() string                 { return "192.0.2.7:4711" }
func (h *benchHost) SetState(http.ConnState)                  {}

// load is what a benchmark's client asks for.
type load struct {
	streams int // in one read
	fields  []string
	body    int // of a POST
	varied  bool
}

// benchConn is a connection whose prefaces are exchanged, with a client that
// asks so at each step.
func benchConn(tb testing.TB, handler http.Handler, recycle bool, l load) *benchHost {
	tb.Helper()
	cfg, _ := testConfig(handler)
	cfg.Recycle = recycle
	h := &benchHost{now: time.Now()}
	c := NewConn(Complete(cfg), h, Attachment{})
	h.conn = c

	var block bytes.Buffer
	enc := xhpack.NewEncoder(&block)
	fragment := func(path string) []byte {
		block.Reset()
		method := "GET"
		if l.body > 0 {
			method = "POST"
		}
		f := append([]string{":method", method, ":scheme", "https", ":authority", "127.0.0.1:8443", ":path", path}, l.fields...)
		for i := 0; i < len(f); i += 2 {
			// A path that varies is not for the table, which stays as it is.
			enc.WriteField(xhpack.HeaderField{Name: f[i], Value: f[i+1], Sensitive: l.varied && f[i] == ":path"})
		}
		return slices.Clone(block.Bytes())
	}

	var say bytes.Buffer
	fr := xhttp2.NewFramer(&say, nil)
	say.WriteString(xhttp2.ClientPreface)
	fr.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 1<<31 - 1})
	fr.WriteWindowUpdate(0, 1<<31-1-initialWindow)
	fr.WriteSettingsAck()
	// One request, so that the table is filled.
	fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: fragment("/hello"), EndHeaders: true, EndStream: l.body == 0})
	if l.body > 0 {
		fr.WriteData(1, true, make([]byte, l.body))
	}
	first := slices.Clone(say.Bytes())
	h.next = func(p []byte) int { return copy(p, first) }
	c.OnReadable(h.now)

	// What a step says, with the streams' numbers to be put in.
	say.Reset()
	var at []int
	for i := range l.streams {
		path := "/hello"
		if l.varied {
			path = fmt.Sprintf("/hello/%d", i*7919)
		}
		at = append(at, say.Len()+5)
		fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: fragment(path), EndHeaders: true, EndStream: l.body == 0})
		if l.body > 0 {
			at = append(at, -(say.Len() + 5))
			fr.WriteData(1, true, make([]byte, l.body))
		}
	}
	step := say.Bytes()
	if len(step) > readSize {
		tb.Fatalf("a step of %d bytes, want one read", len(step))
	}
	id := uint32(1)
	h.next = func(p []byte) int {
		n := copy(p, step)
		for _, k := range at {
			if k >= 0 {
				id += 2
			} else {
				k = -k
			}
			p[k], p[k+1], p[k+2], p[k+3] = byte(id>>24), byte(id>>16), byte(id>>8), byte(id)
		}
		return n
	}
	h.heads, h.ends, h.written = 0, 0, 0
	return h
}

// step is one read with all its requests.
func (h *benchHost) step() {
	h.given = false
	h.conn.OnReadable(h.now)
	// The peer has got it all, and says so in a frame of which the cost is not
	// counted here.
	h.conn.sendWin = 1<<31 - 1
}

var helloBytes = []byte("Hello, world!\n")

var octetStream = []string{"application/octet-stream"}

func benchHello(w http.ResponseWriter, _ *http.Request) { w.Write(helloBytes) }

func benchDiscard(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	w.Write(helloBytes)
}

var browserFields = []string{
	"user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
	"accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "accept-language", "en-US,en;q=0.5",
	"accept-encoding", "gzip, deflate, br, zstd", "referer", "https://www.example.org/",
	"cookie", "session=0123456789abcdef0123456789abcdef", "sec-fetch-dest", "script", "sec-fetch-mode", "no-cors",
	"sec-fetch-site", "same-origin", "priority", "u=2",
}

// BenchmarkServe is the engine's own cost of a step with so many requests, the
// answers written to nowhere.
func BenchmarkServe(b *testing.B) {
	body := make([]byte, 100<<10)
	large := func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = octetStream
		w.Write(body)
	}
	for _, bb := range []struct {
		name    string
		handler http.HandlerFunc
		load    load
		answer  int64 // bytes at least
	}{
		{"get/m=1", benchHello, load{streams: 1}, 14},
		{"get/m=10", benchHello, load{streams: 10}, 14},
		{"get/m=100", benchHello, load{streams: 100}, 14},
		{"browser/m=1", benchHello, load{streams: 1, fields: browserFields}, 14},
		{"browser/m=100", benchHello, load{streams: 100, fields: browserFields}, 14},
		{"varied/m=100", benchHello, load{streams: 100, varied: true}, 14},
		{"post/m=1", benchDiscard, load{streams: 1, body: 100}, 14},
		{"post/m=10", benchDiscard, load{streams: 10, body: 1000}, 14},
		{"100KB/m=1", large, load{streams: 1}, 100 << 10},
	} {
		for _, recycle := range []bool{false, true} {
			mode := "fresh"
			if recycle {
				mode = "recycled"
			}
			b.Run(bb.name+"/"+mode, func(b *testing.B) {
				h := benchConn(b, bb.handler, recycle, bb.load)
				b.ReportAllocs()
				b.SetBytes(bb.answer * int64(bb.load.streams))
				steps := 0
				for b.Loop() {
					h.step()
					steps++
				}
				h.check(b, steps*bb.load.streams, bb.answer)
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(steps*bb.load.streams), "ns/req")
			})
		}
	}
}

// check wants n whole answers, and nothing else.
func (h *benchHost) check(tb testing.TB, n int, answer int64) {
	tb.Helper()
	if h.heads != n || h.ends != n || h.resets != 0 || h.goaways != 0 || h.written < int64(n)*answer {
		tb.Fatalf("%d heads, %d ends, %d resets, %d GOAWAY and %d bytes for %d requests", h.heads, h.ends, h.resets, h.goaways, h.written, n)
	}
}
