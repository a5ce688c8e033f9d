package h3

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/penstock-edge/penstock/serve/h3/frame"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// RFC 9114 §6.2, §7.2: unidirectional streams, and the frames of the control
// stream. Q-9.

// control is what a control stream says, and what comes of it.
type control struct {
	name, in string
	code     frame.Code // 0: nothing
}

// controlScripts hold all frames of a control stream, the first SETTINGS too.
func controlScripts() []control {
	var many []uint64
	for i := range uint64(65) {
		many = append(many, 0x1000+i, 1)
	}
	begun := settings()
	const unexpected, id = frame.FrameUnexpected, frame.IDError
	return []control{
		{"6.2.1 SETTINGS", begun, 0},
		{"6.2.1 GOAWAY before SETTINGS", fr(kindGoAway, "\x00") + begun, frame.MissingSettings},
		{"6.2.1 an unknown frame before SETTINGS", fr(kindGrease, "x") + begun, frame.MissingSettings},
		{"6.2.1 DATA before SETTINGS", data("x") + begun, frame.MissingSettings},
		{"7.2.1 DATA", begun + data("x"), unexpected},
		{"7.2.1 empty DATA", begun + data(""), unexpected},
		{"7.2.2 HEADERS", begun + headers(get("/")...), unexpected},
		{"7.2.3 CANCEL_PUSH", begun + fr(kindCancelPush, "\x00"), id},
		{"7.2.3 CANCEL_PUSH without an id", begun + fr(kindCancelPush, ""), frame.FrameError},
		{"7.2.4 SETTINGS again", begun + begun, unexpected},
		{"7.2.4 a setting twice", settings(0x6, 1000, 0x6, 1000), frame.SettingsError},
		{"7.2.4 too many settings", settings(many...), frame.ExcessiveLoad},
		{"7.2.4 the end within a setting", fr(kindSettings, "\x06"), frame.FrameError},
		{"7.2.4 SETTINGS that are too long", varint(kindSettings) + varint(1<<30), frame.ExcessiveLoad},
		{"7.2.4.1 settings, and unknown ones", settings(0x6, 0, 0x21, 7, 0x1, 100, 0x7, 16, 0x8, 1, 0x33, 1, 1<<61, 1), 0},
		{"7.2.4.1 setting 0x2 of HTTP/2", settings(0x2, 0), frame.SettingsError},
		{"7.2.4.1 setting 0x3 of HTTP/2", settings(0x3, 100), frame.SettingsError},
		{"7.2.4.1 setting 0x4 of HTTP/2", settings(0x4, 1), frame.SettingsError},
		{"7.2.4.1 setting 0x5 of HTTP/2", settings(0x21, 1, 0x5, 1), frame.SettingsError},
		{"RFC 9220 3 ENABLE_CONNECT_PROTOCOL 2", settings(0x8, 2), frame.SettingsError},
		{"RFC 9297 2.1.1 H3_DATAGRAM 2", settings(0x33, 2), frame.SettingsError},
		{"7.2.5 PUSH_PROMISE", begun + fr(kindPushPromise, "\x00\x00\x00"), unexpected},
		{"5.2 GOAWAY whose id falls", begun + fr(kindGoAway, "\x08") + fr(kindGoAway, "\x08") + fr(kindGoAway, "\x03"), 0},
		{"5.2 GOAWAY whose id grows", begun + fr(kindGoAway, "\x08") + fr(kindGoAway, "\x09"), id},
		{"7.2.6 GOAWAY without an id", begun + fr(kindGoAway, ""), frame.FrameError},
		{"7.2.6 GOAWAY with more than an id", begun + fr(kindGoAway, "\x00\x00"), frame.FrameError},
		{"7.2.7 MAX_PUSH_ID that grows", begun + fr(kindMaxPushID, "\x05") + fr(kindMaxPushID, "\x05") + fr(kindMaxPushID, varint(1<<62-1)), 0},
		{"7.2.7 MAX_PUSH_ID that falls", begun + fr(kindMaxPushID, "\x05") + fr(kindMaxPushID, "\x04"), id},
		{"7.2.7 MAX_PUSH_ID within its id", begun + fr(kindMaxPushID, "\x40"), frame.FrameError},
		{"7.2.8 PRIORITY of HTTP/2", begun + fr(0x2, ""), unexpected},
		{"7.2.8 PING of HTTP/2", begun + fr(0x6, "12345678"), unexpected},
		{"7.2.8 WINDOW_UPDATE of HTTP/2", begun + fr(0x8, ""), unexpected},
		{"7.2.8 CONTINUATION of HTTP/2", begun + fr(0x9, ""), unexpected},
		{"9 unknown frames", begun + fr(kindGrease, "") + fr(kindGrease, strings.Repeat("x", 9000)) + fr(1<<61, "x"), 0},
		{"9 what is behind an unknown frame", begun + fr(kindGrease, strings.Repeat("x", 9000)) + data(""), unexpected},
		{"RFC 9218 7.2 PRIORITY_UPDATE", begun + fr(kindPriorityUpdate, "\x00u=1, i") + fr(kindPriorityUpdate, "\x04") + fr(kindPriorityUpdate, varint(1<<62-4)), 0},
		{"RFC 9218 7.2 of what cannot be parsed", begun + fr(kindPriorityUpdate, "\x00\xff\x00u=="), 0},
		{"RFC 9218 7.2 of a client's unidirectional stream", begun + fr(kindPriorityUpdate, "\x02u=1"), id},
		{"RFC 9218 7.2 of a server's stream", begun + fr(kindPriorityUpdate, "\x01u=1"), id},
		{"RFC 9218 7.2 of a push", begun + fr(kindPriorityPush, "\x00u=1"), id},
		{"RFC 9218 7.2 without an id", begun + fr(kindPriorityUpdate, ""), frame.FrameError},
		{"a PRIORITY_UPDATE that is too long", begun + varint(kindPriorityUpdate) + varint(2000), frame.ExcessiveLoad},
	}
}

