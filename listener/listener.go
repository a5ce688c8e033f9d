package listener

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Group is N sockets on one address, in the order of their shards. It is a
// net.Listener, and a set of Sockets for event loops; use one form or the
// other. All methods may be called by any goroutine.
type Group struct {
	// Immutable after Bind.
	cfg     Config
	addr    net.Addr
	name    string
	sockets []*Socket
	file    *socketFile // of a unix socket that this group has bound
	binding binding

	// mu guards the following.
	mu         sync.Mutex
	listening  bool
	shared     bool
	quiet      bool
	quietSince time.Time
	accepting  bool // the accept loops have been started
	closing    bool
	pending    []net.Conn // taken from the kernel while closing, not yet from Accept
	failure    error      // why a socket can accept no more
	backoffLog Backoff    // one log line a second for the group
	shed       int        // turned away since the last of these lines
	spare      *Spare     // set before the accept loops start

	closeOnce sync.Once
	closeErr  error
	conns     chan net.Conn
	stop      chan struct{} // closed: the accept loops end
	drained   chan struct{} // closed: pending is complete
	failed    chan struct{} // closed: failure is set
	loops     sync.WaitGroup
}

// Bind binds the sockets of a group without listening: a taken address is told
// at once (*InUseError), and no connection comes before Listen. ctx bounds the
// look-up of a host name.
func Bind(ctx context.Context, cfg Config) (*Group, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	return bind(ctx, cfg)
}

// Listen binds a group's sockets and listens on them.
func Listen(ctx context.Context, cfg Config) (*Group, error) {
	g, err := Bind(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if err := g.Listen(); err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// FromListener makes a group of one socket from a *net.TCPListener or
// *net.UnixListener that listens already; a *Group is returned as it is. The
// group has a duplicate of the descriptor: l stays the caller's to close, and
// nobody should accept from it. Close of the group quiesces the socket, which
// both share; see Share.
//
// Only these exact types are taken, since a listener that wraps one may do
// more in its Accept. Options of the socket are left alone.
func FromListener(l net.Listener) (*Group, error) {
	switch l := l.(type) {
	case *Group:
		return l, nil
	case *net.TCPListener, *net.UnixListener:
		return adopt(l)
	default:
		return nil, fmt.Errorf("adopt %T: neither a TCP nor a unix listener: %w", l, errors.ErrUnsupported)
	}
}

// newGroup makes a group of bound sockets.
func newGroup(cfg Config, addr net.Addr, sockets []*Socket) *Group {
	return &Group{
		cfg: cfg, addr: addr, sockets: sockets,
		conns:   make(chan net.Conn),
		stop:    make(chan struct{}),
		drained: make(chan struct{}),
		failed:  make(chan struct{}),
	}
}

// Listen starts all sockets in the order of their index, which is the order
// the kernel numbers them in. Listening twice is no error. The address is
// probed once more, because a stranger that was bound but silent at Bind may
// listen by now.
func (g *Group) Listen() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closing {
		return g.opError("listen", net.ErrClosed)
	}
	if g.listening {
		return nil
	}
	if err := g.listen(); err != nil {
		return err
	}
	g.listening = true
	return nil
}

// Addr is the address the group is bound to, with the port that was picked.
func (g *Group) Addr() net.Addr { return g.addr }

// Name is the name an inherited group was given (LISTEN_FDNAMES), else empty.
func (g *Group) Name() string { return g.name }

// Sockets returns the group's sockets by index. The slice must not be changed.
func (g *Group) Sockets() []*Socket { return g.sockets }

// Share says that another process has these sockets too and goes on accepting
// from them: a successor they were handed to, or a service manager. Close then
// leaves alone what all holders have in common: it does not quiesce the
// sockets, leaves the queues to the other process and keeps a unix socket's file.
// Groups of an Inheritance begin like this.
func (g *Group) Share() { g.setShared(true) }

// Claim undoes Share: this process is the only one with the sockets, so Close
// is to drain them.
func (g *Group) Claim() { g.setShared(false) }

// Shared tells whether Share holds.
func (g *Group) Shared() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.shared
}

func (g *Group) setShared(shared bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shared = shared
}

// opError wraps an error as package net does.
func (g *Group) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: g.addr.Network(), Addr: g.addr, Err: err}
}
