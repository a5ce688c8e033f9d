package semantics

import (
	"net/http"
	"sync/atomic"
	"time"
)

// DateCache renders the Date field (RFC 9110 §6.6.1) once a second. The zero
// value is ready; any number of goroutines may use one.
type DateCache struct {
	current atomic.Pointer[dateLine]
}

type dateLine struct {
	second int64
	line   []byte
}

// AppendField appends "Date: ...\r\n" for now. It is the one place that reads
// the wall clock of an answer (rule O-5).
func (d *DateCache) AppendField(dst []byte, now time.Time) []byte {
	second := now.Unix()
	c := d.current.Load()
	if c == nil || c.second != second {
		line := append([]byte("Date: "), now.UTC().Format(http.TimeFormat)...)
		c = &dateLine{second: second, line: append(line, "\r\n"...)}
		d.current.Store(c)
	}
	return append(dst, c.line...)
}
