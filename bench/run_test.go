package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

func TestCountedRun(t *testing.T) { forForms(t, testCountedRun) }

func testCountedRun(t *testing.T, f form) {
	var asked atomic.Int64
	u := f.serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		hello(w, r)
	})
	o := f.options(u)
	o.Requests = 1001
	r := result(t, o)
	counts(t, r, 1001, 0)
	if asked.Load() != 1001 || r.BodyBytes != 5005 || r.Status[200] != 1001 || r.Connections.Opened != 3 || r.Connections.Failed != 0 {
		t.Errorf("%d asked, %d bytes, %v, %+v", asked.Load(), r.BodyBytes, r.Status, r.Connections)
	}
	if r.Target.Protocol != f.protocol || (r.Target.TLSVersion == "TLS 1.3") != f.secure || r.BytesRead <= r.BodyBytes || r.BytesWritten == 0 {
		t.Errorf("%+v, %d bytes read, %d written", r.Target, r.BytesRead, r.BytesWritten)
	}
}

// The warm-up is asked too, and not counted; the measured part is exact.
func TestWarmup(t *testing.T) { forForms(t, testWarmup) }

func testWarmup(t *testing.T, f form) {
	var asked atomic.Int64
	u := f.serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		hello(w, r)
	})
	o := f.options(u)
	o.Requests, o.Interval = 500, 20*time.Millisecond
	var mu sync.Mutex
	warm := 0
	o.Progress = func(p Point) {
		mu.Lock()
		defer mu.Unlock()
		if p.At < 0 {
			warm++
		}
	}
	// On a busy machine the handshakes alone can take longer than a short warm-up.
	for o.Warmup = 100 * time.Millisecond; ; o.Warmup *= 4 {
		asked.Store(0)
		counts(t, result(t, o), 500, 0)
		if asked.Load() > 500 {
			break
		}
		if o.Warmup > patience {
			t.Fatalf("%d asked in all with a warm-up of %v", asked.Load(), o.Warmup)
		}
	}
	if warm == 0 {
		t.Error("no point of the warm-up")
	}
}

// A run by time counts what was answered within it.
func TestTimedRun(t *testing.T) { forForms(t, testTimedRun) }

func testTimedRun(t *testing.T, f form) {
	o := f.options(f.serve(t, hello))
	o.Duration, o.Warmup, o.Interval = 300*time.Millisecond, 50*time.Millisecond, 100*time.Millisecond
	r := result(t, o)
	if r.Completed == 0 || r.Failed != 0 || r.Seconds < .3 || r.Seconds > 10 || len(r.Series) < 3 {
		t.Errorf("%+v", r)
	}
	if r.Generator.UserSeconds+r.Generator.SystemSeconds <= 0 && runtime.GOOS == "linux" {
		t.Errorf("the generator has cost nothing: %+v", r.Generator)
	}
}

func TestStatusAndErrors(t *testing.T) { forForms(t, testStatusAndErrors) }

// Of a hundred answers one is 500, one is cut, and one is shorter than it says.
func testStatusAndErrors(t *testing.T, f form) {
	var n atomic.Int64
	u := f.serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch n.Add(1) % 100 {
		case 1:
			w.WriteHeader(http.StatusInternalServerError)
		case 2:
			_, _ = io.WriteString(w, "half")
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case 3:
			w.Header().Set("Content-Length", "9")
			_, _ = io.WriteString(w, "half")
		default:
			hello(w, r)
		}
	})
	o := f.options(u)
	o.Requests = 1000
	r := result(t, o)
	counts(t, r, 980, 20)
	if r.Status[500] != 10 || r.Status[200] != 970 {
		t.Errorf("by status: %v", r.Status)
	}
	for kind, text := range r.FirstError {
		if text == "" {
			t.Errorf("%s is not explained", kind)
		}
	}
}

func TestBodies(t *testing.T) { forForms(t, testBodies) }

