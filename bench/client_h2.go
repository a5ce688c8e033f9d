package bench

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/penstock-edge/penstock/serve/h2/frame"
	"github.com/penstock-edge/penstock/serve/h2/hpack"
)

const (
	// windowH2 is what each stream, and the connection, may send before we renew it,
	// which is at half of it: flow control is not what is measured. h2load gives as
	// much.
	windowH2 = 1 << 30
	// maxBlock bounds a header block that comes in several frames.
	maxBlock = 256 << 10
	// firstWindow is what each side has before it is told otherwise (RFC 9113 §6.9.2).
	firstWindow = 65_535
	noStream    = ^int32(0)
	// maxUnread bounds the answers to PING and SETTINGS that the peer has not read.
	maxUnread = 10_000
)

// clientH2 is HTTP/2 (RFC 9113).
type clientH2 struct {
	c   *conn
	enc hpack.Encoder
	dec hpack.Decoder

	next    uint32 // id of the next stream
	streams []int32
	mask    uint32

	// Of the peer's settings.
	maxStreams int // 1 until they are there: the server may allow fewer than we want
	settled    bool
	maxFrame   int
	window     int64 // first one of a stream
	connWindow int64 // what the connection may send

	consumed int64 // of our connection window
	unread   int   // answers since the socket took all of them
	goaway   bool
	used     bool

	// The block of the last request of one target, once it does not change any more,
	// and that of the last answer with its meaning: both are mostly equal to the next
	// (TestGeneratorCost).
	request    []byte
	requestFor *target
	lastBlock  []byte
	generation uint32
	summary    summaryH2
	fields     []hpack.Field

	block    []byte // of HEADERS that go on in CONTINUATION
	blockFor frame.Header
	waiting  []int32 // slots whose body waits for the peer's windows
}

type summaryH2 struct {
	status int
	length int64
}

func newClientH2(c *conn) *clientH2 {
	h := &clientH2{c: c, next: 1, maxStreams: 1, maxFrame: frame.DefaultMaxSize, window: firstWindow, connWindow: firstWindow}
	size := uint32(16)
	for size < uint32(8*len(c.slots)) {
		size *= 2
	}
	h.streams, h.mask = make([]int32, size), size-1
	for i := range h.streams {
		h.streams[i] = noStream
	}
	out := append(c.w.plain, frame.Preface...)
	out = frame.AppendSettings(
		out,
		frame.Setting{ID: frame.SettingEnablePush, Value: 0}, frame.Setting{ID: frame.SettingInitialWindowSize, Value: windowH2},
	)
	c.w.plain = frame.AppendWindowUpdate(out, 0, windowH2-firstWindow)
	return h
}

func (h *clientH2) room() int {
	if h.over() {
		return 0
	}
	return h.maxStreams - h.c.inFlight
}

func (h *clientH2) over() bool {
	return h.goaway || h.next >= 1<<31-2 || h.used && h.c.w.plan.single()
}

func (h *clientH2) slot(id uint32) *int32 { return &h.streams[id>>1&h.mask] }

// exchange is the one of a stream; nil: it is over, or never was.
func (h *clientH2) exchange(id uint32) *exchange {
	i := *h.slot(id)
	if i == noStream || h.c.slots[i].id != id || !h.c.slots[i].busy {
		return nil
	}
	return &h.c.slots[i]
}

func (h *clientH2) begin(x *exchange, t *target) {
	h.used = true
	for *h.slot(h.next) != noStream { // of a stream that has been open for very long
		h.next += 2
	}
	x.id, x.length, x.got, x.taken, x.sent, x.window = h.next, -1, 0, 0, 0, h.window // waiting is of the slot
	*h.slot(x.id) = x.slot
	h.next += 2
	flags := frame.FlagEndStream
	if h.c.w.plan.Body != nil {
		flags = 0
	}
	out := h.c.w.plain
	at := len(out)
	out = frame.BeginHeaders(out)
	out = h.appendBlock(out, t)
	h.c.w.plain = frame.FinishHeaders(out, at, x.id, flags, h.maxFrame)
	if flags == 0 {
		h.sendBody(x)
	}
}

