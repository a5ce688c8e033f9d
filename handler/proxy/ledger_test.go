package proxy_test

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy"
	"github.com/penstock-edge/penstock/serve/servetest"
)

var ledger = flag.Int("ledger", 10_000, "requests of TestIsolation")

// answering is an upstream that does to a request what its path says. The nonce
// comes back in the head and in the content.
func answering(f *faulty, c net.Conn, r *bufio.Reader, head string) bool {
	_, rest, _ := strings.Cut(head, " /")
	kind, rest, _ := strings.Cut(rest, "/")
	nonce, _, _ := strings.Cut(rest, " ")
	body := nonce + strings.Repeat("\n"+nonce, len(nonce)*7%300)
	whole := fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Nonce: %s\r\nContent-Length: %d\r\n\r\n%s", nonce, len(body), body)
	if kind != "early" {
		f.readBody(r, head)
	}
	switch kind {
	case "chunked":
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nX-Nonce: %s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", nonce, len(body), body)
	case "extra": // bytes that nobody asked for
		io.WriteString(c, whole+"HTTP/1.1 200 OK\r\nX-Nonce: evil\r\nContent-Length: 4\r\n\r\nevil")
	case "early":
		io.WriteString(c, whole)
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
	case "upgrade":
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: evil\r\nConnection: Upgrade\r\n\r\n"+whole)
	default:
		io.WriteString(c, whole)
	}
	return true
}

var kindsOfRequest = []string{"plain", "plain", "plain", "chunked", "post", "extra", "early", "cut", "reset", "slow", "info", "upgrade", "leave"}

// TestIsolation: whatever happens around it, an answer has its own request's nonce,
// and nothing else. An upstream that sends a second answer when its connection has
// been given to the next request cannot be found out by anybody, and is not here.
func TestIsolation(t *testing.T) {
	u, v := newFaulty(t, answering), newFaulty(t, answering)
	o := retrying()
	o.HeadTimeout, o.IdleTimeout, o.ConnectTimeout = 10*time.Second, 10*time.Second, 10*time.Second
	s := newService(t, o, "http://"+u.addr, "http://"+v.addr)
	p := newProxy(t, proxy.Options{Service: s})
	fronts := []form{forms[0], forms[1], forms[4], forms[6]}
	var answered, failed atomic.Int64
	var wg sync.WaitGroup
	for i, f := range fronts {
		url, client := f.serveFront(t, p)
		var next atomic.Int64
		for range 8 {
			wg.Go(func() {
				for {
					n := int(next.Add(1))
					if n > *ledger/len(fronts) || t.Failed() {
						return
					}
					kind := kindsOfRequest[n%len(kindsOfRequest)]
					nonce := fmt.Sprintf("n%d-%d", i, n)
					method, body := "GET", io.Reader(nil)
					if kind == "post" || kind == "early" {
						method, body = "POST", strings.NewReader(strings.Repeat(nonce, n%2000))
					}
					ctx, cancel := context.WithCancel(t.Context())
					if kind == "leave" {
						kind = "slow"
						time.AfterFunc(time.Duration(n%3)*time.Millisecond, cancel)
					}
					a := do(ctx, client, method, url+"/"+kind+"/"+nonce, body)
					cancel()
					want := nonce + strings.Repeat("\n"+nonce, len(nonce)*7%300)
					if a.err != nil || a.status != 200 {
						failed.Add(1)
						if strings.Contains(a.body, "evil") || a.status == 200 && !strings.HasPrefix(want, a.body) {
							t.Errorf("%s %s: a failure has content of others: %d %q", kind, nonce, a.status, a.body)
						}
						continue
					}
					answered.Add(1)
					if a.header.Get("X-Nonce") != nonce || a.body != want {
						t.Errorf("%s %s: got %q, %.100q", kind, nonce, a.header.Get("X-Nonce"), a.body)
					}
				}
			})
		}
	}
	wg.Wait()
	t.Logf("%d answered, %d failed as they should", answered.Load(), failed.Load())
	if answered.Load() < int64(*ledger/2) {
		t.Errorf("%d of %d were answered", answered.Load(), *ledger)
	}
	servetest.Want(t, "in flight", s.Status(time.Now()).Endpoints[0].InFlight, 0)
}
