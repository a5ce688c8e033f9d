package h2

import (
	"io"
	"net/http"
	"strings"
	"testing"

	xhttp2 "golang.org/x/net/http2"
)

// RFC 9113 §6, but for flow control (6.9, in rfc9113_flow_test.go).

// violation is what a peer says to a connection on which stream 1 is open and
// waits for its body, stream 3 is closed, and what it gets for it.
type violation struct {
	name string
	say  func(c *peer)
	code xhttp2.ErrCode
}

// connErrors are answered by GOAWAY.
func connErrors(t *testing.T, section string, list []violation) {
	t.Helper()
	for _, v := range list {
		script(t, section+" "+v.name, func(t *testing.T, fm form) {
			c := connect(t, fm, echo)
			c.post(1, "/")
			c.get(3, "/")
			c.wantAnswer("stream 3", 3, 200, "GET / ")
			v.say(c)
			c.wantEnd(v.name, max(c.last, 3), v.code)
		})
	}
}

// streamErrors are answered by RST_STREAM on stream 1, and the connection lives.
func streamErrors(t *testing.T, section string, list []violation) {
	t.Helper()
	for _, v := range list {
		script(t, section+" "+v.name, func(t *testing.T, fm form) {
			c := connect(t, fm, echo)
			c.post(1, "/")
			v.say(c)
			c.wantReset(v.name, 1, v.code)
			c.get(3, "/")
			c.wantAnswer("the connection goes on", 3, 200, "GET / ")
			c.wantLive(v.name)
		})
	}
}

func raw(typ xhttp2.FrameType, f xhttp2.Flags, id uint32, payload string) func(c *peer) {
	return func(c *peer) { c.raw(typ, f, id, payload) }
}

func TestRFC9113Section6Data(t *testing.T) {
	const padded = xhttp2.FlagDataPadded
	script(t, "6.1 padding", func(t *testing.T, fm form) {
		c := connect(t, fm, echo)
		c.post(1, "/")
		c.raw(xhttp2.FrameData, padded, 1, "\x03abc\x00\x00\x00")
		c.raw(xhttp2.FrameData, padded, 1, "\x00def")
		c.raw(xhttp2.FrameData, padded, 1, "\xff"+"g"+strings.Repeat("\x00", 255))
		c.raw(xhttp2.FrameData, padded|xhttp2.FlagDataEndStream, 1, "\x02\x00\x00")
		c.wantAnswer("padding is no content", 1, 200, "POST / abcdefg")
	})
	script(t, "6.1 an empty DATA frame ends the stream", func(t *testing.T, fm form) {
		c := connect(t, fm, echo)
		c.post(1, "/")
		c.dataEnd(1, "")
		c.wantAnswer("no content", 1, 200, "POST / ")
	})
	connErrors(t, "6.1", []violation{
		{"DATA on stream 0", raw(xhttp2.FrameData, 0, 0, "x"), xhttp2.ErrCodeProtocol},
		{"padding as long as the payload", raw(xhttp2.FrameData, padded, 1, "\x04abc"), xhttp2.ErrCodeProtocol},
		{"padding without its length", raw(xhttp2.FrameData, padded, 1, ""), xhttp2.ErrCodeFrameSize},
	})
}

