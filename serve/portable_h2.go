package serve

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/penstock-edge/penstock/serve/h2"
)

// portableH2 is the portable form as the HTTP/2 engine's Host. Its writes must
// not wait, or a peer that writes before it reads would stop both sides: they
// are made by a goroutine that lives while there is something to send.
type portableH2 struct {
	*portable
	engine *h2.Conn
	told   bool // of the drain; the reader's own

	mu      sync.Mutex
	idle    sync.Cond // writing has ended
	pending []byte    // not yet given to the connection
	sending int       // given to it, on its way
	writing bool      // the writer runs
	err     error     // of a write; final
	done    bool
	timer   *time.Timer
}

var _ h2.Host = (*portableH2)(nil)

// serve runs the engine until the connection is over and what it said has left.
func (h *portableH2) serve() {
	h.engine.OnReadable(time.Now())
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.writing { // within the write deadlines
		h.idle.Wait()
	}
	if h.timer != nil {
		h.timer.Stop()
	}
}

// Read waits for bytes. The drain ends a wait once.
func (h *portableH2) Read(p []byte) (int, error) {
	for {
		if !h.told && h.Draining() {
			h.told = true
			h.engine.Drain(time.Now())
		}
		n, err := h.conn.Read(p)
		if n > 0 {
			return n, nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || !h.goOn() {
			return 0, err
		}
	}
}

// goOn takes back the deadline by which tell ended a wait. False: it was Done's.
func (h *portableH2) goOn() bool {
	h.mu.Lock() // Done sets both under it
	defer h.mu.Unlock()
	if !h.done {
		h.conn.SetReadDeadline(time.Time{})
	}
	return !h.done
}

// Write keeps p for the writer.
func (h *portableH2) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		return 0, h.err
	}
	h.pending = append(h.pending, p...)
	if !h.writing {
		h.writing = true
		go h.write()
	}
	return len(p), nil
}

// write sends until nothing is pending.
func (h *portableH2) write() {
	var spare []byte
	h.mu.Lock()
	for len(h.pending) > 0 && h.err == nil {
		p := h.pending
		h.pending, h.sending = spare[:0], len(p)
		h.mu.Unlock()
		_, err := h.portable.Write(p)
		h.mu.Lock()
		spare, h.sending = p, 0
		if err != nil {
			h.err = err
			h.conn.SetReadDeadline(past) // the engine learns it by the next step
			h.done = true
		}
	}
	h.writing = false
	h.idle.Broadcast()
	h.mu.Unlock()
	h.engine.OnWritable(time.Now())
}

// Buffered is what Write took and the connection did not.
func (h *portableH2) Buffered() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.pending) + h.sending
}

// SetTimer arms a timer of its own: the reader waits in Read.
func (h *portableH2) SetTimer(t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.timer != nil {
		h.timer.Stop()
		h.timer = nil
	}
	if !t.IsZero() && !h.done {
		h.timer = time.AfterFunc(time.Until(t), func() { h.engine.OnTimer(time.Now()) })
	}
}

// Done ends the reader's wait.
func (h *portableH2) Done(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.done || h.err != nil {
		h.done = true
		h.portable.Done(err)
	}
	h.conn.SetReadDeadline(past)
}

// Wake: handlers have goroutines of their own.
func (h *portableH2) Wake() { h.engine.OnWritable(time.Now()) }

func (h *portableH2) BeginTurn() h2.Turn          { return 0 }
func (h *portableH2) EndTurn(h2.Turn) bool        { return false }
func (h *portableH2) LeadTurn(h2.Turn)            {}
func (h *portableH2) Leading(h2.Turn) bool        { return false }
func (h *portableH2) TurnClock(h2.Turn) time.Time { return time.Now() }
func (h *portableH2) WorkBehind()                 {}

// ContextValue: no shard serves here.
func (h *portableH2) ContextValue(any, h2.Turn, h2.Task) (any, bool) { return nil, false }

// RunTask: there is no loop whose tasks could wait.
func (h *portableH2) RunTask(h2.TaskRunner) (parked, inline bool) {
	panic("BUG: task of the portable form")
}