// appendBlock renders the fields of a request. The first two of a connection fill
// the table; from then on those of the same target are the same bytes.
func (h *clientH2) appendBlock(out []byte, t *target) []byte {
	if h.requestFor == t {
		return append(out, h.request...)
	}
	at := len(out)
	out = h.enc.BeginBlock(out)
	for _, f := range t.fields {
		out = h.enc.AppendField(out, f.Name, f.Value)
	}
	h.requestFor = nil
	if len(h.c.w.plan.targets) == 1 && bytes.Equal(h.request, out[at:]) {
		h.requestFor = t // another one would change the table
	}
	h.request = append(h.request[:0], out[at:]...)
	return out
}

// sendBody sends of a body what the peer's windows take.
func (h *clientH2) sendBody(x *exchange) {
	body := h.c.w.plan.Body
	for {
		n := int(min(int64(len(body)-x.sent), int64(h.maxFrame), x.window, h.connWindow))
		last := x.sent+n == len(body)
		if n <= 0 && !last {
			if !x.waiting {
				x.waiting = true
				h.waiting = append(h.waiting, x.slot)
			}
			return
		}
		var flags frame.Flags
		if last {
			flags = frame.FlagEndStream
		}
		h.c.w.plain = frame.AppendData(h.c.w.plain, x.id, flags, body[x.sent:x.sent+n])
		x.sent += n
		x.window -= int64(n)
		h.connWindow -= int64(n)
		if last {
			return
		}
	}
}

// pumpBodies goes on with those that have waited.
func (h *clientH2) pumpBodies() {
	list := h.waiting
	h.waiting = nil
	for _, i := range list {
		x := &h.c.slots[i]
		x.waiting = false
		if x.busy && x.sent < len(h.c.w.plan.Body) {
			h.sendBody(x)
		}
	}
}

// input: see client.
func (h *clientH2) input(b []byte) (used int, f *failure) {
	for len(b)-used >= frame.HeaderSize {
		hd := frame.ParseHeader(b[used:])
		if hd.Length > frame.DefaultMaxSize {
			return used, failed(ErrorProtocol, "a frame larger than allowed")
		}
		end := used + frame.HeaderSize + int(hd.Length)
		if len(b) < end {
			break
		}
		if f := h.frame(hd, b[used+frame.HeaderSize:end]); f != nil {
			return end, f
		}
		used = end
	}
	if len(h.waiting) > 0 {
		h.pumpBodies()
	}
	if h.consumed >= windowH2/2 {
		h.c.w.plain = frame.AppendWindowUpdate(h.c.w.plain, 0, uint32(h.consumed))
		h.consumed = 0
	}
	return used, nil
}

func (h *clientH2) frame(hd frame.Header, p []byte) *failure {
	if e := hd.Check(); e != nil && hd.Type != frame.TypePushPromise {
		return &failure{ErrorProtocol, e}
	}
	if len(h.block) > 0 && (hd.Type != frame.TypeContinuation || hd.StreamID != h.blockFor.StreamID) {
		return failed(ErrorProtocol, "a frame within a header block")
	}
	switch hd.Type {
	case frame.TypeData:
		return h.data(hd, p)
	case frame.TypeHeaders:
		fragment, _, e := frame.ParseHeaders(hd, p)
		if e != nil {
			return &failure{ErrorProtocol, e}
		}
		if hd.Flags&frame.FlagEndHeaders == 0 {
			h.block, h.blockFor = append(h.block[:0], fragment...), hd
			return nil
		}
		return h.headers(hd, fragment)
	case frame.TypeContinuation:
		return h.continuation(hd, p)
	case frame.TypeSettings:
		return h.settings(hd, p)
	case frame.TypeWindowUpdate:
		return h.windowUpdate(hd, p)
	case frame.TypePing:
		if hd.Flags&frame.FlagAck == 0 {
			h.c.w.plain = frame.AppendPing(h.c.w.plain, frame.FlagAck, frame.ParsePing(p))
			return h.answered()
		}
	case frame.TypeRSTStream:
		h.reset(hd.StreamID, frame.ParseRSTStream(p))
	case frame.TypeGoAway:
		h.goAway(p)
	case frame.TypePushPromise:
		return failed(ErrorProtocol, "a push, which was switched off")
	default: // priorities are ours to send, and what is unknown is left alone (§5.5)
	}
	return nil
}

