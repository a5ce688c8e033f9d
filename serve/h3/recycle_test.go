package h3

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func recycled(cfg *Config) { cfg.Recycle = true }

// TestRecycledNothingLeaks: what a handler does to a recycled request, or sets
// for its answer, is not seen by the next one, be its head the same or not.
// Under the race detector released buffers are overwritten (bufpool).
func TestRecycledNothingLeaks(t *testing.T) {
	n := 0
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n++
		wantFresh(t, w, r, n)
		b, err := io.ReadAll(r.Body)
		if want := strings.Repeat("body", n%4); string(b) != want || err != nil {
			t.Errorf("request %d: body %q, %v, want %q", n, b, err, want)
		}
		r.ParseForm()
		r.Pattern, r.Host, r.URL.Path, r.URL.RawQuery, r.Method = "x", "x", "x", "x", "x"
		r.SetPathValue("x", "y")
		r.Header["X-A"][0] = "changed in place"
		r.Header["X-B"] = append(r.Header["X-B"], "more")
		r.Header.Set("X-C", "new")
		r.Trailer = http.Header{"X": nil}
		r.Body = nil
		w.Header().Set("Content-Type", "x/"+fmt.Sprint(n))
		switch n % 6 {
		case 0:
			w.Header().Set("Trailer", "X-T")
			w.Header().Set("X-T", "1")
		case 1:
			w.Header().Set(http.TrailerPrefix+"X-T", "1")
		case 2:
			w.Header().Set("Content-Length", fmt.Sprint(n))
		case 3:
			http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Hour))
			http.NewResponseController(w).SetReadDeadline(time.Now().Add(-time.Hour))
		case 4:
			http.NewResponseController(w).EnableFullDuplex()
		}
		w.WriteHeader(200 + n%3)
		io.WriteString(w, strings.Repeat("b", n))
		if n%7 == 0 {
			w.(http.Flusher).Flush()
		}
	}, recycled)
	agents := []*agent{s.agent(), s.agent()}
	for i := 1; i <= 120; i++ {
		method := "POST"
		if i%4 > 1 {
			method = "PUT" // another head, the same fields
		}
		r := agents[i%3%2].request(context.Background(), method, "/p?a=b", nil)
		if k := i % 4; k > 0 {
			r.Body = io.NopCloser(strings.NewReader(strings.Repeat("body", k)))
			r.ContentLength = int64(4 * k)
			if i%5 == 0 {
				r.ContentLength = -1
			}
		}
		r.Header = http.Header{"X-A": {"1"}, "X-B": {"2", "3"}, "Cookie": {"a=b"}, "User-Agent": {""}}
		got := agents[i%3%2].do(r)
		got.want(t, fmt.Sprint("request ", i), 200+i%3, strings.Repeat("b", i))
		if got.err != nil {
			continue
		}
		servetest.Want(t, "its type", got.Header.Get("Content-Type"), "x/"+fmt.Sprint(i))
		servetest.Want(t, "its trailer", got.Trailer.Get("X-T") != "", i%6 < 2)
	}
}

// wantFresh fails the test if a request or its writer show anything of another.
func wantFresh(t *testing.T, w http.ResponseWriter, r *http.Request, n int) {
	t.Helper()
	if len(w.Header()) != 0 {
		t.Errorf("request %d: the answer begins with fields %v", n, w.Header())
	}
	for k, v := range map[string][]string{"X-A": {"1"}, "X-B": {"2", "3"}, "Cookie": {"a=b"}} {
		if !slices.Equal(r.Header[k], v) {
			t.Errorf("request %d: %s = %q, want %q", n, k, r.Header[k], v)
		}
	}
	if r.Header.Get("X-C") != "" || r.Form != nil || r.Pattern != "" || r.PathValue("x") != "" || r.URL.Path != "/p" ||
		r.URL.RawQuery != "a=b" || r.Host != "localhost" || r.Trailer != nil || r.MultipartForm != nil {
		t.Errorf("request %d: %+v", n, r)
	}
	if r.Context().Err() != nil {
		t.Errorf("request %d: its context has ended", n)
	}
	res := w.(*response)
	if res.deadline.Load() != 0 || res.timed.Load() || res.s.body.deadline.Load() != 0 || res.s.body.duplex.Load() {
		t.Errorf("request %d: it begins with a deadline", n)
	}
}

