package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/handler/proxy/websocket"
	"github.com/penstock-edge/penstock/serve/bufpool"
)

// tunnelBytes is one read of a tunnel: a full TLS record.
const tunnelBytes = 16 << 10

// tunnel passes bytes both ways until both directions have ended, one has failed,
// nothing has gone through for too long, or it is told to go away.
//
//	client ── up ──▶ upstream     a goroutine of its own
//	client ◀─ down ─ upstream     the handler's
type tunnel struct {
	// Immutable.
	client tunnelEnd
	server message.Tunnel
	target string        // of the upstream
	idle   time.Duration // 0: for ever

	// Atomic; both directions.
	active atomic.Int64 // when something went through, in ns of the wall clock's monotonic reading
	going  atomic.Bool  // away
	over   atomic.Bool  // cut

	// Owned by down.
	frames *websocket.Frames // nil: another protocol
	partBy time.Time         // when the rest of a frame must be here, of a tunnel that is to end

	// tunnels.mu guards the following.
	removal *time.Timer // lets it go, since its target was taken away; nil: it was not
}

// runTunnel returns when the tunnel has ended.
func (t *transaction) runTunnel(client tunnelEnd, server message.Tunnel) {
	u := &tunnel{client: client, server: server, target: t.endpoint.Target, idle: t.p.opts.TunnelIdleTimeout}
	if t.upgrade == "websocket" {
		u.frames = new(websocket.Frames)
	}
	s := t.p.opts.Service
	if !s.addTunnel(u) {
		u.going.Store(true)
	}
	s.stats.tunnels.Add(1)
	defer func() {
		s.tunnels.remove(u)
		s.stats.tunnels.Add(-1)
	}()
	u.touch()
	defer context.AfterFunc(t.ctx, u.goAway)() // a drain ends long requests so
	var up sync.WaitGroup
	up.Go(u.up)
	u.down()
	up.Wait()
}

var start = time.Now()

func (u *tunnel) touch() { u.active.Store(int64(time.Since(start))) }

// nextDeadline is when a wait is to look whether the tunnel is idle.
func (u *tunnel) nextDeadline() time.Time {
	if u.idle <= 0 {
		return time.Time{}
	}
	return start.Add(time.Duration(u.active.Load()) + u.idle)
}

// expired tells whether err is the end of an idle tunnel. Else, if it is a
// deadline's, the other direction was busy meanwhile.
func (u *tunnel) expired() bool {
	return u.idle > 0 && time.Since(start)-time.Duration(u.active.Load()) >= u.idle
}

// up passes on what the client sends.
func (u *tunnel) up() {
	buf := bufpool.Get(tunnelBytes)
	defer buf.Release()
	b := buf.B[:tunnelBytes]
	for {
		u.client.SetReadDeadline(u.nextDeadline())
		if u.over.Load() { // what ends the Read of a stream is a deadline, which was overwritten
			return
		}
		n, err := u.client.Read(b)
		if n > 0 {
			u.touch()
			u.server.SetWriteDeadline(u.nextDeadline())
			if _, werr := u.server.Write(b[:n]); werr != nil {
				u.cut()
				return
			}
		}
		switch {
		case err == nil:
		case err == io.EOF:
			if u.server.CloseWrite() != nil {
				u.cut()
			}
			return
		case isTimeout(err) && !u.expired() && !u.going.Load() && !u.over.Load():
		default:
			u.cut()
			return
		}
	}
}

// down passes on what the upstream sends.
func (u *tunnel) down() {
	buf := bufpool.Get(tunnelBytes)
	defer buf.Release()
	b := buf.B[:tunnelBytes]
	for {
		if u.going.Load() && u.between() {
			u.sayGoodbye()
			return
		}
		u.setDownDeadline()
		n, err := u.server.Read(b)
		if n > 0 && !u.passDown(b[:n]) {
			u.cut()
			return
		}
		switch {
		case err == nil:
		case err == io.EOF:
			if !u.client.CloseWrite() {
				u.cut()
			}
			return
		case isTimeout(err) && u.going.Load() && (u.partBy.IsZero() || time.Now().Before(u.partBy)): // told just now
		case isTimeout(err) && !u.going.Load() && !u.expired():
		default:
			u.cut()
			return
		}
	}
}

