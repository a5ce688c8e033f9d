package app

import (
	"io"
	"log/slog"
	"sync"
)

// lifecycle is what the parts of a run tell people through.
type lifecycle struct {
	log *slog.Logger
	// lines takes what is a line of JSON by itself. If nil, nobody does.
	lines io.Writer
}

// newLifecycle logs to stderr.
func newLifecycle(stderr io.Writer) *lifecycle {
	out := &lockedWriter{w: stderr}
	return &lifecycle{log: slog.New(slog.NewTextHandler(out, nil)), lines: out}
}

// line writes one line of JSON.
func (l *lifecycle) line(b []byte) {
	if l.lines != nil {
		_, _ = l.lines.Write(b) // a closed stderr leaves nobody to tell
	}
}

// lockedWriter keeps lines of several writers whole.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