func (h *clientH2) data(hd frame.Header, p []byte) *failure {
	data, e := frame.ParseData(hd, p)
	if e != nil {
		return &failure{ErrorProtocol, e}
	}
	h.consumed += int64(hd.Length)
	x := h.exchange(hd.StreamID)
	if x == nil {
		return nil // of a stream that was reset
	}
	if x.head == 0 {
		return failed(ErrorProtocol, "content before the answer's head")
	}
	if len(data) > 0 && h.c.w.plan.contentless(x.status) { // RFC 9113 §8.1.1: malformed
		h.forget(x)
		h.c.w.plain = frame.AppendRSTStream(h.c.w.plain, x.id, frame.ProtocolError)
		h.c.w.failed(h.c, x, ErrorProtocol, contentForbidden)
		return nil
	}
	x.got += int64(len(data))
	if h.c.w.plan.KeepBody {
		x.body = append(x.body, data...)
	}
	if hd.Flags&frame.FlagEndStream != 0 {
		h.finish(x)
		return nil
	}
	// RFC 9113 §6.9.1: padding counts too.
	if x.taken += int64(hd.Length); x.taken >= windowH2/2 {
		h.c.w.plain = frame.AppendWindowUpdate(h.c.w.plain, x.id, uint32(x.taken))
		x.taken = 0
	}
	return nil
}

func (h *clientH2) continuation(hd frame.Header, p []byte) *failure {
	if len(h.block) == 0 {
		return failed(ErrorProtocol, "CONTINUATION without HEADERS")
	}
	if h.block = append(h.block, p...); len(h.block) > maxBlock {
		return failed(ErrorProtocol, "a header block without end")
	}
	if hd.Flags&frame.FlagEndHeaders == 0 {
		return nil
	}
	f := h.headers(h.blockFor, h.block)
	h.block = h.block[:0]
	return f
}

// headers takes a whole header block: an answer's head, or its trailer.
func (h *clientH2) headers(hd frame.Header, block []byte) *failure {
	if f := h.decode(block); f != nil {
		return f
	}
	x := h.exchange(hd.StreamID)
	if x == nil {
		return nil
	}
	end := hd.Flags&frame.FlagEndStream != 0
	switch {
	case x.head != 0: // the trailer
		if !end {
			return failed(ErrorProtocol, "a trailer that does not end the stream")
		}
	case h.summary.status < 100:
		return failed(ErrorProtocol, "an answer without :status")
	case h.summary.status < 200:
		return nil // informational
	default:
		h.c.w.headed(x, h.summary.status)
		x.length = h.summary.length
	}
	if end {
		h.finish(x)
	}
	return nil
}

// decode fills summary.
func (h *clientH2) decode(block []byte) *failure {
	if len(h.lastBlock) > 0 && h.dec.Generation() == h.generation && bytes.Equal(block, h.lastBlock) {
		return nil
	}
	before := h.dec.Generation()
	fields, over, err := h.dec.Decode(h.fields[:0], block, hpack.Limits{Fields: 1000, Bytes: maxBlock})
	h.fields = fields
	if err != nil {
		return &failure{ErrorProtocol, err}
	}
	if over {
		return failed(ErrorProtocol, "more fields than are taken")
	}
	h.summary = summaryH2{0, -1}
	for i := range fields {
		switch fields[i].Name {
		case ":status":
			h.summary.status, _ = strconv.Atoi(fields[i].Value)
		case "content-length":
			n, err := strconv.ParseInt(fields[i].Value, 10, 64)
			if err != nil || n < 0 {
				return failed(ErrorProtocol, "a Content-Length that is no number")
			}
			h.summary.length = n
		case "server":
			h.c.w.named(fields[i].Value)
		}
	}
	h.lastBlock = h.lastBlock[:0]
	if h.generation = h.dec.Generation(); h.generation == before {
		h.lastBlock = append(h.lastBlock, block...)
	}
	return nil
}

