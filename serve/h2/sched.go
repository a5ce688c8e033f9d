package h2

import (
	"math/bits"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// schedule holds the streams that have output waiting and a window for it: for
// each urgency a ring, found by a bitmap (RFC 9218 §10). A stream that said
// that it is not incremental keeps its place at the head until it is done;
// others go behind their neighbours after each frame, and so do those that
// said nothing: a client that knows no priorities still wants its small
// answers beside a download.
//
// Answers of one DATA frame do not come here (Conn.turnOf).
type schedule struct {
	heads  [8]*stream
	filled uint8 // a bit for each ring that is not empty
}

func (q *schedule) empty() bool { return q.filled == 0 }

// first is the stream whose turn it is; nil: none.
func (q *schedule) first() *stream {
	if q.filled == 0 {
		return nil
	}
	return q.heads[bits.TrailingZeros8(q.filled)]
}

// add lets s wait for its turn, if it has something to send and may.
func (q *schedule) add(s *stream) {
	if s.queued || s.gone || s.out == nil || s.sendWin <= 0 && s.off < len(s.out.B) {
		return
	}
	s.queued = true
	u := s.prio.Urgency
	head := q.heads[u]
	if head == nil {
		s.next, s.prev = s, s
		q.heads[u] = s
		q.filled |= 1 << u
		return
	}
	before := head // at the end of the ring
	// RFC 9218 §10: those that do not share SHOULD be served in the order of
	// their identifiers, whenever they got their windows.
	for !s.incremental && !before.prev.incremental && before.prev.id > s.id {
		if before = before.prev; before == head {
			q.heads[u] = s
			break
		}
	}
	s.next, s.prev = before, before.prev
	before.prev.next = s
	before.prev = s
}

// remove takes s out.
func (q *schedule) remove(s *stream) {
	if !s.queued {
		return
	}
	s.queued = false
	u := s.prio.Urgency
	if s.next == s {
		q.heads[u] = nil
		q.filled &^= 1 << u
	} else {
		s.prev.next, s.next.prev = s.next, s.prev
		if q.heads[u] == s {
			q.heads[u] = s.next
		}
	}
	s.next, s.prev = nil, nil
}

// rotate ends the turn of the head of a ring.
func (q *schedule) rotate(s *stream) {
	if s.queued && s.incremental && q.heads[s.prio.Urgency] == s {
		q.heads[s.prio.Urgency] = s.next
	}
}

// change applies what the peer says of a stream (RFC 9218 §4, §7).
func (q *schedule) change(s *stream, p semantics.Priority) {
	waiting := s.queued
	q.remove(s)
	s.prio, s.incremental = p, p.Incremental
	if waiting {
		q.add(s)
	}
}
