package bench

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"testing"
	"time"
)

// What the server allows holds from the first request on: until its SETTINGS are
// there it is not known (RFC 9113 §5.1.2).
func TestMaxStreams(t *testing.T) {
	const allowed = 3
	s := httptest.NewUnstartedServer(http.HandlerFunc(hello))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: allowed}
	s.Start()
	t.Cleanup(s.Close)
	o := forms[2].options(parse(t, s.URL))
	o.Streams, o.Requests = 50, 1000
	r := result(t, o)
	counts(t, r, 1000, 0)
	if r.Connections.Opened != 3 {
		t.Errorf("%+v", r.Connections)
	}
}

// Behind the last of a counted run no start is late.
func TestLateOfCounted(t *testing.T) { forForms(t, testLateOfCounted) }

func testLateOfCounted(t *testing.T, f form) {
	u := f.serve(t, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(200 * time.Millisecond)
		hello(w, nil)
	})
	o := f.options(u)
	o.Connections, o.Rate, o.Requests = 20, 1000, 20
	r := result(t, o)
	counts(t, r, 20, 0)
	if r.Late != 0 {
		t.Errorf("%d late", r.Late)
	}
}

// Waiting costs nothing: for a start that needs a connection, or, when all have
// begun, for the last answer.
func TestIdleWaits(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: the wakeups of the event loop are counted on Linux alone")
	}
	w := &worker{plan: &plan{Options: Options{Rate: 10, ConnectPerRequest: true, Workers: 1}}, run: &run{}, left: -1}
	w.run.begins.Store(never)
	w.run.ends.Store(never)
	w.tick.every = never / 4
	w.begin(0)
	w.tick.every = never / 4
	c := newConn(w, 0)
	w.conns, w.lost = []*conn{c}, []*conn{c}
	w.pacer.next = 1 // due at 100 ms
	const now = int64(80 * time.Millisecond)
	w.reconnect(now)
	if got := w.until(now); got != int64(100*time.Millisecond) {
		t.Errorf("with a start due at 100 ms: waits until %v", time.Duration(got))
	}
	w.left = 0
	if got := w.until(now); got != now+longestWait {
		t.Errorf("with nothing to begin: waits until %v", time.Duration(got))
	}
}

// A connection for each paced request is made when it is due, and not before.
func TestRateOneRequestAConnection(t *testing.T) { forForms(t, testRateOneRequestAConnection) }

func testRateOneRequestAConnection(t *testing.T, f form) {
	o := f.options(f.serve(t, hello))
	o.Streams, o.Rate, o.Requests, o.ConnectPerRequest = 1, 200, 100, true
	r := result(t, o)
	counts(t, r, 100, 0)
	if r.Late != 0 || r.Connections.Opened < 100 || r.Connections.Opened > 103 {
		t.Errorf("%d late, %+v", r.Late, r.Connections)
	}
}

// A server that has us answer without reading what we say is given up.
func TestUnreadAcks(t *testing.T) {
	ping := []byte{0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}
	many := make([]byte, 0, len(ping)*4096)
	for range 4096 {
		many = append(many, ping...)
	}
	u := script(t, func(c net.Conn) {
		if _, err := io.ReadFull(c, make([]byte, 24)); err != nil {
			return
		}
		if _, err := c.Write([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0}); err != nil {
			return
		}
		for {
			if _, err := c.Write(many); err != nil {
				return
			}
		}
	})
	o := Options{URLs: []*url.URL{u}, Protocol: H2, Connections: 1, Requests: 1, Timeout: patience}
	r := result(t, o)
	counts(t, r, 0, 1)
	if r.Errors[ErrorProtocol] != 1 {
		t.Errorf("%v: %v", r.Errors, r.FirstError)
	}
}
