package handler_test

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// timed is a chain with deadlines around h.
func timed(g *handler.Registry, h http.HandlerFunc) http.Handler {
	return handler.NewChain(h,
		outerFields{},
		handler.NewWaitGroup(g, handler.WaitGroupOptions{}),
		handler.NewDeadline(handler.DeadlineOptions{}),
		handler.NewTimeout(g, handler.TimeoutOptions{}))
}

// The handler uses its header map all the while, gives up only when its client has
// the whole answer, and finds its own answer refused.
func TestTimeoutNoWrite(t *testing.T) { forEngines(t, testTimeoutNoWrite) }

func testTimeoutNoWrite(t *testing.T, e engine) {
	g := handler.NewRegistry()
	release, written := make(chan struct{}), make(chan error, 1)
	url, client, _ := e.start(t, timed(g, func(w http.ResponseWriter, r *http.Request) {
		for i := 0; ; i++ {
			w.Header().Set("X-Busy", strconv.Itoa(i))
			w.Header().Set("Content-Encoding", "gzip")
			select {
			case <-release:
				_, err := io.WriteString(w, "late")
				written <- err
				return
			case <-time.After(100 * time.Microsecond):
			}
		}
	}))
	resp, err := client.Get(url + "/?timeout=20ms")
	must(t, err)
	defer resp.Body.Close()
	servetest.Want(t, "status", resp.StatusCode, http.StatusGatewayTimeout)
	servetest.Want(t, "the handler's fields are not sent", resp.Header.Get("X-Busy")+resp.Header.Get("Content-Encoding"), "")
	servetest.Want(t, "those of stages outside are", resp.Header.Get("X-Outer"), "1")
	servetest.Want(t, "a stage outside adds to the head", resp.Header.Get("X-Head"), "504")
	servetest.Want(t, "HTTP/1: the connection ends", resp.Close, e.major == 1)
	body := make([]byte, resp.ContentLength)
	_, err = io.ReadFull(resp.Body, body)
	servetest.WantErr(t, "the content is there while the handler runs", err, nil)
	servetest.Want(t, "content", string(body), "Timeout: request did not complete within the allotted timeout\n")
	if e.ends {
		_, err = resp.Body.Read(make([]byte, 1))
		servetest.WantErr(t, "and its end", err, io.EOF)
	}
	close(release)
	servetest.WantErr(t, "the handler's write", <-written, http.ErrHandlerTimeout)
	wantNoneRuns(t, g)
}

// An answer that was begun is cut, by the end of the handler's context.
func TestTimeoutWrite(t *testing.T)      { forEngines(t, testTimeoutWrite(false)) }
func TestTimeoutWriteFlush(t *testing.T) { forEngines(t, testTimeoutWrite(true)) }

func testTimeoutWrite(flush bool) func(t *testing.T, e engine) {
	return func(t *testing.T, e engine) {
		g := handler.NewRegistry()
		ended := make(chan error, 1)
		url, client, _ := e.start(t, timed(g, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "part")
			if flush {
				w.(http.Flusher).Flush()
			}
			<-r.Context().Done()
			ended <- r.Context().Err()
		}))
		resp, err := client.Get(url + "/?timeout=1s")
		if err == nil {
			defer resp.Body.Close()
			servetest.Want(t, "status", resp.StatusCode, http.StatusOK)
			_, err = io.ReadAll(resp.Body)
		} else if flush {
			t.Errorf("what was flushed has arrived: %v", err)
		}
		servetest.Want(t, "the client sees that the answer is cut", err != nil, true)
		// net/http takes the end of the reads for the client's, which may come first.
		if err = <-ended; !e.oracle {
			servetest.WantErr(t, "the context ends by the deadline", err, context.DeadlineExceeded)
		}
		wantNoneRuns(t, g)
	}
}

// A client that leaves ends the request before its deadline does.
func TestTimeoutClientGone(t *testing.T) { forEngines(t, testTimeoutClientGone) }

func testTimeoutClientGone(t *testing.T, e engine) {
	g := handler.NewRegistry()
	ended := make(chan error, 1)
	ctx, leave := context.WithCancel(t.Context())
	url, client, _ := e.start(t, timed(g, func(w http.ResponseWriter, r *http.Request) {
		leave()
		<-r.Context().Done()
		ended <- r.Context().Err()
	}))
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/?timeout=60s", http.NoBody)
	must(t, err)
	if resp, err := client.Do(r); err == nil {
		resp.Body.Close()
	}
	servetest.WantErr(t, "the context ends by the client", <-ended, context.Canceled)
	wantNoneRuns(t, g)
}

