package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/penstock-edge/penstock/serve/h2/hpack"
	"github.com/penstock-edge/penstock/serve/h3/frame"
	"github.com/penstock-edge/penstock/serve/h3/qpack"
)

const (
	h3NoError    = quic.ApplicationErrorCode(frame.NoError)
	h3ReadBytes  = 32 << 10
	maxH3Section = 256 << 10
)

// clientH3 is HTTP/3 (RFC 9114) on one connection.
type clientH3 struct {
	h *h3Run
	q *quic.Conn

	leave context.CancelFunc // ends the asking: GOAWAY has come
}

// serve asks over as many streams as there are to be, until the connection ends,
// the run does, or the server goes away. closed: it was not we who ended it.
func (c *clientH3) serve(ctx context.Context) (closed bool) {
	defer func() { _ = c.q.CloseWithError(h3NoError, "") }() // it is over either way
	asking, leave := context.WithCancel(c.q.Context())
	defer leave()
	c.leave = leave
	control, err := c.q.OpenUniStream()
	if err != nil {
		return true
	}
	hello := frame.AppendVarint(nil, uint64(frame.StreamControl))
	if _, err := control.Write(frame.AppendSettings(hello, frame.Settings{})); err != nil {
		return true
	}
	var streams, readers sync.WaitGroup
	readers.Go(func() { c.acceptStreams(&readers) })
	for range c.h.run.plan.Streams {
		streams.Go(func() { c.ask(ctx, asking) })
	}
	ended := make(chan struct{})
	go func() { // ends with the streams
		streams.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
	}
	closed = asking.Err() != nil
	_ = c.q.CloseWithError(h3NoError, "") // ends those who read
	<-ended
	readers.Wait()
	return closed
}

// acceptStreams reads the server's own streams: its control stream for GOAWAY, and
// those of QPACK, whose table is not used.
func (c *clientH3) acceptStreams(readers *sync.WaitGroup) {
	for {
		s, err := c.q.AcceptUniStream(c.q.Context())
		if err != nil {
			return
		}
		readers.Go(func() { c.readControl(s) })
	}
}

// readControl reads a stream of the server's to its end.
func (c *clientH3) readControl(s io.Reader) {
	buf, have, first := make([]byte, 4096), 0, true
	skip, control := uint64(0), false
	for {
		n, err := s.Read(buf[have:])
		have += n
		used := 0
		for {
			b := buf[used:have]
			if first {
				t, n := frame.ReadVarint(b)
				if n == 0 {
					break
				}
				first, control = false, frame.StreamType(t) == frame.StreamControl
				used += n
				continue
			}
			if !control {
				used = have
				break
			}
			if k := min(skip, uint64(len(b))); k > 0 {
				used += int(k)
				skip -= k
				continue
			}
			hd, n := frame.ReadHeader(b)
			if n == 0 {
				break
			}
			if hd.Type == frame.TypeGoAway {
				c.leave()
			}
			used += n
			skip = hd.Length
		}
		have = copy(buf, buf[used:have])
		if err != nil {
			return
		}
	}
}

// ask asks one request after the other, as long as asking is not done.
func (c *clientH3) ask(ctx, asking context.Context) {
	s := &h3Stream{c: c, buf: make([]byte, h3ReadBytes)}
	counts := &conn{w: c.h.w}
	for ctx.Err() == nil {
		t, ok := c.h.next(asking, &s.x)
		if !ok {
			return
		}
		c.h.finish(counts, &s.x, s.exchange(ctx, t))
		if c.h.run.plan.ConnectPerRequest {
			return
		}
	}
}

// h3Stream is what one goroutine needs for its requests.
type h3Stream struct {
	c   *clientH3
	x   exchange
	buf []byte
	out []byte

	last    []byte // section of the last answer: the same bytes say the same
	summary summaryH2
	fields  []hpack.Field
}

// exchange is one request and its answer.
func (s *h3Stream) exchange(ctx context.Context, t *target) *failure {
	p := s.c.h.run.plan
	until := p.base.Add(time.Duration(s.x.intended)).Add(p.Timeout)
	open, cancel := context.WithDeadline(ctx, until)
	str, err := s.c.q.OpenStreamSync(open) // the server's limit may be lower than ours
	cancel()
	if err != nil {
		return &failure{h3Kind(err), err}
	}
	_ = str.SetDeadline(until) // of a stream that is open
	f := s.speak(str, t)
	str.CancelRead(quic.StreamErrorCode(frame.NoError))
	if f != nil {
		str.CancelWrite(quic.StreamErrorCode(frame.NoError))
	}
	return f
}

func (s *h3Stream) speak(str *quic.Stream, t *target) *failure {
	out := frame.BeginHeaders(s.out[:0])
	out = qpack.AppendPrefix(out)
	for _, f := range t.fields {
		out = qpack.AppendField(out, f.Name, f.Value)
	}
	out = frame.FinishHeaders(out, 0)
	body := s.c.h.run.plan.Body
	if body != nil {
		out = frame.AppendHeader(out, frame.TypeData, uint64(len(body)))
		out = append(out, body...)
	}
	s.out = out
	written := make(chan error, 1)
	write := func() error {
		if _, err := str.Write(out); err != nil {
			return err
		}
		return str.Close()
	}
	if len(out) < 16<<10 {
		written <- write()
	} else {
		go func() { written <- write() }() // ends with the stream: the answer may come first
	}
	f := s.read(str)
	select {
	case <-written:
	default: // the answer came before the request's end
		str.CancelWrite(quic.StreamErrorCode(frame.NoError))
		<-written
	}
	return f
}

