package proxy_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy"
	"github.com/penstock-edge/penstock/handler/proxy/upstream"
	"github.com/penstock-edge/penstock/serve/servetest"
)

const hedgeAfter = 5 * time.Millisecond

// hedging are options with a hedge for whom the budget always has one. The path of a
// request says which of two upstreams it is sent to first.
func hedging() proxy.ServiceOptions {
	o := proxy.ServiceOptions{}
	o.Balance, o.Hash = upstream.HashKey, upstream.Hash{By: "path", LoadPercent: -1}
	o.Retry = upstream.Retry{Attempts: -1, PerSecond: 1000}
	o.Hedge.After = hedgeAfter
	return o
}

// twins are two upstreams, of package net/http, with one handler. It is told whether
// an attempt is the first, or the hedge.
type twins struct {
	urls  []string
	came  [3]chan struct{} // closed when that attempt has come
	gone  [3]chan struct{} // closed when the proxy has let go of that attempt
	held  chan struct{}    // closed when an attempt is held
	seen  [3]atomic.Bool
	n     atomic.Int32 // attempts so far
	holds atomic.Int32
	first atomic.Int32 // the upstream that the path is sent to first; 0: not known yet
}

type twinHandler func(tw *twins, w http.ResponseWriter, r *http.Request, attempt int)

func newTwins(t *testing.T, scheme string, h twinHandler) *twins {
	t.Helper()
	tw := &twins{held: make(chan struct{})}
	for i := range tw.came {
		tw.came[i], tw.gone[i] = make(chan struct{}), make(chan struct{})
	}
	for i := range int32(2) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		servetest.Must(t, "listen", err)
		s := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if tw.first.CompareAndSwap(0, i+1) {
				return // of askWho
			}
			tw.n.Add(1)
			n := 2
			if i+1 == tw.first.Load() {
				n = 1
			}
			if tw.seen[n].CompareAndSwap(false, true) {
				close(tw.came[n])
			}
			h(tw, w, r, n)
		})}
		s.Protocols.SetHTTP1(scheme == "http")
		s.Protocols.SetUnencryptedHTTP2(scheme == "h2c")
		done := make(chan struct{})
		go func() { defer close(done); _ = s.Serve(l) }()
		t.Cleanup(func() { s.Close(); <-done })
		tw.urls = append(tw.urls, scheme+"://"+l.Addr().String())
	}
	return tw
}

// askWho finds out which upstream is the first, by a request that has no hedge.
func (tw *twins) askWho(t *testing.T, url string, client *http.Client) {
	t.Helper()
	if a := do(t.Context(), client, "POST", url+"/", nil); a.status != 200 {
		t.Fatalf("got %+v", a)
	}
}

// hold holds an attempt until the proxy lets go of it. Of those that answer the first
// waits for held, or it would be done with before it began.
func (tw *twins) hold(r *http.Request, attempt int) {
	if tw.holds.Add(1) == 1 {
		close(tw.held)
	}
	<-r.Context().Done()
	close(tw.gone[attempt])
}

// within waits for c, for as long as a busy machine may take.
func within(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("never: %s", what)
	}
}

// settled waits until all places have been given back.
func settled(t *testing.T, s *proxy.Service) proxy.ServiceStatus {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		st := s.Status(time.Now())
		n := int64(0)
		for _, e := range st.Endpoints {
			n += e.InFlight
		}
		if n == 0 {
			return st
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d places are held though nobody asks", n)
		}
	}
}

// eachRace runs a test over fronts and both kinds of upstreams.
func eachRace(t *testing.T, fronts []form, h twinHandler, opts proxy.ServiceOptions, o proxy.Options, test func(t *testing.T, tw *twins, s *proxy.Service, url string, client *http.Client)) {
	for _, scheme := range []string{"http", "h2c"} {
		for _, f := range fronts {
			t.Run(scheme+"/"+f.name, func(t *testing.T) {
				tw := newTwins(t, scheme, h)
				s := newService(t, opts, tw.urls...)
				o := o
				o.Service = s
				url, client := f.serveFront(t, newProxy(t, o))
				tw.askWho(t, url, client)
				test(t, tw, s, url, client)
			})
		}
	}
}