// A body goes whole, whatever the peer's windows are, and comes back whole.
func testBodies(t *testing.T, f form) {
	body := bytes.Repeat([]byte("0123456789abcdef"), 20_000) // 320 KB
	u := f.serve(t, func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.Header.Get("X-Mine") != "yes" || r.ContentLength != int64(len(body)) {
			t.Errorf("%v: %s, %v, %d", err, r.Method, r.Header, r.ContentLength)
		}
		_, _ = w.Write(got) // chunked, or without a length
	})
	o := f.options(u)
	o.Body, o.Requests, o.KeepBody, o.Header = body, 40, true, []Field{{"X-Mine", "yes"}}
	o.Check = func(status int, got []byte) error {
		if status != 200 || !bytes.Equal(got, body) {
			return fmt.Errorf("%d, %d bytes", status, len(got))
		}
		return nil
	}
	counts(t, result(t, o), 40, 0)
}

// What Check refuses has failed.
func TestCheck(t *testing.T) {
	o := forms[0].options(forms[0].serve(t, hello))
	o.Requests = 10
	o.Check = func(int, []byte) error { return errors.New("not what was wanted") }
	r := result(t, o)
	counts(t, r, 0, 10)
	if r.Errors[ErrorCheck] != 10 || r.FirstError[ErrorCheck] != "not what was wanted" {
		t.Errorf("%v, %v", r.Errors, r.FirstError)
	}
}

// Answers without content, with informational ones before, and with trailers.
func TestAnswers(t *testing.T) { forForms(t, testAnswers) }

func testAnswers(t *testing.T, f form) {
	u := f.serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(http.StatusNoContent)
		case "/304":
			w.Header().Set("Content-Length", "5")
			w.WriteHeader(http.StatusNotModified)
		case "/early":
			w.Header().Set("Link", "</a>")
			w.WriteHeader(http.StatusEarlyHints)
			hello(w, r)
		case "/trailer":
			w.Header().Set("Trailer", "X-End")
			hello(w, r)
			_ = http.NewResponseController(w).Flush()
			w.Header().Set("X-End", "1")
		default:
			hello(w, r)
		}
	})
	o := f.options(u)
	o.URLs = nil
	for _, path := range []string{"/204", "/304", "/early", "/trailer", "/"} {
		o.URLs = append(o.URLs, u.JoinPath(path))
	}
	o.Workers, o.Requests = 1, 100
	r := result(t, o)
	counts(t, r, 100, 0)
	if r.Status[204] != 20 || r.Status[304] != 20 || r.Status[200] != 60 || r.BodyBytes != 300 || r.Target.URLs != 5 {
		t.Errorf("%v, %d bytes", r.Status, r.BodyBytes)
	}
	o.Method, o.Requests = http.MethodHead, 50
	r = result(t, o)
	counts(t, r, 50, 0)
	if r.BodyBytes != 0 {
		t.Errorf("%d bytes of answers to HEAD", r.BodyBytes)
	}
}

// A connection for each request, by our choice or the server's.
func TestOneRequestAConnection(t *testing.T) { forForms(t, testOneRequestAConnection) }

func testOneRequestAConnection(t *testing.T, f form) {
	u := f.serve(t, hello)
	o := f.options(u)
	o.Streams, o.Requests, o.ConnectPerRequest = 1, 60, true
	r := result(t, o)
	counts(t, r, 60, 0)
	// One that is being made when the last request begins has none to carry.
	if n := r.Connections.Opened; n < 60 || n > 63 || r.Connect.Count() != n {
		t.Errorf("%+v, %d connects", r.Connections, r.Connect.Count())
	}
	if f.protocol == H1 {
		o.ConnectPerRequest, o.NoKeepAlive = false, true
		r = result(t, o)
		counts(t, r, 60, 0)
		if n := r.Connections.Opened; n < 60 || n > 63 {
			t.Errorf("%+v", r.Connections)
		}
	}
}

// A server that ends connections after a few answers costs connections alone.
func TestServerCloses(t *testing.T) {
	var n atomic.Int64
	u := forms[0].serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1)%10 == 0 {
			w.Header().Set("Connection", "close")
		}
		hello(w, r)
	})
	o := forms[0].options(u)
	o.Requests = 300
	r := result(t, o)
	counts(t, r, 300, 0)
	if r.Connections.Opened < 30 {
		t.Errorf("%+v", r.Connections)
	}
}

// No answer within the limit is a failure, and costs the others nothing.
func TestTimeout(t *testing.T) { forForms(t, testTimeout) }

