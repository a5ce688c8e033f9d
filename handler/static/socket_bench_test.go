package static_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler/static"
)

// BenchmarkMemoryOrFile is the reason of the default of CacheFileBytes: contents in
// memory against an open file and sendfile, over clear HTTP/1.1 on loopback, with
// net/http's file server beside them.
func BenchmarkMemoryOrFile(b *testing.B) {
	dir := b.TempDir()
	for _, size := range []int{4 << 10, 16 << 10, 64 << 10, 128 << 10, 256 << 10, 1 << 20} {
		name := fmt.Sprintf("%dk", size>>10)
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o600); err != nil {
			b.Fatal(err)
		}
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			b.Fatal(err)
		}
		for _, kept := range []struct {
			name string
			opts static.Options
		}{
			{"memory", static.Options{CacheFileBytes: 1 << 20}},
			{"file", static.Options{CacheFileBytes: -1}},
			{"opened", static.Options{CacheEntries: -1}},
		} {
			b.Run(name+"/"+kept.name, func(b *testing.B) {
				h, err := static.New(dir, kept.opts)
				if err != nil {
					b.Fatal(err)
				}
				defer h.Close()
				fetchAgain(b, serveWith(b, "h1 clear", h), "/"+name, size)
			})
		}
		b.Run(name+"/nethttp", func(b *testing.B) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			s := &http.Server{Handler: http.FileServer(http.Dir(dir))}
			ended := make(chan error, 1)
			go func() { ended <- s.Serve(l) }()
			defer func() { s.Close(); <-ended }()
			fetchAgain(b, l.Addr().String(), "/"+name, size)
		})
	}
}

// fetchAgain asks for a file over one connection, again and again.
func fetchAgain(b *testing.B, addr, target string, size int) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	request := []byte("GET " + target + " HTTP/1.1\r\nHost: edge\r\n\r\n")
	in := bufio.NewReaderSize(c, 64<<10)
	b.SetBytes(int64(size))
	for b.Loop() {
		if _, err := c.Write(request); err != nil {
			b.Fatal(err)
		}
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				b.Fatal(err)
			}
			if len(line) == 2 {
				break
			}
		}
		if n, err := in.Discard(size); err != nil {
			b.Fatalf("%d bytes: %v", n, err)
		}
	}
}
