package h2

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	xhttp2 "golang.org/x/net/http2"
)

// The frame scripts follow the sections of RFC 9113: here 3 to 5. Those of 6
// are in rfc9113_frames_test.go and rfc9113_flow_test.go, those of 8 in
// rfc9113_http_test.go.

func TestRFC9113Section3(t *testing.T) {
	script(t, "3.4 both sides begin with SETTINGS", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		got := map[xhttp2.SettingID]uint32{}
		for _, s := range c.wantSettings("the server speaks first, before the client has") {
			got[s.ID] = s.Val
		}
		for id, want := range map[xhttp2.SettingID]uint32{
			xhttp2.SettingMaxConcurrentStreams: 100, xhttp2.SettingInitialWindowSize: 64 << 10, xhttp2.SettingMaxHeaderListSize: 64 << 10,
			xhttp2.SettingEnableConnectProtocol: 1, 9: 1,
		} {
			if got[id] != want {
				t.Errorf("%v = %d, want %d", id, got[id], want)
			}
			delete(got, id)
		}
		if len(got) > 0 {
			t.Errorf("settings %v come too", got)
		}
		c.wantUpdates("the rest of the connection's window", 0, 1<<20-initialWindow)
		c.wantIdle("nothing more")
		c.write(xhttp2.ClientPreface)
		c.settings()
		c.wantSettingsAck("the client's SETTINGS")
		c.wantLive("open")
	})
	script(t, "3.4 the client's preface in pieces, with a request behind it", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.wantSettings("the server's")
		c.inOne(func() {
			c.write(xhttp2.ClientPreface)
			c.settings()
			c.get(1, "/")
			all := c.say.String()
			c.say.Reset()
			for i := range len(all) {
				c.h.give([]byte(all[i : i+1]))
			}
		})
		c.wantSettingsAck("the client's SETTINGS")
		c.wantAnswer("a request byte by byte", 1, 200, "hello")
	})
	script(t, "3.4 a request before the server's SETTINGS have come", func(t *testing.T, fm form) {
		c := dial(t, fm, hello)
		c.inOne(func() {
			c.write(xhttp2.ClientPreface)
			c.settings()
			c.get(1, "/")
			c.fr.WriteSettingsAck()
		})
		c.wantSettings("the server's come first")
		c.wantSettingsAck("the client's SETTINGS")
		c.wantAnswer("the request", 1, 200, "hello")
	})
	for name, s := range map[string]string{
		"HTTP/1 request":      "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"wrong last byte":     xhttp2.ClientPreface[:23] + "x",
		"wrong first byte":    "p",
		"TLS in clear":        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"wrong, in one piece": "PRI * HTTP/2.0\r\n\r\nSM\n\n\n\n\n\n\n\n",
	} {
		script(t, "3.4 not the preface: "+name, func(t *testing.T, fm form) {
			c := dial(t, fm, unreached(t))
			c.wantSettings("the server's")
			c.write(s)
			c.wantEnd("no preface", 0, xhttp2.ErrCodeProtocol)
		})
	}
	script(t, "3.4 the first frame is not SETTINGS", func(t *testing.T, fm form) {
		c := dial(t, fm, unreached(t))
		c.wantSettings("the server's")
		c.write(xhttp2.ClientPreface)
		c.ping("12345678")
		c.wantEnd("PING first", 0, xhttp2.ErrCodeProtocol)
	})
	script(t, "3.4 the first frame is SETTINGS with ACK", func(t *testing.T, fm form) {
		c := dial(t, fm, unreached(t))
		c.wantSettings("the server's")
		c.write(xhttp2.ClientPreface)
		c.raw(xhttp2.FrameSettings, xhttp2.FlagSettingsAck, 0, "")
		c.wantEnd("ACK first", 0, xhttp2.ErrCodeProtocol)
	})
	script(t, "3.4 the peer leaves before its preface", func(t *testing.T, fm form) {
		c := dial(t, fm, unreached(t))
		c.wantSettings("the server's")
		c.h.hangup(nil)
		c.wantClosed("gone")
	})
}

