package proxy

import (
	"errors"
	"io"
	"sync"

	"github.com/penstock-edge/penstock/serve/bufpool"
)

// errOldAttempt: the body is another attempt's by now.
var errOldAttempt = errors.New("proxy: the attempt is over")

// replay is a request's content that may be sent again: what was read of it is kept
// while it is little. A client that sends it for an attempt that has failed may
// still be in Read when the next one begins: then there is no next one.
type replay struct {
	src io.Reader // immutable

	mu      sync.Mutex // not held while src is read; guards the following
	keep    int64      // bytes that may be kept
	whole   bool       // all of it was kept before any attempt; immutable from then on
	kept    *bufpool.Buffer
	off     int // of kept that the present attempt has read
	turn    int // of the attempt
	reading bool
	lost    bool // more was read than is kept
	closed  bool
	ended   func() // is told when the last read has come back; nil: nobody waits
	err     error  // of src, behind kept
}

// newReplay keeps nothing of a body that is known to be too long: it can be sent
// again while nothing was read of it.
func newReplay(src io.Reader, length, most int64) *replay {
	if length > most {
		most = 0
	}
	return &replay{src: src, keep: max(0, most)}
}

// retire ends the present attempt: it reads no more. False: there can be no other
// one, for what it has read is not kept, or it is reading right now.
func (b *replay) retire() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn++
	b.off = 0
	return !b.lost && !b.reading
}

// reader is the content for the attempt that begins.
func (b *replay) reader() io.Reader {
	b.mu.Lock()
	defer b.mu.Unlock()
	return &attemptBody{b, b.turn}
}

// attemptBody is the content as one attempt reads it.
type attemptBody struct {
	b    *replay
	turn int
}

// Read gives what was kept, and then what the client sends.
func (a *attemptBody) Read(p []byte) (int, error) {
	b := a.b
	n, err := b.before(a.turn, p)
	if n > 0 || err != nil || len(p) == 0 {
		return n, err
	}
	n, err = b.src.Read(p)
	return n, b.after(a.turn, p[:n], err)
}

// before gives what is kept, or begins a read.
func (b *replay) before(turn int, p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.turn != turn || b.closed || b.reading {
		return 0, errOldAttempt
	}
	if b.kept != nil && b.off < len(b.kept.B) {
		n := copy(p, b.kept.B[b.off:])
		b.off += n
		return n, nil
	}
	if b.err != nil {
		return 0, b.err
	}
	b.reading = len(p) > 0
	return 0, nil
}

// after ends a read.
func (b *replay) after(turn int, p []byte, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = false
	switch {
	case b.closed:
		b.drop()
		if b.ended != nil {
			b.ended()
		}
	case len(p) == 0 || b.lost:
	case b.kept != nil && int64(len(b.kept.B)+len(p)) > b.keep || int64(len(p)) > b.keep:
		b.lost = true
		b.drop()
	default:
		b.remember(p)
	}
	if err != nil {
		b.err = err
	}
	if b.turn != turn {
		return errOldAttempt
	}
	return err
}

// remember keeps p. mu is held.
func (b *replay) remember(p []byte) {
	if b.kept == nil {
		b.kept = bufpool.Get(len(p))
	}
	if len(b.kept.B)+len(p) > cap(b.kept.B) {
		larger := bufpool.Get(int(min(b.keep, int64(4*(len(b.kept.B)+len(p))))))
		larger.B = append(larger.B, b.kept.B...)
		b.kept.Release()
		b.kept = larger
	}
	b.kept.B = append(b.kept.B, p...)
	b.off = len(b.kept.B)
}

// drop forgets what was kept. mu is held.
func (b *replay) drop() {
	if b.kept != nil {
		b.kept.Release()
		b.kept, b.off = nil, 0
	}
}

// prefetch reads n bytes, which are the whole content, before any attempt.
func (b *replay) prefetch(n int64) error {
	b.kept = bufpool.Get(int(n))
	b.keep = n
	read, err := io.ReadFull(b.src, b.kept.B[:n])
	b.kept.B = b.kept.B[:read]
	b.whole = err == nil
	return err
}

// copy is the content, which is here whole, for one of several attempts at a time.
func (b *replay) copy() io.Reader { return &copied{b: b} }

// copied is content as one attempt reads it beside others.
type copied struct {
	b   *replay
	off int
}

// Read gives what was kept, until the request has ended.
func (c *copied) Read(p []byte) (int, error) {
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	switch {
	case c.b.closed:
		return 0, errOldAttempt
	case c.off == len(c.b.kept.B):
		return 0, io.EOF
	}
	n := copy(p, c.b.kept.B[c.off:])
	c.off += n
	return n, nil
}

// close ends it: nobody reads any more. False: somebody is in src right now, and
// ended is called, once, when that has come back.
func (b *replay) close(ended func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.reading {
		b.ended = ended
		return false
	}
	b.drop()
	return true
}
