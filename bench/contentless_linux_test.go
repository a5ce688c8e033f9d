package bench

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/h2/frame"
	"github.com/penstock-edge/penstock/serve/h2/hpack"
	h3frame "github.com/penstock-edge/penstock/serve/h3/frame"
	"github.com/penstock-edge/penstock/serve/h3/qpack"
)

// Answers that have no content (RFC 9110 §6.4.1), with and without.
var contentless = []struct {
	method  string
	status  int
	content string
	ok      bool
}{
	{http.MethodHead, 200, "", true},
	{http.MethodHead, 200, "x", false},
	{http.MethodGet, 204, "", true},
	{http.MethodGet, 204, "x", false},
	{http.MethodGet, 304, "", true},
	{http.MethodGet, 304, "x", false},
	{http.MethodGet, 200, "x", true},
}

// DATA where no content may be fails that request, and costs the connection nothing
// (RFC 9113 §8.1.1: malformed is an error of the stream).
func TestContentlessH2(t *testing.T) {
	for _, a := range contentless {
		t.Run(fmt.Sprintf("%s %d %q", a.method, a.status, a.content), func(t *testing.T) {
			c := feed(a.method, H2)
			h := c.client.(*clientH2)
			h.maxStreams = 2
			c.w.start(c, 0, 0)
			c.w.start(c, 0, 0)
			c.w.plain = c.w.plain[:0]
			var e hpack.Encoder
			answer := func(id uint32, content string) []byte {
				b := e.AppendStatus(e.BeginBlock(frame.BeginHeaders(nil)), a.status)
				b = frame.FinishHeaders(b, 0, id, 0, frame.DefaultMaxSize)
				return frame.AppendData(b, id, frame.FlagEndStream, []byte(content))
			}
			if !c.take(answer(1, a.content)) || !c.take(answer(3, "")) {
				t.Fatalf("the connection ends: %v", c.w.stats.first)
			}
			wantCounts(t, c.w.stats, 1, a.ok)
			said := frame.AppendRSTStream(nil, 1, frame.ProtocolError)
			if got := bytes.Contains(c.w.plain, said); got == a.ok {
				t.Errorf("RST_STREAM is sent: %v, want %v", got, !a.ok)
			}
		})
	}
}

func TestContentlessH3(t *testing.T) {
	for _, a := range contentless {
		t.Run(fmt.Sprintf("%s %d %q", a.method, a.status, a.content), func(t *testing.T) {
			p := &plan{Options: Options{Method: a.method}, base: time.Now()}
			h := &h3Run{run: &run{plan: p}, w: &worker{plan: p, stats: newStats()}}
			s := &h3Stream{c: &clientH3{h: h}, buf: make([]byte, h3ReadBytes)}
			s.x.length = -1
			b := qpack.AppendStatus(qpack.AppendPrefix(h3frame.BeginHeaders(nil)), a.status)
			b = h3frame.FinishHeaders(b, 0)
			b = h3frame.AppendHeader(b, h3frame.TypeData, uint64(len(a.content)))
			f := s.read(bytes.NewReader(append(b, a.content...)))
			if ok := f == nil; ok != a.ok || !ok && f.kind != ErrorProtocol {
				t.Errorf("%v, want it taken: %v", f, a.ok)
			}
		})
	}
}

// wantCounts checks that others answers were taken, and one more if ok.
func wantCounts(t *testing.T, s *stats, others int64, ok bool) {
	t.Helper()
	completed, failures := others, int64(0)
	if ok {
		completed++
	} else {
		failures++
	}
	if s.completed != completed || s.failed != failures || s.errors[ErrorProtocol] != failures {
		t.Errorf("%d completed, %d failed, %v; want %d, %d", s.completed, s.failed, s.first, completed, failures)
	}
}