func TestRFC9113Section6Headers(t *testing.T) {
	script(t, "6.2 padding and priority", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.open(5)
		c.fr.WriteHeaders(xhttp2.HeadersFrameParam{
			StreamID: 5, BlockFragment: c.fragment(head4("GET", "/")...), EndStream: true, EndHeaders: true, PadLength: 100,
			Priority: xhttp2.PriorityParam{StreamDep: 3, Weight: 200, Exclusive: true},
		})
		c.send()
		c.wantAnswer("neither matters", 5, 200, "hello")
	})
	prio := func(id, dep uint32, pad byte) func(c *peer) {
		return func(c *peer) {
			f := xhttp2.FlagHeadersPriority | final
			b := "\x00\x00\x00" + string([]byte{byte(dep), 0}) + string(c.fragment(head4("GET", "/", "x-a", "b")...))
			if pad > 0 {
				f, b = f|xhttp2.FlagHeadersPadded, string([]byte{pad})+b
			}
			c.open(id)
			c.raw(xhttp2.FrameHeaders, f, id, b)
		}
	}
	connErrors(t, "6.2", []violation{
		{"padding above the payload", func(c *peer) { prio(5, 3, 250)(c); c.last = 3 }, xhttp2.ErrCodeProtocol},
		{"padding without its length", func(c *peer) { c.raw(xhttp2.FrameHeaders, final|xhttp2.FlagHeadersPadded, 5, "") }, xhttp2.ErrCodeFrameSize},
		{"priority cut short", func(c *peer) { c.raw(xhttp2.FrameHeaders, final|xhttp2.FlagHeadersPriority, 5, "\x00\x00\x00\x01") }, xhttp2.ErrCodeFrameSize},
		{"HEADERS on stream 0", func(c *peer) { c.raw(xhttp2.FrameHeaders, final, 0, string(c.fragment(head4("GET", "/")...))) }, xhttp2.ErrCodeProtocol},
	})
	script(t, "6.2 a stream that depends on itself", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		prio(1, 1, 0)(c)
		c.wantReset("RFC 7540 5.3.1", 1, xhttp2.ErrCodeProtocol)
		c.get(3, "/", "x-a", "b")
		c.wantAnswer("its fields are in the table", 3, 200, "hello")
	})
}

func TestRFC9113Section6Priority(t *testing.T) {
	script(t, "6.3 legal", func(t *testing.T, fm form) {
		c := connect(t, fm, echo)
		c.post(1, "/")
		for _, id := range []uint32{1, 3, 2, 1<<31 - 1} {
			c.fr.WritePriority(id, xhttp2.PriorityParam{StreamDep: 0, Weight: 255, Exclusive: true})
		}
		c.send()
		c.dataEnd(1, "x")
		c.wantAnswer("ignored", 1, 200, "POST / x")
	})
	connErrors(t, "6.3", []violation{
		{"PRIORITY on stream 0", raw(xhttp2.FramePriority, 0, 0, "\x00\x00\x00\x01\x00"), xhttp2.ErrCodeProtocol},
	})
	streamErrors(t, "6.3", []violation{
		{"PRIORITY of 4 bytes", raw(xhttp2.FramePriority, 0, 1, "\x00\x00\x00\x03"), xhttp2.ErrCodeFrameSize},
		{"PRIORITY of 6 bytes", raw(xhttp2.FramePriority, 0, 1, "\x00\x00\x00\x03\x00\x00"), xhttp2.ErrCodeFrameSize},
		{"PRIORITY on itself", raw(xhttp2.FramePriority, 0, 1, "\x00\x00\x00\x01\x00"), xhttp2.ErrCodeProtocol},
	})
	script(t, "6.3 PRIORITY of 4 bytes on an idle stream", func(t *testing.T, fm form) {
		c := connect(t, fm, unreached(t))
		c.raw(xhttp2.FramePriority, 0, 7, "\x00\x00\x00\x03")
		c.wantEnd("an idle stream cannot be reset (5.1)", 0, xhttp2.ErrCodeFrameSize)
	})
}

func TestRFC9113Section6RSTStream(t *testing.T) {
	script(t, "6.4 any code", func(t *testing.T, fm form) {
		c := connect(t, fm, echo)
		for i, code := range []xhttp2.ErrCode{0, 1, 8, 13, 14, 0xffffffff} {
			id := uint32(2*i + 1)
			c.post(id, "/")
			c.reset(id, code)
		}
		c.wantLive("unknown codes too (7)")
		if n := c.cfg.Counters.Resets.Load(); n != 6 {
			t.Errorf("Counters.Resets = %d, want 6", n)
		}
	})
	connErrors(t, "6.4", []violation{
		{"RST_STREAM on stream 0", raw(xhttp2.FrameRSTStream, 0, 0, "\x00\x00\x00\x08"), xhttp2.ErrCodeProtocol},
		{"RST_STREAM of 3 bytes", raw(xhttp2.FrameRSTStream, 0, 1, "\x00\x00\x08"), xhttp2.ErrCodeFrameSize},
		{"RST_STREAM of 5 bytes", raw(xhttp2.FrameRSTStream, 0, 1, "\x00\x00\x00\x00\x08"), xhttp2.ErrCodeFrameSize},
		{"RST_STREAM on an idle stream", raw(xhttp2.FrameRSTStream, 0, 9, "\x00\x00\x00\x08"), xhttp2.ErrCodeProtocol},
	})
}

