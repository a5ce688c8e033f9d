package h3

import (
	"io"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/h3/frame"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// RFC 9114 §4: what a message is.

func TestRFC9114Section4Framing(t *testing.T) {
	t.Parallel()
	head := headers(post("/")...)
	trailer := headers("x-t", "1")
	grease := fr(kindGrease, "to be ignored")
	for _, tt := range []struct{ name, in, want string }{
		{"HEADERS", head, ""},
		{"HEADERS and DATA", head + data("ab") + data("") + data("c"), "abc"},
		{"HEADERS, DATA and trailers", head + data("abc") + trailer, "abc[X-T 1]"},
		{"HEADERS and trailers", head + trailer, "[X-T 1]"},
		{"9 unknown frames in between", grease + head + grease + fr(kindGrease, "") + data("ab") + grease + trailer + grease, "ab[X-T 1]"},
		{"an unknown frame of a length in eight bytes", head + varint(kindGrease) + "\xc0\x00\x00\x00\x00\x00\x00\x01x" + data("ab"), "ab"},
	} {
		t.Run("4.1 "+tt.name, func(t *testing.T) {
			t.Parallel()
			c := connect(t, echo)
			c.request(tt.in).wantAnswer("a message", "200", tt.want)
			c.wantLive("a message")
		})
	}
	whole := head + data("abc")
	for _, tt := range []struct {
		name, in string
		code     frame.Code
	}{
		{"4.1 DATA before HEADERS", data("abc"), frame.FrameUnexpected},
		{"4.1 empty DATA before HEADERS", data("") + head, frame.FrameUnexpected},
		{"4.1 HEADERS after trailers", whole + trailer + trailer, frame.FrameUnexpected},
		{"4.1 DATA after trailers", whole + trailer + data("d"), frame.FrameUnexpected},
		{"4.1 empty DATA after trailers", whole + trailer + data(""), frame.FrameUnexpected},
		{"7.1 the end within the type of HEADERS", "\x40", frame.FrameError},
		{"7.1 the end before the length of HEADERS", "\x01", frame.FrameError},
		{"7.1 the end within HEADERS", head[:len(head)-1], frame.FrameError},
		{"7.1 the end within DATA", whole[:len(whole)-1], frame.FrameError},
		{"7.1 the end within an empty DATA frame", head + "\x00\x03", frame.FrameError},
		{"7.1 the end within the header of DATA", head + "\x00", frame.FrameError},
		{"7.1 the end within trailers", whole + trailer[:len(trailer)-1], frame.FrameError},
		{"7.1 the end within an unknown frame", whole + fr(kindGrease, "abc")[:4], frame.FrameError},
		{"7.1 the end within an unknown frame before HEADERS", fr(kindGrease, "abc")[:4], frame.FrameError},
		{"7.2.3 CANCEL_PUSH", whole + fr(kindCancelPush, "\x00"), frame.FrameUnexpected},
		{"7.2.4 SETTINGS", whole + settings(), frame.FrameUnexpected},
		{"7.2.4 SETTINGS before HEADERS", settings() + head, frame.FrameUnexpected},
		{"7.2.5 PUSH_PROMISE", whole + fr(kindPushPromise, "\x00\x00\x00"), frame.FrameUnexpected},
		{"7.2.6 GOAWAY", whole + fr(kindGoAway, "\x00"), frame.FrameUnexpected},
		{"7.2.7 MAX_PUSH_ID", whole + fr(kindMaxPushID, "\x00"), frame.FrameUnexpected},
		{"RFC 9218 7.2 PRIORITY_UPDATE", whole + fr(kindPriorityUpdate, "\x00"), frame.FrameUnexpected},
		{"RFC 9218 7.2 PRIORITY_UPDATE of a push", whole + fr(kindPriorityPush, "\x00"), frame.FrameUnexpected},
		{"7.2.8 PRIORITY of HTTP/2", whole + fr(0x2, ""), frame.FrameUnexpected},
		{"7.2.8 PING of HTTP/2", fr(0x6, "") + head, frame.FrameUnexpected},
		{"7.2.8 WINDOW_UPDATE of HTTP/2", whole + fr(0x8, ""), frame.FrameUnexpected},
		{"7.2.8 CONTINUATION of HTTP/2", head + fr(0x9, ""), frame.FrameUnexpected},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := connect(t, echo)
			c.request(tt.in)
			c.wantClosed("of the whole connection", tt.code)
		})
	}
}

// TestRFC9114Section4Incomplete: a request that ends before its head does is of
// its own stream.
func TestRFC9114Section4Incomplete(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in string }{
		{"nothing", ""}, {"unknown frames alone", fr(kindGrease, "abc") + fr(kindGrease, "")},
	} {
		t.Run("4.1 "+tt.name, func(t *testing.T) {
			t.Parallel()
			c := connect(t, unreached(t))
			c.request(tt.in).wantReset("no request", frame.RequestIncomplete)
			c.wantLive("of that stream only")
		})
	}
}

// TestRFC9114ByteByByte: a connection on which each byte has a packet of its own.
func TestRFC9114ByteByByte(t *testing.T) {
	t.Parallel()
	script(t, "4.1, 6.2.1", func(t *testing.T, n *network) {
		s := n.listen(echo)
		c := s.dialFrom(n.client)
		slowly := func(w io.Writer, b string) {
			for i := range len(b) {
				time.Sleep(tick)
				write(t, w, b[i:i+1])
			}
		}
		str, err := c.q.OpenUniStream()
		servetest.Must(t, "a stream", err)
		slowly(str, varint(kindControl)+settings(0x6, 1000)+fr(kindGrease, "abc")+fr(kindPriorityUpdate, "\x00u=1")+fr(kindGoAway, "\x04"))
		x := c.open("")
		slowly(x, fr(kindGrease, "abc")+headers(post("/", "content-length", "5")...)+data("abc")+fr(kindGrease, "")+data("de")+headers("x-t", "1"))
		time.Sleep(tick)
		x.Close()
		x.wantAnswer("a message", "200", "abcde[X-T 1]")
		slowly(str, fr(kindGoAway, "\x05"))
		c.wantClosed("GOAWAY whose id grows", frame.IDError)
	})
}
