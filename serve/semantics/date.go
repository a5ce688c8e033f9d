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

const dateName = "Date: "

type dateLine struct {
	second int64
	line   string
}

// AppendField appends "Date: ...\r\n" for now. It is the one place that reads
// the wall clock of an answer (rule O-5).
func (d *DateCache) AppendField(dst []byte, now time.Time) []byte {
	return append(dst, d.line(now)...)
}

// Value is the field's value for now; an allocation a second.
func (d *DateCache) Value(now time.Time) string {
	line := d.line(now)
	return line[len(dateName) : len(line)-len("\r\n")]
}

func (d *DateCache) line(now time.Time) string {
	second := now.Unix()
	c := d.current.Load()
	if c == nil || c.second != second {
		c = &dateLine{second, dateName + now.UTC().Format(http.TimeFormat) + "\r\n"}
		d.current.Store(c)
	}
	return c.line
}
