package serve_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2Peer is an HTTP/2 client that writes its own frames, with a codec that is
// not ours. A goroutine reads and files what comes by stream.
type h2Peer struct {
	t    *testing.T
	conn net.Conn
	done chan struct{} // reading has ended

	wmu   sync.Mutex // guards writing, with the encoder's table
	fr    *http2.Framer
	block bytes.Buffer
	enc   *hpack.Encoder

	mu      sync.Mutex
	changed sync.Cond
	next    uint32
	streams map[uint32]*h2Stream
	window  int // what may be sent on the connection
	initial int // and on a new stream
	goaways []h2GoAway
	pongs   []string
	settled int  // SETTINGS that have come: the server's, and its word that ours have
	mute    bool // gives no credit: takes no more than the first windows
	holdAck bool // leaves PINGs unanswered
	held    []string
	err     error // why reading ended
}

type h2GoAway struct {
	last uint32
	code http2.ErrCode
}

// h2Stream is one exchange as its client sees it.
type h2Stream struct {
	id      uint32
	window  int
	interim []http.Header // with :status
	status  string
	header  http.Header
	body    bytes.Buffer
	trailer http.Header
	ended   bool
	reset   bool
	code    http2.ErrCode
}

// newH2Peer speaks the preface on conn, which it closes at the test's end. The
// habits are set before.
func newH2Peer(t *testing.T, conn net.Conn, habits ...func(*h2Peer)) *h2Peer {
	t.Helper()
	p := &h2Peer{
		t: t, conn: conn, done: make(chan struct{}), next: 1, streams: make(map[uint32]*h2Stream),
		window: 65_535, initial: 65_535, fr: http2.NewFramer(conn, conn),
	}
	p.changed.L = &p.mu
	for _, set := range habits {
		set(p)
	}
	p.enc = hpack.NewEncoder(&p.block)
	p.fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	io.WriteString(conn, http2.ClientPreface)
	p.fr.WriteSettings(http2.Setting{ID: http2.SettingEnablePush, Val: 0})
	go p.read()
	t.Cleanup(p.close)
	p.await("both sides' SETTINGS", func() bool { return p.settled == 2 })
	return p
}

func (p *h2Peer) close() {
	p.conn.Close()
	<-p.done
}

// read files frames until the connection ends.
func (p *h2Peer) read() {
	defer close(p.done)
	for {
		f, err := p.fr.ReadFrame()
		if bad, ok := errors.AsType[http2.StreamError](err); ok {
			p.t.Errorf("the server's own frame is malformed: %v", bad)
		}
		p.mu.Lock()
		if err != nil {
			p.err = err
			p.changed.Broadcast()
			p.mu.Unlock()
			p.conn.Close() // as clients do: the server waits for it
			return
		}
		answer := p.file(f)
		p.changed.Broadcast()
		p.mu.Unlock()
		if answer != nil {
			p.wmu.Lock()
			answer()
			p.wmu.Unlock()
		}
	}
}

// file notes a frame, and returns what is to be written for it.
func (p *h2Peer) file(f http2.Frame) (answer func()) {
	s := p.streams[f.Header().StreamID]
	switch f := f.(type) {
	case *http2.SettingsFrame:
		if p.settled++; f.IsAck() {
			return nil
		}
		if v, ok := f.Value(http2.SettingInitialWindowSize); ok {
			for _, s := range p.streams {
				s.window += int(v) - p.initial
			}
			p.initial = int(v)
		}
		return func() { p.fr.WriteSettingsAck() }
	case *http2.PingFrame:
		data := f.Data
		switch {
		case f.IsAck():
			p.pongs = append(p.pongs, string(data[:]))
		case p.holdAck:
			p.held = append(p.held, string(data[:]))
		default:
			return func() { p.fr.WritePing(true, data) }
		}
	case *http2.GoAwayFrame:
		p.goaways = append(p.goaways, h2GoAway{f.LastStreamID, f.ErrCode})
	case *http2.WindowUpdateFrame:
		if s != nil {
			s.window += int(f.Increment)
		} else if f.StreamID == 0 {
			p.window += int(f.Increment)
		}
	case *http2.RSTStreamFrame:
		if s != nil {
			s.reset, s.code = true, f.ErrCode
		}
	case *http2.MetaHeadersFrame:
		s.head(f)
	case *http2.DataFrame:
		s.body.Write(f.Data())
		s.ended = f.StreamEnded()
		id, n, ended := f.StreamID, f.Length, s.ended
		if n == 0 || p.mute {
			return nil
		}
		return func() {
			p.fr.WriteWindowUpdate(0, n)
			if !ended {
				p.fr.WriteWindowUpdate(id, n)
			}
		}
	}
	return nil
}

