package h2

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	xhttp2 "golang.org/x/net/http2"
	xhpack "golang.org/x/net/http2/hpack"
)

// said is what a server said on a stream, however it was cut into frames.
type said struct {
	Status  string
	Fields  []string // sorted; without date
	Trailer []string
	Body    string
	End     bool
	Reset   string // code of RST_STREAM
}

// outcome is what a server said on a connection, WINDOW_UPDATE aside.
type outcome struct {
	Streams map[uint32]*said
	GoAway  []string
	Pongs   int
	Acks    int
	ended   int // streams
}

// hearing reads a server's frames as they come.
type hearing struct {
	outcome
	fr    *xhttp2.Framer
	dec   *xhpack.Decoder
	block []byte
	id    uint32
	ends  bool
}

func newHearing(r io.Reader) *hearing {
	h := &hearing{fr: xhttp2.NewFramer(io.Discard, r), dec: xhpack.NewDecoder(4096, nil)}
	h.Streams = make(map[uint32]*said)
	return h
}

func (h *hearing) stream(id uint32) *said {
	if h.Streams[id] == nil {
		h.Streams[id] = new(said)
	}
	return h.Streams[id]
}

// next takes a frame.
func (h *hearing) next() error {
	f, err := h.fr.ReadFrame()
	if err != nil {
		return err
	}
	switch f := f.(type) {
	case *xhttp2.HeadersFrame:
		h.id, h.ends = f.StreamID, f.StreamEnded()
		h.block = append(h.block[:0], f.HeaderBlockFragment()...)
		if f.HeadersEnded() {
			return h.fields()
		}
	case *xhttp2.ContinuationFrame:
		h.block = append(h.block, f.HeaderBlockFragment()...)
		if f.HeadersEnded() {
			return h.fields()
		}
	case *xhttp2.DataFrame:
		s := h.stream(f.StreamID)
		s.Body += string(f.Data())
		if f.StreamEnded() {
			h.end(s)
		}
	case *xhttp2.RSTStreamFrame:
		s := h.stream(f.StreamID)
		// A request whose answer is whole and whose content is not wanted.
		if !s.End || f.ErrCode != xhttp2.ErrCodeNo {
			s.Reset += f.ErrCode.String() + " "
		}
		h.ended++
	case *xhttp2.GoAwayFrame:
		h.GoAway = append(h.GoAway, fmt.Sprint(f.LastStreamID, f.ErrCode))
	case *xhttp2.PingFrame:
		if f.IsAck() {
			h.Pongs++
		}
	case *xhttp2.SettingsFrame:
		if f.IsAck() {
			h.Acks++
		}
	}
	return nil
}

func (h *hearing) end(s *said) {
	s.End = true
	h.ended++
}

func (h *hearing) fields() error {
	fields, err := h.dec.DecodeFull(h.block)
	if err != nil {
		return fmt.Errorf("stream %d: %w", h.id, err)
	}
	s := h.stream(h.id)
	status := ""
	var list []string
	for _, f := range fields {
		switch {
		case f.Name == ":status":
			status = f.Value
		case f.Name != "date":
			list = append(list, f.Name+": "+f.Value)
		}
	}
	slices.Sort(list)
	switch {
	case strings.HasPrefix(status, "1"):
		return nil // whether 100 is asked for depends on what has come
	case status != "":
		s.Status, s.Fields = status, list
	default:
		s.Trailer = list
	}
	if h.ends {
		h.end(s)
	}
	return nil
}

// hearAll takes all that is in b.
func hearAll(t *testing.T, b []byte) *outcome {
	t.Helper()
	h := newHearing(bytes.NewReader(b))
	for {
		if err := h.next(); err == io.EOF {
			return &h.outcome
		} else if err != nil {
			t.Fatalf("what the engine said: %v", err)
		}
	}
}

func (o *outcome) String() string {
	s := fmt.Sprintf("GOAWAY %v, %d PING, %d SETTINGS answered", o.GoAway, o.Pongs, o.Acks)
	for _, id := range slices.Sorted(maps.Keys(o.Streams)) {
		s += fmt.Sprintf("\n%d: %+v", id, *o.Streams[id])
	}
	return s
}

