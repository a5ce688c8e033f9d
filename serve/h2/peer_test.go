package h2

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	xhttp2 "golang.org/x/net/http2"
	xhpack "golang.org/x/net/http2/hpack"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// form is one of the two ways a host drives the engine.
type form struct {
	name     string
	portable bool
}

var forms = []form{{"loop", false}, {"portable", true}}

// script runs f in a bubble of fake time, once over each form of host.
func script(t *testing.T, name string, f func(t *testing.T, fm form)) {
	t.Helper()
	for _, fm := range forms {
		scriptIn(t, fm, name, f)
	}
}

// scriptIn is script over one form.
func scriptIn(t *testing.T, fm form, name string, f func(t *testing.T, fm form)) {
	t.Helper()
	t.Run(name+"/"+fm.name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { f(t, fm) })
	})
}

// The flags of HEADERS: a whole request, one whose content follows.
const (
	final = xhttp2.FlagHeadersEndHeaders | xhttp2.FlagHeadersEndStream
	more  = xhttp2.FlagHeadersEndHeaders
)

// peer is a scripted client. It speaks through x/net's codec, which is not
// ours, or in raw bytes, and holds the server to its windows and to the states
// of its streams.
type peer struct {
	t   *testing.T
	h   *memHost
	cfg *Config
	log *logBuffer

	// What it says. Together, frames gather here and leave as one segment.
	say      bytes.Buffer
	together bool
	fr       *xhttp2.Framer
	block    bytes.Buffer
	enc      *xhpack.Encoder

	// What it heard.
	read  int // of h.out
	hear  bytes.Buffer
	dec   *xhpack.Decoder
	queue []got // heard, and not asked for yet
	over  map[uint32]bool

	// Its windows: what the server may send.
	initial int
	window  int            // of the connection
	windows map[uint32]int // of streams
	told    []int          // INITIAL_WINDOW_SIZE of SETTINGS that await ACK; negative: none in it
	last    uint32         // stream it opened

	blind  bool // the engine's books are not looked at
	panics bool // of handlers are expected
}

// got is a frame from the server; of HEADERS with their CONTINUATION, one.
type got struct {
	typ      xhttp2.FrameType
	flags    xhttp2.Flags
	id       uint32
	fields   []xhpack.HeaderField
	frames   int // of a header block
	data     string
	code     xhttp2.ErrCode
	n        uint32 // increment, last stream
	settings []xhttp2.Setting
}

func (g got) end() bool {
	return (g.typ == xhttp2.FrameData || g.typ == xhttp2.FrameHeaders) && g.flags.Has(xhttp2.FlagDataEndStream)
}

func (g got) ack() bool { return g.flags.Has(xhttp2.FlagPingAck) }

func (g got) field(name string) string {
	for _, f := range g.fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func (g got) String() string {
	s := fmt.Sprintf("%v(%d)", g.typ, g.id)
	if g.end() {
		s += " END_STREAM"
	}
	switch g.typ {
	case xhttp2.FrameHeaders:
		for _, f := range g.fields {
			s += fmt.Sprintf(" %s=%q", f.Name, f.Value)
		}
	case xhttp2.FrameData, xhttp2.FramePing:
		d := g.data
		if len(d) > 60 {
			d = d[:60] + "..."
		}
		s += fmt.Sprintf(" %d %q", len(g.data), d)
		if g.typ == xhttp2.FramePing && g.ack() {
			s += " ACK"
		}
	case xhttp2.FrameRSTStream:
		s += " " + g.code.String()
	case xhttp2.FrameGoAway:
		s += fmt.Sprintf(" last=%d %v %q", g.n, g.code, g.data)
	case xhttp2.FrameWindowUpdate:
		s += fmt.Sprintf(" +%d", g.n)
	case xhttp2.FrameSettings:
		s += fmt.Sprint(" ", g.settings)
		if g.ack() {
			s += " ACK"
		}
	default: // its name is enough
	}
	return s
}

// logBuffer is an error log that a test can look at.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func testConfig(h http.Handler) (Config, *logBuffer) {
	log := new(logBuffer)
	return Config{
		Handler:  h,
		Date:     new(semantics.DateCache),
		ErrorLog: slog.New(slog.NewTextHandler(log, nil)),
		Counters: new(Counters),
	}, log
}

// connect connects to handler and exchanges the prefaces.
func connect(t *testing.T, fm form, handler http.HandlerFunc) *peer {
	t.Helper()
	p := dial(t, fm, handler)
	p.preface()
	return p
}