// head files a header block: interim, final, or a trailer section.
func (s *h2Stream) head(f *http2.MetaHeadersFrame) {
	h := make(http.Header)
	for _, field := range f.RegularFields() {
		h.Add(field.Name, field.Value)
	}
	status := f.PseudoValue("status")
	switch {
	case s.status != "":
		s.trailer = h
	case strings.HasPrefix(status, "1"):
		h.Set(":status", status)
		s.interim = append(s.interim, h)
	default:
		s.status, s.header = status, h
	}
	s.ended = f.StreamEnded()
}

// await waits until ok holds under the lock, or the connection has ended.
func (p *h2Peer) await(why string, ok func() bool) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.awaitLocked(ok)
	if !ok() {
		p.t.Fatalf("%s: the connection ended: %v", why, p.err)
	}
}

func (p *h2Peer) awaitLocked(ok func() bool) {
	for !ok() && p.err == nil {
		p.changed.Wait()
	}
}

// over tells that nothing more comes on s. mu is held.
func (p *h2Peer) over(s *h2Stream) bool { return s.ended || s.reset || p.err != nil }

// open sends a head, whose fields are "name: value", and returns its stream.
func (p *h2Peer) open(end bool, fields ...string) *h2Stream {
	p.t.Helper()
	p.wmu.Lock()
	defer p.wmu.Unlock()
	p.mu.Lock()
	s := &h2Stream{id: p.next, window: p.initial}
	p.streams[s.id] = s
	p.next += 2
	p.mu.Unlock()
	p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: p.encode(fields), EndHeaders: true, EndStream: end})
	return s
}

// get opens a stream for target, with further fields.
func (p *h2Peer) get(target string, fields ...string) *h2Stream {
	p.t.Helper()
	return p.open(true, append(request("GET", target), fields...)...)
}

// request are the pseudo-fields of a request.
func request(method, target string) []string {
	if method == http.MethodConnect {
		return []string{":method: CONNECT", ":authority: " + target}
	}
	return []string{":method: " + method, ":scheme: https", ":authority: host.example", ":path: " + target}
}

// encode encodes fields. wmu is held.
func (p *h2Peer) encode(fields []string) []byte {
	p.block.Reset()
	for _, f := range fields {
		i := strings.Index(f[1:], ": ") + 1
		p.enc.WriteField(hpack.HeaderField{Name: strings.ToLower(f[:i]), Value: f[i+2:]})
	}
	return p.block.Bytes()
}

// data sends content within the windows; what the server no longer wants is
// left out.
func (p *h2Peer) data(s *h2Stream, text string, end bool) {
	const most = 16_384
	for {
		p.mu.Lock()
		p.awaitLocked(func() bool { return text == "" || s.reset || min(p.window, s.window) > 0 })
		n := max(0, min(len(text), p.window, s.window, most))
		p.window -= n
		s.window -= n
		stop := s.reset || p.err != nil
		p.mu.Unlock()
		if stop {
			return
		}
		p.wmu.Lock()
		p.fr.WriteData(s.id, end && n == len(text), []byte(text[:n]))
		p.wmu.Unlock()
		if text = text[n:]; text == "" {
			return
		}
	}
}

// end sends a trailer section, or an empty DATA frame without one.
func (p *h2Peer) end(s *h2Stream, trailer ...string) {
	p.wmu.Lock()
	defer p.wmu.Unlock()
	if len(trailer) == 0 {
		p.fr.WriteData(s.id, true, nil)
		return
	}
	p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: s.id, BlockFragment: p.encode(trailer), EndHeaders: true, EndStream: true})
}

func (p *h2Peer) cancel(s *h2Stream) {
	p.wmu.Lock()
	defer p.wmu.Unlock()
	p.fr.WriteRSTStream(s.id, http2.ErrCodeCancel)
}

func (p *h2Peer) ping(data string) {
	p.wmu.Lock()
	defer p.wmu.Unlock()
	p.fr.WritePing(false, [8]byte([]byte(data)))
}

// beMute gives no more credit.
func (p *h2Peer) beMute() {
	p.mu.Lock()
	p.mute = true
	p.mu.Unlock()
}