// prefaceBytes is what a client says first.
func prefaceBytes() []byte {
	b := bytes.NewBufferString(xhttp2.ClientPreface)
	fr := xhttp2.NewFramer(b, nil)
	fr.WriteSettings()
	fr.WriteSettingsAck()
	return b.Bytes()
}

// calm waits until nothing moves any more.
func calm(h *memHost) {
	synctest.Wait()
	for h.overtake() {
		synctest.Wait()
	}
}

// ours is what the engine makes of data behind a preface, cut into pieces of n
// bytes: each is taken before the next comes.
func ours(t *testing.T, fm form, handler http.HandlerFunc, data []byte, n int) (o *outcome) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg, log := testConfig(handler)
		cfg.Server = &http.Server{DisableGeneralOptionsHandler: true}
		c := dialConfig(t, fm, Complete(cfg), log)
		c.panics = true
		c.h.give(prefaceBytes())
		calm(c.h)
		for left := data; len(left) > 0; left = left[min(n, len(left)):] {
			c.h.give(bytes.Clone(left[:min(n, len(left))]))
			calm(c.h)
			c.checkBounds("a piece")
			c.checkBooks()
		}
		c.h.mu.Lock()
		out, fin, done := bytes.Clone(c.h.out), c.h.fin, c.h.done
		c.h.mu.Unlock()
		o = hearAll(t, out)
		if ended := len(o.GoAway) > 0; fin != ended && !done {
			t.Errorf("FIN %v, GOAWAY %v: want both or none", fin, o.GoAway)
		}
		// The peer is silent: every wait ends.
		time.Sleep(2 * defaultIdleTimeout)
		calm(c.h)
		c.look(func(e *Conn) {
			if e.phase < phaseLinger && e.open == 0 {
				t.Errorf("open without a stream after %v", 2*defaultIdleTimeout)
			}
		})
		if len(o.GoAway) > 0 {
			c.h.mu.Lock()
			if !c.h.closed {
				t.Errorf("not closed behind GOAWAY %v", o.GoAway)
			}
			c.h.mu.Unlock()
		}
	})
	return o
}

// weight is about what was said in bytes.
func (o *outcome) weight() int {
	n := 30*len(o.GoAway) + 17*o.Pongs + 9*o.Acks
	for _, s := range o.Streams {
		n += len(fmt.Sprint(*s))
	}
	return n
}

// clean tells that no stream and not the connection was ended before its time.
func (o *outcome) clean() bool {
	for _, s := range o.Streams {
		if s.Reset != "" {
			return false
		}
	}
	return len(o.GoAway) == 0
}

// frames writes frames one behind the other, as a seed.
func frames(write ...func(fr *xhttp2.Framer)) []byte {
	var b bytes.Buffer
	fr := xhttp2.NewFramer(&b, nil)
	fr.AllowIllegalWrites = true
	for _, w := range write {
		w(fr)
	}
	return b.Bytes()
}

// The shortest requests: indexed fields, and an authority of one letter.
const (
	getBlock  = "\x82\x87\x84\x01\x01a"
	postBlock = "\x83\x87\x84\x01\x01a"
)

func seedHeaders(id uint32, f xhttp2.Flags, block string) func(*xhttp2.Framer) {
	return func(fr *xhttp2.Framer) { fr.WriteRawFrame(xhttp2.FrameHeaders, f, id, []byte(block)) }
}

func seedRaw(typ xhttp2.FrameType, f xhttp2.Flags, id uint32, p string) func(*xhttp2.Framer) {
	return func(fr *xhttp2.Framer) { fr.WriteRawFrame(typ, f, id, []byte(p)) }
}

