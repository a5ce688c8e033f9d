//go:build !race && !invariants

package bufpool

// guard costs nothing where nothing is checked.
type guard struct{}

func (*guard) lend() {}

func (*guard) release([]byte) {}
