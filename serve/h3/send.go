package h3

import (
	"errors"
	"os"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/h3/frame"
)

// send sends the head unless it has gone, what was kept back, p behind it, and
// with ended the trailer section: in one piece where it is short, so that it
// needs one packet and one hand-over to the transport.
func (w *response) send(p []byte, ended bool) error {
	var kept []byte
	if k := w.kept; k != nil {
		w.kept = nil
		defer k.Release()
		kept = k.B
	}
	out := bufpool.Get(headRoom + len(kept) + min(len(p), copyBelow))
	defer out.Release()
	b := out.B
	if !w.headSent.Load() {
		sniff := kept
		if len(sniff) == 0 {
			sniff = p
		}
		b = w.appendHead(b, sniff, ended)
	}
	if w.answer.IsHead {
		kept, p = nil, nil
	}
	b = w.appendData(b, len(kept)+len(p))
	b = append(b, kept...)
	if len(p) <= copyBelow {
		b = append(b, p...)
		p = nil
	}
	if ended {
		b = w.appendTrailers(b)
	}
	out.B = b
	if ended { // its packet takes the credit of former streams along
		w.s.c.giveCredit()
	}
	if err := w.transmit(b); err != nil {
		return err
	}
	return w.transmit(p)
}

// appendData appends the header of the DATA frame that n bytes of content are
// in. One frame holds all content of a known length (RFC 9114 §7.2.1).
func (w *response) appendData(b []byte, n int) []byte {
	switch {
	case n == 0:
		return b
	case w.frame > 0:
		w.frame -= int64(n)
		return b
	case w.answer.Length > int64(n):
		w.frame = w.answer.Length - int64(n)
		return frame.AppendHeader(b, frame.TypeData, uint64(w.answer.Length))
	}
	return frame.AppendHeader(b, frame.TypeData, uint64(n))
}

// transmit hands p to the transport. Up to queueSize of an answer are copied,
// and their handler goes on at once; behind that it waits until packets have
// taken the bytes, and hands leadership on.
func (w *response) transmit(p []byte) error {
	if len(p) == 0 {
		return w.err
	}
	if w.err != nil {
		return w.err
	}
	str := w.s.str
	if w.late() {
		w.err = os.ErrDeadlineExceeded
		return w.err
	}
	if w.queued+len(p) <= queueSize {
		err := str.TryWriteAll(p)
		if err == nil {
			w.queued += len(p)
			return nil
		}
		if err != quic.ErrWouldBlock {
			return w.failed(err)
		}
	}
	w.s.c.handOn(w.s.turn)
	return w.wait(p)
}

// wait writes p as the peer takes it. One that takes nothing for WriteIdleTimeout,
// or is slower than WriteMinRate in that time, is given up (S-3), unless it takes
// other answers meanwhile.
func (w *response) wait(p []byte) error {
	cfg := w.s.c.srv.cfg
	rule, sent := due(cfg.WriteIdleTimeout), w.bytesSent()
	for taken := 0; len(p) > 0; {
		own := w.deadline.Load()
		w.s.str.SetWriteDeadline(earlier(rule, own))
		if w.deadline.Load() != own {
			continue // it was moved meanwhile
		}
		n, err := w.put(p)
		p = p[n:]
		taken += n
		switch {
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return w.failed(err)
		case w.late():
			w.err = os.ErrDeadlineExceeded
			return w.err
		case rule.IsZero() || time.Now().Before(rule): // the handler has moved its own
		case taken > 0 && float64(taken) >= cfg.earned(1):
			rule, taken, sent = due(cfg.WriteIdleTimeout), 0, w.bytesSent()
		case w.starved(w.bytesSent()-sent) && w.s.str.TryWriteAll(p[:1]) == nil:
			p = p[1:]
			rule, taken, sent = due(cfg.WriteIdleTimeout), 0, w.bytesSent()
		default:
			cfg.Counters.TimedOut.Add(1)
			abort(w.s.str, frame.ExcessiveLoad)
			return w.failed(errStalled)
		}
	}
	return nil
}

// earned is how many bytes of n answers a peer has to take in WriteIdleTimeout.
func (cfg *Config) earned(n int) float64 {
	return float64(n) * float64(cfg.WriteMinRate) * cfg.WriteIdleTimeout.Seconds()
}

func (w *response) bytesSent() uint64 { return w.s.c.q.ConnectionStats().BytesSent }

// starved tells whether the connection has sent enough for all its requests,
// though this one's answer has not moved: where they share a line, those of a
// lesser priority wait, and those that came later (RFC 9218 §10). That is none of
// the peer's if it has given credit as well.
func (w *response) starved(sent uint64) bool {
	c := w.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	return sent > 0 && float64(sent) >= c.srv.cfg.earned(len(c.active))
}

// due is the time in d; zero, never: zero.
func due(d time.Duration) time.Time {
	if d <= 0 {
		return time.Time{}
	}
	return time.Now().Add(d)
}

// earlier is rule, or the time own in Unix ns if that is before it; zero: never.
func earlier(rule time.Time, own int64) time.Time {
	if own == 0 {
		return rule
	}
	if t := time.Unix(0, own); rule.IsZero() || t.Before(rule) {
		return t
	}
	return rule
}

// put writes p. The transport's Write returns when it has copied what is left
// for the last packet, though there may be no credit for that: a connection
// that is drained would be closed with it. So the last byte goes behind it, with
// credit for both, and if there is none Write is made to wait for the packets.
func (w *response) put(p []byte) (int, error) {
	str := w.s.str
	last := len(p) - 1
	if n, err := str.Write(p[:last]); err != nil {
		return n, err
	}
	err := str.TryWriteAll(p[last:])
	if err == quic.ErrWouldBlock {
		n, err := str.WriteWithLimit(p[last:], func(most int) int { return most })
		return last + n, err
	}
	if err != nil {
		return last, err
	}
	return len(p), nil
}

// failed notes that nothing can be sent any more, and ends the request's context
// with its answer, as in net/http: the handler works for nobody.
func (w *response) failed(err error) error {
	if e, ok := errors.AsType[*quic.StreamError](err); ok && e.Remote {
		w.s.c.srv.cfg.Counters.Resets.Add(1)
		err = errReset
	}
	w.err = err
	w.s.ctx.Cancel(errCanceled)
	return err
}
