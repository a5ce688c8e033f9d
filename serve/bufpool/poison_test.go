//go:build race || invariants

package bufpool

import "testing"

func TestDoubleReleasePanics(t *testing.T) {
	b := Get(large + 1) // of no class: it cannot be lent to another meanwhile
	b.Release()
	defer func() {
		if recover() == nil {
			t.Error("second Release did not panic")
		}
	}()
	b.Release()
}

func TestReleasePoisons(t *testing.T) {
	b := Get(large + 1)
	b.B = append(b.B, "secret"...)
	kept := b.B
	b.Release()
	for i, c := range kept {
		if c != poison {
			t.Fatalf("byte %d of a released buffer is %#x, want %#x", i, c, poison)
		}
	}
}