// read takes an answer.
func (s *h3Stream) read(str io.Reader) *failure {
	have, left, within := 0, uint64(0), false // left bytes of a frame's payload
	kind := frame.TypeData
	total := int64(0)
	for {
		n, err := str.Read(s.buf[have:])
		have += n
		total += int64(n)
		used := 0
		for {
			b := s.buf[used:have]
			if !within {
				hd, n := frame.ReadHeader(b)
				if n == 0 {
					break
				}
				used += n
				within, left, kind = true, hd.Length, hd.Type
				continue
			}
			n, f := s.payload(kind, left, b)
			if f != nil {
				return f
			}
			if used += n; n == 0 && left > 0 {
				break
			}
			left -= uint64(n)
			within = left > 0
		}
		have = copy(s.buf, s.buf[used:have])
		switch {
		case err == io.EOF:
			s.c.h.counted(func(st *stats) {
				st.bytesRead += total
				st.bytesWritten += int64(len(s.out))
			})
			return s.end(within || have > 0)
		case err != nil:
			return &failure{h3Kind(err), err}
		case have == len(s.buf):
			if len(s.buf) >= maxH3Section {
				return failed(ErrorProtocol, "a field section without end")
			}
			s.buf = append(s.buf, make([]byte, len(s.buf))...)
		}
	}
}

// payload takes of a frame's payload, of which left bytes are to come, what is
// there. 0: it must be whole.
func (s *h3Stream) payload(t frame.Type, left uint64, b []byte) (n int, f *failure) {
	n = int(min(left, uint64(len(b))))
	switch t {
	case frame.TypeData:
		if s.x.head == 0 && n > 0 {
			return n, failed(ErrorProtocol, "content before the answer's head")
		}
		if n > 0 && s.c.h.run.plan.contentless(s.x.status) { // RFC 9114 §4.1.2: malformed
			return n, failed(ErrorProtocol, contentForbidden)
		}
		s.x.got += int64(n)
		if s.c.h.run.plan.KeepBody {
			s.x.body = append(s.x.body, b[:n]...)
		}
	case frame.TypeHeaders:
		if uint64(n) < left {
			return 0, nil
		}
		return n, s.section(b[:n])
	default: // what is unknown is left alone (RFC 9114 §9)
	}
	return n, nil
}

// section is an answer's head, or its trailer.
func (s *h3Stream) section(block []byte) *failure {
	if !bytes.Equal(block, s.last) || len(block) == 0 {
		fields, over, err := qpack.Decode(s.fields[:0], block, hpack.Limits{Fields: 1000, Bytes: maxH3Section})
		s.fields = fields
		if err != nil || over {
			return &failure{ErrorProtocol, errors.Join(err, errors.New("the field section is not taken"))}
		}
		if f := s.summarize(); f != nil {
			return f
		}
		s.last = append(s.last[:0], block...)
	}
	switch {
	case s.x.head != 0: // the trailer
	case s.summary.status < 100:
		return failed(ErrorProtocol, "an answer without :status")
	case s.summary.status >= 200:
		s.x.head, s.x.status, s.x.length = s.c.h.run.plan.now(), s.summary.status, s.summary.length
	}
	return nil
}

func (s *h3Stream) summarize() *failure {
	s.summary = summaryH2{0, -1}
	for i := range s.fields {
		switch f := &s.fields[i]; f.Name {
		case ":status":
			s.summary.status, _ = strconv.Atoi(f.Value)
		case "content-length":
			n, err := strconv.ParseInt(f.Value, 10, 64)
			if err != nil || n < 0 {
				return failed(ErrorProtocol, "a Content-Length that is no number")
			}
			s.summary.length = n
		case "server":
			s.c.h.run.collect.server(f.Value)
		}
	}
	return nil
}

// end judges an answer whose stream has ended.
func (s *h3Stream) end(within bool) *failure {
	x, p := &s.x, s.c.h.run.plan
	switch {
	case x.head == 0 || within:
		return failed(ErrorClosed, "the stream ended before the answer was complete")
	case x.length >= 0 && x.length != x.got && !p.contentless(x.status):
		return failed(ErrorLength, fmt.Sprintf("%d bytes of content, %d were announced", x.got, x.length))
	}
	return nil
}

// h3Kind is the kind of an error of quic-go.
func h3Kind(err error) ErrorKind {
	if e, ok := errors.AsType[*quic.StreamError](err); ok {
		if e.Remote && frame.Code(e.ErrorCode) == frame.RequestRejected {
			return ErrorRefused
		}
		return ErrorReset
	}
	if e, ok := errors.AsType[*quic.ApplicationError](err); ok {
		if e.ErrorCode == h3NoError {
			return ErrorClosed
		}
		return ErrorReset
	}
	if _, ok := errors.AsType[*quic.IdleTimeoutError](err); ok || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return ErrorTimeout
	}
	if e, ok := errors.AsType[*quic.TransportError](err); ok && e.ErrorCode >= 0x100 && e.ErrorCode < 0x200 {
		return ErrorTLS // CRYPTO_ERROR (RFC 9001 §4.8)
	}
	return ErrorReset
}