func TestRFC9113Section6Settings(t *testing.T) {
	set := func(id xhttp2.SettingID, v uint32) func(c *peer) {
		return func(c *peer) { c.settings(xhttp2.Setting{ID: id, Val: v}) }
	}
	script(t, "6.5 applied in order, acknowledged once", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "200")
			io.WriteString(w, strings.Repeat("x", 200))
		})
		c.settings(
			xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 5}, xhttp2.Setting{ID: xhttp2.SettingMaxFrameSize, Val: 1<<24 - 1},
			xhttp2.Setting{ID: xhttp2.SettingEnablePush, Val: 1}, xhttp2.Setting{ID: xhttp2.SettingMaxConcurrentStreams, Val: 0},
			xhttp2.Setting{ID: xhttp2.SettingMaxHeaderListSize, Val: 0}, xhttp2.Setting{ID: xhttp2.SettingInitialWindowSize, Val: 100},
		)
		c.wantSettingsAck("one for all")
		c.get(1, "/")
		c.wantHeaders("an answer", 1, 200)
		c.wantBytes("the last value counts (H2-6)", 1, 100)
		c.wantIdle("the window is closed")
		c.settings()
		c.wantSettingsAck("empty SETTINGS")
	})
	script(t, "6.5 an ACK that was not asked for", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.raw(xhttp2.FrameSettings, xhttp2.FlagSettingsAck, 0, "")
		c.wantLive("changes nothing")
	})
	connErrors(t, "6.5", []violation{
		{"ACK with a payload", raw(xhttp2.FrameSettings, xhttp2.FlagSettingsAck, 0, "\x00\x01\x00\x00\x00\x00"), xhttp2.ErrCodeFrameSize},
		{"SETTINGS on a stream", raw(xhttp2.FrameSettings, 0, 1, ""), xhttp2.ErrCodeProtocol},
		{"SETTINGS of 5 bytes", raw(xhttp2.FrameSettings, 0, 0, "\x00\x01\x00\x00\x00"), xhttp2.ErrCodeFrameSize},
		{"ENABLE_PUSH of 2", set(xhttp2.SettingEnablePush, 2), xhttp2.ErrCodeProtocol},
		{"INITIAL_WINDOW_SIZE of 2^31", set(xhttp2.SettingInitialWindowSize, 1<<31), xhttp2.ErrCodeFlowControl},
		{"MAX_FRAME_SIZE of 16383", set(xhttp2.SettingMaxFrameSize, 16383), xhttp2.ErrCodeProtocol},
		{"MAX_FRAME_SIZE of 2^24", set(xhttp2.SettingMaxFrameSize, 1<<24), xhttp2.ErrCodeProtocol},
		{"ENABLE_CONNECT_PROTOCOL of 2", set(xhttp2.SettingEnableConnectProtocol, 2), xhttp2.ErrCodeProtocol},
	})
	script(t, "6.5.2 large answer heads go in frames of 16,384 bytes", func(t *testing.T, fm form) {
		big := strings.Repeat("~", 50_000) // 13 bits each
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-Big", big) })
		c.settings(xhttp2.Setting{ID: xhttp2.SettingMaxFrameSize, Val: 1 << 20})
		c.wantSettingsAck("a larger MAX_FRAME_SIZE is not used")
		c.get(1, "/")
		g := c.wantHeaders("a head of four frames", 1, 200, "x-big", big)
		if g.frames != 4 || !g.end() {
			t.Errorf("%d frames, END_STREAM %v; want 4, true", g.frames, g.end())
		}
		c.wantLive("afterwards")
	})
}

