package front

import (
	"bufio"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"

	"github.com/penstock-edge/penstock/cmd/penstock/config"
	"github.com/penstock-edge/penstock/handler"
)

// edits are changes of fields, ready to be made.
type edits struct {
	remove []string
	set    http.Header // one value each
	add    http.Header
}

func newEdits(all ...*config.HeaderEdits) *edits {
	e := &edits{set: make(http.Header), add: make(http.Header)}
	for _, c := range all {
		for _, name := range c.Remove {
			e.remove = append(e.remove, http.CanonicalHeaderKey(name))
		}
		for _, name := range slices.Sorted(maps.Keys(c.Set)) {
			e.set.Set(name, c.Set[name])
		}
		for _, name := range slices.Sorted(maps.Keys(c.Add)) {
			e.add.Add(name, c.Add[name])
		}
	}
	return e
}

func (e *edits) empty() bool { return len(e.remove)+len(e.set)+len(e.add) == 0 }

// apply changes h: what is removed first, then what is set, then what is added.
func (e *edits) apply(h http.Header) {
	for _, name := range e.remove {
		delete(h, name)
	}
	for name, values := range e.set {
		h[name] = slices.Clone(values)
	}
	for name, values := range e.add {
		h[name] = append(h[name], values...)
	}
}

// withRequestEdits changes the fields of requests.
func withRequestEdits(next http.Handler, c *config.HeaderEdits) http.Handler {
	e := newEdits(c)
	if e.empty() {
		return next
	}
	return &requestEdits{next, e}
}

type requestEdits struct {
	next http.Handler
	e    *edits
}

func (m *requestEdits) RecycleRequests() bool { return recycles(m.next) }

func (m *requestEdits) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.e.apply(r.Header)
	m.next.ServeHTTP(w, r)
}

// withAnswerEdits changes the fields of answers: those of the host, then those of
// the route.
func withAnswerEdits(next http.Handler, all ...*config.HeaderEdits) http.Handler {
	e := newEdits(all...)
	if e.empty() {
		return next
	}
	return &answerEdits{next, e}
}

type answerEdits struct {
	next http.Handler
	e    *edits
}

func (m *answerEdits) RecycleRequests() bool { return recycles(m.next) }

func (m *answerEdits) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e := &editor{ResponseWriter: w, e: m.e}
	m.next.ServeHTTP(e, r)
	if !e.begun {
		e.WriteHeader(http.StatusOK)
	}
}

// editor is a ResponseWriter that changes the final head as it leaves. It has no
// WriteFields: fields that are passed on must be seen in the map to be changed.
type editor struct {
	http.ResponseWriter
	e     *edits
	begun bool
}

// Unwrap is for http.ResponseController.
func (w *editor) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *editor) WriteHeader(status int) {
	if !w.begun && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.begun = true
		w.e.apply(w.Header())
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *editor) begin() {
	if !w.begun {
		w.WriteHeader(http.StatusOK)
	}
}

func (w *editor) Write(p []byte) (int, error) {
	w.begin()
	return w.ResponseWriter.Write(p)
}

// SendFile leaves the engine's short way open.
func (w *editor) SendFile(f *os.File, off, n int64) (int64, error) {
	w.begin()
	return handler.SendFile(w.ResponseWriter, f, off, n)
}

// FlushError sends what was written so far.
func (w *editor) FlushError() error {
	w.begin()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush: see FlushError.
func (w *editor) Flush() { _ = w.FlushError() }

// Hijack gives the connection away: there is no answer to be changed.
func (w *editor) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.begun = true
	return http.NewResponseController(w.ResponseWriter).Hijack()
}
