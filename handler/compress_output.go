package handler

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"

	"github.com/penstock-edge/penstock/serve/bufpool"
)

// compressedBytes is how much of an encoder's output leaves in one write: encoders
// give it in crumbs.
const compressedBytes = 16 << 10

// compressOutput is where an encoder writes to: it gathers.
type compressOutput compressWriter

func (o *compressOutput) Write(p []byte) (int, error) {
	w := (*compressWriter)(o)
	if w.out == nil {
		w.out = bufpool.Get(compressedBytes)
	}
	if len(w.out.B)+len(p) > compressedBytes {
		if err := w.send(); err != nil {
			return 0, err
		}
		if len(p) > compressedBytes {
			return w.inner.Write(p)
		}
	}
	w.out.B = append(w.out.B, p...)
	return len(p), nil
}

// send lets out what was gathered.
func (w *compressWriter) send() error {
	if w.out == nil || len(w.out.B) == 0 {
		return nil
	}
	_, err := w.inner.Write(w.out.B)
	w.out.B = w.out.B[:0]
	return err
}

// WriteString spares io.WriteString the conversion where nothing is changed.
func (w *compressWriter) WriteString(s string) (int, error) {
	if w.isPlain() {
		return io.WriteString(w.inner, s)
	}
	return w.Write([]byte(s))
}

func (w *compressWriter) isPlain() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state == plainly
}

// ReadFrom leaves io.Copy's short way open to what goes as it is.
func (w *compressWriter) ReadFrom(src io.Reader) (int64, error) {
	if w.isPlain() {
		return io.Copy(w.inner, src)
	}
	return bufpool.Copy(w, src, compressedBytes)
}

// SendFile likewise; see there.
func (w *compressWriter) SendFile(f *os.File, off, n int64) (int64, error) {
	if s, ok := w.inner.(fileSender); ok && w.isPlain() {
		return s.SendFile(f, off, n)
	}
	return 0, errors.ErrUnsupported
}

// TakesPipe likewise.
func (w *compressWriter) TakesPipe(n int64) bool {
	s, ok := w.inner.(pipeSender)
	return ok && w.isPlain() && s.TakesPipe(n)
}

// SendPipe likewise.
func (w *compressWriter) SendPipe(fd int, n int64) (int64, error) {
	return w.inner.(pipeSender).SendPipe(fd, n)
}

// Flush and FlushError send what was written so far: the client can decode it.
func (w *compressWriter) Flush() { _ = w.FlushError() }

// FlushError: see Flush.
func (w *compressWriter) FlushError() error {
	if err := w.flushContent(); err != nil {
		return err
	}
	return http.NewResponseController(w.inner).Flush()
}

func (w *compressWriter) flushContent() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state == undecided && w.status == 0 {
		w.writeHeader(http.StatusOK)
	}
	if w.state == undecided {
		w.decide(nil)
	}
	if w.state != encoding {
		return nil
	}
	if err := w.enc.Flush(); err != nil {
		return err
	}
	return w.send()
}

// Hijack is for those who ask the writer itself instead of a ResponseController.
func (w *compressWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.state == undecided && w.status != 0 {
		w.pass()
	}
	conn, rw, err := http.NewResponseController(w.inner).Hijack()
	if err == nil && w.state == undecided {
		w.state = plainly // the answer is not ours any more
	}
	return conn, rw, err
}
