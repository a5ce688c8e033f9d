package bufpool

import "sync"

// The classes are what the engines ask for: a small answer, a read (one TLS
// record), and the most that goes into one write. Larger buffers are made for
// the occasion and left to the garbage collector, so that one large head does
// not stay in memory for ever.
const (
	small  = 4 << 10
	medium = 16 << 10
	large  = 64 << 10
)

// One pool a class. They hold bytes only, nothing of a server's, which is why
// all servers of a process may share them.
var smalls, mediums, larges sync.Pool

// Buffer is a lent buffer: append to B, read from it, reslice it. Its owner is
// one goroutine at a time, and it ends with Release.
type Buffer struct {
	B     []byte
	guard guard
}

// Get lends an empty buffer (len(B) == 0) with room for at least size bytes.
// What B held before is not cleared.
func Get(size int) *Buffer {
	switch {
	case size <= small:
		return get(&smalls, small)
	case size <= medium:
		return get(&mediums, medium)
	case size <= large:
		return get(&larges, large)
	default:
		return &Buffer{B: make([]byte, 0, size)}
	}
}

func get(pool *sync.Pool, size int) *Buffer {
	b, ok := pool.Get().(*Buffer)
	if !ok {
		return &Buffer{B: make([]byte, 0, size)}
	}
	b.guard.lend()
	return b
}

// WithRoom answers b if it has room for n bytes more, else a buffer of a larger
// class with b's bytes, in whose place b is released. A nil b is an empty one.
func (b *Buffer) WithRoom(n int) *Buffer {
	if b == nil {
		return Get(n)
	}
	if cap(b.B)-len(b.B) >= n {
		return b
	}
	larger := Get(len(b.B) + n)
	larger.B = append(larger.B, b.B...)
	b.Release()
	return larger
}

// Release gives the buffer back; neither it nor a slice of B may be used
// afterwards. A B that has grown past its class, or was cut at its front, is
// left to the garbage collector. Under the tags race or invariants the bytes
// are overwritten, and a second Release panics.
func (b *Buffer) Release() {
	b.guard.release(b.B[:cap(b.B)])
	b.B = b.B[:0]
	switch cap(b.B) {
	case small:
		smalls.Put(b)
	case medium:
		mediums.Put(b)
	case large:
		larges.Put(b)
	}
}
