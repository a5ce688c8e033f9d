package app

import (
	"io"
	"log/slog"
	"sync"
)

// lifecycle is what the parts of a run tell people through.
type lifecycle struct {
	log   *slog.Logger
	level *slog.LevelVar // of log
	// lines takes what is a line of JSON by itself. If nil, nobody does.
	lines io.Writer
}

// newLifecycle logs to stderr what is of level or above.
func newLifecycle(stderr io.Writer, level slog.Level) *lifecycle {
	out, least := &lockedWriter{w: stderr}, new(slog.LevelVar)
	least.Set(level)
	return &lifecycle{log: slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{Level: least})), level: least, lines: out}
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
