package serve_test

import (
	"bufio"
	"bytes"
	"context"
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

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"
)

// The types of frames and streams that an h3Peer knows (RFC 9114 §7.2, §6.2).
const (
	h3Data     = 0x0
	h3Headers  = 0x1
	h3Settings = 0x4
	h3GoAway   = 0x7

	h3Control = 0x0
)

// h3Peer is an HTTP/3 client that writes its own frames, with codecs that are
// not ours. Each stream has a goroutine that reads and files what comes.
type h3Peer struct {
	net.Conn // nil: Close alone is of use
	t        *testing.T
	q        *quic.Conn
	readers  sync.WaitGroup

	// mu guards the following, and what the streams have filed.
	mu      sync.Mutex
	changed sync.Cond
	goaways []uint64
	settled bool // the server's SETTINGS have come
	mute    bool // reads nothing: takes no more than the first windows
}

// h3Stream is one exchange as its client sees it.
type h3Stream struct {
	p   *h3Peer
	str *quic.Stream

	interim []http.Header // with :status
	status  string
	header  http.Header
	body    bytes.Buffer
	trailer http.Header
	over    bool  // nothing more comes
	err     error // why, unless it ended well
}

// dialH3 connects, and sends SETTINGS. At patience's end the connection is
// closed, so nothing waits for longer.
func dialH3(t *testing.T, addr string) *h3Peer {
	t.Helper()
	q, err := quicDial(t, addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &h3Peer{t: t, q: q}
	p.changed.L = &p.mu
	late := time.AfterFunc(patience, func() { p.Close() })
	t.Cleanup(func() {
		late.Stop()
		p.Close()
		p.readers.Wait()
	})
	control, err := q.OpenUniStream()
	if err != nil {
		t.Fatal(err)
	}
	control.Write([]byte{h3Control, h3Settings, 0})
	p.readers.Go(p.acceptUni)
	p.await("the server's SETTINGS", func() bool { return p.settled })
	return p
}

// Close ends the connection at once.
func (p *h3Peer) Close() error {
	return p.q.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
}

// beMute reads nothing of the answers to come.
func (p *h3Peer) beMute() {
	p.mu.Lock()
	p.mute = true
	p.mu.Unlock()
}

// await waits until ok holds under the lock, or the connection has ended.
func (p *h3Peer) await(why string, ok func() bool) {
	p.t.Helper()
	stop := context.AfterFunc(p.q.Context(), func() { p.file(func() {}) })
	defer stop()
	p.mu.Lock()
	defer p.mu.Unlock()
	for !ok() && p.q.Context().Err() == nil {
		p.changed.Wait()
	}
	if !ok() {
		p.t.Fatalf("%s: the connection ended: %v", why, context.Cause(p.q.Context()))
	}
}

// file changes what the peer knows, and tells who waits for it.
func (p *h3Peer) file(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
	p.changed.Broadcast()
}

func (p *h3Peer) acceptUni() {
	for {
		str, err := p.q.AcceptUniStream(context.Background())
		if err != nil {
			return
		}
		p.readers.Go(func() { p.readControl(bufio.NewReader(str)) })
	}
}

// readControl reads a stream of the server's; it opens no other than control.
func (p *h3Peer) readControl(r *bufio.Reader) {
	if kind, err := quicvarint.Read(r); err != nil || kind != h3Control {
		return
	}
	for {
		kind, size, err := readHeaderH3(r)
		if err != nil {
			return
		}
		payload := make([]byte, size)
		if _, err := io.ReadFull(r, payload); err != nil {
			return
		}
		p.file(func() {
			switch kind {
			case h3Settings:
				p.settled = true
			case h3GoAway:
				id, _, _ := quicvarint.Parse(payload)
				p.goaways = append(p.goaways, id)
			}
		})
	}
}

func readHeaderH3(r *bufio.Reader) (kind, size uint64, err error) {
	if kind, err = quicvarint.Read(r); err != nil {
		return 0, 0, err
	}
	if size, err = quicvarint.Read(r); err != nil {
		return 0, 0, io.ErrUnexpectedEOF
	}
	return kind, size, nil
}

// open sends a head, whose fields are "name: value", and returns its stream. On
// a connection that is over, the stream is over too.
func (p *h3Peer) open(end bool, fields ...string) *h3Stream {
	p.t.Helper()
	str, err := p.q.OpenStreamSync(context.Background())
	if err != nil {
		return &h3Stream{p: p, over: true, err: err}
	}
	s := &h3Stream{p: p, str: str}
	str.Write(appendHeadersH3(fields))
	if end {
		str.Close()
	}
	p.mu.Lock()
	mute := p.mute
	p.mu.Unlock()
	if !mute {
		p.readers.Go(s.read)
	}
	return s
}

// get opens a stream for target, with further fields.
func (p *h3Peer) get(target string, fields ...string) *h3Stream {
	p.t.Helper()
	return p.open(true, append(request("GET", target), fields...)...)
}

// appendHeadersH3 encodes fields as a frame of HEADERS.
func appendHeadersH3(fields []string) []byte {
	var block bytes.Buffer
	enc := qpack.NewEncoder(&block)
	for _, f := range fields {
		i := strings.Index(f[1:], ": ") + 1
		enc.WriteField(qpack.HeaderField{Name: strings.ToLower(f[:i]), Value: f[i+2:]})
	}
	b := quicvarint.Append([]byte{h3Headers}, uint64(block.Len()))
	return append(b, block.Bytes()...)
}

// read files frames until the stream ends.
func (s *h3Stream) read() {
	err := s.readFrames(bufio.NewReader(s.str))
	s.p.file(func() {
		s.over = true
		if err != io.EOF {
			s.err = err
		}
	})
}

func (s *h3Stream) readFrames(r *bufio.Reader) error {
	for {
		kind, size, err := readHeaderH3(r)
		if err != nil {
			return err
		}
		switch kind {
		case h3Data:
			_, err = io.CopyN(s, r, int64(size))
		case h3Headers:
			err = s.readHead(io.LimitReader(r, int64(size)))
		default:
			_, err = io.CopyN(io.Discard, r, int64(size))
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
}

// Write files content.
func (s *h3Stream) Write(b []byte) (int, error) {
	s.p.file(func() { s.body.Write(b) })
	return len(b), nil
}

// readHead files a field section: interim, final, or a trailer section.
func (s *h3Stream) readHead(r io.Reader) error {
	block, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	h, status := make(http.Header), ""
	next := qpack.NewDecoder().Decode(block)
	for {
		f, err := next()
		if err == io.EOF {
			break
		}
		if err != nil {
			s.p.t.Errorf("the server's own field section is malformed: %v", err)
			return err
		}
		if f.Name == ":status" {
			status = f.Value
			continue
		}
		h.Add(f.Name, f.Value)
	}
	s.p.file(func() {
		switch {
		case s.status != "":
			s.trailer = h
		case strings.HasPrefix(status, "1"):
			h.Set(":status", status)
			s.interim = append(s.interim, h)
		default:
			s.status, s.header = status, h
		}
	})
	return nil
}

// data sends content; what the server no longer wants is left out.
func (s *h3Stream) data(text string, end bool) {
	if s.str == nil {
		return
	}
	s.str.Write(append(quicvarint.Append([]byte{h3Data}, uint64(len(text))), text...))
	if end {
		s.str.Close()
	}
}

// end ends the request, behind a trailer section if there are fields for one.
func (s *h3Stream) end(trailer ...string) {
	if len(trailer) > 0 {
		s.str.Write(appendHeadersH3(trailer))
	}
	s.str.Close()
}

func (s *h3Stream) cancel() {
	s.str.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
	s.str.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
}

// awaitLocked waits until ok holds, or nothing more comes.
func (s *h3Stream) awaitLocked(ok func() bool) {
	for !ok() && !s.over {
		s.p.changed.Wait()
	}
}

func never() bool { return false }

// interimOf waits for the n-th interim answer.
func (s *h3Stream) interimOf(n int) string {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.awaitLocked(func() bool { return len(s.interim) >= n || s.status != "" })
	if len(s.interim) < n {
		return "none"
	}
	return s.interim[n-1].Get(":status")
}

// interims are all interim answers, once the exchange is over.
func (s *h3Stream) interims() (statuses []string) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.awaitLocked(never)
	for _, h := range s.interim {
		statuses = append(statuses, h.Get(":status"))
	}
	return statuses
}

// response is the answer of a finished stream as net/http's client would give it.
func (s *h3Stream) response() (*http.Response, error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.awaitLocked(never)
	if s.status == "" {
		return nil, s.cut()
	}
	code, _ := strconv.Atoi(s.status)
	resp := &http.Response{
		Proto: "HTTP/3.0", StatusCode: code, Status: s.status + " " + http.StatusText(code),
		Header: s.header, Trailer: s.trailer, ContentLength: -1,
	}
	if n, err := strconv.ParseInt(s.header.Get("Content-Length"), 10, 64); err == nil {
		resp.ContentLength = n
	}
	var body io.Reader = strings.NewReader(s.body.String())
	if s.err != nil {
		body = io.MultiReader(body, h3Cut{s.cut()})
	}
	resp.Body = io.NopCloser(body)
	return resp, nil
}

// cut is the error of a stream that did not end well, as quic-go's client has it.
func (s *h3Stream) cut() error {
	if reset, ok := errors.AsType[*quic.StreamError](s.err); ok {
		return &http3.Error{Remote: reset.Remote, ErrorCode: http3.ErrCode(reset.ErrorCode)}
	}
	return fmt.Errorf("stream error: %w", s.err)
}

type h3Cut struct{ error }

func (c h3Cut) Read([]byte) (int, error) { return 0, c.error }

// outcome waits for the end of a stream, and tells it in a word: its status,
// how it was reset, or that the connection is gone.
func (s *h3Stream) outcome() string {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	s.awaitLocked(never)
	if reset, ok := errors.AsType[*quic.StreamError](s.err); ok {
		return "reset " + http3.ErrCode(reset.ErrorCode).String()
	}
	if s.err != nil {
		return "end of the connection"
	}
	return s.status
}

// want waits for a whole answer.
func (s *h3Stream) want(why, status, body string) {
	s.p.t.Helper()
	if got := s.outcome(); got != status {
		s.p.t.Errorf("%s: %s, want %s", why, got, status)
	} else if got := s.body.String(); got != body { // nothing writes to it any more
		s.p.t.Errorf("%s: body %q, want %q", why, got, body)
	}
}

// wantOpen tells that a stream was not answered yet.
func (s *h3Stream) wantOpen(why string) {
	s.p.t.Helper()
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.over || s.status != "" {
		s.p.t.Errorf("%s: status %q, over %v: %v", why, s.status, s.over, s.err)
	}
}

// farewell are the GOAWAYs so far.
func (p *h3Peer) farewell() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b strings.Builder
	for _, id := range p.goaways {
		fmt.Fprintf(&b, "%d; ", id)
	}
	return b.String()
}

// wantEnd waits until the server has closed the connection in good order.
func (p *h3Peer) wantEnd(why string) {
	p.t.Helper()
	within(p.t, why, p.q.Context().Done())
	end, ok := errors.AsType[*quic.ApplicationError](context.Cause(p.q.Context()))
	if !ok || !end.Remote || http3.ErrCode(end.ErrorCode) != http3.ErrCodeNoError {
		p.t.Errorf("%s: %v, want its end", why, context.Cause(p.q.Context()))
	}
}
