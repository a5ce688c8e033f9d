package h2

import (
	"errors"
	"sync"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/link"
	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/serve/h2/frame"
	"github.com/penstock-edge/penstock/serve/h2/hpack"
)

// conn is one connection to the upstream.
type conn struct {
	// Immutable.
	client *Client
	pool   *pool
	link   link.Conn
	until  time.Time // the end of its age; zero: none

	// Owned by the reader.
	dec   hpack.Decoder
	block *block // a header block that CONTINUATION goes on with

	mu      sync.Mutex // guards the following, and all streams
	streams map[uint32]*stream
	open    int // streams, and places taken for one
	next    uint32
	served  bool      // a stream has ended well
	since   time.Time // when open fell to 0

	retired  bool  // no new streams
	goneAway bool  // the peer has said so: not even those that have a place
	dead     error // why it has ended; nil: it has not

	// Sending.
	enc       hpack.Encoder
	out       []byte // gathered
	spare     []byte // to gather in next
	writing   bool
	sendWin   int // of the connection
	streamWin int // the peer's SETTINGS_INITIAL_WINDOW_SIZE
	maxFrame  int
	maxOpen   int           // streams that the peer takes
	connect   bool          // it takes extended CONNECT
	settled   bool          // its SETTINGS have come
	settling  []link.Waiter // of streams that wait for them

	// Receiving.
	credit  int // consumed, and not given back yet
	budget  int // control frames that may still come
	control int // control frames in out
}

func newConn(client *Client, p *pool, l link.Conn, now time.Time) *conn {
	o := &client.opts
	c := &conn{
		client: client, pool: p, link: l, streams: make(map[uint32]*stream), next: 1, since: now,
		sendWin: defaultWindow, streamWin: defaultWindow, maxFrame: frame.DefaultMaxSize, maxOpen: o.MaxStreams,
		budget: controlBudget, out: preface(o),
	}
	if o.MaxAge > 0 {
		c.until = now.Add(jitteredAge(o.MaxAge))
	}
	return c
}

// reserve takes a place for a stream.
func (c *conn) reserve(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.retired || c.dead != nil || c.open >= c.maxOpen {
		return false
	}
	if !c.until.IsZero() && now.After(c.until) || c.next > lastID {
		c.retireLocked()
		return false
	}
	c.open++
	return true
}

func (c *conn) streamsOpen() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

func (c *conn) expired(now time.Time, idle time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dead != nil || c.open == 0 && (idle > 0 && now.Sub(c.since) >= idle || !c.until.IsZero() && now.After(c.until))
}

// retire lets no new stream begin; without streams the connection ends.
func (c *conn) retire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retireLocked()
}

func (c *conn) retireLocked() {
	c.retired = true
	if c.open == 0 {
		c.end(errIdle)
	}
}

// end ends the connection and all its streams. mu is held.
func (c *conn) end(why error) {
	if c.dead != nil {
		return
	}
	c.dead = why
	c.retired = true
	c.link.Close() // the reader comes out, and tidies up
	c.wakeSettling()
	for _, s := range c.streams {
		s.fail(s.lost(why))
	}
}

// violate ends the connection for a violation of the protocol. mu is held.
func (c *conn) violate(code frame.ErrCode, why string) {
	if c.dead != nil {
		return
	}
	c.out = frame.AppendGoAway(c.out, 0, code, "")
	c.flush()
	err := errors.New(code.String() + ": " + why)
	for _, s := range c.streams {
		s.fail(&message.Error{Kind: message.Malformed, Answered: s.answered, Err: err})
	}
	c.end(err)
}

// release gives a place back. mu is held; what is to be done without it follows.
func (c *conn) release() (after func()) {
	c.open--
	if c.open == 0 {
		c.since = time.Now()
		if c.retired {
			c.end(errIdle)
		}
	}
	return c.pool.freed
}
