package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy"
	"github.com/penstock-edge/penstock/handler/proxy/upstream"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// retrying are options with retries that never run out, and turns in order.
func retrying() proxy.ServiceOptions {
	o := unhurried()
	o.Balance = upstream.RoundRobin
	o.Retry = upstream.Retry{Attempts: 2, PerSecond: 1000}
	return o
}

// echoBody answers with the content that came last.
func echoBody(f *faulty, c net.Conn, r *bufio.Reader, head string) bool {
	f.readBody(r, head)
	f.mu.Lock()
	body := "none"
	if n := len(f.bodies); n > 0 {
		body = f.bodies[n-1]
	}
	f.mu.Unlock()
	fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	return true
}

// TestRetries: what may go to another upstream does, whole and once more; what may
// not is told as it failed.
func TestRetries(t *testing.T) {
	for _, c := range []struct {
		name   string
		bad    script // nil: nobody listens
		method string
		body   int
		status int
	}{
		{"GET, refused", nil, "GET", 0, 200},
		{"GET, reset before an answer", say(""), "GET", 0, 200},
		{"GET, half a head", say("HTTP/1.1 2"), "GET", 0, 502},
		{"GET, garbage", stay("garbage\r\n\r\n"), "GET", 0, 502},
		{"GET, no head in time", stay(""), "GET", 0, 200},
		{"GET with content, reset", say(""), "GET", 60_000, 200},
		{"GET with much content, reset", say(""), "GET", 100_000, 502},
		{"POST, refused", nil, "POST", 10, 200},
		{"POST with much content, refused", nil, "POST", 200_000, 200},
		{"POST, reset", say(""), "POST", 10, 502},
		{"POST, no head in time", stay(""), "POST", 10, 504},
		{"PUT, reset", say(""), "PUT", 10, 502},
		{"an upstream's own 503", stay("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), "GET", 0, 503},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, f := range forms {
				t.Run(f.name, func(t *testing.T) {
					t.Parallel()
					testRetry(t, f, c.bad, c.method, c.body, c.status)
				})
			}
		})
	}
}

func testRetry(t *testing.T, f form, bad script, method string, size, status int) {
	good := newFaulty(t, echoBody)
	addr := "127.0.0.1:1"
	if bad != nil {
		addr = newFaulty(t, bad).addr
	}
	o := retrying()
	if strings.Contains(t.Name(), "in_time") {
		o.HeadTimeout = 2 * time.Second // in which the good one must answer
	}
	s := newService(t, o, "http://"+addr, "http://"+good.addr)
	url, client := f.serveFront(t, newProxy(t, proxy.Options{Service: s}))
	// Round robin begins with either: one of two meets the bad one first.
	statuses := make(map[int]int)
	text := strings.Repeat("x", size)
	for range 2 {
		var body io.Reader
		if size > 0 {
			body = strings.NewReader(text)
		}
		a := do(t.Context(), client, method, url+"/", body)
		if a.err != nil {
			t.Fatal(a.err)
		}
		statuses[a.status]++
		if a.status == 200 && size > 0 && a.body != text {
			t.Errorf("%d bytes came, want %d", len(a.body), size)
		}
	}
	if status == 200 && statuses[200] != 2 || status != 200 && statuses[status] != 1 {
		t.Errorf("statuses %v, want %d", statuses, status)
	}
}

// TestStaleConnection: a connection that the upstream closes as it is used again is
// replaced once, for requests that may be repeated, without any budget.
func TestStaleConnection(t *testing.T) {
	var asked atomic.Int64
	u := newFaulty(t, func(_ *faulty, c net.Conn, _ *bufio.Reader, head string) bool {
		if asked.Add(1)%2 == 0 { // the second request on each connection
			return false
		}
		io.WriteString(c, good)
		return true
	})
	o := unhurried() // no retries
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			asked.Store(0)
			url, client := f.serveFront(t, newProxy(t, proxy.Options{Service: newService(t, o, "http://"+u.addr)}))
			servetest.Want(t, "the first", do(t.Context(), client, "GET", url+"/", nil).status, 200)
			servetest.Want(t, "on a connection that ends", do(t.Context(), client, "GET", url+"/", nil).status, 200)
			servetest.Want(t, "requests", asked.Load(), 3)
			servetest.Want(t, "what may not be repeated", do(t.Context(), client, "POST", url+"/", strings.NewReader("x")).status, 502)
			servetest.Want(t, "requests", asked.Load(), 4)
		})
	}
}

// TestBudget: an upstream that fails is not asked several times as often.
func TestBudget(t *testing.T) {
	u, v := newFaulty(t, say("")), newFaulty(t, say(""))
	o := retrying()
	o.Retry.PerSecond = 1
	s := newService(t, o, "http://"+u.addr, "http://"+v.addr)
	url, client := forms[0].serveFront(t, newProxy(t, proxy.Options{Service: s}))
	const requests = 100
	begin := time.Now()
	for range requests {
		servetest.Want(t, "status", do(t.Context(), client, "GET", url+"/", nil).status, 502)
	}
	// A fifth of them, or one in each second.
	if asked, most := u.requests.Load()+v.requests.Load(), int64(requests+requests/5+2+time.Since(begin)/time.Second); asked > most {
		t.Errorf("%d attempts of %d requests, want %d at most", asked, requests, most)
	}
}

// TestQueue: beyond the limit of an upstream requests wait, and then are refused.
func TestQueue(t *testing.T) {
	release := make(chan struct{})
	u := newFaulty(t, func(_ *faulty, c net.Conn, _ *bufio.Reader, _ string) bool {
		<-release
		io.WriteString(c, good)
		return true
	})
	o := proxy.ServiceOptions{}
	o.Limits = upstream.Limits{MaxRequests: 1, Queue: 2}
	s := newService(t, o, "http://"+u.addr)
	for _, f := range []form{forms[0], forms[4], forms[6]} {
		t.Run(f.name, func(t *testing.T) {
			url, client := f.serveFront(t, newProxy(t, proxy.Options{Service: s}))
			answers := make(chan answer, 4)
			for range 3 {
				go func() { answers <- do(t.Context(), client, "GET", url+"/", nil) }()
			}
			for s.Status(time.Now()).Queue.Waiting < 2 {
				time.Sleep(time.Millisecond)
			}
			a := do(t.Context(), client, "GET", url+"/", nil)
			if a.status != 503 || a.header.Get("Retry-After") == "" || !strings.Contains(a.body, "queue full") {
				t.Errorf("got %+v", a)
			}
			for range 3 {
				release <- struct{}{}
			}
			for range 3 {
				servetest.Want(t, "who has waited", (<-answers).status, 200)
			}
		})
	}
}
