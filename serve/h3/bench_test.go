package h3

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/penstock-edge/penstock/serve/h3/frame"
	"github.com/penstock-edge/penstock/serve/h3/qpack"
	"github.com/penstock-edge/penstock/serve/servetest"
)

var helloBytes = []byte("Hello, world!\n")

func benchHello(w http.ResponseWriter, _ *http.Request) { w.Write(helloBytes) }

var body100KB = make([]byte, 100<<10)

func bench100KB(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Content-Type"] = []string{"application/octet-stream"}
	w.Write(body100KB)
}

// stock serves h by quic-go's own server.
func stock(tb testing.TB, h http.HandlerFunc) net.Addr {
	tb.Helper()
	socket := socketFor(tb)
	srv := &http3.Server{TLSConfig: stockTLS(), Handler: h}
	done := make(chan struct{})
	go func() { srv.Serve(socket); close(done) }()
	tb.Cleanup(func() { srv.Close(); <-done })
	return socket.LocalAddr()
}

// floor answers every stream with the same bytes, and gives credit in batches:
// what QUIC alone costs.
func floor(tb testing.TB, content []byte) net.Addr {
	tb.Helper()
	b := qpack.AppendStatus(qpack.AppendPrefix(frame.BeginHeaders(nil)), 200)
	b = qpack.AppendField(b, "content-type", "application/octet-stream")
	b = qpack.AppendField(b, "date", "Thu, 01 Jan 1970 00:00:00 GMT")
	answer := frame.FinishHeaders(b, 0)
	answer = append(frame.AppendHeader(answer, frame.TypeData, uint64(len(content))), content...)
	tr := &quic.Transport{Conn: socketFor(tb)}
	ln, err := tr.Listen(stockTLS(), Complete(Config{}).quic())
	servetest.Must(tb, "Listen", err)
	tb.Cleanup(func() { ln.Close(); tr.Close() })
	go func() {
		for {
			q, err := ln.Accept(context.Background())
			if err != nil {
				return
			}
			go answerAll(q, answer)
		}
	}()
	return tr.Conn.LocalAddr()
}

func answerAll(q *quic.Conn, answer []byte) {
	buf := make([]byte, headBuffer)
	var held []*quic.Stream
	for {
		str, err := q.AcceptStream(context.Background())
		if err != nil {
			return
		}
		for err == nil {
			_, err = str.Read(buf)
		}
		if held = append(held, str); len(held) == 2*creditBatch {
			for _, old := range held[:creditBatch] {
				old.ReleaseStreamCredit()
			}
			held = append(held[:0], held[creditBatch:]...)
		}
		if str.TryWriteAll(answer) != nil {
			return
		}
		str.Close()
	}
}

// asks makes b.N requests, m at a time on each of so many connections.
func asks(b *testing.B, addr net.Addr, conns, m, size int) {
	b.Helper()
	var clients []*rawClient
	for range conns {
		c := rawTo(b, addr)
		_, err := c.ask(make([]byte, 32<<10))
		servetest.Must(b, "the first answer", err)
		clients = append(clients, c)
	}
	b.ReportAllocs()
	b.SetBytes(int64(size))
	b.ResetTimer()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	for _, c := range clients {
		for range m {
			wg.Go(func() {
				buf := make([]byte, 32<<10)
				for left.Add(-1) >= 0 {
					n, err := c.ask(buf)
					if err != nil || n < size {
						b.Errorf("%d bytes and %v, want %d", n, err, size)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	b.StopTimer()
}

// loads are what the benchmarks ask for.
var loads = []struct{ conns, m int }{{1, 1}, {1, 16}, {16, 1}, {16, 16}}

// BenchmarkServe is a request with a short answer over the loopback, client and
// QUIC included: BenchmarkStockServe is the same with quic-go's server, and
// BenchmarkFloor with none, QUIC and client alone.
func BenchmarkServe(b *testing.B) {
	for _, mode := range []string{"fresh", "recycled"} {
		for _, l := range loads {
			b.Run(fmt.Sprintf("conns=%d/m=%d/%s", l.conns, l.m, mode), func(b *testing.B) {
				s := serve(b, benchHello, func(cfg *Config) { cfg.Recycle = mode == "recycled" })
				asks(b, s.addr, l.conns, l.m, len(helloBytes))
			})
		}
	}
}

func BenchmarkStockServe(b *testing.B) {
	for _, l := range loads {
		b.Run(fmt.Sprintf("conns=%d/m=%d", l.conns, l.m), func(b *testing.B) {
			asks(b, stock(b, benchHello), l.conns, l.m, len(helloBytes))
		})
	}
}

func BenchmarkFloor(b *testing.B) {
	for _, l := range loads {
		b.Run(fmt.Sprintf("conns=%d/m=%d", l.conns, l.m), func(b *testing.B) {
			asks(b, floor(b, helloBytes), l.conns, l.m, len(helloBytes))
		})
	}
}

// BenchmarkServe100KB is an answer that does not fit a congestion window.
func BenchmarkServe100KB(b *testing.B) {
	for _, l := range loads[:3] {
		b.Run(fmt.Sprintf("conns=%d/m=%d", l.conns, l.m), func(b *testing.B) {
			asks(b, serve(b, bench100KB).addr, l.conns, l.m, len(body100KB))
		})
	}
}

func BenchmarkStock100KB(b *testing.B) {
	for _, l := range loads[:3] {
		b.Run(fmt.Sprintf("conns=%d/m=%d", l.conns, l.m), func(b *testing.B) {
			asks(b, stock(b, bench100KB), l.conns, l.m, len(body100KB))
		})
	}
}
