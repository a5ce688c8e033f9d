package shard

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// clientLook is how often an upstream connection is looked at for stalls and
	// for deadlines that were set while nobody led.
	clientLook = int64(time.Second)
	// clientHighWater is how much may be kept back of what a task writes before
	// Write waits, until clientLowWater is left.
	clientHighWater = 64 << 10
	clientLowWater  = 16 << 10

	evRead = evIn | evRdhup | evHup | evErr
)

// Client is a connection to an upstream that lives in the shard's epoll set. One
// task at a time uses it (Attach); between two tasks it is idle, and what its
// peer sends then ends it. Reads and writes wait.
//
// Its descriptor is closed when no task has it: by the leader while it is idle or
// after Close, or by Close itself once the shard has ended. What is to end under a
// task is shut down. So no number is used after its close.
type Client struct {
	conn Conn

	// Owned by the task that uses it.
	task *Task

	// Atomic.
	until  atomic.Int64 // the read deadline on the shard's clock; 0: none
	reader atomic.Pointer[Task]
	idle   atomic.Bool
	closed atomic.Bool
}

// Adopt takes over a connection that was made elsewhere, for t. It blocks for a
// moment, so t hands leadership on. nc is closed, whatever happens.
func (t *Task) Adopt(nc net.Conn) (*Client, error) {
	defer nc.Close()
	t.Lead()
	fd, err := takeDescriptor(nc)
	if err != nil {
		return nil, err
	}
	u := &Client{task: t}
	c := &u.conn
	c.sh, c.fd, c.client, c.busy = t.sh, fd, u, true
	c.unix = nc.RemoteAddr().Network() == "unix"
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		c.remote = a.AddrPort()
	}
	u.reader.Store(t)
	done := make(chan error, 1)
	if !t.sh.Do(func(time.Time) { done <- t.sh.addClient(c) }) {
		rawClose(fd)
		return nil, net.ErrClosed
	}
	if err := <-done; err != nil {
		return nil, err
	}
	return u, nil
}

// takeDescriptor gives a descriptor of nc's socket that is the caller's.
func takeDescriptor(nc net.Conn) (fd int, err error) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return -1, syscall.ENOTSUP
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1, err
	}
	cerr := raw.Control(func(from uintptr) { fd, err = duplicate(int(from)) })
	if cerr != nil {
		return -1, cerr
	}
	return fd, os.NewSyscallError("dup", err)
}

// addClient gives c its place and registers it. Leader only.
func (sh *Shard) addClient(c *Conn) error {
	sh.place(c)
	sh.counters.Clients.Add(1)
	if err := c.register(); err != nil {
		sh.closeClient(c)
		return err
	}
	c.timerAt = sh.clock() + clientLook
	sh.wheel.place(sh, c)
	return nil
}

// Attach gives an idle connection to t, after Stale has found nothing; or one that
// another task has, and uses no more, without its being idle in between.
func (u *Client) Attach(t *Task) {
	u.task = t
	u.reader.Store(t)
}

// Detach makes the connection idle.
func (u *Client) Detach() {
	u.reader.Store(nil)
	u.task = nil
	u.until.Store(0)
	u.idle.Store(true)
}

// Stale tells whether an idle connection has ended, or holds bytes that belong
// to no request. If not, it is the caller's from here on, to Attach or Close.
func (u *Client) Stale() bool {
	if !u.idle.CompareAndSwap(true, false) {
		return true // the leader has closed it
	}
	return u.conn.toEnd.Load() || u.conn.cut.Load() || !emptySocket(u.conn.fd)
}

// emptySocket tells that the peer has neither sent anything nor ended.
func emptySocket(fd int) bool {
	var p [1]byte
	_, e := rawPeek(fd, p[:])
	return e == syscall.EAGAIN
}

// Read waits for bytes, the end, or the read deadline.
func (u *Client) Read(p []byte) (int, error) {
	for {
		n, err := u.TryRead(p)
		if err != ErrWouldBlock {
			return n, err
		}
		if err := u.waitReadable(); err != nil {
			return 0, err
		}
	}
}