// FuzzConn: whatever comes behind a preface, nothing panics, no bound is
// passed, the connection ends or stays of use, and how the bytes are cut makes
// no difference.
func FuzzConn(f *testing.F) {
	for _, seed := range [][]byte{
		frames(seedHeaders(1, final, getBlock), seedHeaders(3, final, getBlock)),
		frames(seedHeaders(1, more, postBlock), seedRaw(xhttp2.FrameData, 1, 1, "abc")),
		frames(seedHeaders(1, more, postBlock), seedRaw(xhttp2.FrameData, 8, 1, "\x02ab\x00\x00"), seedHeaders(1, final, "\x00\x01x\x01y")),
		frames(seedHeaders(1, 1, getBlock[:3]), seedRaw(xhttp2.FrameContinuation, 4, 1, getBlock[3:])),
		frames(seedHeaders(1, final, getBlock), seedRaw(xhttp2.FrameRSTStream, 0, 1, "\x00\x00\x00\x08")),
		frames(seedRaw(xhttp2.FrameSettings, 0, 0, "\x00\x04\x00\x00\x00\x02"), seedHeaders(1, final, getBlock), seedRaw(xhttp2.FrameWindowUpdate, 0, 1, "\x00\x00\x00\x04")),
		frames(seedRaw(xhttp2.FramePing, 0, 0, "12345678"), seedRaw(xhttp2.FramePriority, 0, 5, "\x00\x00\x00\x01\x10"), seedRaw(0x10, 0, 0, "\x00\x00\x00\x01u=2,i")),
		frames(seedHeaders(1, final|0x28, "\x01\x00\x00\x00\x00\x05"+getBlock+"\x00"), seedRaw(xhttp2.FrameGoAway, 0, 0, "\x00\x00\x00\x00\x00\x00\x00\x00")),
		frames(seedHeaders(1, more, postBlock+"\x0f\x0d\x013"), seedRaw(xhttp2.FrameData, 0, 1, "ab"), seedRaw(xhttp2.FrameData, 1, 1, "c")),
		frames(seedHeaders(1, more, postBlock), seedHeaders(3, final, getBlock), seedRaw(xhttp2.FrameWindowUpdate, 0, 1, "\x00\x00\x00\x00"), seedRaw(0xbe, 7, 9, "?")),
		frames(seedHeaders(5, final, "\x82\x87\x84\x41\x01a\x40\x01x\x01y"), seedHeaders(7, final, "\x82\x87\x84\xbf\xbe")),
	} {
		f.Add(seed, uint8(5))
	}
	f.Fuzz(func(t *testing.T, data []byte, cut uint8) {
		if len(data) <= 2048 {
			checkCuts(t, data, 1+int(cut))
		}
	})
}

// FuzzFrames is FuzzConn over whole frames, most of them legal by themselves.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x01\x00\x01"), uint8(3))
	f.Add([]byte("\x01\x00\x01\x02\x00\x01\x00\x01\x00\x02"), uint8(20))
	f.Add([]byte("\x00\x00\x03\x04\x00\x01\x00\x00\x05\x01\x06"), uint8(1))
	f.Fuzz(func(t *testing.T, choices []byte, cut uint8) {
		if len(choices) <= 128 {
			checkCuts(t, anyFrames(&dice{choices}), 1+int(cut))
		}
	})
}

