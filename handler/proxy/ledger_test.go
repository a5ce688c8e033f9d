package proxy_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy"
)

var ledger = flag.Int("ledger", 6_000, "requests of TestIsolation")

// The ledger: each request has a nonce, and asks for a kind of trouble by its path,
// /kind/nonce. Upstream and client both know what belongs to a nonce (nonceBody,
// nonceMessage), and each compares every byte that it gets.

// outcome is what must become of a kind of request.
type outcome struct {
	status int // of the answer; 0: it may fail
	times  int // how often it is among the kinds
}

// ordinary are the kinds of requests that want an answer; tunnelKinds the others.
var ordinary = map[string]outcome{
	"plain":   {200, 6},
	"chunked": {200, 2},
	"post":    {200, 2},
	"slow":    {200, 2},
	"info":    {200, 2},
	"extra":   {0, 2},   // bytes that nobody asked for follow
	"early":   {0, 2},   // the answer comes before the request's content
	"cut":     {cut, 2}, // one byte is missing
	"reset":   {502, 2},
	"unasked": {502, 2}, // 101 (Switching Protocols) to an ordinary request
	"leave":   {0, 2},   // the client goes before the end
}

func nonceBody(nonce string) string { return nonce + strings.Repeat("\n"+nonce, len(nonce)*7%300) }

// ledgerUpstream does to a request what its path says, after before. It takes a
// connection for itself, for of one that has seen an Upgrade nothing else may come.
func ledgerUpstream(t *testing.T, before func(head string)) script {
	return func(f *faulty, c net.Conn, r *bufio.Reader, head string) bool {
		for served := 0; ; served++ {
			before(head)
			line, _, _ := strings.Cut(head, "\r\n")
			_, rest, _ := strings.Cut(line, " /")
			kind, rest, _ := strings.Cut(rest, "/")
			nonce, _, _ := strings.Cut(rest, " ")
			if _, tunnel := tunnelKinds[kind]; tunnel {
				if served > 0 {
					t.Errorf("%s %s: it came on a connection that %d others had used (rule H1-15)", kind, nonce, served)
				}
				answerTunnel(t, c, r, kind, nonce, head)
				return false
			}
			if _, known := ordinary[kind]; !known || strings.HasPrefix(nonce, smuggled) {
				t.Errorf("the upstream has got what no client asked for: %q", line)
				return false
			}
			if !answerOrdinary(c, r, kind, nonce, head) {
				return false
			}
			var err error
			if head, err = readHead(r); err != nil {
				return false
			}
			f.requests.Add(1)
		}
	}
}

func answerOrdinary(c net.Conn, r *bufio.Reader, kind, nonce, head string) bool {
	body := nonceBody(nonce)
	whole := fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Nonce: %s\r\nContent-Length: %d\r\n\r\n%s", nonce, len(body), body)
	if kind != "early" && !skipBody(r, head) {
		return false
	}
	switch kind {
	case "chunked":
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nX-Nonce: %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", nonce, len(body), body)
	case "extra":
		io.WriteString(c, whole+"HTTP/1.1 200 OK\r\nX-Nonce: evil\r\nContent-Length: 4\r\n\r\nevil")
	case "early":
		io.WriteString(c, whole)
		return skipBody(r, head) // one that was sent whole in time may be followed by a request
	case "cut":
		io.WriteString(c, whole[:len(whole)-1])
		return false
	case "reset":
		reset(c)
		return false
	case "slow":
		io.WriteString(c, whole[:len(whole)/2])
		time.Sleep(2 * time.Millisecond)
		io.WriteString(c, whole[len(whole)/2:])
	case "info":
		io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </"+nonce+">\r\n\r\n"+whole)
	case "unasked":
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: evil\r\nConnection: Upgrade\r\n\r\n"+whole)
	default:
		io.WriteString(c, whole)
	}
	return true
}

// skipBody reads the content that the head says, not a byte more, and keeps none.
func skipBody(r *bufio.Reader, head string) bool {
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
	switch {
	case err != nil:
		return false
	case req.ContentLength >= 0:
		_, err = io.CopyN(io.Discard, r, req.ContentLength)
		return err == nil
	}
	if _, err = io.Copy(io.Discard, httputil.NewChunkedReader(r)); err == nil {
		_, err = readHead(r) // the trailer
	}
	return err == nil
}

// kindsOf is the order in which kinds come.
func kindsOf(sets ...map[string]outcome) (order []string) {
	for _, set := range sets {
		for _, kind := range slices.Sorted(maps.Keys(set)) {
			order = append(order, slices.Repeat([]string{kind}, set[kind].times)...)
		}
	}
	return order
}

// book counts what became of the requests of one front.
type book struct {
	mu   sync.Mutex                // guards the following
	seen map[string]map[string]int // kind, "right" or "failed"
}

func (b *book) note(kind, result string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen[kind] == nil {
		b.seen[kind] = map[string]int{}
	}
	b.seen[kind][result]++
}

func (b *book) failedOf(kind string) int { return b.seen[kind]["failed"] }

