package h2

import (
	"context"
	"io"
	"net/http"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/link"
	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h2/frame"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// stream is one exchange.
type stream struct {
	// Immutable since Do.
	client *Client
	req    *message.Request
	pool   *pool

	// Changed by Attach alone.
	ctx    context.Context
	home   link.Home
	waiter link.Waiter // of the handler; written with conn.mu

	// Owned by the handler.
	now      time.Time
	conn     *conn
	small    []byte // a body that leaves with the head
	hasSmall bool
	smallBuf *bufpool.Buffer
	cur      *bufpool.Buffer // the piece that Next has given
	pump     *pump
	sentAt   time.Time
	holding  bool // the body waits for 100 (Continue)
	over     bool

	// conn.mu guards the following.
	id         uint32
	sendWin    int
	sendClosed bool        // we have ended our direction
	recvClosed bool        // the peer has ended its own
	sender     link.Waiter // who waits for a window; nil: nobody

	answered bool // something of an answer has come
	final    bool // the final head has
	bodiless bool
	heads    int // bytes of header blocks
	infos    int
	goOn     bool         // 100 (Continue) has come
	interims []answerHead // not told yet
	resp     message.Response
	got      int64           // of the content
	in       *bufpool.Buffer // not taken yet
	unread   int             // of the window
	credit   int             // consumed, and not given back yet
	trailer  []message.Field
	err      *message.Error
	readBy   time.Time // of a tunnel
}

// run sends the request and waits for the final head.
func (s *stream) run() *message.Error {
	r := s.req
	s.pool = s.client.poolOf(s.home)
	if s.now = r.Now; s.now.IsZero() {
		s.now = time.Now()
	}
	if e := s.check(); e != nil {
		return e
	}
	s.holding = r.Expect && r.Body != nil && r.Length != 0
	if e := s.readSmall(); e != nil {
		return e
	}
	var deadline time.Time
	if r.HeadTimeout > 0 {
		deadline = s.now.Add(r.HeadTimeout)
	}
	sent := false
	for try := 0; !sent; try++ {
		if try == maxTries {
			return &message.Error{Kind: message.Refused, Unsent: true, Err: errGone}
		}
		if e := s.acquire(deadline); e != nil {
			return e
		}
		if s.waiter == nil {
			s.waiter = s.home.Waiter(s.ctx)
		}
		e := s.awaitSettings()
		if e == nil {
			sent, e = s.begin()
		}
		if e != nil {
			return e
		}
		if !sent {
			s.leave()
		}
	}
	s.sentAt = time.Now()
	if r.Body != nil && !s.holding && s.pumpNeeded() {
		s.startPump()
	}
	return s.await()
}

// pumpNeeded tells, with the lock, whether the body is still to be sent.
func (s *stream) pumpNeeded() bool {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return !s.sendClosed
}

func (s *stream) check() *message.Error {
	r := s.req
	switch {
	case r.Method == http.MethodConnect || !semantics.IsToken(r.Method) || r.Protocol != "" && !semantics.IsToken(r.Protocol):
		return local(errMethod)
	case !semantics.ValidTarget([]byte(r.Target)):
		return local(errTarget)
	}
	return nil
}

// readSmall reads a small body of known length, before a connection is taken.
func (s *stream) readSmall() *message.Error {
	r := s.req
	if r.Body == nil || r.Length < 0 || r.Length > smallBody || r.Trailer != nil || s.holding {
		return nil
	}
	s.smallBuf = bufpool.Get(int(r.Length))
	src := message.Source{Body: r.Body, Left: r.Length}
	b := s.smallBuf.B
	for end := false; !end; {
		var n int
		var err error
		n, end, err = src.Next(b[len(b):r.Length])
		if err != nil {
			return local(err)
		}
		b = b[:len(b)+n]
	}
	s.smallBuf.B = b
	s.small, s.hasSmall = b, true
	s.now = time.Now()
	return nil
}

// await waits for the final head, and tells of informational ones.
func (s *stream) await() *message.Error {
	c := s.conn
	for {
		c.mu.Lock()
		told := s.interims
		s.interims = nil
		err, final, goOn := s.err, s.final, s.goOn
		c.mu.Unlock()
		for i := range told {
			s.req.Informational(told[i].status, told[i].fields)
		}
		switch {
		case err != nil:
			return err
		case final:
			s.resp.Received = time.Now() // a body held back is not sent any more
			return nil
		case goOn && s.holding:
			s.release()
		}
		e := s.wait(s.headDeadline(), message.HeadTimeout)
		switch {
		case e == nil:
		case e.Kind == message.HeadTimeout && s.holding && s.client.opts.ExpectTimeout > 0:
			s.release() // RFC 9110 §10.1.1: a client does not wait for ever
		default:
			return e
		}
	}
}

// release sends the body that was held back.
func (s *stream) release() {
	s.holding = false
	if s.pumpNeeded() { // or the upstream has reset the stream
		s.startPump()
	}
}

// headDeadline counts from when the request was sent whole.
func (s *stream) headDeadline() time.Time {
	if expect := s.client.opts.ExpectTimeout; s.holding && expect > 0 {
		return s.sentAt.Add(expect)
	}
	if s.req.HeadTimeout <= 0 {
		return time.Time{}
	}
	from := s.sentAt
	if s.pump != nil {
		done := s.pump.doneAt.Load()
		if done == nil {
			return time.Time{} // its waits have limits of their own
		}
		from = *done
	}
	return from.Add(s.req.HeadTimeout)
}

// wait waits until the reader, or the pump, has something to tell.
func (s *stream) wait(until time.Time, late message.Kind) *message.Error {
	err := s.waiter.Wait(until)
	switch {
	case err == nil:
		return nil
	case s.ctx.Err() != nil || !isTimeout(err):
		return &message.Error{Kind: message.Cancelled, Answered: s.hasAnswer(), Err: err}
	}
	return &message.Error{Kind: late, Answered: s.hasAnswer(), Err: err}
}

func (s *stream) hasAnswer() bool {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return s.answered
}

// wake tells the handler. conn.mu is held.
func (s *stream) wake() { s.waiter.Wake() }

// fail ends the stream, unless it has failed before. conn.mu is held.
func (s *stream) fail(e *message.Error) {
	if s.err == nil {
		s.err = e
	}
	s.recvClosed = true
	s.wake()
	s.wakeSender()
}

// lost is why the stream fails when its connection does. conn.mu is held.
func (s *stream) lost(why error) *message.Error {
	switch {
	case s.final:
		return &message.Error{Kind: message.BodyCut, Answered: true, Err: why}
	case s.answered:
		return &message.Error{Kind: message.HeadCut, Answered: true, Err: why}
	}
	return &message.Error{Kind: message.ResetEarly, Reused: s.conn.served, Err: why}
}

// buffer keeps content for Next. conn.mu is held.
func (s *stream) buffer(data []byte) {
	s.unread += len(data)
	need := len(data)
	if s.in != nil {
		need += len(s.in.B)
	}
	if s.in == nil || cap(s.in.B) < need {
		larger := bufpool.Get(max(need, min(2*need, streamWindow)))
		if s.in != nil {
			larger.B = append(larger.B, s.in.B...)
			s.in.Release()
		}
		s.in = larger
	}
	s.in.B = append(s.in.B, data...)
}

// giveCredit gives window back. conn.mu is held.
func (s *stream) giveCredit(n int) {
	c := s.conn
	if s.credit += n; s.credit >= streamWindow/2 && !s.recvClosed {
		c.out = frame.AppendWindowUpdate(c.out, s.id, uint32(s.credit))
		s.credit = 0
	}
	c.giveCredit(n)
}

// take takes what is buffered. ok false: there is nothing, and nothing is over.
func (s *stream) take() (piece []byte, err error, ok bool) {
	c := s.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.cur != nil {
		n := len(s.cur.B)
		s.cur.Release()
		s.cur = nil
		s.unread -= n
		s.giveCredit(n)
		if len(c.out) > 0 {
			c.flush()
		}
	}
	switch {
	case s.in != nil && len(s.in.B) > 0:
		s.cur, s.in = s.in, nil
		return s.cur.B, nil, true
	case s.err != nil:
		return nil, s.err, true
	case s.recvClosed:
		return nil, io.EOF, true
	}
	return nil, nil, false
}

func (s *stream) next() ([]byte, error) {
	for {
		piece, err, ok := s.take()
		if ok {
			return piece, err
		}
		var until time.Time
		if d := s.req.IdleTimeout; d > 0 {
			until = time.Now().Add(d)
		}
		if e := s.wait(until, message.BodyTimeout); e != nil {
			return nil, e
		}
	}
}

func (s *stream) ready() bool {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return s.in != nil && len(s.in.B) > 0 || s.err != nil || s.recvClosed
}

// leave gives the place on a connection back that was not used.
func (s *stream) leave() {
	c := s.conn
	s.conn = nil
	c.mu.Lock()
	after := c.release()
	c.mu.Unlock()
	after()
}

// close ends the exchange, wherever it stands.
func (s *stream) close() {
	if s.over {
		return
	}
	s.over = true
	if c := s.conn; c != nil {
		c.mu.Lock()
		if s.id != 0 {
			s.closeLocked()
		}
		after := c.release()
		c.mu.Unlock()
		after()
	}
	if s.pump != nil {
		s.pump.stop()
	}
	for _, b := range [...]*bufpool.Buffer{s.smallBuf, s.cur} {
		if b != nil {
			b.Release()
		}
	}
	s.smallBuf, s.cur = nil, nil
}

// closeLocked takes the stream off its connection. conn.mu is held.
func (s *stream) closeLocked() {
	c := s.conn
	clean := s.recvClosed && s.sendClosed && s.err == nil
	if !(s.recvClosed && s.sendClosed) {
		code := frame.Cancel
		if s.recvClosed && s.err == nil {
			code = frame.NoError // the answer is whole: what is left of the request is not
		}
		s.reset(code)
	}
	c.served = c.served || clean
	delete(c.streams, s.id)
	c.giveCredit(s.unread)
	if s.in != nil {
		s.in.Release()
		s.in = nil
	}
	if len(c.out) > 0 {
		c.flush()
	}
}

// handle is what the caller holds: the exchange, until it is closed.
type handle struct{ s *stream }

// Response: see message.Exchange. nil once it is closed.
func (h *handle) Response() *message.Response {
	if h.s == nil {
		return nil
	}
	return &h.s.resp
}

// Next: see message.Exchange. The piece is valid until the next call of Next.
func (h *handle) Next() ([]byte, error) {
	if h.s == nil {
		return nil, errClosed
	}
	return h.s.next()
}

// Attach: see message.Exchange.
func (h *handle) Attach(ctx context.Context) {
	if s := h.s; s != nil {
		portable, _ := s.home.(*link.Portable)
		s.ctx, s.home = ctx, link.HomeOf(ctx, portable)
		w := s.home.Waiter(ctx)
		s.conn.mu.Lock()
		defer s.conn.mu.Unlock()
		s.waiter = w
	}
}

// Ready: see message.Exchange.
func (h *handle) Ready() bool { return h.s == nil || h.s.ready() }

// Trailer: see message.Exchange.
func (h *handle) Trailer() []message.Field {
	if h.s == nil {
		return nil
	}
	h.s.conn.mu.Lock()
	defer h.s.conn.mu.Unlock()
	return h.s.trailer
}

// Tunnel: see message.Exchange. The response is not valid afterwards.
func (h *handle) Tunnel() (message.Tunnel, error) {
	s := h.s
	if s == nil {
		return nil, errClosed
	}
	if s.req.Protocol == "" || s.resp.Status < 200 || s.resp.Status > 299 {
		return nil, errNoTunnel
	}
	h.s = nil
	return newTunnel(s), nil
}

// Close: see message.Exchange.
func (h *handle) Close() {
	if s := h.s; s != nil {
		h.s = nil
		s.close()
	}
}