// TestHedge: the answer of a second attempt is used where the first is late; the
// first is let go of, is no failure, and its connection is not used again.
func TestHedge(t *testing.T) {
	eachRace(t, forms, func(tw *twins, w http.ResponseWriter, r *http.Request, attempt int) {
		if attempt == 1 {
			tw.hold(r, attempt)
			return
		}
		<-tw.held
		w.Header().Set("X-Attempt", fmt.Sprint(attempt))
		io.WriteString(w, strings.Repeat("second", 10_000))
	}, hedging(), proxy.Options{}, func(t *testing.T, tw *twins, s *proxy.Service, url string, client *http.Client) {
		a := do(t.Context(), client, "GET", url+"/", nil)
		if a.status != 200 || a.body != strings.Repeat("second", 10_000) || a.header.Get("X-Attempt") != "2" {
			t.Fatalf("got %d, %d bytes, attempt %q, %v", a.status, len(a.body), a.header.Get("X-Attempt"), a.err)
		}
		within(t, "the first is let go of", tw.gone[1])
		st := settled(t, s)
		servetest.Want(t, "hedges", st.Hedged, 1)
		servetest.Want(t, "hedges that won", st.HedgesWon, 1)
		servetest.Want(t, "retries", st.Retried, 0)
		servetest.Want(t, "taken from the budget", st.Retries.Granted, 1)
		for i, e := range st.Endpoints {
			picks := uint64(1)
			if i+1 == int(tw.first.Load()) {
				picks = 2 // askWho's
				// How long it was waited for counts as a peak, and is no failure.
				if e.LatencySeconds < hedgeAfter.Seconds()/2 {
					t.Errorf("latency of who has lost: %v s, want %v at least", e.LatencySeconds, hedgeAfter)
				}
			}
			servetest.Want(t, "picks of "+e.Address, e.Picks, picks)
			servetest.Want(t, "failures of "+e.Address, e.Failures, 0)
		}
		if strings.HasPrefix(tw.urls[0], "http:") {
			servetest.Want(t, "connections", st.Connections, 1)
		} else {
			servetest.Want(t, "connections", st.Connections, 2) // its stream was reset
		}
		servetest.Want(t, "idle", st.Idle, int(st.Connections))
	})
}

// TestHedgeLoses: the first attempt may still win; both hold a place meanwhile.
func TestHedgeLoses(t *testing.T) {
	release := make(chan struct{})
	eachRace(t, forms, func(tw *twins, w http.ResponseWriter, r *http.Request, attempt int) {
		if attempt == 2 {
			tw.hold(r, attempt)
			return
		}
		<-release
		io.WriteString(w, "first")
	}, hedging(), proxy.Options{}, func(t *testing.T, tw *twins, s *proxy.Service, url string, client *http.Client) {
		answers := make(chan answer, 1)
		go func() { answers <- do(t.Context(), client, "GET", url+"/", nil) }()
		within(t, "the hedge", tw.came[2])
		for _, e := range s.Status(time.Now()).Endpoints {
			servetest.Want(t, "places at "+e.Address, e.InFlight, 1)
		}
		release <- struct{}{}
		a := <-answers
		servetest.Want(t, "answer", fmt.Sprint(a.status, a.body), "200first")
		within(t, "the second is let go of", tw.gone[2])
		st := settled(t, s)
		servetest.Want(t, "hedges", st.Hedged, 1)
		servetest.Want(t, "hedges that won", st.HedgesWon, 0)
	})
}

// TestHedgeInformational: the client is told the informational answers of one attempt.
func TestHedgeInformational(t *testing.T) {
	eachRace(t, forms, func(tw *twins, w http.ResponseWriter, r *http.Request, attempt int) {
		w.Header().Set("Link", fmt.Sprintf("</%d>", attempt))
		w.WriteHeader(http.StatusEarlyHints)
		if attempt == 1 {
			tw.hold(r, attempt)
			return
		}
		<-tw.held
		io.WriteString(w, "second")
	}, hedging(), proxy.Options{}, func(t *testing.T, _ *twins, s *proxy.Service, url string, client *http.Client) {
		var mu sync.Mutex
		var links []string
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(_ int, h textproto.MIMEHeader) error {
				mu.Lock()
				defer mu.Unlock()
				links = append(links, h.Get("Link"))
				return nil
			},
		})
		a := do(ctx, client, "GET", url+"/", nil)
		servetest.Want(t, "answer", fmt.Sprint(a.status, a.body), "200second")
		settled(t, s)
		mu.Lock()
		defer mu.Unlock()
		if len(links) != 1 {
			t.Errorf("informational answers %q, want those of one attempt", links)
		}
	})
}

// fewForms are for tests that wait for a limit: one of each kind of waiting.
var fewForms = []form{forms[0], forms[2], forms[4], forms[6]}

// TestHedgeDeadline: both attempts have the request's one deadline.
func TestHedgeDeadline(t *testing.T) {
	o := hedging()
	eachRace(t, fewForms, func(tw *twins, _ http.ResponseWriter, r *http.Request, attempt int) {
		tw.hold(r, attempt)
	}, o, proxy.Options{RequestTimeout: time.Second}, func(t *testing.T, tw *twins, s *proxy.Service, url string, client *http.Client) {
		t.Parallel() // they wait, and not for the machine
		a := do(t.Context(), client, "GET", url+"/", nil)
		servetest.Want(t, "status", a.status, 504)
		within(t, "the first is let go of", tw.gone[1])
		within(t, "the second is let go of", tw.gone[2])
		servetest.Want(t, "hedges", settled(t, s).Hedged, 1)
	})
}