// anyFrames makes frames of fuzz data.
func anyFrames(d *dice) []byte {
	var write []func(*xhttp2.Framer)
	for len(d.b) > 0 && len(write) < 40 {
		id := uint32([]int{1, 3, 5, 7, 1, 3, 0, 2}[d.roll(8)])
		end := xhttp2.Flags(d.roll(2))
		switch d.roll(12) {
		case 0:
			write = append(write, seedHeaders(id, 4|end, getBlock))
		case 1:
			write = append(write, seedHeaders(id, 4|end, postBlock))
		case 2, 3:
			write = append(write, seedRaw(xhttp2.FrameData, end, id, d.pick("abc", "", strings.Repeat("d", 300))))
		case 4:
			write = append(write, seedRaw(xhttp2.FrameData, end|8, id, d.pick("\x01a\x00", "\x00", "\x05ab")))
		case 5:
			write = append(write, seedHeaders(id, end, getBlock[:3]), seedRaw(xhttp2.FrameContinuation, xhttp2.Flags(4*d.roll(2)), id, getBlock[3:]))
		case 6:
			write = append(write, seedRaw(xhttp2.FrameRSTStream, 0, id, "\x00\x00\x00\x08"))
		case 7:
			write = append(write, seedRaw(xhttp2.FrameWindowUpdate, 0, id, d.pick("\x00\x00\x00\x07", "\x00\x00\x00\x00", "\x7f\xff\xff\xff")))
		case 8:
			write = append(write, seedRaw(xhttp2.FrameSettings, end, 0, d.pick("\x00\x04\x00\x00\x00\x03", "\x00\x01\x00\x00\x00\x00", "", "\x00\x04\x00\x00\xff\xff")))
		case 9:
			write = append(write, seedHeaders(id, 4|end, d.pick("\x00\x01x\x01y", postBlock+"\x0f\x0d\x013", "\x40\x01z\x01y", getBlock+"\xbe")))
		case 10:
			write = append(write, seedRaw(xhttp2.FramePing, end, 0, "12345678"), seedRaw(0x10, 0, 0, d.pick("\x00\x00\x00\x01u=1", "\x00\x00\x00\x03i")))
		case 11:
			write = append(write, seedRaw(xhttp2.FrameType(d.roll(256)), xhttp2.Flags(d.roll(256)), id, d.pick("", "1234", "12345", "12345678")))
		}
	}
	return frames(write...)
}

// checkCuts serves data whole and in pieces.
func checkCuts(t *testing.T, data []byte, cut int) {
	t.Helper()
	whole := ours(t, forms[0], echo, data, len(data)+1)
	if n, limit := whole.weight(), 1000+20*len(data); n > limit {
		t.Errorf("%d bytes came back for %d, want at most %d", n, len(data), limit)
	}
	ours(t, forms[1], echo, data, cut)
	if len(data) <= 1024 {
		if bytewise := ours(t, forms[0], echo, data, 1); !reflect.DeepEqual(bytewise, whole) {
			t.Errorf("byte by byte:\n%v\nin one piece:\n%v", bytewise, whole)
		}
	}
	// A handler that waits for its body runs beside the frames behind it, so
	// which of the two comes first may depend on the pieces, but only if one of
	// them ends the stream.
	if pieces := ours(t, forms[0], echo, data, cut); whole.clean() && !reflect.DeepEqual(pieces, whole) {
		t.Errorf("in pieces of %d:\n%v\nin one piece:\n%v", cut, pieces, whole)
	}
}

// pipeListener gives one connection to net/http's server.
type pipeListener struct{ conns chan net.Conn }

