package h1

import (
	"testing"
	"unsafe"

	"github.com/penstock-edge/penstock/handler/proxy/message"
)

// TestAllocs: an exchange on a connection that is reused allocates nothing but its
// handle, which is made by the slab.
func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool drops at random under the race detector")
	}
	for _, tt := range []struct{ name, answer string }{
		{"small", plainAnswer},
		{"no content", "HTTP/1.1 204 No Content\r\n\r\n"},
		{"chunked with a trailer", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n"},
		{"after 103", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + plainAnswer},
	} {
		t.Run(tt.name, func(t *testing.T) {
			home := memory(t, tt.answer)
			c := New(Options{Address: "mem"})
			req := get()
			req.Fields = []message.Field{{Name: []byte("Accept"), Value: []byte("*/*")}, {Name: []byte("X-Forwarded-For"), Value: []byte("192.0.2.1")}}
			req.HeadTimeout, req.IdleTimeout = defaultIdleTimeout, defaultIdleTimeout
			ctx := t.Context()
			once := func() {
				x, err := c.Do(ctx, home, req)
				if err != nil {
					t.Fatal(err)
				}
				for err == nil {
					_, err = x.Next()
				}
				x.Trailer()
				x.Close()
			}
			once()
			if got := testing.AllocsPerRun(1000, once); got != 0 {
				t.Errorf("%v allocations an exchange, want 0", got)
			}
			if c.Idle() != 1 {
				t.Errorf("%d idle connections, want the one", c.Idle())
			}
		})
	}
}

// TestIdleConnIsSmall: an idle connection is its struct, and holds no buffer.
func TestIdleConnIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(conn{}); size > 96 {
		t.Errorf("conn has %d bytes, want 96 at most", size)
	}
}