// connectWith is connect with some of the configuration set.
func connectWith(t *testing.T, fm form, handler http.HandlerFunc, set func(*Config)) *peer {
	t.Helper()
	cfg, log := testConfig(handler)
	set(&cfg)
	p := dialConfig(t, fm, Complete(cfg), log)
	p.preface()
	return p
}

// dial connects to handler; nothing was said yet.
func dial(t *testing.T, fm form, handler http.HandlerFunc) *peer {
	t.Helper()
	cfg, log := testConfig(handler)
	return dialConfig(t, fm, Complete(cfg), log)
}

func dialConfig(t *testing.T, fm form, cfg *Config, log *logBuffer) *peer {
	t.Helper()
	return dialAttached(t, fm, cfg, log, Attachment{})
}

func dialAttached(t *testing.T, fm form, cfg *Config, log *logBuffer, at Attachment) *peer {
	t.Helper()
	h := newMemHost(fm.portable)
	p := &peer{t: t, h: h, cfg: cfg, log: log}
	p.init()
	h.serve(NewConn(cfg, h, at))
	return p
}

// init readies a peer whose t, h, cfg and log are set.
func (p *peer) init() {
	p.over, p.windows = make(map[uint32]bool), make(map[uint32]int)
	p.initial, p.window = initialWindow, initialWindow
	p.fr = xhttp2.NewFramer(&p.say, &p.hear)
	p.fr.AllowIllegalWrites = true
	p.enc = xhpack.NewEncoder(&p.block)
	p.dec = xhpack.NewDecoder(4096, nil)
	p.t.Cleanup(p.finish)
}

// finish cuts the connection and looks at what is left of it.
func (p *peer) finish() {
	t := p.t
	synctest.Wait()
	p.h.shutdown()
	synctest.Wait()
	p.h.mu.Lock()
	for _, f := range p.h.faults {
		t.Errorf("the engine broke a rule of Host: %s", f)
	}
	p.h.mu.Unlock()
	if n := p.cfg.Counters.Panics.Load(); n > 0 && !p.panics {
		t.Errorf("%d handlers panicked: %s", n, p.log)
	}
	if t.Failed() {
		return // its handlers may still wait
	}
	c := p.h.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, left := range []struct {
		what string
		n    int
	}{
		{"open streams", c.open},
		{"streams in the table", len(c.streams)},
		{"running handlers", c.running},
		{"bytes queued", c.held},
		{"bytes unread", c.unread},
		{"tiny bytes", c.budget.tiny},
		{"filled rings", int(c.sched.filled)},
		{"waiting requests", len(c.waiting)},
		{"deferred requests", len(c.deferred)},
	} {
		if left.n != 0 {
			t.Errorf("after the end: %d %s, want none", left.n, left.what)
		}
	}
}

// inOne sends what f says as one segment.
func (p *peer) inOne(f func()) {
	p.together = true
	f()
	p.together = false
	p.send()
}

func (p *peer) send() {
	if p.together || p.say.Len() == 0 {
		return
	}
	p.h.give(bytes.Clone(p.say.Bytes()))
	p.say.Reset()
}

// write sends bytes as they are.
func (p *peer) write(s string) {
	p.say.WriteString(s)
	p.send()
}

// preface says what a client says first, and hears what the server does.
func (p *peer) preface(settings ...xhttp2.Setting) {
	p.t.Helper()
	p.inOne(func() {
		p.write(xhttp2.ClientPreface)
		p.settings(settings...)
		p.fr.WriteSettingsAck()
	})
	p.wantSettings("the server's preface")
	p.wantSettingsAck("the server acknowledges the client's preface")
}

func (p *peer) settings(settings ...xhttp2.Setting) {
	initial := -1
	for _, s := range settings {
		if s.ID == xhttp2.SettingInitialWindowSize {
			initial = int(s.Val)
		}
	}
	p.told = append(p.told, initial)
	p.fr.WriteSettings(settings...)
	p.send()
}

