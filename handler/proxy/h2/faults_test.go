package h2

import (
	"bytes"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/penstock-edge/penstock/handler/proxy/link"
	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// peer is an upstream that speaks by script, in the words of another codec.
type peer struct {
	net.Conn
	*xhttp2.Framer
	enc *hpack.Encoder
	buf bytes.Buffer
}

// scripted is an upstream whose connections f speaks on.
func scripted(t *testing.T, f func(p *peer)) Options {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(t, "listen", err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				p := &peer{Conn: c, Framer: xhttp2.NewFramer(c, c)}
				p.enc = hpack.NewEncoder(&p.buf)
				if _, err := io.ReadFull(c, make([]byte, len(xhttp2.ClientPreface))); err == nil {
					f(p)
				}
				io.Copy(io.Discard, c) // until the client ends it
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return Options{Address: l.Addr().String()}
}

// request reads frames until a request's HEADERS, and gives its stream.
func (p *peer) request() uint32 {
	for {
		f, err := p.ReadFrame()
		if err != nil {
			return 0
		}
		if h, ok := f.(*xhttp2.HeadersFrame); ok {
			return h.StreamID
		}
	}
}

// head is request, with the fields.
func (p *peer) head() (id uint32, fields map[string]string) {
	p.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		f, err := p.ReadFrame()
		if err != nil {
			return 0, nil
		}
		if h, ok := f.(*xhttp2.MetaHeadersFrame); ok {
			fields = make(map[string]string)
			for _, f := range h.Fields {
				fields[f.Name] = f.Value
			}
			return h.StreamID, fields
		}
	}
}

// data reads frames until one with content comes; false: none does.
func (p *peer) data() bool {
	for {
		f, err := p.ReadFrame()
		if err != nil {
			return false
		}
		if _, ok := f.(*xhttp2.DataFrame); ok {
			return true
		}
	}
}

// block encodes fields, as "name: value".
func (p *peer) block(fields ...string) []byte {
	p.buf.Reset()
	for _, f := range fields {
		name, value, _ := strings.Cut(f[1:], ": ")
		p.enc.WriteField(hpack.HeaderField{Name: f[:1] + name, Value: value})
	}
	return bytes.Clone(p.buf.Bytes())
}

func (p *peer) answer(id uint32, end bool, fields ...string) {
	p.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: p.block(fields...), EndHeaders: true, EndStream: end})
}

// content is an answer's head and one DATA frame, which ends it.
func (p *peer) content(id uint32, text string, fields ...string) {
	p.answer(id, false, fields...)
	p.WriteData(id, true, []byte(text))
}

