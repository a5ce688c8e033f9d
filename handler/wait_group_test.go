package handler

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func TestWaitGroup(t *testing.T) { synctest.Test(t, testWaitGroup) }

func testWaitGroup(t *testing.T) {
	g, b := NewRegistry(), newBlocking()
	w := NewWaitGroup(g, WaitGroupOptions{})
	c := NewChain(b, infos, w)
	for _, path := range []string{"/read", "/mutating", "/long", "/exempt"} {
		b.run(c, path)
	}
	short, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	servetest.WantErr(t, "requests run until the end of patience", w.Wait(short), context.DeadlineExceeded)

	for _, path := range []string{"/read", "/mutating", "/long"} {
		got := get(c, path)
		servetest.Want(t, path+": refused", got.Code, http.StatusServiceUnavailable)
		servetest.Want(t, path+": Retry-After", got.Header().Get("Retry-After"), "1")
		servetest.Want(t, path+": content", got.Body.String(), "server is shutting down\n")
	}
	b.run(c, "/exempt")
	servetest.Want(t, "exempt ones are served", g.Counts().Exempt, 2)

	waits := make(chan error, 2)
	for range cap(waits) {
		go func() { waits <- w.Wait(t.Context()) }()
	}
	synctest.Wait()
	servetest.Want(t, "they wait", len(waits), 0)
	b.end()
	servetest.WantErr(t, "all have ended", <-waits, nil)
	servetest.WantErr(t, "for both who wait", <-waits, nil)
	servetest.WantErr(t, "and for who comes later", w.Wait(t.Context()), nil)
}

// What is not waited for does not hold up the drain: exempt requests and, without
// a grace, long-running ones.
func TestWaitGroupOthers(t *testing.T) { synctest.Test(t, testWaitGroupOthers) }

func testWaitGroupOthers(t *testing.T) {
	g, b := NewRegistry(), newBlocking()
	w := NewWaitGroup(g, WaitGroupOptions{})
	c := NewChain(b, infos, w)
	b.run(c, "/long")
	b.run(c, "/exempt")
	servetest.WantErr(t, "nobody is waited for", w.Wait(t.Context()), nil)
	b.end()
	servetest.Want(t, "all have left", g.Counts(), RunningCounts{})
}

// Long-running requests see the end in their context, at a steady rate.
func TestWaitGroupGrace(t *testing.T) { synctest.Test(t, testWaitGroupGrace) }

func testWaitGroupGrace(t *testing.T) {
	const n = 400
	g, b := NewRegistry(), newBlocking()
	causes := make(chan error, n)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.ServeHTTP(w, r)
		causes <- context.Cause(r.Context())
	})
	w := NewWaitGroup(g, WaitGroupOptions{LongRunningGrace: time.Minute})
	c := NewChain(h, infos, w)
	for range n {
		b.run(c, "/long")
	}
	begin := time.Now()
	servetest.WantErr(t, "all have ended", w.Wait(t.Context()), nil)
	took := time.Since(begin)
	servetest.Want(t, "at 200 a second", took > 1900*time.Millisecond && took < 2100*time.Millisecond, true)
	b.end()
	for range n {
		servetest.WantErr(t, "by the stop", <-causes, ErrShuttingDown)
	}
}

// Without a grace they are not waited for, and end when the others have gone.
func TestWaitGroupNoGrace(t *testing.T) { synctest.Test(t, testWaitGroupNoGrace) }

func testWaitGroupNoGrace(t *testing.T) {
	g, release := NewRegistry(), make(chan struct{})
	w := NewWaitGroup(g, WaitGroupOptions{})
	cause := make(chan error, 1)
	c := NewChain(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/read" {
			<-release
			return
		}
		<-r.Context().Done()
		cause <- context.Cause(r.Context())
	}), infos, w)
	go get(c, "/read")
	go get(c, "/long")
	synctest.Wait()
	waited := make(chan error)
	go func() { waited <- w.Wait(t.Context()) }()
	synctest.Wait()
	servetest.Want(t, "ended while another runs", len(cause), 0)
	close(release)
	servetest.WantErr(t, "the wait ends with that one", <-waited, nil)
	servetest.WantErr(t, "and then the long one is ended", <-cause, ErrShuttingDown)
}

// One that does not care ends neither the wait nor the others.
func TestWaitGroupGraceOver(t *testing.T) { synctest.Test(t, testWaitGroupGraceOver) }

func testWaitGroupGraceOver(t *testing.T) {
	g, release := NewRegistry(), make(chan struct{})
	w := NewWaitGroup(g, WaitGroupOptions{LongRunningGrace: time.Minute})
	c := NewChain(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }), infos, w)
	ended := make(chan *httptest.ResponseRecorder)
	go func() { ended <- get(c, "/long") }()
	synctest.Wait()
	begin := time.Now()
	servetest.WantErr(t, "the wait ends", w.Wait(t.Context()), nil)
	servetest.Want(t, "with the grace", time.Since(begin), time.Minute)
	close(release)
	servetest.Want(t, "its answer is its own", (<-ended).Code, http.StatusOK)
}

// The stage that joins first does so for all; Wait refuses behind it all the same.
func TestWaitGroupJoinedBefore(t *testing.T) {
	g := NewRegistry()
	w := NewWaitGroup(g, WaitGroupOptions{})
	c := NewChain(NotFound{}, infos, NewDeadline(DeadlineOptions{}), NewTimeout(g, TimeoutOptions{}), w)
	servetest.Want(t, "served", get(c, "/read").Code, http.StatusNotFound)
	servetest.WantErr(t, "nobody is there", w.Wait(t.Context()), nil)
	servetest.Want(t, "refused", get(c, "/read").Code, http.StatusServiceUnavailable)
	servetest.Want(t, "exempt", get(c, "/exempt").Code, http.StatusNotFound)
	servetest.Want(t, "all have left", g.Counts(), RunningCounts{})
}