func TestRFC9113Section6Rest(t *testing.T) {
	connErrors(t, "6.6", []violation{
		{"PUSH_PROMISE", raw(xhttp2.FramePushPromise, xhttp2.FlagPushPromiseEndHeaders, 1, "\x00\x00\x00\x02\x82"), xhttp2.ErrCodeProtocol},
	})
	script(t, "6.7 PING", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.inOne(func() {
			c.ping("first...")
			c.ping("\x00\xff\x00\xff\x00\xff\x00\xff")
		})
		c.wantPing("answered in order", "first...", true)
		c.wantPing("with the same bytes", "\x00\xff\x00\xff\x00\xff\x00\xff", true)
		c.fr.WritePing(true, [8]byte([]byte("unasked.")))
		c.send()
		c.wantIdle("an ACK is not answered")
	})
	script(t, "6.7 PING counts as little as its answer has left", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		for range 30 {
			c.inOne(func() {
				for range 100 {
					c.ping("12345678")
				}
			})
			c.forget()
		}
		c.wantLive("3,000 over a long life are no flood")
	})
	connErrors(t, "6.7", []violation{
		{"PING on a stream", raw(xhttp2.FramePing, 0, 1, "12345678"), xhttp2.ErrCodeProtocol},
		{"PING of 7 bytes", raw(xhttp2.FramePing, 0, 0, "1234567"), xhttp2.ErrCodeFrameSize},
		{"PING of 9 bytes", raw(xhttp2.FramePing, 0, 0, "123456789"), xhttp2.ErrCodeFrameSize},
		{"PING ACK of 6 bytes", raw(xhttp2.FramePing, 1, 0, "123456"), xhttp2.ErrCodeFrameSize},
	})
	script(t, "6.8 GOAWAY by the client", func(t *testing.T, fm form) {
		g := newGates(t)
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { g.wait("go"); hello(w, r) })
		c.get(1, "/")
		c.goAway(0)
		c.raw(xhttp2.FrameGoAway, 0, 0, "\x00\x00\x00\x00\x00\x00\x00\x00debug data")
		c.wantIdle("its requests go on")
		g.open("go")
		c.wantAnswer("and are answered", 1, 200, "hello")
	})
	connErrors(t, "6.8", []violation{
		{"GOAWAY on a stream", raw(xhttp2.FrameGoAway, 0, 1, "\x00\x00\x00\x00\x00\x00\x00\x00"), xhttp2.ErrCodeProtocol},
		{"GOAWAY of 7 bytes", raw(xhttp2.FrameGoAway, 0, 0, "\x00\x00\x00\x00\x00\x00\x00"), xhttp2.ErrCodeFrameSize},
	})
	script(t, "6.8 GOAWAY by the server: a drain", func(t *testing.T, fm form) {
		g := newGates(t)
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { g.wait(r.URL.Path); hello(w, r) })
		c.get(1, "/1")
		c.wantIdle("one runs")
		c.h.startDrain()
		c.wantGoAway("the first names no stream", 1<<31-1, xhttp2.ErrCodeNo)
		c.wantPing("and asks when it has arrived", string(pingDrain[:]), false)
		c.get(3, "/3")
		g.open("/3")
		c.wantAnswer("a request that left before is served", 3, 200, "hello")
		c.fr.WritePing(true, pingDrain)
		c.send()
		c.wantGoAway("the last names the last stream", 3, xhttp2.ErrCodeNo)
		c.get(5, "/5", "x-mark", "5")
		c.wantReset("above it nothing is served", 5, xhttp2.ErrCodeRefusedStream)
		g.open("/1")
		c.wantAnswer("below it all is", 1, 200, "hello")
		if !c.h.fin {
			t.Error("no FIN behind the last stream")
		}
		c.h.hangup(nil)
		c.wantClosed("both have closed")
	})
	script(t, "6.8 a drain of an idle connection", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.h.startDrain()
		c.wantGoAway("first", 1<<31-1, xhttp2.ErrCodeNo)
		c.wantPing("ping", string(pingDrain[:]), false)
		c.wantIdle("a round trip is waited for")
		c.fr.WritePing(true, pingDrain)
		c.send()
		c.wantGoAway("last", 0, xhttp2.ErrCodeNo)
		c.h.hangup(nil)
		c.wantClosed("both have closed")
	})
	script(t, "6.8 Connection: close of a handler ends the connection with its streams", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			hello(w, r)
		})
		c.get(1, "/")
		c.wantGoAway("as net/http", 1<<31-1, xhttp2.ErrCodeNo)
		c.wantPing("ping", string(pingDrain[:]), false)
		c.wantAnswer("the answer does not say it", 1, 200, "hello", "connection", "")
		c.fr.WritePing(true, pingDrain)
		c.send()
		c.wantGoAway("last", 1, xhttp2.ErrCodeNo)
		c.h.hangup(nil)
		c.wantClosed("both have closed")
	})
}

