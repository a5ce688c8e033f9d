package bench

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/h2/frame"
)

// feed is a worker whose only connection gets bytes from a test and sends nowhere.
func feed(method string, protocol Protocol) *conn {
	p := &plan{Options: Options{Method: method, Streams: 2, KeepBody: true, Workers: 1, Interval: time.Hour}, base: time.Now()}
	p.targets = []target{{path: "/", h1: []byte("x"), fields: []Field{{":method", method}, {":path", "/"}}}}
	r := &run{plan: p}
	r.collect = newCollector(r)
	w := &worker{plan: p, run: r, stats: newStats(), left: -1, quiet: true}
	c := newConn(w, 0)
	w.conns = []*conn{c}
	c.state = connOpen
	c.socket.fd = -1 // writes fail, which nobody minds
	if protocol == H2 {
		c.client = newClientH2(c)
	} else {
		c.client = newClientH1(c)
	}
	return c
}

// FuzzAnswerH1: what the client counts as an answer is one to net/http too, with
// the same status and content; and it does not matter in which pieces it comes.
func FuzzAnswerH1(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.0 404 Not Found\r\n\r\nall up to the end",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
	} {
		f.Add([]byte(s), uint8(7))
	}
	f.Fuzz(func(t *testing.T, b []byte, cut uint8) {
		whole := answerH1(b, len(b)+1)
		parts := answerH1(b, int(cut)+1)
		if whole.ok != parts.ok || whole.ok && (whole.status != parts.status || !bytes.Equal(whole.body, parts.body)) {
			t.Fatalf("whole %+v, in pieces %+v", whole, parts)
		}
		if !whole.ok {
			return
		}
		in := bufio.NewReader(bytes.NewReader(b))
		for {
			resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodGet})
			if err != nil {
				t.Fatalf("counted as %d %q, but net/http says %v", whole.status, whole.body, err)
			}
			if resp.StatusCode < 200 {
				continue
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != whole.status || !bytes.Equal(body, whole.body) {
				t.Fatalf("counted as %d %q, net/http: %d %q, %v", whole.status, whole.body, resp.StatusCode, body, err)
			}
			return
		}
	})
}

type answer struct {
	ok     bool
	status int
	body   []byte
}

// answerH1 gives b to a client that has asked once, n bytes at a time, and then
// the end of the connection.
func answerH1(b []byte, n int) (a answer) {
	c := feed(http.MethodGet, H1)
	c.w.plan.Check = func(status int, body []byte) error {
		if !a.ok {
			a = answer{true, status, bytes.Clone(body)}
		}
		return nil
	}
	c.w.start(c, 0, 0)
	for len(b) > 0 {
		k := min(n, len(b))
		if !c.take(b[:k]) {
			return a
		}
		b = b[k:]
	}
	if f := c.client.ended(); f != nil {
		c.closed(*f)
	}
	return a
}

// FuzzAnswerH2: nothing that a server sends breaks the client or its counts.
func FuzzAnswerH2(f *testing.F) {
	hello := frame.AppendSettings(nil, frame.Setting{ID: frame.SettingMaxConcurrentStreams, Value: 100})
	at := len(hello)
	whole := append(frame.BeginHeaders(bytes.Clone(hello)), 0x88)
	whole = frame.FinishHeaders(whole, at, 1, 0, frame.DefaultMaxSize)
	whole = frame.AppendData(whole, 1, frame.FlagEndStream, []byte("hello"))
	f.Add(whole, uint8(5))
	f.Add(frame.AppendGoAway(bytes.Clone(hello), 1, frame.NoError, ""), uint8(3))
	f.Add(frame.AppendRSTStream(bytes.Clone(hello), 3, frame.RefusedStream), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, cut uint8) {
		c := feed(http.MethodGet, H2)
		c.w.start(c, 0, 0)
		c.w.start(c, 0, 0)
		alive := true
		for len(b) > 0 && alive {
			k := min(int(cut)+1, len(b))
			alive = c.take(b[:k])
			b = b[k:]
			if alive && len(c.in) > maxKept {
				t.Fatal("more is kept than a frame has")
			}
			c.w.plain = c.w.plain[:0]
		}
		if alive {
			if f := c.client.ended(); f != nil {
				c.closed(*f)
			}
		}
		if s := c.w.stats; s.completed+s.failed+int64(c.inFlight) != 2 || len(c.free)+c.inFlight != 2 {
			t.Fatalf("of 2 requests %d were completed, %d failed, %d are under way", s.completed, s.failed, c.inFlight)
		}
	})
}
