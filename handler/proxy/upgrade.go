package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/handler/proxy/websocket"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// mayUpgrade tells whether the client may have what it asks for. Over HTTP/1 an
// Upgrade that it may not have is ignored, as RFC 9110 §7.8 allows, and the
// connection ends with the answer (rule H1-15); over HTTP/2 and 3 it is refused.
func (t *transaction) mayUpgrade() bool {
	r := t.r
	listed := slices.ContainsFunc(t.p.opts.Upgrades, func(p string) bool {
		return semantics.EqualFold(bytesOf(t.upgrade), p) || p == t.upgrade
	})
	switch {
	case r.ProtoMajor >= 2 && !listed:
		t.upgrade = ""
		t.refuse(http.StatusNotImplemented, "the protocol is not offered") // RFC 9220 §3
		return false
	case r.ProtoMajor >= 2:
		return true
	case !listed || r.Method != http.MethodGet || r.ContentLength != 0:
		t.upgrade = ""
		t.w.Header()["Connection"] = closeOption
	}
	return true
}

// passUpgrade passes on the answer to an upgrade, and the tunnel that it may be.
func (t *transaction) passUpgrade() {
	a := t.x.Response()
	over2 := t.backend().h2 != nil && t.backend().client(t.grpc) == t.backend().h2
	if a.Status != http.StatusSwitchingProtocols && !(over2 && a.Status/100 == 2) {
		if t.r.ProtoMajor >= 2 && a.Status/100 == 2 {
			// RFC 8441 §5: to the client a 2xx says that it has its tunnel.
			t.fail(&failure{upstream: t.backend().name, Error: &message.Error{Kind: message.NoUpgrade, Answered: true}})
			return
		}
		// Refused: both connections end, for the client may have sent on.
		if t.r.ProtoMajor == 1 {
			t.w.Header()["Connection"] = closeOption
		}
		t.pass()
		return
	}
	t.p.opts.Service.stats.answers[1].Add(1)
	t.note(t.backend().name, "")
	client, err := t.openClient(a)
	if err != nil {
		t.fail(t.clientLeft(err))
		return
	}
	defer client.Close()
	server, err := t.x.Tunnel()
	if err != nil {
		t.fail(t.cut(err))
		return
	}
	t.x = nil
	defer server.Close()
	t.runTunnel(client, server)
}

// openClient tells the client that it has its tunnel, and gives its end of it.
func (t *transaction) openClient(a *message.Response) (tunnelEnd, error) {
	t.begun = true
	if t.r.ProtoMajor >= 2 {
		h := t.w.Header()
		for _, f := range a.Fields {
			if !semantics.EqualFold(f.Name, "sec-websocket-accept") { // RFC 8441 §5: not used
				name := semantics.CanonicalName(f.Name)
				h[name] = append(h[name], string(f.Value))
			}
		}
		t.w.WriteHeader(http.StatusOK)
		s := &streamEnd{w: t.w, body: t.r.Body, rc: http.NewResponseController(t.w)}
		return s, s.rc.Flush()
	}
	head := append([]byte(nil), "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "...)
	head = append(append(head, t.upgrade...), "\r\n"...)
	accepted := false
	for _, f := range a.Fields {
		head = append(append(append(append(head, f.Name...), ": "...), f.Value...), "\r\n"...)
		accepted = accepted || semantics.EqualFold(f.Name, "sec-websocket-accept")
	}
	if key := first(t.r.Header["Sec-Websocket-Key"]); key != "" && !accepted { // of HTTP/2, which has none
		head = append(append(append(head, "Sec-WebSocket-Accept: "...), websocket.Accept(key)...), "\r\n"...)
	}
	head = append(head, "\r\n"...)
	c, rw, err := http.NewResponseController(t.w).Hijack()
	if err != nil {
		return nil, err
	}
	s := &connEnd{Conn: c, in: rw.Reader}
	if rw.Reader.Buffered() > maxAhead {
		c.Close()
		return nil, errAhead
	}
	c.SetWriteDeadline(time.Now().Add(upgradeWrite))
	if _, err := c.Write(head); err != nil {
		c.Close()
		return nil, err
	}
	return s, c.SetDeadline(time.Time{})
}

const (
	// maxAhead bounds what a client sends before it has its tunnel: it is held, and
	// never sent ahead (front.md section 3, TestUpgradeAhead).
	maxAhead = 16 << 10
	// upgradeWrite bounds the writing of the 101.
	upgradeWrite = 10 * time.Second
)

// tunnelEnd is the client's end of a tunnel.
type tunnelEnd interface {
	io.ReadWriteCloser
	// CloseWrite ends our direction. False: that ends the tunnel.
	CloseWrite() bool
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// connEnd is a connection that was taken over.
type connEnd struct {
	net.Conn
	in *bufio.Reader
}

func (s *connEnd) Read(p []byte) (int, error) { return s.in.Read(p) }

func (s *connEnd) CloseWrite() bool {
	c, ok := s.Conn.(interface{ CloseWrite() error })
	return ok && c.CloseWrite() == nil
}

// streamEnd is a stream of HTTP/2 or HTTP/3.
type streamEnd struct {
	w    http.ResponseWriter
	body io.ReadCloser
	rc   *http.ResponseController
}

func (s *streamEnd) Read(p []byte) (int, error) { return s.body.Read(p) }

func (s *streamEnd) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	if err == nil {
		err = s.rc.Flush()
	}
	return n, err
}

// CloseWrite: a stream ends in our direction when its handler returns, not before.
func (s *streamEnd) CloseWrite() bool { return false }

// Close lets a Read come out; the handler's return ends the stream.
func (s *streamEnd) Close() error { return s.rc.SetReadDeadline(time.Unix(1, 0)) }

func (s *streamEnd) SetReadDeadline(d time.Time) error  { return s.rc.SetReadDeadline(d) }
func (s *streamEnd) SetWriteDeadline(d time.Time) error { return s.rc.SetWriteDeadline(d) }
