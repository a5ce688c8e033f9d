package debug

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// ServeHTTP sends the recording of the last seconds. It is taken into memory first,
// so that a slow client does not keep a dump waiting.
func (f *FlightRecorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", "GET")
		refuse(w, http.StatusMethodNotAllowed, "405 method not allowed")
		return
	}
	if !f.sending.TryLock() {
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, "503 another client fetches a recording")
		return
	}
	defer f.sending.Unlock()
	var b bytes.Buffer
	switch err := f.snapshot(&boundedWriter{w: &b, left: f.opts.MaxDirBytes}); {
	case errors.Is(err, ErrFlightOff):
		refuse(w, http.StatusNotFound, "404 "+err.Error())
		return
	case err != nil:
		refuse(w, http.StatusInternalServerError, "500 "+err.Error())
		return
	}
	rc := http.NewResponseController(w)
	_ = rc.SetWriteDeadline(time.Now().Add(flightSendTimeout)) // a writer without deadlines is a test's
	defer func() { _ = rc.SetWriteDeadline(time.Time{}) }()    // the next on this connection may be a long profile
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	h.Set("Content-Disposition", `attachment; filename="flight.trace"`)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(b.Bytes()) // a client that left is no concern of ours
	_ = rc.Flush()            // within the deadline
}

// describe is the recorder's state, for the index.
func (f *FlightRecorder) describe() string {
	if !f.Enabled() {
		return ErrFlightOff.Error()
	}
	return fmt.Sprintf("execution trace of the last %v", f.opts.MinAge)
}

// boundedWriter fails when more than left is written.
type boundedWriter struct {
	w       io.Writer
	left    int64
	written int64
}

var errRecordingTooLarge = errors.New("the flight recording is larger than MaxDirBytes")

func (b *boundedWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > b.left {
		return 0, errRecordingTooLarge
	}
	n, err := b.w.Write(p)
	b.left -= int64(n)
	b.written += int64(n)
	return n, err
}
