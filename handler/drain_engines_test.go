package handler_test

import (
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// While the server drains, each answer asks its connection to end, by the means of
// the protocol: a client that goes on comes by new ones.
func TestRetryAfterEndsConnections(t *testing.T) { forEngines(t, testRetryAfterEndsConnections) }

func testRetryAfterEndsConnections(t *testing.T, e engine) {
	url, client, dials := e.start(t, handler.NewChain(handler.NotFound{},
		handler.NewRetryAfter(func() bool { return true }, handler.RetryOptions{})))
	servetest.WantSoon(t, "three connections", func() bool {
		resp, err := client.Get(url)
		if err != nil {
			return false // one that ended just now
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
		servetest.Want(t, "status", resp.StatusCode, http.StatusTooManyRequests)
		servetest.Want(t, "Retry-After", resp.Header.Get("Retry-After"), "5")
		return dials.Load() >= 3
	})
}

// The context of our engines takes the deadline; net/http's request is copied.
func TestDeadlineEngines(t *testing.T) { forEngines(t, testDeadlineEngines) }

func testDeadlineEngines(t *testing.T, e engine) {
	var given atomic.Pointer[http.Request]
	c := handler.NewChain(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at, ok := r.Context().Deadline()
		servetest.Want(t, "the context has the deadline", ok && at.Equal(handler.ExchangeOf(w).Deadline), true)
		servetest.Want(t, "no copy is made", given.Load() == r, !e.oracle)
		servetest.WantErr(t, "it has not come", r.Context().Err(), nil)
	}), handler.NewDeadline(handler.DeadlineOptions{RequestTimeout: time.Hour}))
	url, client, _ := e.start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given.Store(r)
		c.ServeHTTP(w, r)
	}))
	resp, err := client.Get(url)
	must(t, err)
	resp.Body.Close()
	servetest.Want(t, "status", resp.StatusCode, http.StatusOK)
}
