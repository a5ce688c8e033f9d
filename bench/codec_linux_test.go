package bench

import (
	"encoding/binary"
	"net/http"
	"testing"

	"github.com/penstock-edge/penstock/serve/h2/frame"
	"github.com/penstock-edge/penstock/serve/h2/hpack"
)

// batch is a connection and what its server answers to as many requests as it has
// streams: what a loop does for them but for system calls and TLS.
type batch struct {
	c       *conn
	size    int
	answers []byte
	ids     []int // places of stream identifiers in answers
}

const helloFields = 3 // of a short answer, beside :status

func newBatch(t testing.TB, protocol Protocol, size int) *batch {
	t.Helper()
	b := &batch{c: feed(http.MethodGet, protocol), size: size}
	w := b.c.w
	w.plan.KeepBody, w.plan.Streams = false, size
	b.c = newConn(w, 0)
	w.conns[0] = b.c
	b.c.state, b.c.socket.fd = connOpen, -1
	b.c.out, b.c.waiting = []byte{0}, true // what is written waits behind it, and no system call is made
	w.plain = nil
	if protocol == H1 {
		b.c.client = newClientH1(b.c)
		b.answers = []byte("HTTP/1.1 200 OK\r\nDate: Fri, 27 Nov 2026 10:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, World!")
		b.round(t)
		return b
	}
	h := newClientH2(b.c)
	b.c.client, h.maxStreams = h, size
	var e hpack.Encoder
	for range helloFields { // the first fills the table, what comes then is the same each time
		b.answers, b.ids = nil, nil
		for range size {
			b.answer(&e)
		}
		b.round(t)
	}
	return b
}

func (b *batch) answer(e *hpack.Encoder) {
	at := len(b.answers)
	out := e.AppendStatus(e.BeginBlock(frame.BeginHeaders(b.answers)), 200)
	out = e.AppendField(out, "date", "Fri, 27 Nov 2026 10:00:00 GMT")
	out = e.AppendField(out, "content-type", "text/plain")
	out = e.AppendField(out, "content-length", "13")
	out = frame.FinishHeaders(out, at, 0, 0, frame.DefaultMaxSize)
	b.ids = append(b.ids, at+5, len(out)+5)
	b.answers = frame.AppendData(out, 0, frame.FlagEndStream, []byte("Hello, World!"))
}

// round begins all requests, and takes their answers.
func (b *batch) round(t testing.TB) {
	w := b.c.w
	for range b.size {
		w.start(b.c, 0, 0)
	}
	w.plain, b.c.out = w.plain[:0], b.c.out[:1]
	for i, at := range b.ids {
		binary.BigEndian.PutUint32(b.answers[at:], b.c.slots[i/2].id)
	}
	before := w.stats.completed
	if !b.c.take(b.answers) || w.stats.completed-before != int64(b.size) {
		t.Fatalf("%d of %d are complete: %v", w.stats.completed-before, b.size, w.stats.first)
	}
}

var batches = []struct {
	name     string
	protocol Protocol
	size     int
}{{"h1", H1, 1}, {"h2m1", H2, 1}, {"h2m32", H2, 32}, {"h2m100", H2, 100}}

// A request and its answer make no garbage.
func TestCodecAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("SKIPPED: the race detector allocates itself")
	}
	for _, c := range batches {
		b := newBatch(t, c.protocol, c.size)
		if n := testing.AllocsPerRun(100, func() { b.round(t) }); n > 0 {
			t.Errorf("%s: %v allocations of %d requests", c.name, n, c.size)
		}
	}
}

// BenchmarkCodec is what a request costs beside system calls and TLS.
func BenchmarkCodec(b *testing.B) {
	for _, c := range batches {
		b.Run(c.name, func(b *testing.B) {
			batch := newBatch(b, c.protocol, c.size)
			b.ReportAllocs()
			rounds := 0
			for b.Loop() {
				batch.round(b)
				rounds++
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(rounds*c.size), "ns/request")
		})
	}
}