// TestRecycledAfterFailures: requests that end badly leave nothing either.
func TestRecycledAfterFailures(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		servetest.Want(t, "fields at the begin", len(w.Header()), 0)
		w.Header().Set("X-A", r.URL.Path)
		b, err := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/panic":
			io.WriteString(w, "some")
			panic(http.ErrAbortHandler)
		case "/short":
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "short")
		case "/unread", "/kept":
			fmt.Fprintf(w, "%s %v", b, err)
		}
	}, recycled)
	a := s.agent()
	for range 10 {
		for _, path := range []string{"/panic", "/short"} {
			r := a.do(a.request(context.Background(), "POST", path, strings.NewReader("body")))
			servetest.Want(t, path+" is reset", r.err != nil, true)
			r = a.do(a.request(context.Background(), "POST", "/kept", strings.NewReader("body")))
			r.want(t, "the next", 200, "body <nil>")
			servetest.Want(t, "and its field", r.Header.Get("X-A"), "/kept")
		}
	}
}

// TestRecycledKeptContext: a context that somebody has looked at stays that of
// its request.
func TestRecycledKeptContext(t *testing.T) {
	var mu sync.Mutex // guards the following
	var kept []context.Context
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		ctx := r.Context()
		for _, old := range kept {
			// A handler that was overtaken may end a moment behind its answer.
			for deadline := time.Now().Add(10 * time.Second); old.Err() == nil && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
			servetest.WantErr(t, "of a request before", old.Err(), context.Canceled)
		}
		servetest.WantErr(t, "of this request", ctx.Err(), nil)
		if len(kept)%2 == 0 {
			ctx.Done()
		} else {
			var cancel func()
			ctx, cancel = context.WithCancel(ctx)
			defer cancel()
		}
		kept = append(kept, ctx)
		hello(w, r)
	}, recycled)
	a := s.agent()
	for range 20 {
		a.wantHello("an answer", "/")
	}
}

// selfish says for itself what Config.Recycle says for all.
type selfish struct {
	http.HandlerFunc
	ok bool
}

func (h selfish) RecycleRequests() bool { return h.ok }

func TestRecycleByHandler(t *testing.T) {
	for _, ok := range []bool{false, true} {
		cfg := Complete(Config{Handler: selfish{hello, ok}, Recycle: !ok})
		servetest.Want(t, "the handler decides", cfg.Recycle, ok)
	}
}

// choosing lets those of its requests come back whose path it is told.
type choosing struct {
	http.HandlerFunc
	path string
}

func (choosing) RecyclesSomeRequests() bool { return true }

func (h choosing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.HandlerFunc(w, r)
	if r.URL.Path == h.path {
		w.(interface{ MayRecycle() }).MayRecycle()
	}
}

// TestSomeRecycled: of the requests of one connection those come back, and those
// alone, for which the handler says so.
func TestSomeRecycled(t *testing.T) {
	var mu sync.Mutex // guards the following: what a socket carries is no order to the race detector
	var kept []*http.Request
	isKept := map[*http.Request]bool{}
	note := choosing{func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		servetest.Want(t, "one that is kept is another's as well", isKept[r], false)
		if r.URL.Path == "/kept" {
			kept, isKept[r] = append(kept, r), true
		}
		hello(w, r)
	}, "/mine"}
	s := serve(t, hello, func(cfg *Config) { cfg.Handler = note })
	a := s.agent()
	for i := range 30 {
		path := "/mine"
		if i%3 == 2 {
			path = "/kept"
		}
		a.wantHello("an answer", path)
	}
	mu.Lock()
	defer mu.Unlock()
	servetest.Want(t, "kept", len(kept), 10)
	for _, r := range kept {
		servetest.Want(t, "method", r.Method, http.MethodGet)
		servetest.Want(t, "path", r.URL.Path, "/kept")
	}
}
