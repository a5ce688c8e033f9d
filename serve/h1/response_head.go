package h1

import (
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/penstock-edge/penstock/serve/h1/wire"
	"github.com/penstock-edge/penstock/serve/semantics"
)

func appendInt(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }

// own are the fields of a handler that the engine has a say in too.
type own struct {
	contentType, encoded, date, altSvc bool
	coding                             bool // Transfer-Encoding: the handler frames nothing, but wants no length
	connection                         []string
	trailer                            []string
}

// beginHead serialises the status line and the handler's fields, as they are
// now: what it does to its map later does not count. The head is whole, and
// may leave, after sendHead. wmu is held.
func (w *response) beginHead(status int) {
	w.status = status
	w.noBody = w.isHead || !semantics.BodyAllowed(status)
	out := w.c.gather(headRoom)
	out.B = semantics.AppendStatusLine(out.B, 1, status)
	if len(w.header) > 0 {
		out.B = w.appendFields(out.B)
	}
}

// sendHead completes the head, once. sniff is the begin of the body; ended
// tells that the handler has returned and everything it wrote is here.
func (w *response) sendHead(sniff []byte, ended bool) {
	if w.headDone {
		return
	}
	c := w.c
	if c.requestsSpent() || w.upgrading && w.status != http.StatusSwitchingProtocols || hasClose(w.own.connection) {
		w.closing = true
	}
	if !ended {
		w.beforeUnread()
	}
	w.headDone = true
	out := c.gather(headRoom)
	b := out.B
	if !w.own.date {
		b = c.cfg.Date.AppendField(b, c.host.WallClock())
	}
	if v := c.cfg.AltSvc.Value(); v != "" && !w.own.altSvc {
		b = append(b, "Alt-Svc: "...)
		b = append(b, v...)
		b = append(b, "\r\n"...)
	}
	if w.kept != nil {
		sniff = w.kept.B[:min(len(w.kept.B), semantics.SniffBytes)]
	}
	if !w.own.contentType && !w.own.encoded && len(sniff) > 0 && semantics.BodyAllowed(w.status) {
		b = append(b, "Content-Type: "...)
		b = append(b, semantics.ContentType(sniff)...)
		b = append(b, "\r\n"...)
	}
	b = w.appendFraming(b, ended)
	b = w.appendConnection(b, w.own.connection)
	out.B = append(b, '\r', '\n')
}

// requestsSpent tells whether this answer is to be the connection's last.
func (c *Conn) requestsSpent() bool {
	cfg := c.cfg
	if cfg.MaxRequests > 0 && int(c.requests) >= cfg.MaxRequests {
		return true
	}
	if c.age > 0 && c.now-c.born > c.age {
		return true
	}
	return c.host.Draining() || c.host.ShedKeepAlive()
}

// appendFields serialises the handler's fields, in one walk over the map.
func (w *response) appendFields(b []byte) []byte {
	w.own.trailer = w.header["Trailer"]
	for name, values := range w.header {
		switch name {
		case "Content-Type":
			if w.own.contentType = true; w.status == http.StatusNotModified {
				continue // RFC 9110 §15.4.5: it would describe content that is not sent
			}
		case "Content-Encoding":
			w.own.encoded = len(values) > 0 && values[0] != ""
		case "Date":
			w.own.date = true
		case "Alt-Svc":
			w.own.altSvc = true
		case "Content-Length":
			w.length = semantics.DeclaredLength(values)
			continue // ours to say
		case "Transfer-Encoding":
			w.own.coding = true
			continue
		case "Connection":
			w.own.connection = values
			continue
		case "Trailer":
			w.trailers = semantics.AppendTrailerNames(w.trailers, values)
		default:
			if strings.HasPrefix(name, http.TrailerPrefix) {
				w.own.coding = true // a length would leave no place for it
				continue
			}
			// The map's order is random, so the names are looked up, not remembered.
			if w.own.trailer != nil && semantics.AnnouncesTrailer(w.own.trailer, name) {
				continue
			}
		}
		for _, v := range values {
			b = w.appendField(b, name, v)
		}
	}
	return b
}

// appendField appends one field line and counts what had to be changed (H1-16).
func (w *response) appendField(b []byte, name, value string) []byte {
	b, clean := wire.AppendField(b, name, value)
	if !clean {
		w.c.cfg.Counters.Sanitised.Add(1)
	}
	return b
}

// appendFraming says where the body ends (RFC 9112 §6).
func (w *response) appendFraming(b []byte, ended bool) []byte {
	bodiless := !semantics.BodyAllowed(w.status)
	if ended && w.length < 0 && !bodiless && w.own.trailer == nil && !w.own.coding && (!w.isHead || w.written > 0) {
		w.length = w.written
	}
	switch {
	case w.length >= 0 && (!bodiless || w.status == http.StatusNotModified):
		b = append(b, "Content-Length: "...)
		b = appendInt(b, w.length)
		return append(b, "\r\n"...)
	case bodiless:
		return b
	case w.isHead:
		return b // nothing is known of the body that a GET would have
	case w.x.head.Minor == 1:
		w.chunked = true
		return append(b, "Transfer-Encoding: chunked\r\n"...)
	default:
		w.closing = true // HTTP/1.0: the end of the connection is the end of the body
		return b
	}
}

// appendConnection says what becomes of the connection (RFC 9112 §9.3).
func (w *response) appendConnection(b []byte, own []string) []byte {
	for _, v := range own {
		if semantics.HasToken(v, "close") {
			w.closing = true
			continue
		}
		if semantics.HasToken(v, "keep-alive") && len(strings.TrimSpace(v)) == len("keep-alive") {
			continue // ours to say
		}
		b = w.appendField(b, "Connection", v)
	}
	h := &w.x.head
	switch {
	case w.status == http.StatusSwitchingProtocols:
	case w.closing:
		if h.Minor == 1 || h.KeepAlive10 || len(own) > 0 || h.Close {
			b = append(b, "Connection: close\r\n"...)
		}
	case h.Minor == 0:
		b = append(b, "Connection: keep-alive\r\n"...)
	}
	return b
}

func hasClose(lines []string) bool {
	for _, v := range lines {
		if semantics.HasToken(v, "close") {
			return true
		}
	}
	return false
}

// beforeUnread settles a request body that is not read while the answer
// begins: unless full duplex was asked for, a modest rest is read first, since
// many clients send all before they read (net/http's rule). More than that
// closes the connection behind the answer.
func (w *response) beforeUnread() {
	b, c := &w.x.body, w.c
	// Where the connection ends behind the answer anyway, the handler may read
	// on while it writes (net/http).
	if w.closing || w.fullDuplex || b.ended.Load() || !c.rmu.TryLock() {
		return // not TryLock: a goroutine of the handler reads it right now
	}
	defer c.rmu.Unlock()
	if b.expect || b.left > maxDrainBytes {
		w.closing = true // it will never come, or there is too much of it
		return
	}
	c.flushEarlier() // they must not wait for this body
	var p [4096]byte
	for total := 0; b.err == nil; {
		n, _ := b.read(p[:])
		if total += n; total > maxDrainBytes {
			break
		}
	}
	if b.err != io.EOF {
		w.closing = true
	}
	if b.err == nil || b.err == io.EOF {
		b.shut = true // what was thrown away cannot be read any more
	}
}
