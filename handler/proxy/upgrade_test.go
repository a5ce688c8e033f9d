package proxy_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
	xhttp2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/penstock-edge/penstock/handler/proxy"
	"github.com/penstock-edge/penstock/handler/proxy/websocket"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// echoWebSocket accepts upgrades and sends back what comes, bytes as they are.
func echoWebSocket(f *faulty, c net.Conn, r *bufio.Reader, head string) bool {
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
	if err != nil || req.Header.Get("Upgrade") != "websocket" {
		io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
		return true
	}
	if req.URL.Path == "/refuse" {
		io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
		io.Copy(io.Discard, r)
		return false
	}
	fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		websocket.Accept(req.Header.Get("Sec-WebSocket-Key")))
	io.Copy(c, r)
	c.(*net.TCPConn).CloseWrite()
	return false
}

// text is a text frame, unmasked: the echo does not look.
func text(s string) string {
	if len(s) < 126 {
		return "\x81" + string(rune(len(s))) + s
	}
	b := binary.BigEndian.AppendUint16([]byte{0x81, 126}, uint16(len(s)))
	return string(b) + s
}

// duplex is a client's end of a tunnel.
type duplex struct {
	io.Reader
	io.Writer
	closeWrite func()
	close      func()
}

const upgradeHead = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// dialWebSocket opens a tunnel in the form.
func (f form) dialWebSocket(t *testing.T, url string, client *http.Client) duplex {
	t.Helper()
	_, addr, _ := strings.Cut(url, "://")
	switch {
	case f.major == 1:
		c := f.dial(t, addr)
		io.WriteString(c, upgradeHead)
		r := bufio.NewReader(c)
		res, err := http.ReadResponse(r, nil)
		servetest.Must(t, "the answer", err)
		if res.StatusCode != 101 || res.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
			t.Fatalf("got %+v", res)
		}
		return duplex{r, c, func() { c.(interface{ CloseWrite() error }).CloseWrite() }, func() { c.Close() }}
	case f.major == 3:
		return dialWebSocketH3(t, url, client)
	}
	return f.dialWebSocketH2(t, addr)
}

func dialWebSocketH3(t *testing.T, url string, client *http.Client) duplex {
	t.Helper()
	pr, pw := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodConnect, url+"/ws", pr)
	servetest.Must(t, "request", err)
	req.Proto = "websocket"
	res, err := client.Transport.(*http3.Transport).RoundTrip(req)
	servetest.Must(t, "answer", err)
	servetest.Want(t, "status", res.StatusCode, 200)
	return duplex{res.Body, pw, func() { pw.Close() }, func() { pw.Close(); res.Body.Close() }}
}

// dialWebSocketH2 speaks frames: net/http's client has no extended CONNECT.
func (f form) dialWebSocketH2(t *testing.T, addr string) duplex {
	t.Helper()
	c := f.dial(t, addr)
	io.WriteString(c, xhttp2.ClientPreface)
	fr := xhttp2.NewFramer(c, c)
	fr.WriteSettings()
	var head strings.Builder
	enc := hpack.NewEncoder(&head)
	for _, kv := range [][2]string{{":method", "CONNECT"}, {":protocol", "websocket"}, {":scheme", "https"}, {":path", "/ws"}, {":authority", "a"}, {"sec-websocket-version", "13"}} {
		enc.WriteField(hpack.HeaderField{Name: kv[0], Value: kv[1]})
	}
	fr.WriteHeaders(xhttp2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte(head.String()), EndHeaders: true})
	pr, pw := io.Pipe()
	status := make(chan string, 1)
	go func() {
		dec := hpack.NewDecoder(4096, func(h hpack.HeaderField) {
			if h.Name == ":status" {
				status <- h.Value
			}
		})
		for {
			f, err := fr.ReadFrame()
			if err != nil {
				pw.CloseWithError(io.EOF)
				return
			}
			switch f := f.(type) {
			case *xhttp2.HeadersFrame:
				dec.Write(f.HeaderBlockFragment())
			case *xhttp2.DataFrame:
				pw.Write(f.Data())
				if f.StreamEnded() {
					pw.Close()
				}
			case *xhttp2.RSTStreamFrame:
				pw.CloseWithError(io.ErrUnexpectedEOF)
			case *xhttp2.SettingsFrame:
				if !f.IsAck() {
					fr.WriteSettingsAck()
				}
			}
		}
	}()
	servetest.Want(t, "status", <-status, "200")
	return duplex{pr, writerFunc(func(p []byte) (n int, err error) {
		for piece := range slices.Chunk(p, 16384) {
			if err := fr.WriteData(1, false, piece); err != nil {
				return 0, err
			}
		}
		return len(p), nil
	}), func() { fr.WriteData(1, true, nil) }, func() { c.Close(); pr.Close() }}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// TestWebSocket: a tunnel through each form to an upstream of HTTP/1.1: bytes go both
