package serve_test

import (
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// TestConnectionsByProtocol: open connections are counted by what their negotiation
// has chosen, until they close or are hijacked.
func TestConnectionsByProtocol(t *testing.T) {
	for _, form := range stopForms {
		t.Run(form.name, func(t *testing.T) {
			servetest.CheckLeaks(t)
			testConnectionsByProtocol(t, form.secure, serve.ServerOptions{EventLoop: form.loop})
		})
	}
}

func testConnectionsByProtocol(t *testing.T, secure bool, o serve.ServerOptions) {
	r := startServer(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/hijack" {
			return
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		io.WriteString(conn, "taken\n")
		conn.Close()
	}, secure, o)
	// want waits: the server sees what clients do in its own time.
	want := func(why string, http1, http2, handshakes int64) {
		t.Helper()
		servetest.WantSoon(t, why, func() bool {
			n := r.Stats()
			return n.HTTP1Connections == http1 && n.HTTP2Connections == http2 && n.HTTP3Connections == 0 &&
				n.Connections == http1+http2+handshakes && (n.TLSConnections == http1+http2) == (secure || http1+http2 == 0)
		})
	}
	want("none", 0, 0, 0)
	c, br := r.dial(t)
	io.WriteString(c, getSlash)
	answer(t, "by HTTP/1", br)
	want("one of HTTP/1", 1, 0, 0)

	protocols := new(http.Protocols)
	protocols.SetHTTP2(secure)
	protocols.SetUnencryptedHTTP2(!secure)
	transport := &http.Transport{TLSClientConfig: clientTLS(), Protocols: protocols}
	wantStatus(t, "by HTTP/2", get(&http.Client{Transport: transport}, r.url()), http.StatusOK)
	want("and one of HTTP/2", 1, 1, 0)

	silent, err := net.Dial("tcp", r.addr)
	servetest.Must(t, "dial", err)
	if secure {
		want("one that has not begun its handshake", 1, 1, 1)
	} else { // in the clear it is HTTP/1 until it says something else
		want("one that has said nothing", 2, 1, 0)
	}
	silent.Close()
	want("which is gone", 1, 1, 0)

	transport.CloseIdleConnections()
	want("HTTP/2 is closed", 1, 0, 0)
	taken, tbr := r.dial(t)
	io.WriteString(taken, "GET /hijack HTTP/1.1\r\nHost: a\r\n\r\n")
	line, err := tbr.ReadString('\n')
	servetest.Must(t, "the hijacker's answer", err)
	servetest.Want(t, "its line", line, "taken\n")
	want("a hijacked one is nobody's", 1, 0, 0)
	r.stop(t)
	want("after the stop", 0, 0, 0)
}