func (l *pipeListener) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}
func (l *pipeListener) Close() error   { return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// oracle is what net/http's server makes of data, which opens n streams and
// ends them all.
func oracle(t *testing.T, handler http.HandlerFunc, data []byte, n int) *outcome {
	t.Helper()
	srv := &http.Server{
		Handler: handler, ErrorLog: log.New(io.Discard, "", 0), Protocols: new(http.Protocols),
		DisableGeneralOptionsHandler: true,
	}
	srv.Protocols.SetUnencryptedHTTP2(true)
	l := &pipeListener{make(chan net.Conn, 1)}
	client, server := net.Pipe()
	l.conns <- server
	var wg sync.WaitGroup
	wg.Go(func() { srv.Serve(l) })
	wg.Go(func() { client.Write(append(prefaceBytes(), data...)) })
	h := newHearing(client)
	for h.ended < n {
		if err := h.next(); err != nil {
			t.Fatalf("net/http: %v, after %v", err, &h.outcome)
		}
	}
	client.Close()
	close(l.conns)
	srv.Close()
	wg.Wait()
	return &h.outcome
}

// compare compares the streams of two outcomes.
func compare(t *testing.T, got, want *outcome) {
	t.Helper()
	for id, w := range want.Streams {
		g := got.Streams[id]
		if g == nil {
			t.Errorf("stream %d: nothing; net/http: %+v", id, *w)
			continue
		}
		// RFC 9113 §8.2.1: no white space at the ends; net/http sends what it got.
		for i, f := range w.Fields {
			name, value, _ := strings.Cut(f, ": ")
			w.Fields[i] = name + ": " + strings.Trim(value, " \t")
		}
		slices.Sort(w.Fields)
		// A field that was announced as a trailer is none of the head; net/http
		// sends it in both.
		announced := ""
		for _, f := range w.Fields {
			if names, ok := strings.CutPrefix(f, "trailer: "); ok {
				announced += strings.ToLower(names) + ", "
			}
		}
		w.Fields = slices.DeleteFunc(w.Fields, func(f string) bool {
			name, _, _ := strings.Cut(f, ":")
			// RFC 9110 §15.4.5: in 304 the type would describe content that is not sent.
			return strings.Contains(announced, name+", ") || w.Status == "304" && name == "content-type"
		})
		// An answer that has no content ends with its head, unless a trailer section
		// is known by then.
		if (w.Status == "204" || w.Status == "304") && len(g.Trailer) == 0 {
			w.Trailer = nil
		}
		// net/http keeps 4 KiB back to tell their length, we 8 KiB.
		isLength := func(f string) bool { return strings.HasPrefix(f, "content-length: ") }
		isTrailer := func(f string) bool { return strings.HasPrefix(f, "trailer: ") }
		if !slices.ContainsFunc(w.Fields, isLength) {
			g.Fields = slices.DeleteFunc(g.Fields, func(f string) bool { return isLength(f) && len(f) >= len("content-length: 4096") })
		}
		// With a trailer section to come, or one that would in answer to GET, we
		// leave it out.
		isHead := w.Body == "" && !slices.Contains(w.Fields, "content-length: 0")
		if (len(w.Trailer) > 0 || isHead || slices.ContainsFunc(w.Fields, isTrailer)) && !slices.ContainsFunc(g.Fields, isLength) {
			w.Fields = slices.DeleteFunc(w.Fields, isLength)
		}
		if fmt.Sprintf("%+v", *g) != fmt.Sprintf("%+v", *w) {
			t.Errorf("stream %d:\ngot      %+.2000v\nnet/http %+.2000v", id, *g, *w)
		}
	}
	if len(got.Streams) != len(want.Streams) || len(got.GoAway) > 0 {
		t.Errorf("%d streams, GOAWAY %v; want %d", len(got.Streams), got.GoAway, len(want.Streams))
	}
}

// dice are choices made by fuzz data; zeros when it is used up.
type dice struct{ b []byte }

func (d *dice) roll(n int) int {
	if len(d.b) == 0 {
		return 0
	}
	v := int(d.b[0])
	d.b = d.b[1:]
	return v % n
}

func (d *dice) pick(list ...string) string { return list[d.roll(len(list))] }

// witness answers with all it knows of its request.
func witness(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if r.URL.Path == "/trailer" {
		w.Header().Set("Trailer", "X-Sum")
	}
	w.Header().Set("X-Method", r.Method)
	if r.URL.Query().Has("status") {
		w.WriteHeader(404)
	}
	fmt.Fprintln(w, r.Method, r.RequestURI, r.Host, r.Proto, r.ContentLength, err, r.TransferEncoding)
	fmt.Fprintf(w, "%#v\n%q\n%q\n", *r.URL, r.Header, r.Trailer)
	w.Write(body)
	w.Header().Set("X-Sum", fmt.Sprint(len(body)))
}

// requests makes legal requests of fuzz data.
func requests(d *dice) (data []byte, n int) {
	var b, block bytes.Buffer
	fr := xhttp2.NewFramer(&b, nil)
	enc := xhpack.NewEncoder(&block)
	for n < 20 && (n == 0 || len(d.b) > 0) {
		id := uint32(2*n + 1)
		n++
		block.Reset()
		field := func(name, value string) {
			enc.WriteField(xhpack.HeaderField{Name: name, Value: value, Sensitive: d.roll(8) == 1})
		}
		method := d.pick("GET", "POST", "HEAD", "PUT", "OPTIONS", "DELETE", "PATCH", "QUERY")
		path := d.pick("/", "/a/b?c=d&e", "/trailer", "/%41%20?status", "//x/../y", "/a;b=c", "/?", "/"+strings.Repeat("p", 300))
		if method == "OPTIONS" && d.roll(2) == 1 {
			path = "*"
		}
		field(":method", method)
		field(":scheme", d.pick("https", "http"))
		field(":path", path)
		field(":authority", d.pick("a", "example.com", "example.com:8443", "127.0.0.1", "[::1]:443"))
		var content []string
		size := 0
		for range d.roll(4) {
			p := strings.Repeat(d.pick("x", "yz", "\x00\xff"), d.roll(200))
			content = append(content, p)
			size += len(p)
		}
		trailers, te := d.roll(6) == 1, false
		for range d.roll(6) {
			switch d.roll(9) {
			case 0:
				field("x-"+d.pick("a", "b", "c"), d.pick("", "1", "two words", "\xe4\xf6", strings.Repeat("long", 50)))
			case 1:
				field("cookie", d.pick("a=1", "b=2; c=3"))
			case 2:
				field("accept", "*/*")
			case 3:
				if !te {
					field("te", "trailers")
				}
				te = true
			case 4:
				field("user-agent", "fuzz")
			case 5:
				field("priority", d.pick("u=1", "i", "u=7, i"))
			case 6:
				if len(content) > 0 {
					field("expect", "100-continue")
				}
			case 7:
				field("referer", "https://a/"+d.pick("", "b"))
			case 8:
				field("accept-language", d.pick("de", "en, de;q=0.5"))
			}
		}
		if d.roll(2) == 1 && (len(content) > 0 || method != "GET") {
			field("content-length", fmt.Sprint(size))
		}
		if trailers { // net/http gives those that were announced, we give all
			field("trailer", d.pick("x-late, x-other", "X-Other,X-Late"))
		}
		none := len(content) == 0 && !trailers
		head := bytes.Clone(block.Bytes())
		cutAt := len(head)
		if d.roll(4) == 1 {
			cutAt = d.roll(len(head))
		}
		p := xhttp2.HeadersFrameParam{
			StreamID: id, BlockFragment: head[:cutAt], EndStream: none, EndHeaders: cutAt == len(head), PadLength: uint8(d.roll(3)),
		}
		if d.roll(4) == 1 {
			p.Priority = xhttp2.PriorityParam{StreamDep: id + 2, Weight: 3, Exclusive: true}
		}
		fr.WriteHeaders(p)
		if cutAt < len(head) {
			fr.WriteContinuation(id, true, head[cutAt:])
		}
		for i, p := range content {
			last := i == len(content)-1 && !trailers
			if pad := d.roll(3); pad > 0 {
				fr.WriteDataPadded(id, last, []byte(p), make([]byte, pad))
			} else if p != "" || last {
				fr.WriteData(id, last, []byte(p))
			}
		}
		if trailers {
			block.Reset()
			field("x-late", d.pick("1", "2"))
			if d.roll(2) == 1 {
				field("x-other", "o")
			}
			fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
		}
		switch d.roll(6) {
		case 1:
			fr.WritePing(false, [8]byte{1})
		case 2:
			fr.WriteRawFrame(0xbe, 3, id, []byte("unknown"))
		case 3:
			fr.WritePriority(id+100, xhttp2.PriorityParam{StreamDep: 1})
		case 4:
			fr.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingHeaderTableSize, Val: uint32(d.roll(200))})
		}
	}
	return b.Bytes(), n
}