// TestHedgeHeadTimeout: each attempt has its own wait for a head; when both are over,
// so is the request.
func TestHedgeHeadTimeout(t *testing.T) {
	o := hedging()
	o.HeadTimeout = time.Second / 2
	eachRace(t, fewForms, func(tw *twins, _ http.ResponseWriter, r *http.Request, attempt int) {
		tw.hold(r, attempt)
	}, o, proxy.Options{}, func(t *testing.T, tw *twins, s *proxy.Service, url string, client *http.Client) {
		t.Parallel()
		a := do(t.Context(), client, "GET", url+"/", nil)
		servetest.Want(t, "status", a.status, 504)
		within(t, "the first is let go of", tw.gone[1])
		within(t, "the second is let go of", tw.gone[2])
		for _, e := range settled(t, s).Endpoints {
			servetest.Want(t, "failures of "+e.Address, e.Failures, 1) // each its own
		}
	})
}

// TestHedgeClientLeaves: who leaves ends both attempts.
func TestHedgeClientLeaves(t *testing.T) {
	eachRace(t, forms, func(tw *twins, _ http.ResponseWriter, r *http.Request, attempt int) {
		tw.hold(r, attempt)
	}, hedging(), proxy.Options{}, func(t *testing.T, tw *twins, s *proxy.Service, url string, client *http.Client) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		answers := make(chan answer, 1)
		go func() { answers <- do(ctx, client, "GET", url+"/", nil) }()
		within(t, "the first", tw.came[1])
		within(t, "the hedge", tw.came[2])
		cancel()
		<-answers
		within(t, "the first is let go of", tw.gone[1])
		within(t, "the second is let go of", tw.gone[2])
		for _, e := range settled(t, s).Endpoints {
			servetest.Want(t, "failures of "+e.Address, e.Failures, 0)
		}
	})
}

// TestHedgeAfterFailure: an attempt that fails leaves the request to the other one,
// whichever it is; when both have failed, the retry is another one.
func TestHedgeAfterFailure(t *testing.T) {
	for _, c := range []struct {
		name  string
		fails map[int]bool // attempts
		body  string
	}{
		{"the first", map[int]bool{1: true}, "2"},
		{"the second", map[int]bool{2: true}, "1"},
		{"both", map[int]bool{1: true, 2: true}, "Bad Gateway: upstream reset before answer\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := hedging()
			release := make(chan struct{})
			eachRace(t, forms, func(tw *twins, w http.ResponseWriter, _ *http.Request, attempt int) {
				<-tw.came[2] // both are under way
				if c.fails[attempt] {
					panic(http.ErrAbortHandler)
				}
				<-release
				fmt.Fprint(w, attempt)
			}, o, proxy.Options{}, func(t *testing.T, tw *twins, s *proxy.Service, url string, client *http.Client) {
				answers := make(chan answer, 1)
				go func() { answers <- do(t.Context(), client, "GET", url+"/", nil) }()
				if len(c.fails) == 1 {
					within(t, "the hedge", tw.came[2])
					for held := int64(2); held > 1 && len(answers) == 0; time.Sleep(time.Millisecond) {
						held = 0
						for _, e := range s.Status(time.Now()).Endpoints {
							held += e.InFlight
						}
					}
					release <- struct{}{}
				}
				servetest.Want(t, "body", (<-answers).body, c.body)
				settled(t, s)
			})
		})
	}
}

// TestNotHedged: what may not be repeated is sent once, however late the answer is;
// so is all where the budget is empty, or nobody else is there.
func TestNotHedged(t *testing.T) {
	none := hedging()
	none.Retry.BudgetPercent, none.Retry.PerSecond = -1, -1
	gets := hedging()
	off := hedging()
	off.Hedge.After = 0
	for _, c := range []struct {
		name    string
		opts    proxy.ServiceOptions
		method  string
		body    int
		only    bool // one upstream
		refused uint64
	}{
		{"POST", gets, "POST", 10, false, 0},
		{"POST without content", gets, "POST", 0, false, 0},
		{"PUT that is not listed", gets, "PUT", 10, false, 0},
		{"GET with much content", gets, "GET", 100_000, false, 0},
		{"the budget is empty", none, "GET", 0, false, 1},
		{"one upstream", gets, "GET", 0, true, 0},
		{"without hedging", off, "GET", 0, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, scheme := range []string{"http", "h2c"} {
				for _, f := range []form{forms[0], forms[2], forms[4], forms[6]} {
					tw := newTwins(t, scheme, func(_ *twins, w http.ResponseWriter, r *http.Request, _ int) {
						io.Copy(io.Discard, r.Body)
						time.Sleep(8 * hedgeAfter) // it is late
						io.WriteString(w, "one")
					})
					urls := tw.urls
					if c.only {
						urls = urls[:1]
					}
					s := newService(t, c.opts, urls...)
					url, client := f.serveFront(t, newProxy(t, proxy.Options{Service: s}))
					tw.askWho(t, url, client)
					var body io.Reader
					if c.body > 0 {
						body = strings.NewReader(strings.Repeat("x", c.body))
					}
					a := do(t.Context(), client, c.method, url+"/", body)
					st := settled(t, s)
					if a.body != "one" || tw.n.Load() != 1 || st.Hedged != 0 || st.HedgesRefused != c.refused || st.Retries.Granted != 0 {
						t.Errorf("%s, %s: got %q %v, %d attempts, %+v", scheme, f.name, a.body, a.err, tw.n.Load(), st)
					}
				}
			}
		})
	}
}

