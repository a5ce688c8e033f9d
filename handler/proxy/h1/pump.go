package h1

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/link"
	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h1/wire"
)

// pump sends a request's body while the handler's goroutine waits for the answer.
// What it shares with that are its stage, and the connection, which it may be
// deprived of (leave). All else is its own.
//
//	running --> last --> done      the body was sent whole
//	   |  \       |
//	   |   \      +----> broken    the upstream takes no more: it may have answered
//	   |    +----------> failed    the body broke off, or its time is over
//	   +---------------> stopped   the final answer is here, or the exchange over
type pump struct {
	// Immutable.
	src     message.Source // owned by the goroutine
	chunked bool
	trailer func() []message.Field // nil: none
	head    time.Duration          // HeadTimeout
	idle    time.Duration          // IdleTimeout

	stage atomic.Int32
	err   *message.Error // why it has failed; set before

	mu   sync.Mutex // held in each write; guards the following
	conn link.Conn  // nil: the exchange is over

	timer    sync.Mutex // guards the following
	answered bool       // the read deadline is the exchange's
}

const (
	pumpRunning int32 = iota
	pumpLast          // the last bytes are being written
	pumpDone
	pumpBroken
	pumpFailed
	pumpStopped
)

const (
	// A chunk's size line stands before its data, and what ends it behind.
	chunkRoom = len("4000\r\n")
	chunkTail = len("\r\n0\r\n\r\n")
)

func (x *exchange) startPump() {
	r := x.req
	p := &pump{
		src: message.Source{Body: r.Body, Left: r.Length}, chunked: r.Length < 0, trailer: r.Trailer,
		head: r.HeadTimeout, idle: r.IdleTimeout, conn: x.conn.link,
	}
	if p.chunked {
		p.src.Left = -1
	}
	x.pump = p
	c := x.client
	c.pumps.Add(1)
	x.home.Go(x.ctx, func(context.Context) {
		defer c.pumps.Done()
		p.run()
	})
}

// run sends the body until its end, or until it is stopped.
func (p *pump) run() {
	buf := bufpool.Get(pumpBytes)
	defer buf.Release()
	room := buf.B[chunkRoom : cap(buf.B)-chunkTail]
	for p.stage.Load() == pumpRunning {
		n, end, err := p.src.Next(room)
		if err != nil {
			p.fail(&message.Error{Kind: message.RequestFailed, Err: err})
			return
		}
		b := buf.B[chunkRoom : chunkRoom+n]
		if p.chunked && n > 0 {
			b = frameChunk(buf.B[:chunkRoom+n], n)
		}
		if !p.send(b, end) || end {
			return
		}
	}
}

// frameChunk puts the size line before the n bytes at chunkRoom of b, and CRLF
// behind them.
func frameChunk(b []byte, n int) []byte {
	var line [chunkRoom]byte
	size := wire.AppendChunkHeader(line[:0], n)
	from := chunkRoom - len(size)
	copy(b[from:], size)
	return append(b[from:], '\r', '\n')
}

// send writes a piece. False: there is no more to do.
func (p *pump) send(b []byte, end bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn == nil || end && !p.stage.CompareAndSwap(pumpRunning, pumpLast) || !end && p.stage.Load() != pumpRunning {
		return false
	}
	if end && p.chunked {
		b = p.appendLast(b)
	}
	if p.idle > 0 {
		p.conn.SetWriteDeadline(time.Now().Add(p.idle))
	}
	if _, err := p.conn.Write(b); err != nil {
		p.failWrite(err)
		return false
	}
	if end {
		p.boundHead()
		p.stage.CompareAndSwap(pumpLast, pumpDone)
	}
	return true
}

// appendLast ends a chunked body (RFC 9112 §7.1.2).
func (p *pump) appendLast(b []byte) []byte {
	b = append(b, wire.LastChunk...)
	if p.trailer != nil {
		for _, f := range p.trailer() {
			if !ours(f.Name) {
				b, _ = wire.AppendField(b, f.Name, f.Value)
			}
		}
	}
	return append(b, '\r', '\n')
}

// failWrite: a peer that has closed may have answered before, so the reader goes
// on and sees; one that takes nothing for too long has lost. mu is held.
func (p *pump) failWrite(err error) {
	if isTimeout(err) {
		p.failLocked(&message.Error{Kind: message.HeadTimeout, Err: err})
		return
	}
	p.boundHead()
	if !p.stage.CompareAndSwap(pumpRunning, pumpBroken) {
		p.stage.CompareAndSwap(pumpLast, pumpBroken)
	}
}

// fail ends the exchange, before the upstream can take the body for complete.
func (p *pump) fail(e *message.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failLocked(e)
}

func (p *pump) failLocked(e *message.Error) {
	if p.stage.Load() == pumpStopped || p.conn == nil {
		return
	}
	p.err = e
	if p.stage.CompareAndSwap(pumpRunning, pumpFailed) || p.stage.CompareAndSwap(pumpLast, pumpFailed) {
		p.conn.Close() // which wakes the reader
	}
}

// failure is why the pump has ended the exchange; nil: it has not.
func (p *pump) failure() *message.Error {
	if p.stage.Load() != pumpFailed {
		return nil
	}
	return p.err
}

// boundHead begins the wait for the answer's head.
func (p *pump) boundHead() {
	p.timer.Lock()
	defer p.timer.Unlock()
	if p.head > 0 && !p.answered {
		p.conn.SetReadDeadline(time.Now().Add(p.head))
	}
}

// answer tells the pump that the final answer is here, and whether the whole body
// has been sent by then, or is on its way in the last write.
func (p *pump) answer() (whole bool) {
	p.timer.Lock()
	p.answered = true
	p.timer.Unlock()
	if p.stage.CompareAndSwap(pumpRunning, pumpStopped) {
		return false
	}
	stage := p.stage.Load()
	return stage == pumpLast || stage == pumpDone
}

// done tells whether the connection may be used again, as far as the body goes.
func (p *pump) done() bool { return p.stage.Load() == pumpDone }

// leave takes the connection away, which is closed already: a write that is inside
// comes out. The pump's goroutine may be in the body still, and ends with it.
func (p *pump) leave() {
	p.stage.CompareAndSwap(pumpRunning, pumpStopped)
	p.mu.Lock()
	p.conn = nil
	p.mu.Unlock()
}