// A handler that gives up at the deadline without an answer is answered for, also
// before the timer has come.
func TestTimeoutGivesUp(t *testing.T) { forEngines(t, testTimeoutGivesUp) }

func testTimeoutGivesUp(t *testing.T, e engine) {
	g := handler.NewRegistry()
	url, client, _ := e.start(t, timed(g, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	resp, err := client.Get(url + "/?timeout=1ms")
	must(t, err)
	defer resp.Body.Close()
	servetest.Want(t, "status", resp.StatusCode, http.StatusGatewayTimeout)
	_, err = io.ReadAll(resp.Body)
	servetest.WantErr(t, "the whole content", err, nil)
	wantNoneRuns(t, g)
}

// What is in time is not touched: fields, informational heads, content, trailers.
func TestTimeoutInTime(t *testing.T) { forEngines(t, testTimeoutInTime) }

func testTimeoutInTime(t *testing.T, e engine) {
	g := handler.NewRegistry()
	url, client, _ := e.start(t, timed(g, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Del("X-Outer")
		h.Set("X-Mine", "1")
		h.Set("Trailer", "X-Sum")
		w.WriteHeader(http.StatusEarlyHints)
		h.Set("X-More", "2")
		io.Copy(w, r.Body)
		h.Set("X-Not", "sent")
		h.Set("X-Sum", "3")
		h.Set(http.TrailerPrefix+"X-Late", "4")
	}))
	resp, err := client.Post(url, "text/plain", http.NoBody)
	must(t, err)
	resp.Body.Close()
	servetest.Want(t, "without content", resp.StatusCode, http.StatusOK)

	const content = "hello"
	resp, err = client.Post(url, "text/plain", &slowReader{content})
	must(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	servetest.WantErr(t, "reading", err, nil)
	servetest.Want(t, "content", string(body), content)
	servetest.Want(t, "fields", resp.Header.Get("X-Mine")+resp.Header.Get("X-More")+resp.Header.Get("X-Not")+resp.Header.Get("X-Outer"), "12")
	servetest.Want(t, "a stage outside adds to the head", resp.Header.Get("X-Head"), "200")
	servetest.Want(t, "trailers", resp.Trailer.Get("X-Sum")+resp.Trailer.Get("X-Late"), "34")
	wantNoneRuns(t, g)
}

// slowReader has no length that a client could know.
type slowReader struct{ rest string }

func (r *slowReader) Read(p []byte) (int, error) {
	if r.rest == "" {
		return 0, io.EOF
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func wantNoneRuns(t *testing.T, g *handler.Registry) {
	t.Helper()
	servetest.WantSoon(t, "no request runs", func() bool { return g.Counts() == handler.RunningCounts{} })
}

// outerFields is a stage that sets a field in its Begin and one in its Head.
type outerFields struct{}

func (outerFields) Begin(x *handler.Exchange) bool {
	x.Writer().Header().Set("X-Outer", "1")
	return true
}

func (outerFields) Head(x *handler.Exchange, status int) {
	x.Writer().Header().Set("X-Head", strconv.Itoa(status))
}

// A handler that sees its time end and says so itself is heard, whether or not the
// timer comes first.
func TestTimeoutSaidByTheHandler(t *testing.T) { forEngines(t, testTimeoutSaidByTheHandler) }

func testTimeoutSaidByTheHandler(t *testing.T, e engine) {
	url, client, _ := e.start(t, timed(handler.NewRegistry(), func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		w.WriteHeader(http.StatusGatewayTimeout)
		_, _ = io.WriteString(w, "mine\n") // or it is the timer's already
	}))
	for range 20 {
		resp, err := client.Get(url + "/?timeout=5ms")
		must(t, err)
		servetest.Want(t, "status", resp.StatusCode, http.StatusGatewayTimeout)
		_, err = io.Copy(io.Discard, resp.Body)
		servetest.WantErr(t, "the content is whole", err, nil)
		_ = resp.Body.Close()
	}
}