func TestRFC9113Section4(t *testing.T) {
	script(t, "4.1 the reserved bit and unknown flags are ignored", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.open(1)
		f := c.fragment(head4("GET", "/")...)
		c.write(string([]byte{0, 0, byte(len(f)), 1, 0x5 | 0xd2&^0x28, 0x80, 0, 0, 1}) + string(f))
		c.wantAnswer("a request", 1, 200, "hello")
		c.raw(xhttp2.FramePing, 0xfe, 0x0, "abcdefgh")
		c.wantPing("flags that mean nothing on PING", "abcdefgh", true)
	})
	script(t, "4.1 unknown types are ignored", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		for typ := 0x0a; typ <= 0xff; typ += 3 {
			if typ == 0x10 { // PRIORITY_UPDATE
				continue
			}
			c.raw(xhttp2.FrameType(typ), 0xff, uint32(typ%4), "payload")
		}
		c.get(1, "/")
		c.wantAnswer("a request behind them", 1, 200, "hello")
		c.raw(0xbe, 0, 1, "")
		c.raw(0xef, 0, 77, strings.Repeat("x", 16384))
		c.wantLive("on a closed and on an idle stream")
	})
	script(t, "4.2 the largest frame", func(t *testing.T, fm form) {
		c := connect(t, fm, echo)
		body := strings.Repeat("x", 16384)
		c.post(1, "/")
		c.dataEnd(1, body)
		c.wantAnswer("DATA of 16,384 bytes", 1, 200, "POST / "+body)
	})
	script(t, "4.2 DATA above SETTINGS_MAX_FRAME_SIZE", func(t *testing.T, fm form) {
		c := connect(t, fm, echo)
		c.post(1, "/")
		c.raw(xhttp2.FrameData, 0, 1, strings.Repeat("x", 16385))
		c.wantEnd("one byte too many", 1, xhttp2.ErrCodeFrameSize)
	})
	script(t, "4.2 the size is refused before the payload is here", func(t *testing.T, fm form) {
		c := connect(t, fm, unreached(t))
		c.write("\xff\xff\xff\x01\x05\x00\x00\x00\x01")
		c.wantEnd("HEADERS of 16 MiB", 0, xhttp2.ErrCodeFrameSize)
	})
	script(t, "4.2 an unknown type above SETTINGS_MAX_FRAME_SIZE", func(t *testing.T, fm form) {
		c := connect(t, fm, unreached(t))
		c.raw(0xbe, 0, 0, strings.Repeat("x", 16385))
		c.wantEnd("unknown, and too large", 0, xhttp2.ErrCodeFrameSize)
	})
	script(t, "4.3 a header block that does not decode", func(t *testing.T, fm form) {
		c := connect(t, fm, unreached(t))
		c.headersFragment(1, final, []byte{0x80}) // index 0: RFC 7541 §6.1
		c.wantEnd("index 0", 1, xhttp2.ErrCodeCompression)
	})
	script(t, "4.3 a trailer section that does not decode", func(t *testing.T, fm form) {
		c := connect(t, fm, echo)
		c.post(1, "/")
		c.headersFragment(1, final, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
		c.wantEnd("an integer that overflows", 1, xhttp2.ErrCodeCompression)
	})
	script(t, "4.3 the table survives requests that are refused", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Header.Get("X-Mark")) })
		c.get(1, "/", "x-mark", "remembered", "connection", "close")
		c.wantReset("malformed", 1, xhttp2.ErrCodeProtocol)
		c.get(3, "/", "x-mark", "remembered")
		c.wantAnswer("an entry of the malformed block", 3, 200, "remembered")
		fields := head4("GET", "/")
		for range 101 {
			fields = append(fields, "x-many", "times")
		}
		c.get(5, "/", append(fields[8:], "x-late", "remembered too")...)
		c.wantAnswer("too many fields", 5, 431, "")
		c.get(7, "/", "x-late", "remembered too", "x-mark", "7")
		c.wantAnswer("entries behind the limit", 7, 200, "7")
	})
	script(t, "4.3.1 the peer's table size", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			w.Header()["X-A"] = []string{"a value that goes to the table"}
			w.Header()["X-B"] = []string{"b value that goes to the table"}
		})
		for i, size := range []uint32{0, 4096, 100, 1 << 31, 64, 4096} {
			c.dec.SetAllowedMaxDynamicTableSize(max(size, 4096))
			c.settings(xhttp2.Setting{ID: xhttp2.SettingHeaderTableSize, Val: size})
			c.wantSettingsAck("applied")
			for j := range uint32(3) {
				id := uint32(i)*6 + 2*j + 1
				c.get(id, "/")
				c.wantAnswer("the table is as the peer says", id, 200, "", "x-a", "a value that goes to the table")
			}
		}
	})
}

