package serve

import (
	"io"
	"time"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve/bufpool"
)

// A connection of a trusted proxy begins with a PROXY header, below TLS and HTTP
// (rule P-4). Until it is there nothing else is made for the connection, and it is
// one of those that MaxHandshakes bounds.
//
//	accept ── header, at most Proxies.Timeout ── Introduce ── TLS, HTTP ── ...
//
// The event loop looks at the header where it lies, in the socket, until it is
// whole, and takes exactly that out: a slow one holds no buffer, and what comes
// behind it is read by whom it is for.

// awaitHeader begins the wait. False: too many wait.
func (c *conn) awaitHeader() bool {
	c.awaits = c.part.svc.srv.enterHandshake()
	c.Conn.SetTimer(c.Conn.Now().Add(c.part.svc.proxies.Timeout()))
	return c.awaits
}

// endWait is its end, whatever became of it.
func (c *conn) endWait() {
	if c.awaits {
		c.awaits = false
		c.part.svc.srv.handshaking.Add(-1)
	}
}

// takeHeader takes the header if it is whole. It runs on the leader.
func (c *conn) takeHeader(now time.Time) {
	h, whole, err := c.readHeader()
	if err == nil && !whole {
		return
	}
	c.countHeader(err)
	c.endWait()
	switch {
	case err != nil:
		c.Conn.Done(err)
		return
	case !c.Introduce(h):
		c.Conn.Done(errPerClient)
		return
	}
	c.Conn.SetTimer(time.Time{})
	c.begin()
	if c.Draining() {
		c.Again() // the shard tells the engine
		return
	}
	c.OnReadable(now)
}

// readHeader reads the header if it is whole, and nothing otherwise.
func (c *conn) readHeader() (h listener.ProxyHeader, whole bool, err error) {
	buf := bufpool.Get(listener.MaxProxyHeader)
	defer buf.Release()
	b := buf.B[:listener.MaxProxyHeader]
	had := c.Peek(b)
	h, n, err := listener.ParseProxyHeader(b[:had])
	switch {
	case err != nil:
	case n <= had:
		_, err = c.Conn.Read(b[:n]) // all of it: it is there
		whole = true
	case c.Ended() && had == 0:
		err = io.EOF
	case c.Ended():
		err = io.ErrUnexpectedEOF
	}
	return h, whole, err
}

// countHeader counts connections that end without a header. A peer that says nothing
// at all and goes only looks whether somebody is there.
func (c *conn) countHeader(err error) {
	if c.awaits && err != nil && err != io.EOF {
		c.part.svc.srv.stats.ProxyHeaderErrors.Add(1)
	}
}

// enterHandshake counts one more that waits for its peer's first words, unless there
// are too many.
func (s *Server) enterHandshake() bool {
	if s.handshaking.Add(1) > s.Options.maxHandshakes() {
		s.handshaking.Add(-1)
		s.stats.HandshakesRefused.Add(1)
		return false
	}
	return true
}

// takeHeader is the same in the portable form: it reads no more than the header.
// False: the connection is to end.
func (c *portable) takeHeader() bool {
	srv := c.part.svc.srv
	if !srv.enterHandshake() {
		return false
	}
	defer srv.handshaking.Add(-1)
	c.setShaking(true)
	c.conn.SetReadDeadline(time.Now().Add(c.part.svc.proxies.Timeout()))
	h, err := listener.ReadProxyHeader(c.conn)
	c.setShaking(false)
	if err != nil {
		if err != io.EOF {
			srv.stats.ProxyHeaderErrors.Add(1)
		}
		return false
	}
	if client := h.Source.Addr(); c.gated && client.IsValid() {
		if srv.gate.Identify(client) != listener.Admitted {
			srv.portables.refused.Add(1)
			return false
		}
		c.counted = client
	}
	c.conn.SetReadDeadline(time.Time{})
	srv.portables.mu.Lock() // tell and cut look at it
	c.conn = h.Introduce(c.conn)
	srv.portables.mu.Unlock()
	c.proxied = false
	return true
}