// TryRead reads what is here, and answers ErrWouldBlock when that is nothing.
func (u *Client) TryRead(p []byte) (int, error) {
	c := &u.conn
	if len(p) == 0 {
		return 0, nil
	}
	if err := c.mayRead(); err != nil {
		return 0, err
	}
	n, e := rawReceive(c.fd, p)
	switch {
	case e == 0 && n > 0:
		c.drained = n < len(p) && !c.toEnd.Load() && !c.unix
		return n, nil
	case e == 0:
		return 0, io.EOF
	case e == syscall.EAGAIN:
		c.drained = !c.toEnd.Load()
		return 0, ErrWouldBlock
	default:
		return 0, os.NewSyscallError("recv", e)
	}
}

// mayRead tells whether an upstream's socket is to be asked: ErrWouldBlock, it is
// known to be empty.
func (c *Conn) mayRead() error {
	if c.drained {
		// A short read has emptied it; only an edge tells of more.
		if c.events.Load()&evRead == 0 {
			return ErrWouldBlock
		}
		c.takeEvents(evRead)
		c.drained = false
	}
	if c.cut.Load() {
		return net.ErrClosed
	}
	return nil
}

// waitReadable gives the shard to others until there may be something to read.
func (u *Client) waitReadable() error {
	t := u.task
	if err := u.over(); err != nil {
		return err
	}
	if until := u.until.Load(); until != 0 {
		if left := until - t.sh.clock(); left < clientLook {
			defer t.WakeAt(time.Duration(max(left, 0)))() // finer than the wheel's look
		}
	}
	t.Wait()
	return u.over()
}

// over tells why the task waits no more; nil: it may.
func (u *Client) over() error {
	switch until := u.until.Load(); {
	case u.conn.cut.Load():
		return net.ErrClosed
	case u.task.Interrupted():
		return ErrInterrupted
	case until != 0 && u.task.sh.clock() >= until:
		return os.ErrDeadlineExceeded
	}
	return nil
}

// Write takes all of p. It waits while the peer takes too little.
func (u *Client) Write(p []byte) (int, error) {
	if _, err := u.conn.write(p, 0); err != nil {
		return 0, err
	}
	return len(p), u.backPressure()
}

// WriteBoth writes head and body, in one system call as far as the socket takes it.
func (u *Client) WriteBoth(head, body []byte) error {
	n, err := u.conn.WriteBoth(head, body)
	if err != nil {
		return err
	}
	for body = body[n:]; len(body) > 0; {
		piece := body[:min(len(body), clientHighWater)]
		if _, err := u.Write(piece); err != nil {
			return err
		}
		body = body[len(piece):]
	}
	return u.backPressure()
}

func (u *Client) backPressure() error {
	if u.conn.Buffered() <= clientHighWater {
		return nil
	}
	u.lead()
	return u.conn.WaitWritable(clientLowWater)
}

// lead hands leadership on if the task that reads runs inline. Another one that
// writes does not know its own: the watchdog takes over from it.
func (u *Client) lead() {
	if t := u.reader.Load(); t != nil {
		t.Lead()
	}
}

// SetReadDeadline bounds the waits of Read; zero: none. From another goroutine than
// the reader's it counts for a Read that waits.
func (u *Client) SetReadDeadline(t time.Time) {
	if t.IsZero() {
		u.until.Store(0)
		return
	}
	until := max(1, u.conn.sh.ticks(t))
	u.until.Store(until)
	// Before the wheel looks the reader must: it may wait already, and without a timer.
	// A task that sets a short one for itself finds one Wait spurious.
	if until-u.conn.sh.clock() < clientLook {
		if r := u.reader.Load(); r != nil {
			r.Wake()
		}
	}
}

// SetWriteDeadline bounds the waits of Write; zero: none.
func (u *Client) SetWriteDeadline(t time.Time) {
	if t.IsZero() && u.conn.waiter.Load() == nil {
		return
	}
	u.conn.SetWriteDeadline(t)
}

// CloseWrite sends FIN, once what is kept back has left.
func (u *Client) CloseWrite() error {
	if u.conn.Buffered() > 0 {
		u.lead()
		if err := u.conn.WaitWritable(0); err != nil {
			return err
		}
	}
	return u.conn.CloseWrite()
}

// Close ends the connection, and the waits of its users. Any goroutine.
func (u *Client) Close() error {
	if u.closed.Swap(true) {
		return nil
	}
	c := &u.conn
	c.cut.Store(true)
	if w := c.waiter.Load(); w != nil {
		w.signal(evIn | evOut)
	}
	if t := u.reader.Load(); t != nil {
		t.Wake()
	}
	if !c.sh.inbox.push(c.sh, message{closing: c}) {
		c.closeDescriptor() // the shard has ended, and forgotten it
	}
	return nil
}

