package handler_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// seenRequest is one that a handler keeps, and what it was then.
type seenRequest struct {
	request *http.Request
	header  http.Header
	path    string
	number  string
}

// keeper notes the requests of a server's handlers.
type keeper struct {
	mu     sync.Mutex
	kept   []seenRequest
	isKept map[*http.Request]bool
	before map[*http.Request]bool

	cameBack int // whose memory had been another's
	stolen   int // whose memory was that of one which is kept
}

// see notes r.
func (k *keeper) see(r *http.Request, keep bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.before == nil {
		k.before, k.isKept = make(map[*http.Request]bool), make(map[*http.Request]bool)
	}
	if k.before[r] {
		k.cameBack++
	}
	if k.isKept[r] {
		k.stolen++
	}
	k.before[r] = true
	if keep {
		k.isKept[r] = true
		k.kept = append(k.kept, seenRequest{r, r.Header, r.URL.Path, r.Header.Get("X-Number")})
	}
}

// promising promises to keep nothing of its requests.
type promising struct{ http.HandlerFunc }

func (promising) RecycleRequests() bool { return true }

// recyclingChain is a whole chain around routes that keep their requests, and others.
func recyclingChain(t *testing.T, k *keeper) http.Handler {
	m := handler.NewPathRecorderMux("test", nil)
	route := func(path string, h http.Handler) { servetest.Must(t, path, m.HandlePrefix(path, h)) }
	hello := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Number", r.Header.Get("X-Number"))
		io.WriteString(w, r.URL.Path)
	}
	route("/kept/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k.see(r, true)
		hello(w, r)
	}))
	route("/promised/", promising{func(w http.ResponseWriter, r *http.Request) {
		k.see(r, false)
		hello(w, r)
	}})
	// These keep less than they promise, but all the same nothing of them comes back.
	// It is Err that is asked: a context that was asked for Done is kept by itself.
	route("/late/", promising{func(_ http.ResponseWriter, r *http.Request) {
		k.see(r, true)
		for r.Context().Err() == nil {
			time.Sleep(100 * time.Microsecond)
		}
	}})
	route("/panics/", promising{func(_ http.ResponseWriter, r *http.Request) {
		k.see(r, true)
		panic("on purpose")
	}})
	c, err := handler.NewDefaultChain(m, handler.DefaultOptions{ErrorLog: slog.New(slog.DiscardHandler)})
	servetest.Must(t, "chain", err)
	return c
}

// TestRecyclingRoutes: of requests that go over the same connections, to routes that
// promise to keep nothing and to others, those of the first come back, and those of
// the others never, nor those that were late or have panicked. Under the race
// detector what comes back is overwritten at once (bufpool).
func TestRecyclingRoutes(t *testing.T) { forEngines(t, testRecyclingRoutes) }

func testRecyclingRoutes(t *testing.T, e engine) {
	k := new(keeper)
	url, client, _ := e.start(t, recyclingChain(t, k))
	const clients, rounds = 4, 40
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			for i := range rounds {
				n := fmt.Sprint(c, "-", i)
				askNumbered(t, client, url+"/promised/"+n, n, http.StatusOK)
				askNumbered(t, client, url+"/kept/"+n, n, http.StatusOK)
				if i%20 == 0 {
					askNumbered(t, client, url+"/late/"+n+"?timeout=1ms", n, http.StatusGatewayTimeout)
					askNumbered(t, client, url+"/panics/"+n, n, http.StatusInternalServerError)
				}
			}
		})
	}
	all.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	servetest.Want(t, "kept", len(k.kept), clients*(rounds+2*rounds/20))
	servetest.Want(t, "kept ones that became others'", k.stolen, 0)
	for _, one := range k.kept {
		servetest.Want(t, "method", one.request.Method, http.MethodGet)
		servetest.Want(t, "path", one.request.URL.Path, one.path)
		servetest.Want(t, "field", one.header.Get("X-Number"), one.number)
	}
	if !e.oracle && k.cameBack == 0 {
		t.Error("no request of the recycling route has come back")
	}
}

// askNumbered wants an answer that is of this request and no other.
func askNumbered(t *testing.T, client *http.Client, url, number string, status int) {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Error(err)
		return
	}
	r.Header.Set("X-Number", number)
	resp, err := client.Do(r)
	if err != nil {
		t.Errorf("%s: %v", url, err)
		return
	}
	defer resp.Body.Close()
	servetest.Want(t, url, resp.StatusCode, status)
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("%s: %v", url, err)
	}
	if status == http.StatusOK {
		servetest.Want(t, "number", resp.Header.Get("X-Number"), number)
		servetest.Want(t, "path", strings.HasSuffix(url, string(body)), true)
	}
}