func TestRFC9113Section5States(t *testing.T) {
	// 5.1 idle: anything but HEADERS and PRIORITY is a connection error.
	for name, say := range map[string]func(c *peer){
		"DATA":          func(c *peer) { c.data(1, "x") },
		"RST_STREAM":    func(c *peer) { c.fr.WriteRSTStream(1, 0); c.send() },
		"WINDOW_UPDATE": func(c *peer) { c.fr.WriteWindowUpdate(1, 1); c.send() },
		"DATA, even":    func(c *peer) { c.data(2, "x") },
	} {
		script(t, "5.1 idle: "+name, func(t *testing.T, fm form) {
			c := connect(t, fm, unreached(t))
			say(c)
			c.wantEnd(name+" on an idle stream", 0, xhttp2.ErrCodeProtocol)
		})
	}
	script(t, "5.1 idle: CONTINUATION", func(t *testing.T, fm form) {
		c := connect(t, fm, unreached(t))
		c.raw(xhttp2.FrameContinuation, 4, 1, "")
		c.wantEnd("CONTINUATION on an idle stream", 0, xhttp2.ErrCodeProtocol)
	})
	script(t, "5.1 idle: PRIORITY", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.fr.WritePriority(7, xhttp2.PriorityParam{StreamDep: 5, Weight: 10})
		c.send()
		c.wantLive("PRIORITY is legal in any state")
		c.get(1, "/")
		c.wantAnswer("and opens nothing", 1, 200, "hello")
	})
	script(t, "5.1 open: RST_STREAM by the peer", func(t *testing.T, fm form) {
		var n notes
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			_, err := r.Body.Read(make([]byte, 10))
			n.add("%v %v", err, r.Context().Err())
			_, err = w.Write([]byte("late"))
			n.add("%v", err)
		})
		c.post(1, "/")
		c.wantIdle("the handler waits")
		c.reset(1, xhttp2.ErrCodeCancel)
		c.wantLive("nothing is said to a stream that was reset")
		n.want(t, "the handler learns of it", errReset.Error()+" context canceled", errReset.Error())
		c.fr.WriteWindowUpdate(1, 100)
		c.send()
		c.wantLive("closed: WINDOW_UPDATE may come late")
		c.fr.WritePriority(1, xhttp2.PriorityParam{StreamDep: 5})
		c.send()
		c.wantLive("closed: PRIORITY")
		c.fr.WriteRSTStream(1, 0)
		c.send()
		c.wantLive("closed: RST_STREAM again")
	})
	script(t, "5.1 half-closed (remote): DATA", func(t *testing.T, fm form) {
		g := newGates(t)
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { g.wait("go"); hello(w, r) })
		c.get(1, "/")
		c.wantIdle("the handler waits")
		c.data(1, "x")
		c.wantReset("DATA behind END_STREAM", 1, xhttp2.ErrCodeStreamClosed)
		g.open("go")
		c.wantLive("the connection goes on")
	})
	script(t, "5.1 half-closed (remote): HEADERS", func(t *testing.T, fm form) {
		g := newGates(t)
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { g.wait("go"); hello(w, r) })
		c.get(1, "/", "x-mark", "1")
		c.wantIdle("the handler waits")
		c.headers(1, final, "x-mark", "2")
		c.wantReset("HEADERS behind END_STREAM", 1, xhttp2.ErrCodeStreamClosed)
		g.open("go")
		c.get(3, "/", "x-mark", "2")
		c.wantAnswer("the connection goes on, and its table", 3, 200, "hello")
	})
	script(t, "5.1 half-closed (remote): WINDOW_UPDATE, PRIORITY, RST_STREAM", func(t *testing.T, fm form) {
		g := newGates(t)
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { g.wait(r.URL.Path); hello(w, r) })
		c.get(1, "/1")
		c.wantIdle("the handler waits")
		c.update(1, 100)
		c.fr.WritePriority(1, xhttp2.PriorityParam{StreamDep: 3})
		c.send()
		c.wantIdle("both are legal")
		g.open("/1")
		c.wantAnswer("the answer", 1, 200, "hello")
		c.get(3, "/3")
		c.wantIdle("the handler waits")
		c.reset(3, xhttp2.ErrCodeCancel)
		c.wantIdle("reset")
		g.open("/3")
		c.wantLive("nothing is answered")
	})
	script(t, "5.1 half-closed (local): the request goes on", func(t *testing.T, fm form) {
		var n notes
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "early") // its END_STREAM leaves here
			b, err := io.ReadAll(r.Body)
			n.add("%s %v", b, err)
		})
		c.post(1, "/")
		c.wantAnswer("the answer is whole before the request", 1, 200, "early")
		c.data(1, "still ")
		c.wantIdle("half-closed (local)")
		c.update(1, 10)
		c.wantIdle("WINDOW_UPDATE is legal")
		c.dataEnd(1, "read")
		n.want(t, "the handler reads on", "still read <nil>")
		c.wantLive("closed")
	})
	// 5.1 closed by END_STREAM of both sides.
	for name, say := range map[string]func(c *peer){
		"DATA":    func(c *peer) { c.data(1, "x") },
		"HEADERS": func(c *peer) { c.get(1, "/") },
	} {
		script(t, "5.1 closed: "+name, func(t *testing.T, fm form) {
			c := connect(t, fm, hello)
			c.get(1, "/")
			c.wantAnswer("a request", 1, 200, "hello")
			say(c)
			c.wantEnd(name+" on a closed stream", 1, xhttp2.ErrCodeStreamClosed)
		})
		script(t, "5.1 closed by the peer's RST_STREAM: "+name, func(t *testing.T, fm form) {
			c := connect(t, fm, echo)
			c.post(1, "/")
			c.reset(1, xhttp2.ErrCodeCancel)
			say(c)
			c.wantEnd(name+" on a stream that the peer has reset", 1, xhttp2.ErrCodeStreamClosed)
		})
		script(t, "5.1 closed by our RST_STREAM: "+name, func(t *testing.T, fm form) {
			c := connect(t, fm, hello)
			c.post(1, "/", "te", "gzip")
			c.wantReset("malformed", 1, xhttp2.ErrCodeProtocol)
			say(c)
			c.data(1, "more")
			c.dataEnd(1, "end")
			c.wantLive("frames that were on their way are ignored")
			c.get(3, "/")
			c.wantAnswer("the table is right", 3, 200, "hello")
		})
	}
	script(t, "5.1 closed by our RST_STREAM: DATA still counts for the connection", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.wantUpdates("at first", 0, 1<<20-initialWindow)
		c.post(1, "/", "te", "gzip")
		c.wantReset("malformed", 1, xhttp2.ErrCodeProtocol)
		for range 20 {
			c.data(1, strings.Repeat("x", 16000))
		}
		c.wantUpdates("credit comes back", 0, 17*16000)
		c.wantLive("open")
	})
}