// Hijack takes the connection out of the shard, as a plain one of package net.
func (u *Client) Hijack() (net.Conn, error) {
	u.task.Lead()
	for u.conn.Buffered() > 0 {
		if err := u.conn.WaitWritable(0); err != nil {
			return nil, err
		}
	}
	nc, err := u.conn.leave()
	u.Close()
	return nc, err
}

// RemoteAddr is the upstream's.
func (u *Client) RemoteAddr() net.Addr { return u.conn.RemoteAddr() }

// LocalAddr is ours.
func (u *Client) LocalAddr() net.Addr { return u.conn.LocalAddr() }

// clientEvent gives an event to an upstream connection. False: overtaken.
func (l *leader) clientEvent(c *Conn, mask uint32) bool {
	u := c.client
	if mask&evOut != 0 && c.mu.TryLock() {
		c.flushLocked()
		c.mu.Unlock()
	}
	c.events.Or(mask)
	if w := c.waiter.Load(); w != nil {
		w.signal(mask)
	}
	if mask&evRead == 0 {
		return true
	}
	if t := u.reader.Load(); t != nil {
		return l.wakeTask(t)
	}
	if !u.idle.CompareAndSwap(true, false) {
		return true // on its way from one task to another: Stale looks
	}
	if u.quiet() {
		u.idle.Store(true)
	} else {
		l.sh.closeClient(c)
	}
	return true
}

// quiet tells whether an event of an idle connection was merely late: what it
// told of was read already.
func (u *Client) quiet() bool { return !u.conn.toEnd.Load() && emptySocket(u.conn.fd) }

// expireClient looks at an upstream connection, once in clientLook. False:
// overtaken.
func (l *leader) expireClient(c *Conn, now int64) bool {
	u := c.client
	if c.isStalled() {
		l.sh.counters.Stalled.Add(1)
		u.cut()
		return true
	}
	c.timerAt = now + clientLook
	until := u.until.Load()
	if until > now {
		c.timerAt = min(c.timerAt, until)
	}
	l.sh.wheel.place(l.sh, c)
	if t := u.reader.Load(); t != nil && until != 0 && until <= now {
		return l.wakeTask(t)
	}
	return true
}

// closeClient closes and forgets a connection that no task has. Leader only.
func (sh *Shard) closeClient(c *Conn) {
	if c.state == connClosed {
		return
	}
	c.cut.Store(true)
	c.closeDescriptor()
	sh.forgetClient(c)
}

func (sh *Shard) forgetClient(c *Conn) {
	c.state = connClosed
	sh.wheel.remove(c)
	sh.conns[c.slot] = nil
	sh.free = append(sh.free, c.slot)
	sh.counters.Clients.Add(-1)
}

func (c *Conn) closeDescriptor() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd >= 0 {
		rawClose(c.fd)
		c.fd = -1
	}
	c.release()
}

// cut ends the connection under the task that has it, whose Close follows.
func (u *Client) cut() {
	c := &u.conn
	c.cut.Store(true)
	c.mu.Lock()
	if c.fd >= 0 {
		rawShutdown(c.fd, syscall.SHUT_RDWR)
	}
	c.mu.Unlock()
	if w := c.waiter.Load(); w != nil {
		w.signal(evIn | evOut)
	}
	if t := u.reader.Load(); t != nil {
		t.Wake()
	}
}

// endTasks ends what would keep the shard alive behind its last connection:
// upstream connections and tasks of Go. Leader only.
func (sh *Shard) endTasks() {
	for _, c := range sh.conns {
		switch {
		case c == nil || c.client == nil:
		case c.client.idle.CompareAndSwap(true, false):
			sh.closeClient(c)
		default:
			c.client.cut()
		}
	}
	sh.coroutines.interrupt()
}

// forgetClients lets go of the connections that tasks still have, as the shard
// ends: Close closes them. Leader only.
func (sh *Shard) forgetClients() {
	for _, c := range sh.conns {
		if c == nil || c.client == nil {
			continue
		}
		c.mu.Lock() // its Close may come right now: the inbox takes no more
		if c.fd >= 0 {
			sh.poll.remove(c.fd)
		}
		c.mu.Unlock()
		sh.forgetClient(c)
	}
}