// TestAnswers: what an upstream sends, and what comes of it, in the order of RFC 9113.
func TestAnswers(t *testing.T) {
	const ok = ":status: 200"
	bad := func(fields ...string) func(p *peer, id uint32) {
		return func(p *peer, id uint32) { p.answer(id, true, fields...) }
	}
	for _, c := range []struct {
		name   string
		script func(p *peer, id uint32)
		kind   message.Kind // 0: it is good
		method string
	}{
		{"good", func(p *peer, id uint32) { p.content(id, "good", ok, "content-length: 4") }, 0, "GET"},
		{"4.2 frame too large", func(p *peer, id uint32) { p.WriteRawFrame(xhttp2.FrameData, 0, id, make([]byte, 16385)) }, message.Malformed, "GET"},
		{"4.3 broken compression", func(p *peer, id uint32) {
			p.WriteRawFrame(xhttp2.FrameHeaders, xhttp2.FlagHeadersEndHeaders, id, bytes.Repeat([]byte{0xff}, 9))
		}, message.Malformed, "GET"},
		{"5.1 DATA before HEADERS", func(p *peer, id uint32) { p.WriteData(id, false, []byte("x")) }, message.Malformed, "GET"},
		{"5.1.1 a stream that was not opened", func(p *peer, id uint32) { p.answer(id+2, true, ok) }, message.Malformed, "GET"},
		{"5.1.1 a stream of the server", func(p *peer, _ uint32) { p.answer(2, true, ok) }, message.Malformed, "GET"},
		{"5.5 an unknown frame", func(p *peer, id uint32) {
			p.WriteRawFrame(0x77, 0xff, id, []byte("what"))
			p.content(id, "good", ok)
		}, 0, "GET"},
		{"6.1 padding", func(p *peer, id uint32) {
			p.answer(id, false, ok)
			p.WriteDataPadded(id, true, []byte("good"), make([]byte, 200))
		}, 0, "GET"},
		{"6.4 refused", func(p *peer, id uint32) { p.WriteRSTStream(id, xhttp2.ErrCodeRefusedStream) }, message.Refused, "GET"},
		{"6.4 reset before", func(p *peer, id uint32) { p.WriteRSTStream(id, xhttp2.ErrCodeInternal) }, message.ResetEarly, "GET"},
		{"6.4 reset within", func(p *peer, id uint32) {
			p.answer(id, false, ok)
			p.WriteData(id, false, []byte("go"))
			p.WriteRSTStream(id, xhttp2.ErrCodeInternal)
		}, message.BodyCut, "GET"},
		{"6.5 bad SETTINGS", func(p *peer, _ uint32) { p.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingMaxFrameSize, Val: 1}) }, message.Malformed, "GET"},
		{"6.6 push", func(p *peer, id uint32) {
			p.WritePushPromise(xhttp2.PushPromiseParam{StreamID: id, PromiseID: 2, BlockFragment: p.block(":method: GET"), EndHeaders: true})
		}, message.Malformed, "GET"},
		{"6.8 GOAWAY, not processed", func(p *peer, _ uint32) { p.WriteGoAway(0, xhttp2.ErrCodeNo, nil) }, message.Refused, "GET"},
		{"6.8 GOAWAY, processed", func(p *peer, id uint32) {
			p.WriteGoAway(id, xhttp2.ErrCodeNo, nil)
			p.content(id, "good", ok)
		}, 0, "GET"},
		{"6.9 window too large", func(p *peer, id uint32) { p.WriteWindowUpdate(id, 1<<31-1) }, message.Malformed, "GET"},
		{"6.9 window of nothing", func(p *peer, id uint32) { p.WriteRawFrame(xhttp2.FrameWindowUpdate, 0, id, make([]byte, 4)) }, message.Malformed, "GET"},
		{"6.10 interleaved", func(p *peer, id uint32) {
			p.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: p.block(ok)})
			p.WritePing(false, [8]byte{})
		}, message.Malformed, "GET"},
		{"6.10 CONTINUATION alone", func(p *peer, id uint32) { p.WriteContinuation(id, true, p.block(ok)) }, message.Malformed, "GET"},
		{"6.10 in pieces", func(p *peer, id uint32) {
			b := p.block(ok, "x-a: b")
			p.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: b[:1]})
			p.WriteContinuation(id, false, b[1:2])
			p.WriteContinuation(id, true, b[2:])
			p.WriteData(id, true, []byte("good"))
		}, 0, "GET"},
		{"6.10 without end", func(p *peer, id uint32) {
			p.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: p.block(ok)})
			for range 20 {
				p.WriteContinuation(id, false, nil)
			}
		}, message.Malformed, "GET"},
		{"8.1 informational", func(p *peer, id uint32) {
			p.answer(id, false, ":status: 100")
			p.answer(id, false, ":status: 103", "link: </a>")
			p.content(id, "good", ok)
		}, 0, "GET"},
		{"8.1 informational that ends", bad(":status: 103"), message.Malformed, "GET"},
		{"8.1 many informational", func(p *peer, id uint32) {
			for range maxInformational + 1 {
				p.answer(id, false, ":status: 103")
			}
		}, message.HeadTooLarge, "GET"},
		{"8.1 a block in the middle", func(p *peer, id uint32) {
			p.answer(id, false, ok)
			p.answer(id, false, "x-a: b")
		}, message.Malformed, "GET"},
		{"8.1 trailer with a pseudo-field", func(p *peer, id uint32) {
			p.answer(id, false, ok)
			p.answer(id, true, ok)
		}, message.Malformed, "GET"},
		{"8.1.1 shorter than its length", func(p *peer, id uint32) { p.content(id, "good", ok, "content-length: 5") }, message.Malformed, "GET"},
		{"8.1.1 longer than its length", func(p *peer, id uint32) { p.content(id, "good", ok, "content-length: 3") }, message.Malformed, "GET"},
		{"8.1.1 a length and no content", bad(ok, "content-length: 3"), message.Malformed, "GET"},
		{"8.1.1 HEAD", bad(ok, "content-length: 3"), 0, "HEAD"},
		{"8.1.1 content on HEAD", func(p *peer, id uint32) { p.content(id, "bad", ok, "content-length: 3") }, message.Malformed, "HEAD"},
		{"8.1.1 content on 204", func(p *peer, id uint32) { p.content(id, "bad", ":status: 204") }, message.Malformed, "GET"},
		{"8.1.1 two lengths", bad(ok, "content-length: 0", "content-length: 0"), message.Malformed, "GET"},
		{"8.2.1 upper case", bad(ok, "X-A: b"), message.Malformed, "GET"},
		{"8.2.1 LF in a value", bad(ok, "x-a: b\nc"), message.Malformed, "GET"},
		{"8.2.2 connection", bad(ok, "connection: close"), message.Malformed, "GET"},
		{"8.3.2 no status", bad("x-a: b"), message.Malformed, "GET"},
		{"8.3.2 two", bad(ok, ok), message.Malformed, "GET"},
		{"8.3.2 late", bad("x-a: b", ok), message.Malformed, "GET"},
		{"8.3.2 no number", bad(":status: 2OO"), message.Malformed, "GET"},
		{"8.6 101", bad(":status: 101"), message.UnaskedUpgrade, "GET"},
		{"10.5.1 many fields", bad(append([]string{ok}, slicesRepeat("a: b", maxFields+1)...)...), message.HeadTooLarge, "GET"},
		{"10.5.1 far too many", bad(append([]string{ok}, slicesRepeat("a: b", hardFields+1)...)...), message.Malformed, "GET"},
		{"10.5 PING without end", func(p *peer, _ uint32) {
			for range 3 * controlBudget {
				if p.WritePing(false, [8]byte{}) != nil {
					return
				}
			}
		}, message.Malformed, "GET"},
		{"end before", func(p *peer, _ uint32) { p.Conn.Close() }, message.ResetEarly, "GET"},
		{"end within", func(p *peer, id uint32) {
			p.answer(id, false, ok)
			p.WriteData(id, false, []byte("go"))
			p.Conn.Close()
		}, message.BodyCut, "GET"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := client(t, scripted(t, func(p *peer) {
				p.WriteSettings()
				if id := p.request(); id != 0 {
					c.script(p, id)
				}
			}))
			r := get("/")
			r.Method, r.HeadTimeout, r.IdleTimeout = c.method, 10*time.Second, 10*time.Second
			_, body, _, err := ask(t.Context(), k, r)
			if got := kindOf(err); got != c.kind || (err == nil) != (c.kind == 0) {
				t.Errorf("got %v, want %v", err, c.kind)
			}
			if c.kind == 0 && c.method == "GET" && body != "good" {
				t.Errorf("got %q", body)
			}
		})
	}
}

