package handler

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What refused clients are told to wait, for all stages that refuse.
const (
	// defaultBusyRetry: a server that is full has room again after one request's
	// time, and one that stops has a successor which is there already.
	defaultBusyRetry = time.Second
	// defaultDrainRetry: a server that still listens while it drains is to be left
	// by its balancer meanwhile, whose probes come every few seconds.
	defaultDrainRetry = 5 * time.Second
)

// RetryOptions are the values of Retry-After that refusals carry, rounded up to
// whole seconds. All stages of a chain are given the same ones.
type RetryOptions struct {
	// Busy is told by a server that is full, and in the default mode of the drain
	// by one that stops. If zero, 1 s. If negative, the field is left out.
	Busy time.Duration
	// Draining is told in the second mode of the drain, by RetryAfter. If zero,
	// 5 s. If negative, the field is left out.
	Draining time.Duration
}

func (o RetryOptions) busy() []string     { return retryValue(o.Busy, defaultBusyRetry) }
func (o RetryOptions) draining() []string { return retryValue(o.Draining, defaultDrainRetry) }

// retryValue is d, or byDefault if that is zero, as a field's value.
func retryValue(d, byDefault time.Duration) []string {
	switch {
	case d == 0:
		d = byDefault
	case d < 0:
		return nil
	}
	return []string{strconv.FormatInt(wholeSeconds(d), 10)}
}

// wholeSeconds rounds up: who comes earlier is refused again.
func wholeSeconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// form is how the answer to a request has to look.
type form uint8

const (
	formJSON form = 1 << iota // it accepts application/json
	formHead                  // it is HEAD: no content
	formH1                    // HTTP/1: the connection can be closed behind the answer
)

// formOf reads what a handler may later change.
func formOf(r *http.Request) (f form) {
	for _, v := range r.Header["Accept"] {
		if strings.Contains(v, "application/json") {
			f |= formJSON
		}
	}
	if r.Method == http.MethodHead {
		f |= formHead
	}
	if r.ProtoMajor == 1 {
		f |= formH1
	}
	return f
}

// refusal is the answer of a stage in place of the handler's: plain text, or the
// status object of a Kubernetes API server where JSON is asked for. It is made
// beforehand and allocates nothing.
type refusal struct {
	retry []string // of Retry-After; nil: none
	text  *page
	json  *page
}

// newRefusal makes one. reason is a word for programs, message a line for people.
func newRefusal(status int, reason, message string, retry []string) *refusal {
	body := fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":%q,"reason":%q,"code":%d}`+"\n",
		message, reason, status)
	return &refusal{retry, newPage(status, textPlain, []byte(message+"\n")), newPage(status, jsonType, []byte(body))}
}

// serve answers x. It returns false, as the Begin that refuses.
func (f *refusal) serve(x *Exchange) bool {
	f.write(x.Writer(), formOf(x.Request), f.retry)
	return false
}

func (f *refusal) write(w http.ResponseWriter, form form, retry []string) {
	h := w.Header()
	if retry != nil {
		h["Retry-After"] = retry
	}
	h["Cache-Control"] = noCache
	p := f.text
	if form&formJSON != 0 {
		p = f.json
	}
	p.write(w, form&formHead == 0)
}
