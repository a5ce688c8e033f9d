package handler

import (
	"errors"
	"io"
	"net/http"
	"os"

	"github.com/penstock-edge/penstock/serve/bufpool"
)

// sendFileChunk is one read of a file that is copied: three whole DATA frames of
// HTTP/2 (16 KiB with their heads), and less than three TLS records, so that no
// chunk leaves a short one behind.
const sendFileChunk = 3 * (16<<10 - 9)

// fileSender is a ResponseWriter that can send a part of a file without its bytes
// passing through the program. errors.ErrUnsupported: not this one; nothing was sent.
type fileSender interface {
	SendFile(f *os.File, off, n int64) (int64, error)
}

// SendFile sends n bytes of f from off as a part of the content of w. The position
// of f is neither used nor moved, so that many answers may share one open file. An
// engine that can does it by sendfile(2); else the bytes are read and written. A
// file that ends before is io.ErrUnexpectedEOF: the answer is to be aborted.
//
// Only w itself is asked whether it can, not what its Unwrap gives: a writer that
// counts or changes the content must see all of it.
func SendFile(w http.ResponseWriter, f *os.File, off, n int64) (sent int64, err error) {
	if s, ok := w.(fileSender); ok {
		sent, err = s.SendFile(f, off, n)
		if !errors.Is(err, errors.ErrUnsupported) {
			return sent, err
		}
	}
	rest, err := copyFile(w, f, off+sent, n-sent)
	return sent + rest, err
}

// TrySendFile is SendFile where the bytes need not pass through the program, and else
// errors.ErrUnsupported: nothing was sent then.
func TrySendFile(w http.ResponseWriter, f *os.File, off, n int64) (sent int64, err error) {
	s, ok := w.(fileSender)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	return s.SendFile(f, off, n)
}

// copyFile reads and writes.
func copyFile(w io.Writer, f *os.File, off, n int64) (sent int64, err error) {
	size := min(n, sendFileChunk)
	buf := bufpool.Get(int(size))
	defer buf.Release()
	for sent < n {
		m, rerr := f.ReadAt(buf.B[:min(n-sent, size)], off+sent)
		if m > 0 {
			m, err := w.Write(buf.B[:m])
			sent += int64(m)
			if err != nil {
				return sent, err
			}
		}
		switch {
		case rerr == io.EOF && sent < n:
			return sent, io.ErrUnexpectedEOF
		case rerr != nil && rerr != io.EOF:
			return sent, rerr
		}
	}
	return sent, nil
}

// SendFile leaves the engine's short way open, and counts.
func (w *writer) SendFile(f *os.File, off, n int64) (int64, error) {
	s, ok := w.inner.(fileSender)
	if !ok {
		return 0, errors.ErrUnsupported
	}
	if !w.begun() {
		if err := w.first(); err != nil {
			return 0, err
		}
	}
	sent, err := s.SendFile(f, off, n)
	w.written.Add(sent)
	return sent, err
}

// pipeSender is a ResponseWriter that can send what lies in a pipe; see SendPipe of
// the HTTP/1 engine's.
type pipeSender interface {
	TakesPipe(n int64) bool
	SendPipe(fd int, n int64) (int64, error)
}

// TakesPipe leaves the engine's short way open.
func (w *writer) TakesPipe(n int64) bool {
	s, ok := w.inner.(pipeSender)
	return ok && w.begun() && s.TakesPipe(n)
}

// SendPipe likewise, and counts.
func (w *writer) SendPipe(fd int, n int64) (int64, error) {
	sent, err := w.inner.(pipeSender).SendPipe(fd, n)
	w.written.Add(sent)
	return sent, err
}