func slicesRepeat(s string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = s
	}
	return list
}

// TestPreface: a peer that is none of HTTP/2.
func TestPreface(t *testing.T) {
	for _, text := range []string{"HTTP/1.1 400 Bad Request\r\n\r\n", "\x00\x00\x00\x06\x00\x00\x00\x00\x00"} {
		k := client(t, scripted(t, func(p *peer) { io.WriteString(p.Conn, text) }))
		_, err := k.Do(t.Context(), &link.Portable{}, get("/"))
		if kind := kindOf(err); kind != message.Malformed {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

// TestLimitsOfPeer: the upstream's settings hold: fewer streams, small windows.
func TestLimitsOfPeer(t *testing.T) {
	o := scripted(t, func(p *peer) {
		p.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingMaxConcurrentStreams, Val: 1}, xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 10})
		got := make(map[uint32]int) // more than one at first: they were opened before the settings came
		for {
			f, err := p.ReadFrame()
			if err != nil {
				return
			}
			if f, ok := f.(*xhttp2.DataFrame); ok {
				id := f.StreamID
				if got[id] += len(f.Data()); !f.StreamEnded() {
					p.WriteWindowUpdate(id, uint32(len(f.Data())))
				} else {
					p.content(id, strings.Repeat("y", got[id]), ":status: 200")
				}
			}
		}
	})
	o.MaxConns = 1
	k := client(t, o)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			r := get("/")
			r.Method, r.Body, r.Length = "POST", strings.NewReader(strings.Repeat("x", 333)), 333
			_, body, _, err := ask(t.Context(), k, r)
			if err != nil || len(body) != 333 {
				t.Errorf("got %d bytes and %v", len(body), err)
			}
		})
	}
	wg.Wait()
}

// FuzzUpstream: whatever an upstream sends, nothing panics, and all comes to an end.
func FuzzUpstream(f *testing.F) {
	settings := "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	f.Add([]byte(settings + "\x00\x00\x01\x01\x05\x00\x00\x00\x01\x88"))
	f.Add([]byte(settings + "\x00\x00\x01\x01\x04\x00\x00\x00\x01\x88\x00\x00\x04\x00\x01\x00\x00\x00\x01good"))
	f.Add([]byte(settings + "\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("HTTP/1.1 200 OK\r\n\r\n"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(f, "listen", err)
	var data atomic.Pointer[[]byte]
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Write(*data.Load())
			c.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, c)
			c.Close()
		}
	})
	f.Cleanup(func() { l.Close(); accepting.Wait() })
	f.Fuzz(func(t *testing.T, b []byte) {
		data.Store(&b)
		k := New(Options{Address: l.Addr().String()})
		_, _, _, _ = ask(t.Context(), k, get("/"))
		k.Close()
		k.Wait()
	})
}
