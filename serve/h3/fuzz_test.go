package h3

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/quic-go/quic-go/quicvarint"

	"github.com/penstock-edge/penstock/serve/h2/hpack"
	"github.com/penstock-edge/penstock/serve/h3/frame"
	"github.com/penstock-edge/penstock/serve/h3/qpack"
	"github.com/penstock-edge/penstock/serve/message"
)

// parsed is what a request stream's bytes say.
type parsed struct {
	status        int // that it is refused with
	method, path  string
	body, trailer string
	err           string // of its stream or connection
}

// verdict names an error as the peer is told of it.
func verdict(err error) string {
	switch e, ok := errors.AsType[*frame.Error](err); {
	case ok:
		return "connection: " + e.Code.String()
	case err == io.ErrUnexpectedEOF:
		return "connection: " + frame.FrameError.String()
	case err == io.EOF:
		return "stream: " + frame.RequestIncomplete.String()
	case err == errLength, err == errTrailer:
		return "stream: " + frame.MessageError.String()
	case err != nil:
		return err.Error()
	}
	return ""
}

// readRequest reads a request as the engine does, without a connection. early
// tells what the engine would say of its length before the handler is called.
func readRequest(cfg *Config, src source) (p parsed, early bool) {
	s := &stream{c: &conn{srv: &Server{cfg: cfg}}, in: input{str: src}, req: new(http.Request)}
	defer s.in.release()
	block, err := s.headBlock()
	switch {
	case err == errHeadSize:
		return parsed{status: http.StatusRequestHeaderFieldsTooLarge}, true
	case err != nil:
		return parsed{err: verdict(err)}, true
	}
	m, derr := s.c.decode(block)
	switch {
	case derr != nil:
		return parsed{err: verdict(derr)}, true
	case m.Fault != "":
		return parsed{err: verdict(errLength)}, true
	case m.Status != 0:
		return parsed{status: m.Status}, true
	}
	early = !s.isWhole() || s.lengthIs(m.Length)
	p.method, p.path = m.Method, m.Path
	s.body.begin(s, m)
	b := &s.body
	for buf := make([]byte, 100); ; {
		for b.frame == 0 && err == nil {
			err = b.next()
		}
		n := 0
		if err == nil {
			n, err = b.take(buf)
		}
		if n == 0 && err != nil {
			break
		}
		err = nil
		p.body += string(buf[:n])
		b.frame -= uint64(n)
		if b.left >= 0 {
			b.left -= int64(n)
		}
	}
	if err == io.EOF && b.left > 0 {
		err = errLength
	}
	if err != io.EOF {
		return parsed{err: verdict(err)}, early
	}
	p.trailer = flat(s.req.Trailer)
	return p, early
}

func flat(h http.Header) string {
	var b strings.Builder
	h.Write(&b)
	return b.String()
}

// reference is readRequest once more, from the RFC and for a request that is
// there as a whole: where a frame is, says quic-go.
type reference struct {
	in         string
	unknown    int
	unknownSum uint64
}

// frame takes the next known frame's header. Its payload begins r.in, if it is whole.
func (r *reference) frame() (kind, length uint64, err error) {
	for {
		if r.in == "" {
			return 0, 0, io.EOF
		}
		kind, n, err := quicvarint.Parse([]byte(r.in))
		if err != nil {
			return 0, 0, io.ErrUnexpectedEOF
		}
		length, m, err := quicvarint.Parse([]byte(r.in[n:]))
		if err != nil {
			return 0, 0, io.ErrUnexpectedEOF
		}
		r.in = r.in[n+m:]
		switch kind {
		case kindData, kindHeaders:
			if kind == kindHeaders || length > 0 {
				r.unknown, r.unknownSum = 0, 0
			}
			return kind, length, nil
		case 2, 3, 4, 5, 6, 7, 8, 9, 13, kindPriorityUpdate, kindPriorityPush:
			return 0, 0, &frame.Error{Code: frame.FrameUnexpected}
		}
		r.unknown++
		r.unknownSum += length
		if r.unknown > 32 || r.unknownSum > 64<<10 {
			return 0, 0, &frame.Error{Code: frame.ExcessiveLoad}
		}
		if _, err := r.payload(length); err != nil {
			return 0, 0, err
		}
	}
}

