package serve

import (
	"time"

	"github.com/penstock-edge/penstock/serve/h2"
	"github.com/penstock-edge/penstock/serve/shard"
)

// h2Host is a conn as the HTTP/2 engine's Host: its handlers run in turns.
type h2Host struct{ *conn }

func (h h2Host) Read(p []byte) (int, error) { return h.readAs(p, h2.ErrWouldBlock) }

func (h h2Host) BeginTurn() h2.Turn { return h2.Turn(h.conn.BeginTurn()) }

func (h h2Host) EndTurn(t h2.Turn) (inline bool) { return h.conn.EndTurn(shard.Turn(t)) }

func (h h2Host) LeadTurn(t h2.Turn) { h.conn.LeadTurn(shard.Turn(t)) }

func (h h2Host) Leading(t h2.Turn) bool { return h.conn.Leading(shard.Turn(t)) }

func (h h2Host) TurnClock(t h2.Turn) time.Time { return h.conn.TurnClock(shard.Turn(t)) }

// ContextValue gives a handler the task that it runs as, or one of the goroutine
// form.
func (h h2Host) ContextValue(key any, t h2.Turn, task h2.Task) (any, bool) {
	if _, ok := key.(shard.TaskKey); !ok {
		return nil, false
	}
	if task != nil {
		return task, true
	}
	return h.NewTask(shard.Turn(t)), true
}

func (h h2Host) RunTask(r h2.TaskRunner) (parked, inline bool) {
	t := h.NewTurnTask()
	r.SetTask(t)
	return h.RunTurn(t, r)
}