// FuzzRequests: legal requests are seen and answered as with net/http's server.
func FuzzRequests(f *testing.F) {
	f.Add([]byte(""), uint8(0))
	f.Add([]byte("\x01\x01\x01\x01\x02\x01\x20\x00\x30\x00\x03\x00\x01\x02\x01\x00\x00\x01"), uint8(9))
	f.Add([]byte("\x02\x02\x00\x01\x00\x00\x05\x01\x01\x01\x06\x05\x02\x03\x00\x01\x01\x03\x01\x02\x01"), uint8(40))
	f.Add([]byte("\x04\x01\x01\x03\x03\x02\x77\x01\x10\x01\x01\x02\x02\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01"), uint8(3))
	f.Fuzz(func(t *testing.T, choices []byte, cut uint8) {
		if len(choices) > 256 {
			return
		}
		data, n := requests(&dice{choices})
		want := oracle(t, witness, data, n)
		compare(t, ours(t, forms[0], witness, data, len(data)), want)
		compare(t, ours(t, forms[1], witness, data, 1+int(cut)), want)
	})
}

// handlerOf makes a handler of fuzz data.
func handlerOf(choices []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		d := &dice{choices}
		h := w.Header()
		for n := 0; len(d.b) > 0 && n < 40; n++ {
			switch d.roll(12) {
			case 0, 1:
				io.WriteString(w, strings.Repeat(d.pick("x", "<p>", "\x00"), d.roll(100)))
			case 2:
				w.Write(bytes.Repeat([]byte("0123456789abcdef"), d.roll(256)*d.roll(4)))
			case 3:
				w.(http.Flusher).Flush()
			case 4:
				code := []int{200, 201, 204, 304, 404, 500, 103, 299}[d.roll(8)]
				w.WriteHeader(code)
			case 5:
				h.Set(d.pick("X-A", "x-b", "Content-Type", "Content-Encoding", "Date", "Server", "Etag", "Cache-Control"), d.pick("v", "", " sp ", "a\tb", "text/x"))
			case 6:
				h.Add(d.pick("X-A", "Set-Cookie", "Vary"), d.pick("1", "2", "3"))
			case 7:
				h.Del(d.pick("X-A", "Content-Type", "Date"))
			case 8:
				h.Set("Trailer", d.pick("X-T", "X-T, X-U", "X-U"))
			case 9:
				h.Set(d.pick("X-T", "X-U"), d.pick("t", "u"))
			case 10:
				h.Set(http.TrailerPrefix+d.pick("X-P", "X-Q"), "late")
			case 11:
				h[d.pick("Content-Type", "Date", "X-A")] = nil
			}
		}
	}
}