func (r *reference) payload(n uint64) (string, error) {
	if n > uint64(len(r.in)) {
		return "", io.ErrUnexpectedEOF
	}
	p := r.in[:n]
	r.in = r.in[n:]
	return p, nil
}

// request reads it all.
func (r *reference) request(cfg *Config) (p parsed) {
	kind, length, err := r.frame()
	switch {
	case err != nil:
		return parsed{err: verdict(err)}
	case kind != kindHeaders:
		return parsed{err: verdict(&frame.Error{Code: frame.FrameUnexpected})}
	case length > uint64(cfg.FieldBytes):
		return parsed{status: 431}
	}
	block, err := r.payload(length)
	if err != nil {
		return parsed{err: verdict(err)}
	}
	fields, over, err := qpack.Decode(nil, []byte(block), hpack.Limits{Fields: cfg.Fields, Bytes: cfg.FieldBytes, HardFields: hardFields})
	if err != nil {
		return parsed{err: verdict(decodeError(err))}
	}
	var m message.Head
	switch m.Read(fields, over, message.Rules{TargetBytes: cfg.TargetBytes, MethodBytes: 32}); {
	case m.Fault != "":
		return parsed{err: verdict(errLength)}
	case m.Status != 0:
		return parsed{status: m.Status}
	}
	p.method, p.path = m.Method, m.Path
	if err := r.content(&p, m.Length); err != nil {
		return parsed{err: verdict(err)}
	}
	return p
}

// content reads what is behind the head.
func (r *reference) content(p *parsed, declared int64) error {
	for {
		kind, length, err := r.frame()
		switch {
		case err == io.EOF && declared >= 0 && int64(len(p.body)) != declared:
			return errLength
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case kind == kindHeaders:
			return r.trailers(p, length, declared)
		case declared >= 0 && length > uint64(declared)-uint64(len(p.body)):
			return errLength
		}
		piece, err := r.payload(length)
		if err != nil {
			return err
		}
		p.body += piece
	}
}

func (r *reference) trailers(p *parsed, length uint64, declared int64) error {
	if length > 8<<10 {
		return errTrailer
	}
	block, err := r.payload(length)
	if err != nil {
		return err
	}
	fields, over, err := qpack.Decode(nil, []byte(block), hpack.Limits{Fields: 32, Bytes: 8 << 10, HardFields: hardFields})
	if err != nil {
		return decodeError(err)
	}
	trailer, ok := message.TrailerOf(fields)
	if over || !ok {
		return errTrailer
	}
	p.trailer = flat(trailer)
	switch _, _, err := r.frame(); {
	case err == nil:
		return &frame.Error{Code: frame.FrameUnexpected}
	case err != io.EOF:
		return err
	case declared >= 0 && int64(len(p.body)) != declared:
		return errLength
	}
	return nil
}

// requestScripts are request streams of all sorts.
func requestScripts() (all []string) {
	for _, head := range []string{
		headers(get("/")...), headers(post("/a?b", "content-length", "3", "trailer", "x-t")...), headers(post("/")...),
		headers(pseudo("TRACE", "/")...), headers(get("/", "connection", "close")...), headers(), fr(kindHeaders, "\x02\x00"),
		headers(append(pseudo("CONNECT", "/"), ":protocol", "websocket")...), varint(kindHeaders) + varint(1<<20),
	} {
		for _, rest := range []string{
			"", data("abc"), data("ab"), data("ab") + data("") + data("c") + headers("x-t", "1"), data("abcd"), data("abc") + settings(),
			fr(kindGrease, "abc") + data("abc") + fr(kindGrease, "") + headers("x-t", "1") + fr(kindGrease, "d"), headers("x-t", "1") + data(""),
			headers("X", "1"), data("abc") + fr(0x6, ""), fr(kindHeaders, "\x01"), strings.Repeat(fr(kindGrease, ""), 33), varint(kindGrease) + varint(1<<61),
		} {
			all = append(all, head+rest)
		}
	}
	return append(all, "", "\x40", data("abc"), fr(kindGrease, ""), settings()+headers(get("/")...))
}