// TestIsolation: whatever happens around it, an answer or a tunnel has its own
// request's nonce, and nothing else; and what an upstream gets on a connection that
// was used for an Upgrade is of that tunnel alone. An upstream that sends a second
// answer when its connection has been given to the next request cannot be found out
// by anybody, and is not here.
//
// A million of them, as before a release:
//
//	go test -run '^TestIsolation$' -v -timeout 60m ./handler/proxy -args -ledger 1000000
func TestIsolation(t *testing.T) {
	atOnce := func(string) {}
	u, v := newFaulty(t, ledgerUpstream(t, atOnce)), newFaulty(t, ledgerUpstream(t, atOnce))
	o := retrying()
	o.HeadTimeout, o.IdleTimeout, o.ConnectTimeout = 30*time.Second, 30*time.Second, 30*time.Second
	s := newService(t, o, "http://"+u.addr, "http://"+v.addr)
	isolated(t, s, *ledger, kindsOf(ordinary, tunnelKinds))
}

// isolated sends requests of the kinds in this order over several fronts, and waits
// until nothing is left of them.
func isolated(t *testing.T, s *proxy.Service, requests int, order []string) {
	t.Helper()
	p := newProxy(t, proxy.Options{Service: s, Upgrades: []string{"websocket", "echo"}})
	fronts := []form{forms[0], forms[1], forms[3], forms[4], forms[6]}
	var wg sync.WaitGroup
	books := make([]book, len(fronts))
	for i, f := range fronts {
		url, client := f.serveFront(t, p)
		// Those that leave have connections of their own: too many resets end one.
		leaving := f.newClient(t)
		l := &ledgerClient{
			t: t, form: f, url: url, client: client, leaving: leaving,
			open: f.tunnelOpener(t, url, client), openLeaving: f.tunnelOpener(t, url, leaving),
		}
		books[i].seen = map[string]map[string]int{}
		var next atomic.Int64
		for range 8 {
			wg.Go(func() {
				for {
					n := int(next.Add(1))
					if n > requests/len(fronts) || t.Failed() {
						return
					}
					kind := order[n%len(order)]
					books[i].note(kind, l.once(kind, fmt.Sprintf("n%d-%d", i, n), n))
				}
			})
		}
	}
	wg.Wait()
	for i, f := range fronts {
		t.Logf("%s: %v", f.name, books[i].seen)
		if n := books[i].failedOf("plain"); n > requests/len(fronts)/100 {
			t.Errorf("%s: %d plain requests have failed", f.name, n)
		}
		for _, kind := range order {
			if _, tunnel := tunnelKinds[kind]; !tunnel && kind != "plain" {
				continue
			}
			if books[i].seen[kind]["right"] == 0 && requests/len(fronts) >= len(order) {
				t.Errorf("%s: of %s none was as it should", f.name, kind)
			}
		}
	}
	wantNoneLeft(t, s)
}

// wantNoneLeft waits for handlers whose clients have gone: their end comes by itself.
func wantNoneLeft(t *testing.T, s *proxy.Service) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		status, left := s.Status(time.Now()), int64(0)
		for _, e := range status.Endpoints {
			left += e.InFlight
		}
		if left == 0 && status.Tunnels == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d requests and %d tunnels are left after a minute", left, status.Tunnels)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// ledgerClient sends the requests of one front.
type ledgerClient struct {
	t                 *testing.T
	form              form
	url               string
	client, leaving   *http.Client
	open, openLeaving tunnelOpener
}

// calmed tells of an error that says that the engine has ended the connection for
// its many resets (rules H2-1 and Q-5): whatever was on it has failed, and may.
func calmed(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "ENHANCE_YOUR_CALM") || strings.Contains(err.Error(), "EXCESSIVE_LOAD"))
}

// once sends the n-th request and looks at its answer: "right", or "failed" where
// that is allowed.
func (l *ledgerClient) once(kind, nonce string, n int) string {
	if want, ok := tunnelKinds[kind]; ok {
		return l.tunnel(kind, nonce, n, want)
	}
	want := ordinary[kind]
	method, body := "GET", io.Reader(nil)
	if kind == "post" || kind == "early" {
		method, body = "POST", strings.NewReader(strings.Repeat(nonce, n%2000))
	}
	ctx, cancel := context.WithCancel(l.t.Context())
	defer cancel()
	client := l.client
	if kind == "leave" {
		client = l.leaving
		time.AfterFunc(time.Duration(n%3)*time.Millisecond, cancel)
	}
	a := do(ctx, client, method, l.url+"/"+kind+"/"+nonce, body)
	content := nonceBody(nonce)
	ours := strings.HasPrefix(content, a.body) || a.status >= 500 && strings.HasPrefix(a.body, http.StatusText(a.status)) || a.status == 0
	if !ours || strings.Contains(a.body, "evil") || a.status == 200 && a.header.Get("X-Nonce") != nonce {
		l.t.Errorf("%s: %s %s: it has content of others: %d, nonce %q, %.200q", l.form.name, kind, nonce, a.status, a.header.Get("X-Nonce"), a.body)
	}
	if calmed(a.err) {
		return "failed"
	}
	right := a.err == nil && a.status == 200 && a.body == content
	switch want.status {
	case 0:
		if !right {
			return "failed"
		}
	case cut:
		if a.err == nil && a.status == 200 {
			l.t.Errorf("%s: %s %s: it looks whole: %.200q", l.form.name, kind, nonce, a.body)
		}
	case 200:
		if !right {
			l.t.Errorf("%s: %s %s: got %d, %v, %.200q", l.form.name, kind, nonce, a.status, a.err, a.body)
		}
	default:
		if a.status != want.status {
			l.t.Errorf("%s: %s %s: got %d and %v, want %d", l.form.name, kind, nonce, a.status, a.err, want.status)
		}
	}
	return "right"
}
