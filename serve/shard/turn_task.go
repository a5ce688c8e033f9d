package shard

// NewTurnTask readies a task for the handler of one exchange of a shared connection.
// RunTurn must follow.
func (c *Conn) NewTurnTask() *Task {
	co := c.sh.coroutines.get(c.sh, true)
	co.begin(nil, nil)
	return &co.task
}

// RunTurn runs r as t, in a step of a shared connection: BeginTurn, the handler and
// EndTurn in one. The connection may have any number of them.
//
// parked: it waits. The driver does what is to be done about that, and then calls
// Task.Park, as the last thing with it: from there on any leader may resume it,
// beside steps of the connection. Not parked: it has ended, on this goroutine.
// inline false: overtaken.
func (c *Conn) RunTurn(t *Task, r Runner) (parked, inline bool) {
	sh, co := c.sh, t.co
	co.run = r
	sh.current = c
	t.word.Store(sh.token.enter())
	back := false
	defer func() {
		if !back { // runtime.Goexit
			sh.coroutines.forget(co)
			sh.taskEnded(false)
		}
	}()
	v := co.resume()
	back = true
	if v == finished {
		inline = t.Leave()
		sh.coroutines.put(co)
		sh.taskEnded(inline)
		return false, inline
	}
	return true, t.left
}

// Park lets leaders resume a task of RunTurn.
func (t *Task) Park() { t.park() }

// CurrentTurn is the Turn of the task's present run.
func (t *Task) CurrentTurn() uint64 { return t.word.Load() }
