package proxy_test

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy"
	"github.com/penstock-edge/penstock/handler/proxy/upstream"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

const (
	proxiedRequest = "GET /a HTTP/1.1\r\nHost: example.com\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"
	proxiedAnswer  = "HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!"
)

// exact is an upstream that allocates nothing for a request, so that all that is
// counted in this process is the proxy's.
func exact(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(t, "listen", err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r, answer := bufio.NewReader(c), []byte(proxiedAnswer)
				for {
					line, err := r.ReadSlice('\n')
					if err != nil {
						return
					}
					if len(line) > 2 {
						continue
					}
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// asker sends proxiedRequest on one connection, and allocates nothing for it.
type asker struct {
	net.Conn
	request, in []byte
}

func ask(t testing.TB, front string) *asker {
	c, err := net.Dial("tcp", strings.TrimPrefix(front, "http://"))
	servetest.Must(t, "dial", err)
	t.Cleanup(func() { c.Close() })
	servetest.Must(t, "deadline", c.SetDeadline(time.Now().Add(5*time.Minute)))
	return &asker{c, []byte(proxiedRequest), make([]byte, 4096)}
}

// once is a request and its answer, whose content is looked at.
func (a *asker) once(t testing.TB) {
	if _, err := a.Write(a.request); err != nil {
		t.Fatal(err)
	}
	for n := 0; ; {
		m, err := a.Read(a.in[n:])
		n += m
		if bytes.HasSuffix(a.in[:n], []byte("\r\n\r\nHello, World!")) && bytes.HasPrefix(a.in, []byte("HTTP/1.1 200")) {
			return
		}
		if err != nil {
			t.Fatalf("%v in %q", err, a.in[:n])
		}
	}
}

var recycling = form{"h1 recycling tasks", 1, false, serve.ServerOptions{Tasks: true, RecycleRequests: true}}

// TestProxiedAllocs: a proxied GET over HTTP/1.1, on connections that are there,
// allocates nothing. All goroutines of the process are counted: engine, shard,
// proxy, and client of the upstream. The bound leaves room for what the runtime and
// timers do beside.
func TestProxiedAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool drops at random under the race detector")
	}
	p := newProxy(t, proxy.Options{Service: newService(t, proxy.ServiceOptions{}, "http://"+exact(t))})
	front, _ := recycling.serveFront(t, p)
	a := ask(t, front)
	for range 500 {
		a.once(t)
	}
	const rounds = 5000
	least := 1.0
	for range 5 { // a collection empties pools: the best of some
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range rounds {
			a.once(t)
		}
		runtime.ReadMemStats(&after)
		least = min(least, float64(after.Mallocs-before.Mallocs)/rounds)
	}
	t.Logf("%.4f allocations a request", least)
	// On a busy machine the rest of the process, such as the poller and the timers of
	// upstreams, allocates too; one of ours would be a whole one.
	if least > 0.2 {
		t.Errorf("%.4f allocations a request, want 0", least)
	}
}

// BenchmarkProxy is a GET through a front over HTTP/1.1 to an upstream over
// HTTP/1.1; client and upstream are in the process and cost the same in all rows.
// cpu-ns/op is the process's, by getrusage.
func BenchmarkProxy(b *testing.B) {
	addr := exact(b)
	origin := &url.URL{Scheme: "http", Host: addr}
	ours := newProxy(b, proxy.Options{Service: newService(b, proxy.ServiceOptions{Options: upstream.Options{}}, origin.String())})
	late := proxy.ServiceOptions{Options: upstream.Options{Hedge: upstream.Hedge{After: time.Second}}} // none is
	hedging := newProxy(b, proxy.Options{Service: newService(b, late, origin.String())})
	std := &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(origin); r.SetXForwarded() },
		ErrorLog: nil,
	}
	for _, row := range []struct {
		name    string
		form    form
		handler http.Handler
	}{
		{"penstock", recycling, ours},
		{"penstock/hedging", recycling, hedging},
		{"penstock/goroutines", forms[1], ours},
		{"httputil/penstock", forms[1], std},
		{"httputil/nethttp", form{}, std},
	} {
		b.Run(row.name, func(b *testing.B) {
			var front string
			if row.form.name == "" {
				front = servePlain(b, row.handler)
			} else {
				front, _ = row.form.serveFront(b, row.handler)
			}
			a := ask(b, front)
			a.once(b)
			b.ReportAllocs()
			before := cpuUsed()
			for b.Loop() {
				a.once(b)
			}
			b.ReportMetric(float64(cpuUsed()-before)/float64(b.N), "cpu-ns/op")
		})
	}
}

// servePlain serves h by net/http.
func servePlain(b *testing.B, h http.Handler) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(b, "listen", err)
	s := &http.Server{Handler: h}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	b.Cleanup(func() { s.Close(); <-ended })
	return "http://" + l.Addr().String()
}
