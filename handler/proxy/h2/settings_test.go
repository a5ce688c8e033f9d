package h2

import (
	"errors"
	"net"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"

	"github.com/penstock-edge/penstock/handler/proxy/link"
	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/serve/servetest"
)

func tunnelRequest() *message.Request {
	r := get("/ws")
	r.Protocol = "websocket"
	return r
}

// asksEarly reads what the client sends before it has our SETTINGS, for a while, and
// tells whether a request was among it.
func (p *peer) asksEarly() bool {
	p.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	defer p.SetReadDeadline(time.Time{})
	for {
		f, err := p.ReadFrame()
		if err != nil {
			return false
		}
		if _, ok := f.(*xhttp2.HeadersFrame); ok {
			return true
		}
	}
}

// TestConnectWaitsForSettings: RFC 8441 §3: :protocol is sent when the upstream has
// said that it takes it, and not before.
func TestConnectWaitsForSettings(t *testing.T) {
	early := make(chan bool, 1)
	o := scripted(t, func(p *peer) {
		early <- p.asksEarly()
		p.WriteSettings(xhttp2.Setting{ID: xhttp2.SettingEnableConnectProtocol, Val: 1})
		id, fields := p.head()
		servetest.Want(t, "method", fields[":method"], "CONNECT")
		servetest.Want(t, "protocol", fields[":protocol"], "websocket")
		p.answer(id, false, ":status: 200")
		p.WriteData(id, true, []byte("hello"))
	})
	c := client(t, o)
	x, err := c.Do(t.Context(), &link.Portable{}, tunnelRequest())
	servetest.Must(t, "tunnel", err)
	defer x.Close()
	servetest.Want(t, "a request before SETTINGS", <-early, false)
	tunnel, err := x.Tunnel()
	servetest.Must(t, "tunnel", err)
	defer tunnel.Close()
	b := make([]byte, 16)
	n, err := tunnel.Read(b)
	servetest.Must(t, "read", err)
	servetest.Want(t, "content", string(b[:n]), "hello")
}

// TestNoConnect: upstreams that do not take it, say nothing, or end the connection.
func TestNoConnect(t *testing.T) {
	for _, c := range []struct {
		name   string
		script func(p *peer)
		kind   message.Kind
	}{
		{"SETTINGS without it", func(p *peer) { p.WriteSettings() }, message.NoUpgrade},
		{"no SETTINGS", func(*peer) {}, message.ConnectTimeout},
		{"the end", func(p *peer) { p.Conn.(*net.TCPConn).CloseWrite() }, message.Refused},
	} {
		t.Run(c.name, func(t *testing.T) {
			asked := make(chan bool, maxTries)
			o := scripted(t, func(p *peer) {
				c.script(p)
				asked <- p.asksEarly()
			})
			o.ConnectTimeout = 200 * time.Millisecond
			if c.kind != message.ConnectTimeout {
				o.ConnectTimeout = 20 * time.Second
			}
			x, err := client(t, o).Do(t.Context(), &link.Portable{}, tunnelRequest())
			if err == nil {
				x.Close()
			}
			e, ok := errors.AsType[*message.Error](err)
			if !ok || e.Kind != c.kind || !e.Unsent {
				t.Fatalf("got %v, want %v, unsent", err, c.kind)
			}
			servetest.Want(t, "a request", <-asked, false)
		})
	}
}