// setDownDeadline bounds the next read of the upstream: that of a tunnel that is to
// end, for the rest of a frame.
func (u *tunnel) setDownDeadline() {
	u.server.SetReadDeadline(u.nextDeadline())
	if !u.going.Load() { // or its own deadline would be overwritten
		return
	}
	if u.partBy.IsZero() {
		u.partBy = time.Now().Add(partRest)
	}
	u.server.SetReadDeadline(u.partBy)
}

// passDown passes b on; false: nobody takes it.
func (u *tunnel) passDown(b []byte) bool {
	u.touch()
	if u.frames != nil {
		u.frames.Advance(b)
	}
	u.client.SetWriteDeadline(u.nextDeadline())
	_, err := u.client.Write(b)
	return err == nil
}

// between tells whether a frame of ours may be sent now. Of another protocol than
// WebSocket nothing is known, and nothing is said.
func (u *tunnel) between() bool { return u.frames == nil || u.frames.Between() }

const (
	// partRest is how long the rest of a frame may take, when the tunnel is to end.
	partRest = time.Second
	// goodbyeWrite bounds the writing of the last frame.
	goodbyeWrite = time.Second
)

// sayGoodbye ends the tunnel: a WebSocket client is told that we go away, between
// two frames (RFC 6455 §7.4.1: 1001).
func (u *tunnel) sayGoodbye() {
	if u.frames != nil {
		u.client.SetWriteDeadline(time.Now().Add(goodbyeWrite))
		_, _ = u.client.Write(websocket.GoingAway)
	}
	u.cut()
}

// cut ends both directions.
func (u *tunnel) cut() {
	u.over.Store(true) // before the deadline that Close may be: see up
	u.server.Close()
	u.client.Close()
}

// goAway asks the tunnel to end. Any goroutine.
func (u *tunnel) goAway() {
	u.going.Store(true)
	u.server.SetReadDeadline(time.Now())
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

// tunnels are those of a service.
type tunnels struct {
	mu   sync.Mutex // guards the following
	open map[*tunnel]struct{}
	over bool          // new ones end at once
	none chan struct{} // closed when the last one ends; nil: nobody waits
}

// addTunnel notes a tunnel. False: it is to end at once.
func (s *Service) addTunnel(u *tunnel) bool {
	s.tunnels.mu.Lock()
	defer s.tunnels.mu.Unlock()
	if s.tunnels.open == nil {
		s.tunnels.open = make(map[*tunnel]struct{})
	}
	s.tunnels.open[u] = struct{}{}
	u.age(s.now.Load()) // an Update may have come since its upstream was chosen
	return !s.tunnels.over
}

// ageTunnels gives those their time whose target the present generation has not any
// more, and takes it back from those whose target is there again.
func (s *Service) ageTunnels() {
	s.tunnels.mu.Lock()
	defer s.tunnels.mu.Unlock()
	g := s.now.Load()
	for u := range s.tunnels.open {
		u.age(g)
	}
}

// age looks whether g has the tunnel's target. An address that a name does not stand
// for any more is no reason to end: resolvers answer with a part. tunnels.mu is held.
func (u *tunnel) age(g *generation) {
	switch has := g.group.HasTarget(u.target); {
	case has && u.removal != nil:
		u.removal.Stop() // or it is told in this moment
		u.removal = nil
	case !has && u.removal == nil:
		u.removal = time.AfterFunc(g.grace, u.goAway)
	}
}

func (s *tunnels) remove(u *tunnel) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, u)
	if u.removal != nil {
		u.removal.Stop()
	}
	if len(s.open) == 0 && s.none != nil {
		close(s.none)
		s.none = nil
	}
}

// wait waits until there is none.
func (s *tunnels) wait(ctx context.Context) error {
	s.mu.Lock()
	if len(s.open) == 0 {
		s.mu.Unlock()
		return nil
	}
	if s.none == nil {
		s.none = make(chan struct{})
	}
	none := s.none
	s.mu.Unlock()
	select {
	case <-none:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// EndTunnels ends the tunnels of the service, those that still come included:
// WebSocket clients are told that the server goes away, between two frames; others
// see the end. It does not wait for them. A drain calls it before its deadline.
func (s *Service) EndTunnels() {
	s.tunnels.mu.Lock()
	defer s.tunnels.mu.Unlock()
	s.tunnels.over = true
	for u := range s.tunnels.open {
		u.goAway()
	}
}