func TestRFC9114Section7Control(t *testing.T) {
	t.Parallel()
	for _, tt := range controlScripts() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := listen(t, hello).dial()
			c.control = c.openUni(kindControl, tt.in)
			if tt.code != 0 {
				c.wantClosed("of the whole connection", tt.code)
				return
			}
			c.wantLive("no fault")
			c.say(headers()) // what came before it was read to its end
			c.wantClosed("HEADERS", frame.FrameUnexpected)
		})
	}
}

// readControl is what a control stream's bytes end with, however they come.
func readControl(src source) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	return new(conn).readControl(&input{str: src}, timer)
}

// TestRFC9114Section7Cut: byte by byte, and cut at every byte, the same comes of it.
func TestRFC9114Section7Cut(t *testing.T) {
	t.Parallel()
	for _, tt := range controlScripts() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := frame.ClosedCriticalStream
			if tt.code != 0 {
				want = tt.code
			}
			check := func(src source) {
				t.Helper()
				e, _ := errors.AsType[*frame.Error](readControl(src))
				if e == nil || e.Code != want {
					t.Errorf("got %v, want %v", e, want)
				}
			}
			check(&pieces{left: tt.in, size: 1})
			for n := range min(len(tt.in), 300) {
				check(&pieces{left: tt.in, size: n})
			}
		})
	}
}

// pieces is a stream whose first piece has size bytes, at least one; with size 1
// they all have. The last one comes with the end.
type pieces struct {
	left string
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	n := min(len(p.left), max(1, p.size), len(b))
	if p.size > 1 {
		p.size = 1 << 30
	}
	copy(b, p.left[:n])
	p.left = p.left[n:]
	if p.left == "" {
		return n, io.EOF
	}
	return n, nil
}

func TestRFC9114Section6Streams(t *testing.T) {
	t.Parallel()
	kinds := []struct {
		name string
		kind uint64
		in   string
	}{{"control", kindControl, settings()}, {"encoder", kindEncoder, ""}, {"decoder", kindDecoder, ""}}
	for _, k := range kinds {
		begin := func(t *testing.T) (*client, *quic.SendStream) {
			s := listen(t, hello)
			c := s.dial()
			str := c.openUni(k.kind, k.in)
			c.wantLive("one of them")
			servetest.WantSoon(t, "it is known for what it is", s.knowsStream)
			return c, str
		}
		t.Run("6.2.1 a second "+k.name+" stream", func(t *testing.T) {
			t.Parallel()
			c, _ := begin(t)
			c.openUni(k.kind, k.in)
			c.wantClosed("two of them", frame.StreamCreationError)
		})
		t.Run("6.2.1 the end of the "+k.name+" stream", func(t *testing.T) {
			t.Parallel()
			c, str := begin(t)
			str.Close()
			c.wantClosed("it must not end", frame.ClosedCriticalStream)
		})
		t.Run("6.2.1 the end of an empty "+k.name+" stream", func(t *testing.T) {
			t.Parallel()
			c := listen(t, hello).dial()
			c.openUni(k.kind, "").Close()
			c.wantClosed("it must not end", frame.ClosedCriticalStream)
		})
		t.Run("6.2.1 a reset of the "+k.name+" stream", func(t *testing.T) {
			t.Parallel()
			c, str := begin(t)
			str.CancelWrite(quic.StreamErrorCode(frame.NoError))
			c.wantClosed("it must not be reset", frame.ClosedCriticalStream)
		})
	}
	t.Run("6.2.1 the end within a frame", func(t *testing.T) {
		t.Parallel()
		c := listen(t, hello).dial()
		c.openUni(kindControl, settings()+fr(kindGoAway, "\x00")[:2]).Close()
		c.wantClosed("it must not end", frame.ClosedCriticalStream)
	})
}

