//go:build race || invariants

package bufpool

import "sync/atomic"

// poison is what a released buffer is overwritten with.
const poison = 0xdb

// guard catches a double release, and makes use after release visible.
type guard struct{ released atomic.Bool }

func (g *guard) lend() { g.released.Store(false) }

func (g *guard) release(b []byte) {
	if g.released.Swap(true) {
		panic("BUG: bufpool: buffer released twice")
	}
	for i := range b {
		b[i] = poison
	}
}
