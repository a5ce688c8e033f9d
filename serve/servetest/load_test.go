package servetest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestMain(m *testing.M) { Main(m) }

// hello is a net/http server: the oracle for what this client counts.
func hello(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

func TestLoadCounts(t *testing.T) {
	var served atomic.Int64
	addr := hello(t, func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		io.WriteString(w, "hello")
	})
	out := Load{Addr: addr, Conns: 4, Requests: 1000, Duration: time.Minute, Check: wantBody("hello")}.Run(context.Background())
	Want(t, "every request is answered", out.Answered, 1000)
	Want(t, "the server saw as many", served.Load(), 1000)
	Want(t, "all with status 200", out.Statuses[200], 1000)
	Want(t, "none failed", out.Failed+out.IdleClosed+out.NotConnected+out.WrongAnswers, 0)
	Want(t, "connections are kept", out.Connections, 4)
	Want(t, "every latency is sampled", len(out.latencies), 1000)
	if p50, p99 := out.Percentile(50), out.Percentile(99); p50 <= 0 || p50 > p99 || p99 > out.Slowest {
		t.Errorf("percentiles grow: p50 %v, p99 %v, slowest %v", p50, p99, out.Slowest)
	}
}

func wantBody(want string) func(int, []byte) error {
	return func(_ int, body []byte) error {
		if string(body) != want {
			return errors.New("another body")
		}
		return nil
	}
}

func TestLoadBoundedInTime(t *testing.T) {
	addr := hello(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "x") })
	out := Load{Addr: addr, Duration: 50 * time.Millisecond}.Run(context.Background())
	if out.Answered == 0 || out.Elapsed < 50*time.Millisecond {
		t.Errorf("runs for its duration: %v", out)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	out = Load{Addr: addr, Duration: time.Hour}.Run(ctx)
	Want(t, "nothing begins after the context ended", out.Answered+out.NotConnected, 0)
}

func TestLoadConnectPerRequest(t *testing.T) {
	addr := hello(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "x") })
	request := []byte("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
	out := Load{Addr: addr, Conns: 2, Requests: 20, Request: request, ConnectPerRequest: true}.Run(context.Background())
	Want(t, "answers", out.Answered, 20)
	Want(t, "one connection a request", out.Connections, 20)
}

func TestLoadTLS(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "x") }))
	defer srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	cfg := &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12}
	load := Load{Addr: srv.Listener.Addr().String(), TLS: cfg, Conns: 2, Requests: 10}
	Want(t, "answers over TLS", load.Run(context.Background()).Answered, 10)

	load.TLS = &tls.Config{RootCAs: roots, ServerName: "elsewhere.test", MinVersion: tls.VersionTLS12}
	load.Requests = 2
	out := load.Run(context.Background())
	Want(t, "a refused certificate is no connection", out.NotConnected, 2)
	Want(t, "and no answer", out.Answered, 0)
}

// Bodies around the buffer's size: whole, counted, and the next answer begins
// where the last one ended.
func TestLoadBodySizes(t *testing.T) {
	for _, size := range []int{0, 1, 4095, 4096, 4097, bufferBytes - 1, bufferBytes, bufferBytes + 1, 3*bufferBytes + 7} {
		body := strings.Repeat("b", size)
		addr := hello(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", itoa(size))
			io.WriteString(w, body)
		})
		out := Load{Addr: addr, Requests: 5, Check: wantBody(body[:min(size, bufferBytes)])}.Run(context.Background())
		Want(t, "answers of "+itoa(size)+" bytes", out.Answered, 5)
		Want(t, "bodies arrive whole", out.WrongAnswers, 0)
		Want(t, "on one connection", out.Connections, 1)
	}
}

// An Interval counts from the intended beginning, so one stall shows in the
// latencies of all requests that should have begun meanwhile.
func TestLoadIntervalSeesStall(t *testing.T) {
	const stall = 200 * time.Millisecond
	var n atomic.Int64
	addr := hello(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 2 {
			time.Sleep(stall)
		}
	})
	load := Load{Addr: addr, Requests: 20, Interval: 10 * time.Millisecond}
	out := load.Run(context.Background())
	Want(t, "answers", out.Answered, 20)
	late := 0
	for _, d := range out.latencies {
		if d >= stall/2 {
			late++
		}
	}
	if late < 5 {
		t.Errorf("only %d of 20 answers look late after a stall of %v; a closed loop would see one", late, stall)
	}
}