func TestRFC9113Section6Continuation(t *testing.T) {
	pieces := func(c *peer, id uint32, flags xhttp2.Flags, f []byte, n int) {
		c.inOne(func() {
			size := (len(f) + n - 1) / n
			c.headersFragment(id, flags, f[:size])
			for rest := f[size:]; len(rest) > 0; {
				m := min(size, len(rest))
				end := xhttp2.Flags(0)
				if m == len(rest) {
					end = xhttp2.FlagContinuationEndHeaders
				}
				c.raw(xhttp2.FrameContinuation, end, id, string(rest[:m]))
				rest = rest[m:]
			}
		})
	}
	script(t, "6.10 a header block in pieces", func(t *testing.T, fm form) {
		c := connect(t, fm, echo)
		for i := range 8 {
			id := uint32(2*i + 1)
			pieces(c, id, xhttp2.FlagHeadersEndStream, c.fragment(head4("GET", "/path", "x-long", strings.Repeat("~", 100))...), i+2)
			c.wantAnswer("END_STREAM of HEADERS counts", id, 200, "GET /path ")
		}
		pieces(c, 17, 0, c.fragment(head4("POST", "/p", "x-long", strings.Repeat("~", 100))...), 3)
		c.dataEnd(17, "body")
		c.wantAnswer("with a body", 17, 200, "POST /p body")
	})
	script(t, "6.10 a trailer section in pieces, HEADERS empty", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			io.ReadAll(r.Body)
			io.WriteString(w, r.Trailer.Get("X-T"))
		})
		c.post(1, "/")
		c.headersFragment(1, xhttp2.FlagHeadersEndStream, nil)
		c.raw(xhttp2.FrameContinuation, xhttp2.FlagContinuationEndHeaders, 1, string(c.fragment("x-t", "value")))
		c.wantAnswer("a trailer", 1, 200, "value")
	})
	begun := func(f func(c *peer)) func(c *peer) {
		return func(c *peer) {
			b := c.fragment(head4("GET", "/")...)
			c.headersFragment(5, xhttp2.FlagHeadersEndStream, b[:2])
			c.last = 3 // the stream is not open before its block is whole
			f(c)
		}
	}
	connErrors(t, "6.10", []violation{
		{"CONTINUATION without HEADERS", raw(xhttp2.FrameContinuation, 4, 1, ""), xhttp2.ErrCodeProtocol},
		{"CONTINUATION behind a whole block", func(c *peer) {
			c.get(5, "/")
			c.wantAnswer("", 5, 200, "GET / ")
			c.raw(xhttp2.FrameContinuation, 4, 5, "")
		}, xhttp2.ErrCodeProtocol},
		{"CONTINUATION behind DATA", func(c *peer) { c.data(1, "x"); c.raw(xhttp2.FrameContinuation, 4, 1, "") }, xhttp2.ErrCodeProtocol},
		{"CONTINUATION of another stream", begun(raw(xhttp2.FrameContinuation, 4, 1, "")), xhttp2.ErrCodeProtocol},
		{"CONTINUATION on stream 0", begun(raw(xhttp2.FrameContinuation, 4, 0, "")), xhttp2.ErrCodeProtocol},
		{"DATA in a block", begun(raw(xhttp2.FrameData, 0, 1, "x")), xhttp2.ErrCodeProtocol},
		{"HEADERS in a block", begun(func(c *peer) { c.headersFragment(5, final, nil); c.last = 3 }), xhttp2.ErrCodeProtocol},
		{"PING in a block", begun(func(c *peer) { c.ping("12345678") }), xhttp2.ErrCodeProtocol},
		{"RST_STREAM in its own block", begun(raw(xhttp2.FrameRSTStream, 0, 5, "\x00\x00\x00\x08")), xhttp2.ErrCodeProtocol},
	})
}