// TestHedgedContent: content that is here whole goes out with each attempt, whole.
func TestHedgedContent(t *testing.T) {
	o := hedging()
	o.Retry.Methods = []string{"PUT"}
	for _, n := range []int{1, 10_000, 60_000} { // beyond 16 KiB it has a pump
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			text := strings.Repeat("x", n-1) + "y"
			eachRace(t, forms, func(tw *twins, w http.ResponseWriter, r *http.Request, attempt int) {
				b, err := io.ReadAll(r.Body)
				if err != nil || string(b) != text {
					w.WriteHeader(http.StatusTeapot)
					return
				}
				if attempt == 1 {
					tw.hold(r, attempt)
					return
				}
				<-tw.held
				io.WriteString(w, "second")
			}, o, proxy.Options{}, func(t *testing.T, tw *twins, s *proxy.Service, url string, client *http.Client) {
				a := do(t.Context(), client, "PUT", url+"/", strings.NewReader(text))
				servetest.Want(t, "answer", fmt.Sprint(a.status, a.body), "200second")
				within(t, "the first is let go of", tw.gone[1])
				settled(t, s)
			})
		})
	}
}

// TestHedgedIsolation is TestIsolation with attempts that overtake each other: each
// answer comes after a random wait about as long as that for a hedge.
func TestHedgedIsolation(t *testing.T) {
	o := hedging()
	o.Hedge.After = time.Millisecond
	o.Retry = upstream.Retry{Attempts: 2, PerSecond: 1 << 20}
	o.Eject.After = -1
	t.Run("http", func(t *testing.T) {
		late := ledgerUpstream(t, func(head string) {
			if strings.HasPrefix(head, "GET ") {
				time.Sleep(rand.N(3 * time.Millisecond))
			}
		})
		u, v, w := newFaulty(t, late), newFaulty(t, late), newFaulty(t, late)
		s := newService(t, o, "http://"+u.addr, "http://"+v.addr, "http://"+w.addr)
		isolated(t, s, *ledger/2, kindsOf(ordinary, tunnelKinds))
		hedgedMuch(t, s)
	})
	t.Run("h2c", func(t *testing.T) {
		var urls []string
		for range 3 {
			urls = append(urls, "h2c://"+serveH2C(t, http.HandlerFunc(answeringH2)))
		}
		s := newService(t, o, urls...)
		isolated(t, s, *ledger/2, []string{"plain", "plain", "post", "cut", "reset", "slow", "leave"})
		hedgedMuch(t, s)
	})
}

// answeringH2 is answering for HTTP/2, after a random wait.
func answeringH2(w http.ResponseWriter, r *http.Request) {
	_, rest, _ := strings.Cut(r.URL.Path, "/")
	kind, nonce, _ := strings.Cut(rest, "/")
	if r.Method == "GET" {
		time.Sleep(rand.N(3 * time.Millisecond))
	}
	io.Copy(io.Discard, r.Body)
	body := nonce + strings.Repeat("\n"+nonce, len(nonce)*7%300)
	if kind == "reset" {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("X-Nonce", nonce)
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	io.WriteString(w, body[:len(body)/2])
	if kind == "slow" || kind == "cut" {
		_ = http.NewResponseController(w).Flush()
		time.Sleep(2 * time.Millisecond)
	}
	if kind == "cut" {
		panic(http.ErrAbortHandler)
	}
	io.WriteString(w, body[len(body)/2:])
}

// hedgedMuch looks at the sums behind a ledger: both ways to win were taken, and all
// places were given back.
func hedgedMuch(t *testing.T, s *proxy.Service) {
	t.Helper()
	st := settled(t, s)
	t.Logf("%d hedges, %d won, %d retries", st.Hedged, st.HedgesWon, st.Retried)
	if st.HedgesWon == 0 || st.HedgesWon == st.Hedged {
		t.Errorf("%d of %d hedges won: not all ways were gone", st.HedgesWon, st.Hedged)
	}
}
