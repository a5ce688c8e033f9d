package serve_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// TestNegotiation: which protocol a connection gets, by ALPN or by how it
// begins, and what it is told when it gets none.
func TestNegotiation(t *testing.T) {
	const (
		alert  = "no handshake"
		h1, h2 = "HTTP/1.1", "HTTP/2.0"
		refuse = "GOAWAY PROTOCOL_ERROR"
		h1only = "505"
	)
	for _, test := range []struct {
		name   string
		opts   serve.ServerOptions
		secure bool
		offer  []string // ALPN; the first byte on says which is spoken
		speak  string
		want   string
	}{
		{name: "clear, HTTP/1.1", speak: h1, want: h1},
		{name: "clear, prior knowledge", speak: h2, want: h2},
		{name: "clear, HTTP/1.1 alone", opts: serve.ServerOptions{DisableHTTP2: true}, speak: h1, want: h1},
		{name: "clear, HTTP/1.1 alone, prior knowledge", opts: serve.ServerOptions{DisableHTTP2: true}, speak: h2, want: h1only},
		{name: "clear, HTTP/2 alone", opts: serve.ServerOptions{DisableHTTP1: true}, speak: h2, want: h2},
		{name: "clear, HTTP/2 alone, HTTP/1.1", opts: serve.ServerOptions{DisableHTTP1: true}, speak: h1, want: refuse},
		{name: "TLS, both", secure: true, offer: []string{"http/1.1", "h2"}, speak: h2, want: h2},
		{name: "TLS, h2", secure: true, offer: []string{"h2"}, speak: h2, want: h2},
		{name: "TLS, http/1.1", secure: true, offer: []string{"http/1.1"}, speak: h1, want: h1},
		{name: "TLS, nothing", secure: true, speak: h1, want: h1},
		{name: "TLS, nothing, HTTP/2's preface", secure: true, speak: h2, want: h1only},
		{name: "TLS, a foreign name", secure: true, offer: []string{"spdy/3"}, want: alert},
		{name: "TLS, HTTP/1.1 alone", opts: serve.ServerOptions{DisableHTTP2: true}, secure: true, offer: []string{"h2", "http/1.1"}, speak: h1, want: h1},
		{name: "TLS, HTTP/1.1 alone, h2", opts: serve.ServerOptions{DisableHTTP2: true}, secure: true, offer: []string{"h2"}, want: alert},
		{name: "TLS, HTTP/2 alone", opts: serve.ServerOptions{DisableHTTP1: true}, secure: true, offer: []string{"http/1.1", "h2"}, speak: h2, want: h2},
		{name: "TLS, HTTP/2 alone, http/1.1", opts: serve.ServerOptions{DisableHTTP1: true}, secure: true, offer: []string{"http/1.1"}, speak: h1, want: "closed"}, // crypto/tls takes it for no offer
		{name: "TLS, HTTP/2 alone, nothing", opts: serve.ServerOptions{DisableHTTP1: true}, secure: true, speak: h1, want: "closed"},
	} {
		for _, form := range tlsForms {
			t.Run(test.name+"/"+form.name, func(t *testing.T) {
				servetest.CheckLeaks(t)
				opts := test.opts
				opts.EventLoop = form.loop
				r := startServer(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }, test.secure, opts)
				conn, err := dialForm(r.addr, test.secure, test.offer...)
				if err != nil {
					servetest.Want(t, "what comes of it", alert, test.want)
					return
				}
				t.Cleanup(func() { conn.Close() })
				conn.SetDeadline(time.Now().Add(patience))
				if test.speak == h2 && test.want == h2 {
					p := newH2Peer(t, conn)
					p.want("it is HTTP/2", p.get("/"), "200", test.want)
					return
				}
				servetest.Want(t, "what comes of it", ask(conn, test.speak == h2), test.want)
			})
		}
	}
}

// ask sends an HTTP/1.1 request, or HTTP/2's preface to one who is to refuse it,
// and tells what comes.
func ask(conn net.Conn, preface bool) string {
	if preface {
		io.WriteString(conn, http2.ClientPreface)
	} else {
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	}
	br := bufio.NewReader(conn)
	if begin, _ := br.Peek(len("HTTP/1")); string(begin) != "HTTP/1" {
		return farewell(br)
	}
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusOK {
		return strings.Fields(resp.Status)[0]
	}
	return string(body)
}

// farewell tells the GOAWAY that ends a connection of HTTP/2 frames.
func farewell(r io.Reader) string {
	said := "closed"
	for fr := http2.NewFramer(io.Discard, r); ; {
		f, err := fr.ReadFrame()
		if err != nil {
			return said
		}
		if g, ok := f.(*http2.GoAwayFrame); ok {
			said = "GOAWAY " + g.ErrCode.String()
		}
	}
}

// TestNoProtocol: a server of no protocol serves nothing.
func TestNoProtocol(t *testing.T) {
	servetest.CheckLeaks(t)
	s := &serve.Server{TLSConfig: serverTLS(), Options: serve.ServerOptions{DisableHTTP1: true, DisableHTTP2: true}}
	for _, f := range []func(net.Listener) error{s.Serve, func(l net.Listener) error { return s.ServeTLS(l, "", "") }} {
		if err := f(listenTCP(t)); err == nil || !strings.Contains(err.Error(), "HTTP") {
			t.Errorf("served: %v", err)
		}
	}
	servetest.Must(t, "Close", s.Close())
}

// TestHandlersTLS: handlers see the negotiated protocol.
func TestHandlersTLS(t *testing.T) {
	for _, form := range tlsForms {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			r := startServer(t, func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, r.TLS.NegotiatedProtocol+" "+r.TLS.ServerName+" "+tls.VersionName(r.TLS.Version))
			}, true, serve.ServerOptions{EventLoop: form.loop})
			p := dialH2(t, r.addr, true)
			p.want("TLS", p.get("/"), "200", "h2 localhost TLS 1.3")
		})
	}
}
