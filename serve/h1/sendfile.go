package h1

import (
	"errors"
	"io"
	"net/http"
	"os"
	"reflect"

	"github.com/penstock-edge/penstock/serve/bufpool"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// ReadFrom is io.Copy's way in. A regular file on clear TCP goes by sendfile;
// anything else is copied through a pooled buffer.
func (w *response) ReadFrom(src io.Reader) (int64, error) {
	if f, off, n, ok := w.sendable(src); ok {
		sent, err := w.sendFile(f, off, n)
		if lr, ok := src.(*io.LimitedReader); ok {
			lr.N -= sent
		}
		f.Seek(off+sent, io.SeekStart) // io.Copy would have moved it
		return sent, err
	}
	return bufpool.Copy(w, src, copySize)
}

// sendable tells whether src is a part of a regular file that is worth it, and
// whether this answer can take it: its length must be known.
func (w *response) sendable(src io.Reader) (f *os.File, off, n int64, ok bool) {
	n = -1
	if lr, is := src.(*io.LimitedReader); is {
		n, src = lr.N, lr.R
	}
	if !w.c.host.CanSendFile() {
		return nil, 0, 0, false
	}
	if f = fileOf(src); f == nil {
		return nil, 0, 0, false
	}
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return nil, 0, 0, false
	}
	off, err = f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, 0, 0, false
	}
	if rest := st.Size() - off; n < 0 || n > rest {
		n = rest
	}
	return f, off, n, w.takesFile(n)
}

// takesFile tells whether n bytes of a file are worth a call of their own, and
// fit the answer.
func (w *response) takesFile(n int64) bool {
	if n < sendfileMin {
		return false
	}
	w.c.wmu.Lock()
	defer w.c.wmu.Unlock()
	return w.before(int(n)) == nil && !w.isHead && w.length >= 0 && w.written+n <= w.length
}

// SendFile sends n bytes of f from off as a part of the body. The position of f is
// neither used nor moved, so that answers may share f. errors.ErrUnsupported:
// nothing was sent, and the bytes are to be read and written instead (TLS, no
// declared length, too few to be worth it). io.ErrUnexpectedEOF: f has become
// shorter.
func (w *response) SendFile(f *os.File, off, n int64) (int64, error) {
	if !w.c.host.CanSendFile() || !w.takesFile(n) {
		return 0, errors.ErrUnsupported
	}
	return w.sendFile(f, off, n)
}

// fileOf returns the file that r is; nil: it is none. io.Copy of a file calls
// its WriteTo, which comes here with the file inside a struct of package os, as
// the way round WriteTo; package net knows that struct, we have to look.
func fileOf(r io.Reader) *os.File {
	if f, ok := r.(*os.File); ok {
		return f
	}
	v := reflect.ValueOf(r)
	if v.Kind() != reflect.Struct || v.Type().PkgPath() != "os" {
		return nil
	}
	if v = v.FieldByName("File"); v.IsValid() && v.CanInterface() {
		f, _ := reflect.TypeAssert[*os.File](v)
		return f
	}
	return nil
}

// sendFile sends n bytes of f from off behind the head.
func (w *response) sendFile(f *os.File, off, n int64) (int64, error) {
	c := w.c
	c.wmu.Lock()
	defer c.wmu.Unlock()
	if w.over {
		return 0, errOver
	}
	var sniff []byte
	if !w.headDone && !w.own.contentType && !w.own.encoded {
		var begin [semantics.SniffBytes]byte
		m, _ := f.ReadAt(begin[:min(n, semantics.SniffBytes)], off)
		sniff = begin[:m]
	}
	w.sendHead(sniff, false)
	return w.sendOutside(n, func(sent int64) (int64, error) { return c.host.SendFile(f, off+sent, n-sent) })
}

// TakesPipe tells whether SendPipe can be used for n bytes more, if they are worth it.
func (w *response) TakesPipe(n int64) bool { return w.c.host.CanSendFile() && w.takesFile(n) }

// SendPipe sends the n bytes that lie in the pipe whose reading end is fd as a part
// of the body, after TakesPipe for them or more. The pipe is empty afterwards, unless
// there is an error.
func (w *response) SendPipe(fd int, n int64) (int64, error) {
	c := w.c
	c.wmu.Lock()
	defer c.wmu.Unlock()
	switch {
	case w.over:
		return 0, errOver
	case w.length < 0 || w.written+n > w.length:
		return 0, http.ErrContentLength
	}
	w.sendHead(nil, false)
	return w.sendOutside(n, func(sent int64) (int64, error) { return c.host.SendPipe(fd, n-sent) })
}

// sendOutside sends n bytes that the program has not in its memory, behind what is
// gathered. send sends what the socket takes now of those behind the first sent. wmu
// is held.
func (w *response) sendOutside(n int64, send func(sent int64) (int64, error)) (sent int64, err error) {
	c := w.c
	w.onWire, w.mark = true, 0
	if c.out != nil && len(c.out.B) > 0 && c.writeErr == nil {
		_, c.writeErr = c.host.WriteMore(c.out.B)
		c.out.B = c.out.B[:0]
	}
	for sent < n && c.writeErr == nil {
		if c.host.Buffered() > 0 {
			c.writeErr = c.host.WaitWritable(0)
			continue
		}
		m, err := send(sent)
		sent += m
		w.written += m
		switch {
		case err == nil:
		case err == ErrWouldBlock:
			c.writeErr = c.host.WaitWritable(0)
		case err == io.ErrUnexpectedEOF:
			return sent, err // the file has shrunk: the missing bytes are seen at the end
		default:
			c.writeErr = err
		}
	}
	return sent, w.failedWrite()
}

var _ interface {
	http.ResponseWriter
	http.Flusher
	http.Hijacker
	io.ReaderFrom
	io.StringWriter
} = (*response)(nil)
