package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/handler/proxy"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// grpcServer echoes messages as they come, and ends with a status in the trailer, as
// gRPC's servers do. It speaks HTTP/2 with prior knowledge alone.
func grpcServer(t *testing.T) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(t, "listen", err)
	s := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 || r.Header.Get("Te") != "trailers" || r.Header.Get("Content-Type") != "application/grpc" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "application/grpc")
		switch r.URL.Path {
		case "/unimplemented": // trailers only
			h.Set("Grpc-Status", "12")
			return
		case "/stuck":
			<-r.Context().Done()
			return
		}
		h.Set("Trailer", "Grpc-Status, Grpc-Message")
		rc := http.NewResponseController(w)
		_ = rc.Flush()
		b := make([]byte, 1024)
		for {
			n, err := r.Body.Read(b)
			_, _ = w.Write(b[:n])
			_ = rc.Flush()
			if err != nil {
				break
			}
		}
		h.Set("Grpc-Status", "0")
		h.Set("Grpc-Message", "fine")
	})}
	s.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-done })
	return l.Addr().String()
}

func grpcRequest(ctx context.Context, url string, body io.Reader) *http.Request {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, body)
	if err != nil {
		panic(err)
	}
	r.Header.Set("Content-Type", "application/grpc")
	r.Header.Set("Te", "trailers")
	return r
}

// TestGRPC: messages go both ways at one time, the status comes as a trailer, and
// our own failures are told in gRPC's way.
func TestGRPC(t *testing.T) {
	addr := grpcServer(t)
	for _, f := range forms {
		if f.major < 2 {
			continue // gRPC has no HTTP/1
		}
		t.Run(f.name, func(t *testing.T) {
			url, client := f.serveFront(t, newProxy(t, proxy.Options{Service: newService(t, proxy.ServiceOptions{}, "h2c://"+addr)}))
			pr, pw := io.Pipe()
			res, err := client.Do(grpcRequest(t.Context(), url+"/echo", pr))
			servetest.Must(t, "the head comes before the content", err)
			defer res.Body.Close()
			for _, msg := range []string{"ping", "pong", strings.Repeat("x", 5000)} {
				io.WriteString(pw, msg)
				got := make([]byte, len(msg))
				_, err := io.ReadFull(res.Body, got)
				servetest.Must(t, "the echo", err)
				servetest.Want(t, "the echo", string(got), msg)
			}
			pw.Close()
			_, err = io.ReadAll(res.Body)
			servetest.Must(t, "the end", err)
			servetest.Want(t, "trailers", fmt.Sprint(res.Trailer.Get("Grpc-Status"), res.Trailer.Get("Grpc-Message")), "0fine")

			res, err = client.Do(grpcRequest(t.Context(), url+"/unimplemented", strings.NewReader("x")))
			servetest.Must(t, "trailers only", err)
			res.Body.Close()
			servetest.Want(t, "status in the head", res.Header.Get("Grpc-Status"), "12")

			r := grpcRequest(t.Context(), url+"/stuck", strings.NewReader("x"))
			r.Header.Set("Grpc-Timeout", "50m")
			res, err = client.Do(r)
			servetest.Must(t, "timeout", err)
			res.Body.Close()
			servetest.Want(t, "deadline exceeded", fmt.Sprint(res.StatusCode, " ", res.Header.Get("Grpc-Status")), "200 4")
		})
		t.Run(f.name+" nobody there", func(t *testing.T) {
			url, client := f.serveFront(t, newProxy(t, proxy.Options{Service: newService(t, unhurried(), "h2c://127.0.0.1:1")}))
			res, err := client.Do(grpcRequest(t.Context(), url+"/echo", strings.NewReader("x")))
			servetest.Must(t, "unavailable", err)
			res.Body.Close()
			servetest.Want(t, "unavailable", fmt.Sprint(res.StatusCode, " ", res.Header.Get("Grpc-Status"), " ", res.Header.Get("Content-Type")), "200 14 application/grpc")
		})
	}
}

// TestH2Upstream: the same requests to an upstream of HTTP/2, through all forms.
func TestH2Upstream(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(t, "listen", err)
	s := &http.Server{Protocols: new(http.Protocols), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", fmt.Sprint(r.Proto, " ", r.Host, " ", r.Header.Get("X-Forwarded-For"), " ", r.Header.Get("Via")))
		_, _ = w.Write(b)
	})}
	s.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-done })
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			url, client := f.serveFront(t, newProxy(t, proxy.Options{Service: newService(t, proxy.ServiceOptions{}, "h2c://"+l.Addr().String())}))
			for _, size := range []int{0, 10, 20_000, 1 << 20} {
				text := strings.Repeat("x", size)
				a := do(t.Context(), client, "POST", url+"/", strings.NewReader(text))
				if a.err != nil || a.status != 200 || a.body != text {
					t.Errorf("%d: got %d, %d bytes, %v", size, a.status, len(a.body), a.err)
				}
				_, host, _ := strings.Cut(url, "://")
				via := map[int]string{1: "1.1", 2: "2", 3: "3"}[f.major]
				servetest.Want(t, "seen", a.header.Get("X-Seen"), "HTTP/2.0 "+host+" 127.0.0.1 "+via+" penstock")
			}
			a := do(t.Context(), client, "GET", url+"/", nil)
			servetest.Want(t, "GET", a.status, 200)
		})
	}
}