func (h *clientH2) finish(x *exchange) {
	h.forget(x)
	if x.sent < len(h.c.w.plan.Body) { // an answer before the request's end
		h.c.w.plain = frame.AppendRSTStream(h.c.w.plain, x.id, frame.NoError)
	}
	if x.length >= 0 && x.length != x.got && !h.c.w.plan.contentless(x.status) {
		h.c.w.failed(h.c, x, ErrorLength, fmt.Sprintf("%d bytes of content, %d were announced", x.got, x.length))
		return
	}
	h.c.w.done(h.c, x, x.got)
}

func (h *clientH2) forget(x *exchange) { *h.slot(x.id) = noStream }

func (h *clientH2) settings(hd frame.Header, p []byte) *failure {
	if hd.Flags&frame.FlagAck != 0 {
		return nil
	}
	if !h.settled {
		h.settled, h.maxStreams = true, maxStreams // unless it says how many
	}
	for i := range frame.NumSettings(p) {
		s := frame.SettingAt(p, i)
		if e := s.Check(); e != nil {
			return &failure{ErrorProtocol, e}
		}
		switch s.ID {
		case frame.SettingMaxConcurrentStreams:
			h.maxStreams = int(min(s.Value, 1<<30))
		case frame.SettingMaxFrameSize:
			h.maxFrame = int(s.Value)
		case frame.SettingHeaderTableSize:
			h.enc.SetPeerTableSize(s.Value)
			h.requestFor, h.request = nil, h.request[:0] // the next block begins with the new size
		case frame.SettingInitialWindowSize:
			for i := range h.c.slots {
				h.c.slots[i].window += int64(s.Value) - h.window
			}
			h.window = int64(s.Value)
		default: // of no use to a client that sends so little
		}
	}
	h.c.w.plain = frame.AppendSettingsAck(h.c.w.plain)
	return h.answered()
}

// answered bounds what a peer has us say that does not read it.
func (h *clientH2) answered() *failure {
	if h.c.pending() == 0 {
		h.unread = 0
	}
	if h.unread++; h.unread > maxUnread {
		return failed(ErrorProtocol, "the server does not read the answers to its PING and SETTINGS")
	}
	return nil
}

func (h *clientH2) windowUpdate(hd frame.Header, p []byte) *failure {
	n, e := frame.ParseWindowUpdate(hd, p)
	switch {
	case e != nil && !e.Stream:
		return &failure{ErrorProtocol, e}
	case e != nil:
	case hd.StreamID == 0:
		h.connWindow += int64(n)
	default:
		if x := h.exchange(hd.StreamID); x != nil {
			x.window += int64(n)
		}
	}
	return nil
}

func (h *clientH2) reset(id uint32, code frame.ErrCode) {
	x := h.exchange(id)
	if x == nil {
		return
	}
	h.forget(x)
	kind := ErrorReset
	if code == frame.RefusedStream {
		kind = ErrorRefused
	}
	h.c.w.failed(h.c, x, kind, "the server has reset the stream: "+code.String())
}

// goAway: what the server has not taken fails, the rest is waited for.
func (h *clientH2) goAway(p []byte) {
	last, code, _ := frame.ParseGoAway(p)
	h.goaway = true
	for i := range h.c.slots {
		if x := &h.c.slots[i]; x.busy && x.id > last {
			h.forget(x)
			h.c.w.failed(h.c, x, ErrorRefused, "the server goes away: "+code.String())
		}
	}
}

// ended: see client.
func (h *clientH2) ended() *failure {
	if h.c.inFlight == 0 {
		return nil
	}
	return &failure{ErrorClosed, errors.New("the connection ended before all answers were complete")}
}

// cancel: see client.
func (h *clientH2) cancel(x *exchange) bool {
	h.forget(x)
	h.c.w.plain = frame.AppendRSTStream(h.c.w.plain, x.id, frame.Cancel)
	return true
}
