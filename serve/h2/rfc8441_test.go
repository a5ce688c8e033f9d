package h2

import (
	"io"
	"net/http"
	"strings"
	"testing"

	xhttp2 "golang.org/x/net/http2"
)

// RFC 8441: a stream as a tunnel, opened by extended CONNECT.

// connectHead is the header block of an extended CONNECT.
func connectHead(fields ...string) []string {
	return append([]string{":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", "/chat?x", ":authority", "a"}, fields...)
}

// tunnel accepts, and gives back what it gets in upper case.
func tunnel(n *notes) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n.add("%s %q %s %s %d", r.Method, r.Header[":protocol"], r.RequestURI, r.Host, r.ContentLength)
		rc := http.NewResponseController(w)
		w.WriteHeader(http.StatusOK)
		if err := rc.Flush(); err != nil {
			n.add("flush: %v", err)
		}
		b := make([]byte, 100)
		for {
			k, err := r.Body.Read(b)
			if k > 0 {
				io.WriteString(w, strings.ToUpper(string(b[:k])))
				rc.Flush()
			}
			if err != nil {
				n.add("read: %v", err)
				return
			}
		}
	}
}

func TestRFC8441(t *testing.T) {
	script(t, "4 a tunnel", func(t *testing.T, fm form) {
		n := new(notes)
		c := connect(t, fm, tunnel(n))
		c.headers(1, more, connectHead("sec-websocket-version", "13")...)
		g := c.wantHeaders("accepted at once", 1, 200, "content-length", "", "content-type", "")
		if g.end() {
			t.Fatal("accepted and ended")
		}
		n.want(t, "the request", `CONNECT ["websocket"] /chat?x a -1`)
		for _, s := range []string{"ping", "pong", "more"} {
			c.data(1, s)
			c.wantData("echo", 1, strings.ToUpper(s))
		}
		c.get(3, "/")
		c.headers(5, more, connectHead()...)
		c.forget()
		c.data(5, "beside")
		c.wantData("another one beside it", 5, "BESIDE")
		c.dataEnd(1, "last")
		c.wantData("the last", 1, "LAST")
		c.wantDataEnd("both sides have ended it", 1, "")
		c.reset(5, xhttp2.ErrCodeCancel)
		c.wantLive("one ended, one reset")
	})
	script(t, "4 its fields are checked", func(t *testing.T, fm form) {
		c := connect(t, fm, unreached(t))
		id := uint32(1)
		for _, h := range [][]string{
			{":method", "GET", ":protocol", "websocket", ":scheme", "https", ":path", "/", ":authority", "a"},
			{":method", "CONNECT", ":protocol", "websocket", ":path", "/", ":authority", "a"},
			{":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "a"},
			{":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":path", "/"},
			{":method", "CONNECT", ":protocol", "", ":scheme", "https", ":path", "/", ":authority", "a"},
			{":method", "CONNECT", ":protocol", "web socket", ":scheme", "https", ":path", "/", ":authority", "a"},
			append([]string{":protocol", "websocket"}, connectHead()...),
			connectHead("connection", "upgrade"),
			connectHead("upgrade", "websocket"),
		} {
			c.headers(id, more, h...)
			c.wantReset(strings.Join(h, " "), id, xhttp2.ErrCodeProtocol)
			id += 2
		}
		c.wantLive("afterwards")
	})
	script(t, "5 refused", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", http.StatusForbidden) })
		c.headers(1, more, connectHead()...)
		c.wantAnswer("as any request", 1, 403, "no\n")
		c.wantReset("the tunnel is not wanted", 1, xhttp2.ErrCodeNo)
		c.wantLive("afterwards")
	})
	script(t, "5 the peer goes away", func(t *testing.T, fm form) {
		n := new(notes)
		c := connect(t, fm, tunnel(n))
		c.headers(1, more, connectHead()...)
		c.wantHeaders("accepted", 1, 200)
		c.h.hangup(nil)
		c.wantClosed("gone")
		n.want(t, "it learns of it", `CONNECT ["websocket"] /chat?x a -1`, "read: "+errConnOver.Error())
	})
	script(t, "5 a declared length is not content's", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "3")
			w.WriteHeader(200)
			io.Copy(w, r.Body)
		})
		c.headers(1, more, connectHead()...)
		c.settle()
		c.dataEnd(1, "longer than three")
		c.wantAnswer("no length", 1, 200, "longer than three", "content-length", "")
		c.wantLive("afterwards")
	})
}