// ways, and the client's end passes through.
func TestWebSocket(t *testing.T) {
	u := newFaulty(t, echoWebSocket)
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			s := newService(t, proxy.ServiceOptions{}, "http://"+u.addr)
			url, client := f.serveFront(t, newProxy(t, proxy.Options{Service: s}))
			d := f.dialWebSocket(t, url, client)
			defer d.close()
			for _, n := range []int{1, 1000, 60_000} {
				msg := text(strings.Repeat("x", n))
				io.WriteString(d, msg)
				got := make([]byte, len(msg))
				_, err := io.ReadFull(d, got)
				servetest.Must(t, fmt.Sprint("echo of ", n), err)
				servetest.Want(t, "the echo", string(got) == msg, true)
			}
			servetest.Want(t, "tunnels", s.Status(time.Now()).Tunnels, 1)
			d.closeWrite()
			rest, err := io.ReadAll(d)
			servetest.Must(t, "the end", err)
			servetest.Want(t, "bytes at the end", len(rest), 0)
		})
	}
}

// TestWebSocketGoodbye: a tunnel that is told to end says 1001 between two frames,
// never within one.
func TestWebSocketGoodbye(t *testing.T) {
	release := make(chan struct{})
	u := newFaulty(t, func(_ *faulty, c net.Conn, r *bufio.Reader, head string) bool {
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		frame := text("half a frame")
		io.WriteString(c, frame[:5])
		<-release
		io.WriteString(c, frame[5:])
		io.Copy(io.Discard, r)
		return false
	})
	for _, f := range forms[:4] {
		t.Run(f.name, func(t *testing.T) {
			s := newService(t, proxy.ServiceOptions{}, "http://"+u.addr)
			url, _ := f.serveFront(t, newProxy(t, proxy.Options{Service: s}))
			_, addr, _ := strings.Cut(url, "://")
			c := f.dial(t, addr)
			io.WriteString(c, upgradeHead)
			r := bufio.NewReader(c)
			if _, err := http.ReadResponse(r, nil); err != nil {
				t.Fatal(err)
			}
			first := make([]byte, 5)
			_, err := io.ReadFull(r, first)
			servetest.Must(t, "the begin of a frame", err)
			s.EndTunnels()
			release <- struct{}{}
			rest, err := io.ReadAll(r)
			servetest.Must(t, "the rest", err)
			servetest.Want(t, "what comes", string(first)+string(rest), text("half a frame")+string(websocket.GoingAway))
		})
	}
}

// TestRefusedUpgrade: what is refused ends both connections.
func TestRefusedUpgrade(t *testing.T) {
	u := newFaulty(t, echoWebSocket)
	for _, f := range forms[:4] {
		t.Run(f.name, func(t *testing.T) {
			s := newService(t, proxy.ServiceOptions{}, "http://"+u.addr)
			url, _ := f.serveFront(t, newProxy(t, proxy.Options{Service: s}))
			_, addr, _ := strings.Cut(url, "://")
			for _, head := range []string{
				strings.Replace(upgradeHead, "/ws", "/refuse", 1),
				strings.Replace(upgradeHead, "Upgrade: websocket", "Upgrade: h2c", 1),
				strings.Replace(upgradeHead, "GET /ws", "POST /ws", 1),
			} {
				c := f.dial(t, addr)
				io.WriteString(c, head+"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
				all, err := io.ReadAll(c)
				if err != nil || strings.Count(string(all), "HTTP/1.1 ") != 1 || strings.Contains(string(all), " 101 ") {
					t.Errorf("got %q and %v, want one answer and the end", all, err)
				}
			}
			s.Close()
			servetest.Want(t, "connections", s.Status(time.Now()).Connections, 0)
		})
	}
}

// TestNoExtendedConnect: a WebSocket to an upstream of HTTP/2 that offers none is the
// upstream's lack, not the client's fault.
func TestNoExtendedConnect(t *testing.T) {
	addr := serveH2C(t, http.NotFoundHandler()) // package net/http offers none
	for _, f := range forms[:4] {
		t.Run(f.name, func(t *testing.T) {
			s := newService(t, proxy.ServiceOptions{}, "h2c://"+addr)
			url, _ := f.serveFront(t, newProxy(t, proxy.Options{Service: s}))
			_, at, _ := strings.Cut(url, "://")
			c := f.dial(t, at)
			io.WriteString(c, upgradeHead)
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			servetest.Must(t, "the answer", err)
			servetest.Want(t, "status", res.StatusCode, 502)
			servetest.Want(t, "failures of the upstream", s.Status(time.Now()).Endpoints[0].Failures, 0)
		})
	}
}

// TestTunnelBehindServer: event loops that have ended leave no tunnel behind, though
// neither its client nor its upstream has said a word. Without them a tunnel is
// package net's, which a server does not close.
func TestTunnelBehindServer(t *testing.T) {
	u := newFaulty(t, echoWebSocket)
	for _, f := range forms {
		if f.opts.EventLoop == serve.EventLoopOff {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			s := newService(t, unhurried(), "http://"+u.addr)
			t.Run("served", func(inner *testing.T) {
				url, client := f.serveFront(inner, newProxy(t, proxy.Options{Service: s}))
				d := f.dialWebSocket(t, url, client)
				t.Cleanup(d.close)
				io.WriteString(d, text("hello"))
				got := make([]byte, len(text("hello")))
				_, err := io.ReadFull(d, got)
				servetest.Must(t, "echo", err)
				servetest.Want(t, "tunnels", s.Status(time.Now()).Tunnels, 1)
			}) // the server has ended
			for deadline := time.Now().Add(30 * time.Second); s.Status(time.Now()).Tunnels != 0; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("the tunnel is still there")
				}
			}
		})
	}
}
