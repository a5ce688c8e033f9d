package h3

import (
	"errors"
	"os"
	"time"

	"github.com/quic-go/quic-go"
)

// arrival is a request stream as its reader sees it: once the handler runs, a
// read may wait for the peer, so leadership goes on, and S-2 says for how long.
type arrival stream

// Read reads what is there, or waits for it.
func (a *arrival) Read(p []byte) (int, error) {
	s := (*stream)(a)
	b := &s.body
	if b.s == nil { // the head
		return s.str.Read(p)
	}
	s.c.handOn(s.turn)
	for {
		now := time.Now()
		own := b.deadline.Load()
		due, rule := b.due(now)
		s.str.SetReadDeadline(due)
		if b.deadline.Load() != own {
			continue // it was moved meanwhile
		}
		n, err := s.str.Read(p)
		b.waited += time.Since(now)
		switch {
		case err == nil || n > 0 && errors.Is(err, os.ErrDeadlineExceeded):
			return n, nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			if own := b.deadline.Load(); own != 0 && time.Now().UnixNano() >= own {
				return 0, os.ErrDeadlineExceeded
			}
			if _, still := b.due(time.Now()); rule && still && !time.Now().Before(due) { // or the answer has begun meanwhile
				s.c.srv.cfg.Counters.TimedOut.Add(1)
				return 0, errTimeout
			}
			continue // it was the head's, or the handler has moved its own
		}
		return n, s.readError(err)
	}
}

// readError is what the handler is told of a stream that has failed.
func (s *stream) readError(err error) error {
	if e, ok := errors.AsType[*quic.StreamError](err); ok && e.Remote {
		s.c.srv.cfg.Counters.Resets.Add(1)
		s.ctx.Cancel(errCanceled)
		return errReset
	}
	return err
}

// due is when a read that begins now ends at the latest, zero: never; and
// whether that is by S-2: no byte for BodyIdleTimeout, or an average below
// BodyMinRate of the time it was waited for once the grace is over: a handler that
// is slow itself is none of the peer's. It is for a request that is being sent. A
// tunnel, and a peer that is being answered meanwhile or whose handler asked
// for full duplex, converse, and may be silent.
func (b *body) due(now time.Time) (due time.Time, rule bool) {
	cfg := b.s.c.srv.cfg
	if w := &b.s.w; !w.answer.Tunnel && !b.duplex.Load() && !w.headSent.Load() {
		if cfg.BodyIdleTimeout > 0 {
			due, rule = now.Add(cfg.BodyIdleTimeout), true
		}
		if cfg.BodyMinRate > 0 {
			earned := time.Duration(float64(b.got) / float64(cfg.BodyMinRate) * float64(time.Second))
			if t := now.Add(max(earned, bodyRateGrace) - b.waited); due.IsZero() || t.Before(due) {
				due, rule = t, true
			}
		}
	}
	if own := b.deadline.Load(); own != 0 {
		if t := time.Unix(0, own); due.IsZero() || t.Before(due) {
			return t, false
		}
	}
	return due, rule
}