func testTimeout(t *testing.T, f form) {
	var n atomic.Int64
	release := make(chan struct{})
	u := f.serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 5 {
			select {
			case <-release:
			case <-r.Context().Done():
			}
			return
		}
		hello(w, r)
	})
	o := f.options(u)
	o.Requests, o.Timeout = 200, time.Second
	r := result(t, o)
	close(release)
	counts(t, r, 199, 1)
	if r.Errors[ErrorTimeout] != 1 {
		t.Errorf("%v", r.Errors)
	}
}

// A run that is ended early has its result so far.
func TestInterrupted(t *testing.T) {
	u := forms[0].serve(t, hello)
	o := forms[0].options(u)
	o.Duration, o.Interval = time.Hour, 10*time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	var once sync.Once
	o.Progress = func(p Point) {
		if p.Completed > 0 {
			once.Do(cancel)
		}
	}
	r, err := Run(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	if !r.Interrupted || r.Completed == 0 || r.Failed != 0 || r.Seconds <= 0 || r.Seconds > patience.Seconds() {
		t.Errorf("%+v", r)
	}
}

func TestNoTarget(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	clear, h1 := forms[0].serve(t, hello), forms[1].serve(t, hello)
	https := *clear
	https.Scheme = "https"
	for _, c := range []struct {
		name string
		o    Options
		want string
	}{
		{"refused", Options{URLs: []*url.URL{parse(t, "http://"+gone.Addr().String())}}, "connection refused"},
		{"no TLS there", Options{URLs: []*url.URL{&https}}, "TLS with 127.0.0.1"},
		{"unknown authority", Options{URLs: []*url.URL{h1}}, "certificate"},
		{"no h2", Options{URLs: []*url.URL{h1}, Protocol: H2, TLS: insecure}, "TLS with"},
		{"streams over HTTP/1.1", Options{URLs: []*url.URL{h1}, Streams: 2, TLS: insecure}, "one request at a time"},
		{"no URL", Options{}, "no URL is given"},
		{"two hosts", Options{URLs: []*url.URL{clear, parse(t, "http://127.0.0.1:1/")}}, "not of the same scheme"},
		{"scheme", Options{URLs: []*url.URL{parse(t, "ftp://x/")}}, "want http:// or https://"},
		{"protocol", Options{URLs: []*url.URL{clear}, Protocol: "h9"}, `protocol "h9"`},
		{"rate", Options{URLs: []*url.URL{clear}, Rate: -1}, "rate -1"},
		{"field", Options{URLs: []*url.URL{clear}, Header: []Field{{"A", "b\r\nc"}}}, "cannot be sent"},
		{"connections", Options{URLs: []*url.URL{clear}, Connections: 1 << 30}, "ulimit -n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Run(t.Context(), c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

// Nothing is left behind.
func TestNoLeak(t *testing.T) {
	u := forms[3].serve(t, hello)
	descriptors := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skipf("SKIPPED: no list of open descriptors here: %v", err)
		}
		return len(list)
	}
	o := forms[3].options(u)
	o.Duration, o.Connections = 50*time.Millisecond, 20
	result(t, o) // what is made once
	goroutines, open := runtime.NumGoroutine(), descriptors()
	for range 3 {
		result(t, o)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		g, d := runtime.NumGoroutine(), descriptors()
		if g <= goroutines && d <= open {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d descriptors; %d and %d before", g, d, goroutines, open)
		}
	}
}

// The generator makes no garbage by the request.
func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("SKIPPED: the race detector allocates itself")
	}
	u := script(t, func(c net.Conn) { // one that makes none either
		in, answer := make([]byte, 4096), []byte("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		for {
			if _, err := c.Read(in); err != nil {
				return
			}
			if _, err := c.Write(answer); err != nil {
				return
			}
		}
	})
	o := Options{URLs: []*url.URL{u}, Connections: 4, Workers: 1, Requests: 2000}
	mallocs := func(n int64) uint64 {
		o.Requests = n
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		counts(t, result(t, o), n, 0)
		runtime.ReadMemStats(&after)
		return after.Mallocs - before.Mallocs
	}
	mallocs(2000)
	few, many := mallocs(2000), mallocs(22_000)
	if extra := int64(many) - int64(few); extra > 1000 {
		t.Errorf("%d allocations of 20000 further requests", extra)
	}
}
