package hpack

import "sync"

// scratch is where the literals of a block are decoded. It is pooled, not kept in
// the Decoder: an idle connection must not hold it. Not on the stack either:
// zeroing room for a cookie takes longer than the pool does (25 ns for 1 KiB to
// 15), and the stack of every leader would grow by it.
type scratch struct {
	text    []byte
	pending []pending
}

// pending is a field whose strings are still in the scratch.
type pending struct{ field, from, mid, to int }

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// useScratch gets one when the first literal of a block comes.
func (b *blockReader) useScratch() *scratch {
	if b.scratch == nil {
		b.scratch = scratches.Get().(*scratch)
	}
	return b.scratch
}

// cut makes one string of all that is pending, and cuts it into the fields.
func (s *scratch) cut(fields []Field) {
	if len(s.pending) == 0 {
		return
	}
	text := string(s.text)
	for _, p := range s.pending {
		f := &fields[p.field]
		if p.from < p.mid {
			f.Name = text[p.from:p.mid]
		}
		f.Value = text[p.mid:p.to]
	}
}

func (s *scratch) release() {
	if cap(s.text) > maxScratch {
		s.text = nil
	}
	if cap(s.pending) > maxPending {
		s.pending = nil
	}
	s.text, s.pending = s.text[:0], s.pending[:0]
	scratches.Put(s)
}
