package proxy

import (
	"sync"
	"time"
)

// maxLogLines of failures a service writes in a second: an upstream that is gone
// fails each request, and the access log has a line for each anyway
// (TestFailureLogIsBounded).
const maxLogLines = 10

// logLimit lets so many lines through. Any goroutine.
type logLimit struct {
	mu         sync.Mutex // guards the following
	second     int64
	lines      int
	suppressed int
}

// take tells whether a line may be written, and how many were not since the last.
func (l *logLimit) take(now time.Time) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := now.Unix(); s != l.second {
		l.second, l.lines = s, 0
	}
	if l.lines >= maxLogLines {
		l.suppressed++
		return 0, false
	}
	l.lines++
	suppressed, l.suppressed = l.suppressed, 0
	return suppressed, true
}