// TestRFC9114Section6Others: streams that are none of the three.
func TestRFC9114Section6Others(t *testing.T) {
	t.Parallel()
	t.Run("6.2.2 a push stream", func(t *testing.T) {
		t.Parallel()
		c := connect(t, hello)
		c.openUni(kindPush, "\x00")
		c.wantClosed("a client cannot push", frame.StreamCreationError)
	})
	t.Run("6.2 unknown types", func(t *testing.T) {
		t.Parallel()
		c := connect(t, hello)
		for i := range 2 * maxUniStreams { // more than may be open at a time
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			str, err := c.q.OpenUniStreamSync(ctx)
			cancel()
			servetest.Must(t, "credit for another one", err)
			write(t, str, varint(kindGrease+0x1f*uint64(i))+"whatever")
			select {
			case <-str.Context().Done():
			case <-time.After(patience):
				t.Fatal("a stream of unknown type is read on")
			}
			e, ok := errors.AsType[*quic.StreamError](context.Cause(str.Context()))
			if !ok || frame.Code(e.ErrorCode) != frame.StreamCreationError {
				t.Errorf("a stream of unknown type is stopped with %v", context.Cause(str.Context()))
			}
		}
		c.wantLive("no fault of the connection")
	})
	t.Run("6.2 the end before a type", func(t *testing.T) {
		t.Parallel()
		c := connect(t, hello)
		for _, in := range []string{"", "\x40", "\xc0\x00\x00"} {
			str, err := c.q.OpenUniStream()
			servetest.Must(t, "a stream", err)
			write(t, str, in)
			str.Close()
		}
		c.wantLive("no fault")
	})
}

// knowsStream tells whether a client has opened a stream that there is one of.
func (s *site) knowsStream() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.mu.Lock()
		known := c.peer.control || c.peer.encoder || c.peer.decoder
		c.mu.Unlock()
		if known {
			return true
		}
	}
	return false
}

// TestRFC9114OurStreams: 6.2.1, 7.2.4; Q-5. What we say of ourselves, and that
// it is all that we say: no QPACK streams, so no dynamic table.
func TestRFC9114OurStreams(t *testing.T) {
	t.Parallel()
	t.Run("7.2.4 SETTINGS", func(t *testing.T) {
		t.Parallel()
		c := connect(t, hello)
		x := c.open(headers(post("/")...)) // held open
		str := c.serverControl()
		got := readUntil(t, str, func(b string) bool { frames, _ := parseFrames(b); return len(frames) > 0 })
		servetest.Want(t, "QPACK_MAX_TABLE_CAPACITY and QPACK_BLOCKED_STREAMS are 0", got, settings(0x6, 64<<10, 0x8, 1))
		x.Close()
		x.wantAnswer("answered", "200", "hello")
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		_, err := c.q.AcceptUniStream(ctx)
		servetest.WantErr(t, "there is no other stream", err, context.DeadlineExceeded)
	})
	t.Run("7.2.4.1 MAX_FIELD_SECTION_SIZE is as configured", func(t *testing.T) {
		t.Parallel()
		c := connect(t, hello, func(cfg *Config) { cfg.FieldBytes = 10000 })
		str := c.serverControl()
		got := readUntil(t, str, func(b string) bool { frames, _ := parseFrames(b); return len(frames) > 0 })
		servetest.Want(t, "SETTINGS", got, settings(0x6, 10000, 0x8, 1))
	})
	t.Run("6.2 no credit for it", func(t *testing.T) {
		t.Parallel()
		c := listen(t, hello).dial(func(cfg *quic.Config) { cfg.MaxIncomingUniStreams = -1 })
		c.wantClosed("a peer must allow three", frame.StreamCreationError)
	})
	t.Run("6.2.1 the client stops it", func(t *testing.T) {
		t.Parallel()
		c := connect(t, hello)
		c.serverControl().CancelRead(quic.StreamErrorCode(frame.NoError))
		c.wantLive("the client's to answer for")
	})
	t.Run("5.2 GOAWAY", func(t *testing.T) {
		t.Parallel()
		s := listen(t, hello)
		c := s.connect()
		c.wantLive("stream 0")
		str := c.serverControl()
		s.Drain()
		got := readUntil(t, str, func(b string) bool { frames, _ := parseFrames(b); return len(frames) > 2 })
		servetest.Want(t, "the highest id, then the first that is not served", got,
			settings(0x6, 64<<10, 0x8, 1)+fr(kindGoAway, varint(1<<62-4))+fr(kindGoAway, varint(4)))
		c.wantClosed("drained", frame.NoError)
	})
}

// serverControl is the server's control stream, behind its type.
func (c *client) serverControl() *quic.ReceiveStream {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	str, err := c.q.AcceptUniStream(ctx)
	servetest.Must(c.t, "the server's control stream", err)
	servetest.Want(c.t, "its type", readUntil(c.t, str, func(b string) bool { return b != "" }), varint(kindControl))
	return str
}

// readUntil reads byte by byte until enough is there.
func readUntil(t *testing.T, str *quic.ReceiveStream, enough func(b string) bool) (all string) {
	t.Helper()
	str.SetReadDeadline(time.Now().Add(patience))
	for b := make([]byte, 1); !enough(all); {
		n, err := str.Read(b)
		if all += string(b[:n]); err != nil && !enough(all) {
			t.Fatalf("a stream that ends with %v behind %q", err, all)
		}
	}
	return all
}