// One answer a script: what the client makes of each.
func TestLoadOutcomes(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	for _, c := range []struct {
		name   string
		script []string // one answer a request; then the connection is closed
		noBody bool
		want   Outcome
	}{
		{"kept, then closed as idle", []string{ok}, false, Outcome{Answered: 1, IdleClosed: 1}},
		{"closed at once", nil, false, Outcome{Failed: 2}},
		{"cut in the head", []string{ok, "HTTP/1.1 200"}, false, Outcome{Answered: 1, Failed: 1}},
		{"cut in the body", []string{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"}, false, Outcome{Failed: 2}},
		{"not HTTP", []string{"SSH-2.0-x\r\n\r\n"}, false, Outcome{Failed: 2}},
		{"no length", []string{"HTTP/1.1 200 OK\r\n\r\n"}, false, Outcome{Failed: 2}},
		{"1xx before", []string{"HTTP/1.1 103 Early Hints\r\n\r\n" + ok, ok}, false, Outcome{Answered: 2}},
		{"no content", []string{"HTTP/1.1 204 No Content\r\n\r\n", ok}, false, Outcome{Answered: 2}},
		{"answer to HEAD", []string{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 304 Not Modified\r\n\r\n"}, true, Outcome{Answered: 2}},
		{"told to close", []string{"HTTP/1.1 200 OK\r\nconnection: Close\r\nContent-Length: 0\r\n\r\n"}, false, Outcome{Answered: 2, Connections: 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := Load{Addr: scripted(t, c.script), Requests: 2, NoBody: c.noBody}.Run(context.Background())
			Want(t, "answered", out.Answered, c.want.Answered)
			Want(t, "idle-closed", out.IdleClosed, c.want.IdleClosed)
			Want(t, "failed", out.Failed, c.want.Failed)
			Want(t, "an error is kept when one failed", out.FirstErr != nil, c.want.Failed > 0)
			if c.want.Connections > 0 {
				Want(t, "connections", out.Connections, c.want.Connections)
			}
		})
	}
}

// scripted listens; each connection gives one line of the script a request, and
// is closed after the last one (at once when there is none).
func scripted(t *testing.T, script []string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	Must(t, "listen", err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			play(conn, script)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func play(conn net.Conn, script []string) {
	defer conn.Close()
	buf := make([]byte, 4096)
	for _, answer := range script {
		if n, err := conn.Read(buf); err != nil || !strings.HasSuffix(string(buf[:n]), "\r\n\r\n") {
			return
		}
		io.WriteString(conn, answer)
	}
}

func TestLoadNotConnected(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	Must(t, "listen", err)
	addr := l.Addr().String()
	l.Close()
	out := Load{Addr: addr, Requests: 3}.Run(context.Background())
	Want(t, "refused dials are counted apart", out.NotConnected, 3)
	Want(t, "and are not failed requests", out.Failed, 0)
}

func TestLoadTimeout(t *testing.T) {
	release := make(chan struct{})
	addr := hello(t, func(w http.ResponseWriter, r *http.Request) { <-release })
	out := Load{Addr: addr, Requests: 1, Timeout: 50 * time.Millisecond}.Run(context.Background())
	close(release)
	Want(t, "no answer in time is a failure", out.Failed, 1)
}

func TestPercentile(t *testing.T) {
	o := &Outcome{}
	Want(t, "of nothing", o.Percentile(50), 0)
	for i := 1; i <= 100; i++ {
		o.latencies = append(o.latencies, time.Duration(101-i))
	}
	o.finish(time.Second)
	for p, want := range map[float64]time.Duration{0: 1, 1: 1, 50: 50, 99: 99, 99.1: 100, 100: 100} {
		Want(t, "nearest rank", o.Percentile(p), want)
	}
}
