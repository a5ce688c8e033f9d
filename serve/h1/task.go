package h1

import (
	"time"
)

// Run calls the handler, as a task of the host (Host.RunTask).
func (x *exchange) Run() {
	c := x.w.c
	defer func() {
		if v := recover(); v != nil {
			c.handlerPanicked(x, v)
		}
		// Whatever ends the context from here on, this task is somebody else's soon.
		x.ctx.Notify(nil)
	}()
	c.call(x)
}

// OnResume goes on with the handler that has parked.
func (c *Conn) OnResume(now time.Time) {
	c.now = now.Sub(epoch)
	x := c.cur.Load()
	if c.stepTask(x, func(interface{ Run() }) bool { return c.host.ResumeTask() }) {
		for c.step() {
		}
	}
	c.rest()
}

// stepTask runs the handler until it parks or returns. False: the step ends.
func (c *Conn) stepTask(x *exchange, run func(interface{ Run() }) (parked bool)) bool {
	parked, inline := c.switchTo(x, run)
	if parked {
		c.beforePark()
		return false
	}
	return c.served(x, inline)
}

func (c *Conn) switchTo(x *exchange, run func(interface{ Run() }) (parked bool)) (parked, inline bool) {
	defer func() {
		if !parked { // also when runtime.Goexit unwinds: the host must know
			inline = c.host.EndHandler()
		}
	}()
	c.host.BeginHandler()
	parked = run(x)
	return
}

// beforePark lets earlier answers leave, and lends no empty buffer to a wait.
func (c *Conn) beforePark() {
	x := c.cur.Load()
	if x.earlier {
		c.OnOvertaken()
	}
	// While the body is read, its reader may be using the buffer right now.
	if x.body.ended.Load() && c.in != nil && c.off == len(c.in.B) {
		c.in.Release()
		c.in, c.off = nil, 0
	}
}
