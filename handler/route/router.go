package route

import (
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/penstock-edge/penstock/handler"
)

// Router serves by the present table. The zero value has none, and answers 503.
type Router struct {
	// Refused answers what no route is for, with the status that Find gives; for
	// 421 before a table is there, 503. If nil, a plain text.
	Refused func(w http.ResponseWriter, r *http.Request, status int)
	// Recycle promises that no handler of any table keeps anything of a request
	// (RecycleRequests). It is set before the first request.
	Recycle bool

	table atomic.Pointer[Table]
}

// Replace makes t the table of requests from now on; those that run have theirs.
func (o *Router) Replace(t *Table) { o.table.Store(t) }

// RecycleRequests is the promise of Recycle.
func (o *Router) RecycleRequests() bool { return o.Recycle }

// Table is the present one; nil: there is none yet.
func (o *Router) Table() *Table { return o.table.Load() }

// refusal is what Resolve has found where there is no route.
type refusal struct{ status int }

// Resolve is a chain's question about a request (handler.DefaultOptions.Resolve).
// What it finds is kept in Info.Target, so that ServeHTTP does not search again, and
// finds nothing else when the table was replaced meanwhile.
func (o *Router) Resolve(r *http.Request) handler.Info {
	info := handler.Info{Class: handler.ClassOf(r.Method)}
	route, status := o.find(r)
	if route == nil {
		info.Target = refusals[status]
		return info
	}
	info.Route, info.LongRunning, info.Target = route.ID, route.LongRunning, route
	return info
}

// refusals are found once, so that Info.Target costs no allocation.
var refusals = map[int]*refusal{
	http.StatusBadRequest:         {status: http.StatusBadRequest},
	http.StatusNotFound:           {status: http.StatusNotFound},
	http.StatusMethodNotAllowed:   {status: http.StatusMethodNotAllowed},
	http.StatusMisdirectedRequest: {status: http.StatusMisdirectedRequest},
	http.StatusServiceUnavailable: {status: http.StatusServiceUnavailable},
}

func (o *Router) find(r *http.Request) (*Route, int) {
	t := o.table.Load()
	if t == nil {
		return nil, http.StatusServiceUnavailable
	}
	return t.Find(r)
}

// ServeHTTP serves a request by its route.
func (o *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if x := handler.ExchangeOf(w); x != nil {
		switch t := x.Info.Target.(type) {
		case *Route:
			t.Handler.ServeHTTP(w, r)
			return
		case *refusal:
			o.refuse(w, r, t.status)
			return
		}
	}
	route, status := o.find(r)
	if route == nil {
		o.refuse(w, r, status)
		return
	}
	route.Handler.ServeHTTP(w, r)
}

func (o *Router) refuse(w http.ResponseWriter, r *http.Request, status int) {
	if o.Refused != nil {
		o.Refused(w, r, status)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(strings.ToLower(http.StatusText(status)) + "\n"))
	}
}
