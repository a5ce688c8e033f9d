package listener

import (
	"syscall"
	"testing"
	"time"
)

// What no line was written for is counted, and told with the next line.
func TestBackoffSuppressed(t *testing.T) {
	var b Backoff
	now := time.Unix(1000, 0)
	_, log := b.Next(now, syscall.EMFILE)
	want(t, "first failure has a line", log, true)
	want(t, "nothing came before it", b.Suppressed(), 0)
	for range 7 {
		now = now.Add(100 * time.Millisecond)
		_, log = b.Next(now, syscall.EMFILE)
		want(t, "no line within a second", log, false)
	}
	_, log = b.Next(now.Add(time.Second), syscall.EMFILE)
	want(t, "a line a second later", log, true)
	want(t, "failures between the lines", b.Suppressed(), 7)
	_, _ = b.Next(now.Add(2*time.Second), syscall.EMFILE)
	want(t, "each is told once", b.Suppressed(), 0)
}

func TestBackoffFailing(t *testing.T) {
	var b Backoff
	now := time.Unix(1000, 0)
	want(t, "before any failure", b.Failing(now), 0)
	_, _ = b.Next(now, syscall.EMFILE)
	want(t, "at the first", b.Failing(now), 0)
	_, _ = b.Next(now.Add(time.Second), syscall.EMFILE)
	want(t, "counted from the first", b.Failing(now.Add(3*time.Second)), 3*time.Second)
	b.Reset()
	want(t, "after an accept", b.Failing(now.Add(time.Hour)), 0)
	_, _ = b.Next(now.Add(time.Hour), syscall.EMFILE)
	want(t, "counted anew", b.Failing(now.Add(time.Hour+time.Second)), time.Second)
}