// FuzzHandler: what a handler does gives the answer that net/http's server gives.
func FuzzHandler(f *testing.F) {
	for _, s := range []string{
		"", "\x00\x00\x05\x03\x00\x01\x07", "\x04\x02", "\x04\x03\x05\x02\x00\x00\x00\x05", "\x02\xff\x03\x02\xff\x03", "\x03\x00\x00\x05",
		"\x08\x00\x00\x00\x05\x09\x00\x00", "\x0a\x00\x00\x00\x05\x03\x0a\x01", "\x05\x02\x04\x00\x01\x09", "\x04\x06\x00\x02\x09\x04\x04",
		"\x0b\x00\x00\x01\x05\x0b\x01",
	} {
		for m := range uint8(3) {
			f.Add([]byte(s), m)
		}
	}
	f.Fuzz(func(t *testing.T, choices []byte, method uint8) {
		if len(choices) > 128 {
			return
		}
		block := []string{getBlock, postBlock, "\x02\x04HEAD" + getBlock[1:]}[method%3]
		data := frames(seedRaw(xhttp2.FrameSettings, 0, 0, "\x00\x04\x00\x10\x00\x00"), seedRaw(xhttp2.FrameWindowUpdate, 0, 0, "\x00\x10\x00\x00"),
			seedHeaders(1, final, block), seedHeaders(3, final, block))
		handler := handlerOf(choices)
		want := oracle(t, handler, data, 2)
		for _, fm := range forms {
			got := ours(t, fm, handler, data, len(data))
			compare(t, got, want)
		}
	})
}