// holdAnswers leaves PINGs unanswered until release.
func (p *h2Peer) holdAnswers() {
	p.mu.Lock()
	p.holdAck = true
	p.mu.Unlock()
}

// release answers the PINGs that were held, and those to come.
func (p *h2Peer) release() {
	p.mu.Lock()
	held := p.held
	p.held, p.holdAck = nil, false
	p.mu.Unlock()
	p.wmu.Lock()
	defer p.wmu.Unlock()
	for _, data := range held {
		p.fr.WritePing(true, [8]byte([]byte(data)))
	}
}

// outcome waits for the end of a stream, and tells it in a word: its status,
// how it was reset, or that the connection is gone.
func (p *h2Peer) outcome(s *h2Stream) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.awaitLocked(func() bool { return p.over(s) })
	switch {
	case s.ended:
		return s.status
	case s.reset:
		return "reset " + s.code.String()
	case errors.Is(p.err, io.EOF) || errors.Is(p.err, io.ErrUnexpectedEOF):
		return "end of the connection"
	default:
		return kind(p.err)
	}
}

// want waits for a whole answer.
func (p *h2Peer) want(why string, s *h2Stream, status, body string) {
	p.t.Helper()
	if got := p.outcome(s); got != status {
		p.t.Errorf("%s: stream %d: %s, want %s", why, s.id, got, status)
		return
	}
	if got := s.body.String(); got != body { // nothing writes to it any more
		p.t.Errorf("%s: stream %d: body %q, want %q", why, s.id, got, body)
	}
}

// wantOpen tells that a stream was not answered yet.
func (p *h2Peer) wantOpen(why string, s *h2Stream) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over(s) || s.status != "" {
		p.t.Errorf("%s: stream %d has status %q, ended %v, reset %v; connection %v", why, s.id, s.status, s.ended, s.reset, p.err)
	}
}

// farewell are the GOAWAYs so far.
func (p *h2Peer) farewell() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for _, g := range p.goaways {
		fmt.Fprintf(&b, "%d %v; ", g.last, g.code)
	}
	return b.String()
}

// wantEnd waits until the server has closed the connection.
func (p *h2Peer) wantEnd(why string) {
	p.t.Helper()
	within(p.t, why, p.done)
	if !errors.Is(p.err, io.EOF) { // done: nobody writes to it any more
		p.t.Errorf("%s: %v, want its end", why, p.err)
	}
}

// response is the answer of a finished stream as net/http's client would give it.
func (p *h2Peer) response(s *h2Stream) (*http.Response, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.awaitLocked(func() bool { return p.over(s) })
	cut := &h2Cut{s: s}
	if s.status == "" {
		return nil, cut
	}
	code, _ := strconv.Atoi(s.status)
	resp := &http.Response{
		Proto: "HTTP/2.0", StatusCode: code, Status: s.status + " " + http.StatusText(code),
		Header: s.header, Trailer: s.trailer, ContentLength: -1,
	}
	if n, err := strconv.ParseInt(s.header.Get("Content-Length"), 10, 64); err == nil {
		resp.ContentLength = n
	}
	var body io.Reader = strings.NewReader(s.body.String())
	if !s.ended {
		body = io.MultiReader(body, cut)
	}
	resp.Body = io.NopCloser(body)
	return resp, nil
}

// h2Cut is the error of a stream that did not end well.
type h2Cut struct{ s *h2Stream }

func (c *h2Cut) Error() string {
	if c.s.reset {
		return fmt.Sprintf("stream error: stream ID %d; %v; received from peer", c.s.id, c.s.code)
	}
	return "stream error: the connection ended"
}

func (c *h2Cut) Read([]byte) (int, error) { return 0, c }

// interimOf waits for the n-th interim answer.
func (p *h2Peer) interimOf(s *h2Stream, n int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.awaitLocked(func() bool { return len(s.interim) >= n || s.status != "" || p.over(s) })
	if len(s.interim) < n {
		return "none"
	}
	return s.interim[n-1].Get(":status")
}

// dialH2 connects with prior knowledge, or by ALPN.
func dialH2(t *testing.T, addr string, secure bool, habits ...func(*h2Peer)) *h2Peer {
	t.Helper()
	conn, err := dialForm(addr, secure, "h2")
	if err != nil {
		t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(patience))
	return newH2Peer(t, conn, habits...)
}