func TestRFC9113Section5(t *testing.T) {
	script(t, "5.1.1 identifiers increase", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.get(5, "/")
		c.wantAnswer("the first may be any", 5, 200, "hello")
		c.get(3, "/")
		c.wantEnd("a lower one", 5, xhttp2.ErrCodeProtocol)
	})
	script(t, "5.1.1 skipped streams are closed", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.get(5, "/")
		c.wantAnswer("the first may be any", 5, 200, "hello")
		c.fr.WriteWindowUpdate(3, 5)
		c.fr.WritePriority(1, xhttp2.PriorityParam{StreamDep: 5})
		c.send()
		c.wantLive("closed streams take WINDOW_UPDATE and PRIORITY")
		c.get(1<<31-1, "/")
		c.wantAnswer("the last identifier there is", 1<<31-1, 200, "hello")
	})
	script(t, "5.1.1 even identifiers are the server's", func(t *testing.T, fm form) {
		c := connect(t, fm, unreached(t))
		c.get(2, "/")
		c.wantEnd("HEADERS on an even stream", 0, xhttp2.ErrCodeProtocol)
	})
	script(t, "5.1.1 stream 0", func(t *testing.T, fm form) {
		c := connect(t, fm, unreached(t))
		c.headersFragment(0, final, c.fragment(head4("GET", "/")...))
		c.wantEnd("HEADERS on stream 0", 0, xhttp2.ErrCodeProtocol)
	})
	script(t, "5.1.2 MAX_CONCURRENT_STREAMS", func(t *testing.T, fm form) {
		g := newGates(t)
		c := connectWith(t, fm, func(w http.ResponseWriter, r *http.Request) { g.wait(r.URL.Path); hello(w, r) }, func(cfg *Config) { cfg.MaxStreams = 3 })
		for i := range uint32(3) {
			c.get(2*i+1, []string{"/1", "/3", "/5"}[i])
		}
		c.wantIdle("three are open")
		c.get(7, "/7", "x-mark", "7")
		c.wantReset("the fourth is refused, and safe to repeat", 7, xhttp2.ErrCodeRefusedStream)
		g.open("/3")
		c.wantAnswer("one ends", 3, 200, "hello")
		c.get(9, "/9", "x-mark", "7")
		g.open("/9")
		c.wantAnswer("and there is room; the refused block is in the table", 9, 200, "hello")
		c.get(11, "/11")
		c.wantIdle("three are open again")
		g.open("/1")
		g.open("/5")
		g.open("/11")
		c.wantAnswer("the others", 1, 200, "hello")
		c.wantAnswer("the others", 5, 200, "hello")
		c.wantAnswer("the others", 11, 200, "hello")
		c.wantLive("afterwards")
	})
	script(t, "5.4.1 GOAWAY, then the end", func(t *testing.T, fm form) {
		var n notes
		g := newGates(t)
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			_, err := w.Write([]byte("late"))
			n.add("%v %v", r.Context().Err(), err)
			g.wait("go")
		})
		c.get(1, "/")
		c.get(3, "/")
		c.wantIdle("two handlers wait")
		c.raw(xhttp2.FramePing, 0, 0, "short")
		c.wantGoAway("a connection error", 3, xhttp2.ErrCodeFrameSize)
		n.want(t, "the handlers learn of it", "context canceled "+errConnOver.Error(), "context canceled "+errConnOver.Error())
		g.open("go")
		c.ping("12345678")
		c.want("nothing is said any more")
		if !c.h.fin {
			t.Error("no FIN behind GOAWAY")
		}
		time.Sleep(lingerTimeout)
		c.wantClosed("the peer does not close: a second later we do")
	})
	script(t, "5.4.1 input behind the GOAWAY is thrown away, up to a limit", func(t *testing.T, fm form) {
		c := connect(t, fm, unreached(t))
		c.raw(xhttp2.FramePing, 0, 0, "short")
		c.wantGoAway("a connection error", 0, xhttp2.ErrCodeFrameSize)
		for range 4 {
			c.write(strings.Repeat("x", 16<<10-4))
		}
		c.want("64 KiB, with what was there")
		if c.h.closed {
			t.Error("closed before the limit")
		}
		c.write("xxx")
		c.wantClosed("one byte more")
	})
	script(t, "5.4.1 the socket does not take the GOAWAY", func(t *testing.T, fm form) {
		c := connect(t, fm, unreached(t))
		c.h.stop(5)
		c.raw(xhttp2.FramePing, 0, 0, "short")
		c.want("it is stuck")
		if c.h.fin {
			t.Error("FIN overtakes the GOAWAY")
		}
		c.h.take(-1)
		c.wantEnd("it leaves, and FIN behind it", 0, xhttp2.ErrCodeFrameSize)
	})
	script(t, "5.4.2 a stream error ends its stream alone", func(t *testing.T, fm form) {
		g := newGates(t)
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { g.wait("go"); hello(w, r) })
		c.get(1, "/")
		c.wantIdle("one waits")
		c.post(3, "/", "content-length", "x")
		c.wantReset("malformed", 3, xhttp2.ErrCodeProtocol)
		g.open("go")
		c.wantAnswer("the other is served", 1, 200, "hello")
	})
	script(t, "5.5 extensions: unknown settings and flags", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		c.settings(xhttp2.Setting{ID: 0x4141, Val: 1}, xhttp2.Setting{ID: 0xffff, Val: 1 << 31}, xhttp2.Setting{ID: 0, Val: 0})
		c.wantSettingsAck("unknown settings are acknowledged")
		c.wantLive("and ignored")
	})
	script(t, "5.5 an unknown type in a header block", func(t *testing.T, fm form) {
		c := connect(t, fm, unreached(t))
		f := c.fragment(head4("GET", "/")...)
		c.headersFragment(1, xhttp2.FlagHeadersEndStream, f[:3])
		c.raw(0xbe, 0, 0, "")
		c.wantEnd("even it interrupts", 0, xhttp2.ErrCodeProtocol)
	})
}
