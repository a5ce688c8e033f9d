package serve_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"testing"

	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

const (
	longBody = 100_000
	// longGarbage bounds what a long answer may leave behind, in bytes. It is 2 KB,
	// and 32 KB under the race detector, where pools drop at random; buffers that
	// grow outside of their classes make it nearly the body.
	longGarbage = longBody / 2
)

// BenchmarkBodyTLS: an answer of 100 KB over TLS on a connection that has been
// used, so that its records are full ones. B/op are those of server and client;
// the client's are next to nothing.
func BenchmarkBodyTLS(b *testing.B) {
	c := dialLongBody(b)
	b.ReportAllocs()
	b.SetBytes(longBody)
	for b.Loop() {
		c.exchange(b)
	}
}

// TestBodyTLSGarbage: long answers over TLS live on pooled buffers.
func TestBodyTLSGarbage(t *testing.T) {
	c := dialLongBody(t)
	const requests = 200
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range requests {
		c.exchange(t)
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / requests; got > longGarbage {
		t.Errorf("%d bytes of garbage a request, want at most %d", got, longGarbage)
	}
}

type longBodyClient struct {
	conn net.Conn
	in   *bufio.Reader
}

// dialLongBody answers a connection on which some bodies have come already.
func dialLongBody(tb testing.TB) *longBodyClient {
	body := make([]byte, longBody)
	r := startServer(tb, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(longBody))
		_, _ = w.Write(body)
	}, true, serve.ServerOptions{})
	conn, err := tls.Dial("tcp", r.addr, benchClientTLS)
	servetest.Must(tb, "dial", err)
	tb.Cleanup(func() { conn.Close() })
	c := &longBodyClient{conn, bufio.NewReaderSize(conn, 64<<10)}
	for range 10 {
		c.exchange(tb)
	}
	return c
}

// exchange asks once and reads the whole answer.
func (c *longBodyClient) exchange(tb testing.TB) {
	_, err := io.WriteString(c.conn, benchRequest)
	servetest.Must(tb, "ask", err)
	for line := []byte{}; len(line) != len("\r\n"); {
		line, err = c.in.ReadSlice('\n')
		servetest.Must(tb, "head", err)
	}
	_, err = c.in.Discard(longBody)
	servetest.Must(tb, "body", err)
}