// fragment encodes a header block of pairs of name and value.
func (p *peer) fragment(fields ...string) []byte {
	p.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		p.enc.WriteField(xhpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(p.block.Bytes())
}

// headers sends a header block; fields are pairs of name and value.
func (p *peer) headers(id uint32, f xhttp2.Flags, fields ...string) {
	p.headersFragment(id, f, p.fragment(fields...))
}

func (p *peer) headersFragment(id uint32, f xhttp2.Flags, fragment []byte) {
	p.open(id)
	p.fr.WriteRawFrame(xhttp2.FrameHeaders, f, id, fragment)
	p.send()
}

func (p *peer) open(id uint32) {
	if _, known := p.windows[id]; !known {
		p.windows[id] = p.initial
	}
	p.last = max(p.last, id)
}

// head is the header block of a request, with more fields behind the four.
func head4(method, path string, fields ...string) []string {
	return append([]string{":method", method, ":scheme", "https", ":authority", "a", ":path", path}, fields...)
}

// get asks for path.
func (p *peer) get(id uint32, path string, fields ...string) {
	p.headers(id, final, head4("GET", path, fields...)...)
}

// post asks with content, which data sends.
func (p *peer) post(id uint32, path string, fields ...string) {
	p.headers(id, more, head4("POST", path, fields...)...)
}

func (p *peer) data(id uint32, s string) { p.fr.WriteData(id, false, []byte(s)); p.send() }

// dataEnd sends the last of a request's content.
func (p *peer) dataEnd(id uint32, s string) { p.fr.WriteData(id, true, []byte(s)); p.send() }

func (p *peer) reset(id uint32, code xhttp2.ErrCode) {
	p.over[id] = true
	p.fr.WriteRSTStream(id, code)
	p.send()
}

func (p *peer) ping(s string) { p.fr.WritePing(false, [8]byte([]byte(s))); p.send() }

func (p *peer) update(id, n uint32) {
	if id == 0 {
		p.window += int(n)
	} else {
		p.windows[id] += int(n)
	}
	p.fr.WriteWindowUpdate(id, n)
	p.send()
}

func (p *peer) goAway(last uint32) { p.fr.WriteGoAway(last, xhttp2.ErrCodeNo, nil); p.send() }

// raw sends a frame of any kind.
func (p *peer) raw(typ xhttp2.FrameType, f xhttp2.Flags, id uint32, payload string) {
	p.fr.WriteRawFrame(typ, f, id, []byte(payload))
	p.send()
}

// settle waits until nothing moves any more. A handler that waits inline is
// overtaken by then, as a standby does.
func (p *peer) settle() {
	p.t.Helper()
	synctest.Wait()
	for p.h.overtake() {
		synctest.Wait()
	}
	p.collect()
	if !p.blind {
		p.checkBooks()
	}
}

// collect takes the whole frames that have come, and holds them to the rules.
func (p *peer) collect() {
	p.t.Helper()
	p.h.mu.Lock()
	b := p.h.out[p.read:]
	whole := 0
	for len(b)-whole >= 9 {
		n := whole + 9 + int(b[whole])<<16 + int(b[whole+1])<<8 + int(b[whole+2])
		if n > len(b) {
			break
		}
		whole = n
	}
	p.hear.Write(b[:whole])
	p.read += whole
	p.h.mu.Unlock()

	var block []byte
	var head got
	for p.hear.Len() > 0 {
		f, err := p.fr.ReadFrame()
		if err != nil {
			p.t.Fatalf("the server sent a frame that x/net refuses: %v (%v)", err, p.fr.ErrorDetail())
		}
		h := f.Header()
		g := got{typ: h.Type, flags: h.Flags, id: h.StreamID}
		switch f := f.(type) {
		case *xhttp2.HeadersFrame:
			head, block = g, bytes.Clone(f.HeaderBlockFragment())
			head.frames = 1
			if !f.HeadersEnded() {
				continue
			}
			g = p.decode(head, block)
		case *xhttp2.ContinuationFrame:
			block = append(block, f.HeaderBlockFragment()...)
			head.frames++
			if !f.HeadersEnded() {
				continue
			}
			g = p.decode(head, block)
		case *xhttp2.DataFrame:
			g.data = string(f.Data())
			p.charge(g, int(h.Length))
		case *xhttp2.RSTStreamFrame:
			g.code = f.ErrCode
		case *xhttp2.GoAwayFrame:
			g.n, g.code, g.data = f.LastStreamID, f.ErrCode, string(f.DebugData())
		case *xhttp2.WindowUpdateFrame:
			g.n = f.Increment
		case *xhttp2.PingFrame:
			g.data = string(f.Data[:])
		case *xhttp2.SettingsFrame:
			f.ForeachSetting(func(s xhttp2.Setting) error { g.settings = append(g.settings, s); return nil })
			if f.IsAck() {
				p.acknowledged()
			}
		}
		p.checkState(g)
		p.queue = append(p.queue, g)
	}
}

func (p *peer) decode(g got, block []byte) got {
	p.t.Helper()
	fields, err := p.dec.DecodeFull(block)
	if err != nil {
		p.t.Fatalf("x/net cannot decode the header block of stream %d: %v", g.id, err)
	}
	g.fields = fields
	return g
}

// acknowledged applies what the server has acknowledged (RFC 9113 §6.5.3).
func (p *peer) acknowledged() {
	p.t.Helper()
	if len(p.told) == 0 {
		p.t.Error("the server acknowledged SETTINGS that were not sent")
		return
	}
	if size := p.told[0]; size >= 0 {
		for id := range p.windows {
			p.windows[id] += size - p.initial
		}
		p.initial = size
	}
	p.told = p.told[1:]
}

// charge holds DATA to the windows.
func (p *peer) charge(g got, n int) {
	p.t.Helper()
	if p.window -= n; n > 0 && p.window < 0 {
		p.t.Errorf("%v: %d bytes above the connection's window", g, -p.window)
	}
	if p.windows[g.id] -= n; n > 0 && p.windows[g.id] < 0 {
		p.t.Errorf("%v: %d bytes above the stream's window", g, -p.windows[g.id])
	}
}

// checkState holds a frame to the states of streams (RFC 9113 §5.1).
func (p *peer) checkState(g got) {
	p.t.Helper()
	if g.id == 0 {
		return
	}
	if _, known := p.windows[g.id]; !known || g.id > p.last {
		p.t.Errorf("%v: on an idle stream", g)
	}
	switch {
	case g.typ == xhttp2.FrameRSTStream || g.typ == xhttp2.FrameWindowUpdate:
	case p.over[g.id]:
		p.t.Errorf("%v: behind the end of its stream", g)
	}
	if g.end() || g.typ == xhttp2.FrameRSTStream {
		p.over[g.id] = true
	}
	if g.typ == xhttp2.FrameHeaders {
		p.checkFields(g)
	}
}

// checkFields holds a header block to the rules of RFC 9113 §8.2 and §8.3.2.
func (p *peer) checkFields(g got) {
	p.t.Helper()
	status := 0
	for i, f := range g.fields {
		switch {
		case f.Name == ":status" && i == 0:
			status, _ = strconv.Atoi(f.Value)
		case strings.HasPrefix(f.Name, ":"), f.Name != strings.ToLower(f.Name), f.Name == "",
			f.Value != strings.Trim(f.Value, " \t"), strings.ContainsAny(f.Value, "\r\n\x00"):
			p.t.Errorf("%v: field %q %q", g, f.Name, f.Value)
		case slices.Contains([]string{"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}, f.Name):
			p.t.Errorf("%v: connection-specific field %q (8.2.2)", g, f.Name)
		}
	}
	if 100 <= status && status < 200 && g.end() {
		p.t.Errorf("%v: an informational answer ends the stream (8.1)", g)
	}
}

// checkBooks compares what the engine keeps count of with what there is.
func (p *peer) checkBooks() {
	p.t.Helper()
	c := p.h.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	open, held, unread, queued := 0, 0, 0, 0
	all := c.streams
	each := func(s *stream) {
		open++
		if s.out != nil {
			held += len(s.out.B) - s.off
		}
		unread += s.body.n
		if s.queued {
			queued++
		}
		if s.gone {
			p.t.Errorf("stream %d is gone and in the table", s.id)
		}
		if s.recvClosed && s.sendClosed {
			p.t.Errorf("stream %d is closed and in the table", s.id)
		}
	}
	for _, s := range all {
		each(s)
	}
	if c.inline != nil && !c.inline.kept && !c.inline.gone {
		each(c.inline)
	}
	if open != c.open || held != c.held || unread > c.unread {
		p.t.Errorf("the engine counts %d streams, %d bytes queued, %d unread; there are %d, %d, %d", c.open, c.held, c.unread, open, held, unread)
	}
	ring := 0
	for u, head := range c.sched.heads {
		if (head != nil) != (c.sched.filled>>u&1 == 1) {
			p.t.Errorf("ring %d: the bitmap is wrong", u)
		}
		for s := head; s != nil; s = s.next {
			ring++
			if !s.queued || s.prio.Urgency != uint8(u) || s.next.prev != s {
				p.t.Errorf("stream %d is in ring %d by mistake", s.id, u)
			}
			if s.next == head || ring > 1000 {
				break
			}
		}
	}
	if ring != queued {
		p.t.Errorf("%d streams in rings, %d say that they are", ring, queued)
	}
}

// next takes the next frame of stream id, WINDOW_UPDATE aside.
func (p *peer) next(why string, id uint32) got {
	p.t.Helper()
	for i, g := range p.queue {
		if g.id == id && g.typ != xhttp2.FrameWindowUpdate {
			p.queue = slices.Delete(p.queue, i, i+1)
			return g
		}
	}
	p.t.Fatalf("%s: got nothing on stream %d, of %v%s", why, id, p.queue, p.fate())
	return got{}
}

// fate tells of the connection's end.
func (p *peer) fate() string {
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	if !p.h.done && !p.h.fin && !p.h.closed {
		return ""
	}
	return fmt.Sprintf(" (fin %v, done %v: %v, closed %v)", p.h.fin, p.h.done, p.h.doneErr, p.h.closed)
}

// want wants exactly these frames, in this order, on all streams together, as
// got.String writes them; WINDOW_UPDATE aside.
func (p *peer) want(why string, frames ...string) {
	p.t.Helper()
	p.settle()
	var gots []string
	for _, g := range p.queue {
		if g.typ != xhttp2.FrameWindowUpdate {
			gots = append(gots, g.String())
		}
	}
	p.queue = nil
	if !slices.Equal(gots, frames) {
		p.t.Fatalf("%s: got %q%s, want %q", why, gots, p.fate(), frames)
	}
}

// wantHeaders wants a header block as the next frame of a stream; fields are
// pairs of name and value that must be in it, "" for absent.
func (p *peer) wantHeaders(why string, id uint32, status int, fields ...string) got {
	p.t.Helper()
	p.settle()
	g := p.next(why, id)
	if g.typ != xhttp2.FrameHeaders || g.field(":status") != strconv.Itoa(status) {
		p.t.Fatalf("%s: got %v, want HEADERS with status %d", why, g, status)
	}
	for i := 0; i < len(fields); i += 2 {
		if got, want := g.field(fields[i]), fields[i+1]; got != want {
			p.t.Errorf("%s: got %s %q, want %q", why, fields[i], got, want)
		}
	}
	return g
}

// wantData wants a DATA frame that does not end the stream.
func (p *peer) wantData(why string, id uint32, data string) {
	p.t.Helper()
	p.settle()
	if g := p.next(why, id); g.typ != xhttp2.FrameData || g.data != data || g.end() {
		p.t.Fatalf("%s: got %v, want DATA %q", why, g, data)
	}
}

// wantDataEnd wants the DATA frame that ends the stream.
func (p *peer) wantDataEnd(why string, id uint32, data string) {
	p.t.Helper()
	p.settle()
	if g := p.next(why, id); g.typ != xhttp2.FrameData || g.data != data || !g.end() {
		p.t.Fatalf("%s: got %v, want DATA %q with END_STREAM", why, g, data)
	}
}

// wantBytes takes DATA of a stream until there is no more, or its end; it wants
// n bytes of it.
func (p *peer) wantBytes(why string, id uint32, n int) (s string, end bool) {
	p.t.Helper()
	p.settle()
	rest := p.queue[:0]
	for _, g := range p.queue {
		if g.id == id && g.typ == xhttp2.FrameData {
			s += g.data
			end = end || g.end()
			continue
		}
		rest = append(rest, g)
	}
	p.queue = rest
	if len(s) != n {
		p.t.Fatalf("%s: got %d bytes on stream %d (end: %v), want %d%s", why, len(s), id, end, n, p.fate())
	}
	return s, end
}

// answer is a whole answer.
type answer struct {
	got     // its head
	body    string
	trailer *got
}

// wantAnswer wants a whole answer on a stream.
func (p *peer) wantAnswer(why string, id uint32, status int, body string, fields ...string) answer {
	p.t.Helper()
	a := answer{got: p.wantHeaders(why, id, status, fields...)}
	for end := a.end(); !end; {
		g := p.next(why, id)
		switch end = g.end(); g.typ {
		case xhttp2.FrameData:
			a.body += g.data
		case xhttp2.FrameHeaders:
			a.trailer = &g
			if !end {
				p.t.Fatalf("%s: got trailers without END_STREAM: %v", why, g)
			}
		default:
			p.t.Fatalf("%s: got %v before the end of the answer", why, g)
		}
	}
	if a.body != body {
		p.t.Fatalf("%s: got the body %.200q, want %.200q", why, a.body, body)
	}
	return a
}

// wantTrailer wants a trailer section, with END_STREAM, as the next frame of a
// stream, with the fields.
func (p *peer) wantTrailer(why string, id uint32, fields ...string) got {
	p.t.Helper()
	p.settle()
	g := p.next(why, id)
	if g.typ != xhttp2.FrameHeaders || !g.end() || g.field(":status") != "" {
		p.t.Fatalf("%s: got %v, want a trailer section", why, g)
	}
	for i := 0; i < len(fields); i += 2 {
		if got, want := g.field(fields[i]), fields[i+1]; got != want {
			p.t.Errorf("%s: got %s %q, want %q", why, fields[i], got, want)
		}
	}
	return g
}

func (p *peer) wantReset(why string, id uint32, code xhttp2.ErrCode) {
	p.t.Helper()
	p.settle()
	if g := p.next(why, id); g.typ != xhttp2.FrameRSTStream || g.code != code {
		p.t.Fatalf("%s: got %v, want RST_STREAM %v", why, g, code)
	}
}

func (p *peer) wantGoAway(why string, last uint32, code xhttp2.ErrCode) {
	p.t.Helper()
	p.settle()
	if g := p.next(why, 0); g.typ != xhttp2.FrameGoAway || g.n != last || g.code != code {
		p.t.Fatalf("%s: got %v, want GOAWAY last=%d %v", why, g, last, code)
	}
}

func (p *peer) wantPing(why, data string, ack bool) {
	p.t.Helper()
	p.settle()
	if g := p.next(why, 0); g.typ != xhttp2.FramePing || g.ack() != ack || g.data != data {
		p.t.Fatalf("%s: got %v, want PING %q, ACK: %v", why, g, data, ack)
	}
}

func (p *peer) wantSettings(why string) []xhttp2.Setting {
	p.t.Helper()
	p.settle()
	g := p.next(why, 0)
	if g.typ != xhttp2.FrameSettings || g.ack() {
		p.t.Fatalf("%s: got %v, want SETTINGS", why, g)
	}
	return g.settings
}

func (p *peer) wantSettingsAck(why string) {
	p.t.Helper()
	p.settle()
	if g := p.next(why, 0); g.typ != xhttp2.FrameSettings || !g.ack() {
		p.t.Fatalf("%s: got %v, want SETTINGS ACK", why, g)
	}
}

// wantUpdates wants n bytes of credit on a stream, or 0 on the connection.
func (p *peer) wantUpdates(why string, id uint32, n int) {
	p.t.Helper()
	p.settle()
	sum := 0
	p.queue = slices.DeleteFunc(p.queue, func(g got) bool {
		ours := g.id == id && g.typ == xhttp2.FrameWindowUpdate
		if ours {
			sum += int(g.n)
		}
		return ours
	})
	if sum != n {
		p.t.Fatalf("%s: got %d bytes of credit on stream %d, want %d", why, sum, id, n)
	}
}

// forget drops what came so far.
func (p *peer) forget() {
	p.t.Helper()
	p.settle()
	p.queue = nil
}

// wantIdle wants nothing more now, WINDOW_UPDATE aside, and the connection open.
func (p *peer) wantIdle(why string) {
	p.t.Helper()
	p.want(why)
	if s := p.fate(); s != "" {
		p.t.Fatalf("%s: the connection ended%s, want it open", why, s)
	}
}

// wantLive wants the connection to answer a PING, and nothing else to come.
func (p *peer) wantLive(why string) {
	p.t.Helper()
	p.ping("live?...")
	p.wantPing(why, "live?...", true)
	p.wantIdle(why)
}

// wantClosed wants the connection ended, and no frame before.
func (p *peer) wantClosed(why string) {
	p.t.Helper()
	p.want(why)
	p.h.mu.Lock()
	defer p.h.mu.Unlock()
	if !p.h.closed {
		p.t.Fatalf("%s: the connection is open, want it closed", why)
	}
}

// wantEnd wants GOAWAY, FIN behind it, nothing served any more, and the end
// when the peer closes too (RFC 9113 §5.4.1).
func (p *peer) wantEnd(why string, last uint32, code xhttp2.ErrCode) {
	p.t.Helper()
	p.wantGoAway(why, last, code)
	p.h.mu.Lock()
	fin, done := p.h.fin, p.h.done
	p.h.mu.Unlock()
	if !fin && !done {
		p.t.Errorf("%s: neither FIN nor the end of the connection behind GOAWAY", why)
	}
	p.get(p.last|1+2, "/canary")
	p.want(why + ": a request behind it is not served")
	p.h.hangup(nil)
	p.wantClosed(why)
}