// checkRequest: however in is cut, what it says is what the reference reads.
func checkRequest(t *testing.T, in string, sizes ...int) {
	t.Helper()
	cfg := Complete(Config{Handler: http.NotFoundHandler()})
	want := (&reference{in: in}).request(cfg)
	for _, size := range sizes {
		got, early := readRequest(cfg, &pieces{left: in, size: size})
		if got != want {
			t.Fatalf("%q cut at %d:\n got %+v\nwant %+v", in, size, got, want)
		}
		if !early && want.err == "" {
			t.Fatalf("%q cut at %d: its length is right: %+v", in, size, want)
		}
	}
}

// TestRFC9114Section4Cut: cut at every byte, a request is the same.
func TestRFC9114Section4Cut(t *testing.T) {
	t.Parallel()
	for _, in := range requestScripts() {
		for n := range len(in) + 1 {
			checkRequest(t, in, n, len(in))
			checkRequest(t, in[:n], 1, n)
		}
	}
}

// FuzzRequestStream: of any bytes on a request stream, the engine and the
// reference say the same, however they are cut.
func FuzzRequestStream(f *testing.F) {
	for i, in := range requestScripts() {
		f.Add([]byte(in), i)
	}
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		checkRequest(t, string(in), 1, max(2, cut), len(in))
	})
}

// controlReference is what a control stream's bytes end with.
func controlReference(in string) (code frame.Code) {
	var goAway, maxPush uint64
	going, first, frames := false, true, 0
	for {
		kind, n, err := quicvarint.Parse([]byte(in))
		if err != nil {
			return frame.ClosedCriticalStream
		}
		length, m, err := quicvarint.Parse([]byte(in[n:]))
		if err != nil {
			return frame.ClosedCriticalStream
		}
		in = in[n+m:]
		known := kind == kindSettings || kind == kindGoAway || kind == kindMaxPushID || kind == kindCancelPush ||
			kind == kindPriorityUpdate || kind == kindPriorityPush
		switch {
		case first && kind != kindSettings:
			return frame.MissingSettings
		case !first && kind == kindSettings, kind <= 2, kind == 5, kind == 6, kind == 8, kind == 9:
			return frame.FrameUnexpected
		case known && length > 1<<10:
			return frame.ExcessiveLoad
		case length > uint64(len(in)):
			return frame.ClosedCriticalStream
		}
		payload := in[:length]
		in, first = in[length:], false
		if !known {
			continue
		}
		if frames++; frames > 1000 {
			return frame.ExcessiveLoad
		}
		if kind == kindSettings {
			if _, err := frame.ParseSettings([]byte(payload)); err != nil { // which has a test of its own
				e, _ := errors.AsType[*frame.Error](err)
				return e.Code
			}
			continue
		}
		id, n, err := quicvarint.Parse([]byte(payload))
		priority := kind == kindPriorityUpdate || kind == kindPriorityPush
		switch {
		case err != nil, !priority && n != len(payload):
			return frame.FrameError
		case kind == kindPriorityPush, kind == kindCancelPush, priority && id%4 != 0,
			kind == kindGoAway && going && id > goAway, kind == kindMaxPushID && id < maxPush:
			return frame.IDError
		case kind == kindGoAway:
			going, goAway = true, id
		case kind == kindMaxPushID:
			maxPush = id
		}
	}
}

// FuzzControlStream: of any bytes on a control stream, the engine and the
// reference say the same, however they are cut.
func FuzzControlStream(f *testing.F) {
	for i, s := range controlScripts() {
		f.Add([]byte(s.in), i)
	}
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		want := controlReference(string(in))
		for _, size := range []int{1, max(2, cut), len(in)} {
			e, _ := errors.AsType[*frame.Error](readControl(&pieces{left: string(in), size: size}))
			if e == nil || e.Code != want {
				t.Fatalf("%q cut at %d: got %v, want %v", in, size, e, want)
			}
		}
	})
}
