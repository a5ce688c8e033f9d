package handler

import (
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"
)

// logSink is where lines go. A file can be opened anew while it is written.
type logSink struct {
	// mu guards the following; it is not held while something is written.
	mu      sync.Mutex
	path    string // empty: nothing to open anew
	w       io.Writer
	own     bool     // w is a file to be closed
	next    *os.File // takes the place of w before the next write
	nextOwn bool
	err     error // of the last write
}

var (
	errNoLogPlace = errors.New("neither a path nor a writer")
	errLogClosed  = errors.New("it is closed")
)

func newLogSink(path string, w io.Writer) (*logSink, error) {
	switch {
	case w != nil:
		return &logSink{w: w}, nil
	case path == "":
		return nil, errNoLogPlace
	case path == "-":
		f, own, err := openStdout()
		return &logSink{w: f, own: own}, err
	}
	f, err := openLog(path)
	return &logSink{path: path, w: f, own: true}, err
}

// openLog opens for appending, so that writes of two processes do not overwrite
// each other. O_NONBLOCK: a FIFO nobody reads is an error in place of a hang.
func openLog(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|syscall.O_NONBLOCK, 0o640)
}

// reopen opens the path; the goroutine that writes goes over to it.
func (s *logSink) reopen() error {
	s.mu.Lock()
	path := s.path
	s.mu.Unlock()
	if path == "" {
		return nil
	}
	f, err := openLog(path)
	if err != nil {
		return err
	}
	return s.move(path, f, true)
}

// move makes f the place of the next write; nil: what is written goes nowhere.
func (s *logSink) move(path string, f *os.File, own bool) (err error) {
	s.mu.Lock()
	unused, unusedOwn := s.next, s.nextOwn
	switch {
	case s.w == nil:
		unused, unusedOwn, err = f, own, errLogClosed
	case f == nil:
		s.path = "" // lines that wait still go where they were meant to
		unused = nil
	default:
		s.path, s.next, s.nextOwn = path, f, own
	}
	s.mu.Unlock()
	if unused != nil && unusedOwn {
		_ = unused.Close() // nothing was written to it
	}
	return err
}

// write is called by one goroutine.
func (s *logSink) write(p []byte) (int, error) {
	s.mu.Lock()
	var old io.Writer
	if s.next != nil {
		if s.own {
			old = s.w
		}
		s.w, s.own, s.next = s.next, s.nextOwn, nil
	}
	w := s.w
	s.mu.Unlock()
	if f, ok := old.(*os.File); ok {
		_ = f.Close() // what it could not write was told by its writes
	}
	n, err := w.Write(p)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	return n, err
}

func (s *logSink) lastError() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// interrupt ends a write that hangs, where the system can.
func (s *logSink) interrupt() {
	s.mu.Lock()
	w := s.w
	s.mu.Unlock()
	if d, ok := w.(interface{ SetWriteDeadline(t time.Time) error }); ok {
		_ = d.SetWriteDeadline(time.Unix(1, 0)) // regular files have none, and do not hang
	}
}

// close is the last call of the goroutine that writes.
func (s *logSink) close() {
	s.mu.Lock()
	w, own, next, nextOwn := s.w, s.own, s.next, s.nextOwn
	s.w, s.next = nil, nil
	s.mu.Unlock()
	if f, ok := w.(*os.File); ok && own {
		_ = f.Close()
	}
	if next != nil && nextOwn {
		_ = next.Close()
	}
}
