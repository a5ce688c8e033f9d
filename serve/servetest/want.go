package servetest

import (
	"errors"
	"testing"
	"time"
)

// patience is how long WantSoon waits. It is no measure of speed: only a test
// that fails waits that long.
const patience = 10 * time.Second

// Want fails the test unless got == want. why is the reason as half a
// sentence: "the second answer has its own length".
func Want[T comparable](tb testing.TB, why string, got, want T) {
	tb.Helper()
	if got != want {
		tb.Errorf("%s: got %#v, want %#v", why, got, want)
	}
}

// WantErr fails the test unless errors.Is(err, want); with want nil, unless
// err is nil.
func WantErr(tb testing.TB, why string, err, want error) {
	tb.Helper()
	if !errors.Is(err, want) {
		tb.Errorf("%s: got error %v, want %v", why, err, want)
	}
}

// Must ends the test when err is not nil; what follows could not be judged.
func Must(tb testing.TB, why string, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatalf("%s: %v", why, err)
	}
}

// WantSoon fails the test unless ok becomes true within ten seconds. It looks
// again and again; ok is called from the test's goroutine.
func WantSoon(tb testing.TB, why string, ok func() bool) {
	tb.Helper()
	if !soon(patience, ok) {
		tb.Errorf("%s: not within %v", why, patience)
	}
}

// soon polls ok, at first often, until it holds or limit has passed.
func soon(limit time.Duration, ok func() bool) bool {
	pause := time.Millisecond
	for end := time.Now().Add(limit); ; {
		if ok() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
		time.Sleep(pause)
		pause = min(2*pause, 50*time.Millisecond)
	}
}
