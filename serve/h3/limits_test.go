package h3

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/h3/frame"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// Each limit of limits.go: what is just allowed, and what is one too many. Waits
// are in timeout_test.go.

// gate is a handler that waits for an opening for each request.
type gate struct {
	running, most atomic.Int64
	open          chan struct{}
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

func (g *gate) serve(w http.ResponseWriter, r *http.Request) {
	now := g.running.Add(1)
	defer g.running.Add(-1)
	for most := g.most.Load(); now > most && !g.most.CompareAndSwap(most, now); most = g.most.Load() {
	}
	<-g.open
	io.WriteString(w, r.RequestURI)
}

func TestMaxStreams(t *testing.T) {
	t.Parallel()
	g := newGate()
	s := listen(t, g.serve, func(cfg *Config) { cfg.MaxStreams = 3 })
	c := s.connect()
	var all []*exchange
	for i := range 3 + 2*creditBatch { // as many as the transport lets in
		all = append(all, c.request(headers(get(fmt.Sprintf("/%d", i))...)))
	}
	servetest.WantSoon(t, "three run", func() bool { return g.running.Load() == 3 })
	_, err := c.q.OpenStream()
	servetest.Want(t, "no more streams may be opened", err != nil, true)
	go func() {
		for range all {
			g.open <- struct{}{}
		}
	}()
	for i, x := range all {
		x.wantAnswer("each has its turn", "200", fmt.Sprintf("/%d", i))
	}
	servetest.Want(t, "never more than three", g.most.Load(), 3)
	go func() { g.open <- struct{}{} }()
	c.wantLive("there is credit again")
}

func TestFieldSectionLimits(t *testing.T) {
	t.Parallel()
	count := func(n int) string { // n fields in all
		fields := get("/")
		for range n - len(fields)/2 {
			fields = append(fields, "x", "")
		}
		return headers(fields...)
	}
	size := func(n int) string { // n bytes in all
		fields := get("/", "x", "")
		for i := 0; i < len(fields); i += 2 {
			n -= len(fields[i]) + len(fields[i+1]) + 32
		}
		return headers(append(fields[:len(fields)-1], strings.Repeat("a", n))...)
	}
	few := func(cfg *Config) { cfg.Fields, cfg.FieldBytes = 10, 1000 }
	for _, tt := range []struct {
		name, in, status string
		code             frame.Code
		tune             func(*Config)
	}{
		{"100 fields", count(defaultFields), "200", 0, nil},
		{"101 fields", count(defaultFields + 1), "431", 0, nil},
		{"1000 fields", count(hardFields), "431", 0, nil},
		{"1001 fields", count(hardFields + 1), "", frame.ExcessiveLoad, nil},
		{"64 KiB", size(defaultFieldBytes), "200", 0, nil},
		{"64 KiB and a byte", size(defaultFieldBytes + 1), "431", 0, nil},
		{"4.2.2 a HEADERS frame that is longer", varint(kindHeaders) + varint(defaultFieldBytes+1), "431", 0, nil},
		{"4.2.2 a HEADERS frame of 2^62-1", varint(kindHeaders) + varint(1<<62-1) + "abc", "431", 0, nil},
		{"10 fields of 10", count(10), "200", 0, few},
		{"11 fields of 10", count(11), "431", 0, few},
		{"1000 bytes of 1000", size(1000), "200", 0, few},
		{"1001 bytes of 1000", size(1001), "431", 0, few},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := listen(t, func(http.ResponseWriter, *http.Request) {}, func(cfg *Config) {
				if tt.tune != nil {
					tt.tune(cfg)
				}
			})
			c := s.connect()
			x := c.open(tt.in)
			if tt.code != 0 {
				c.wantClosed("too many for a decoder", tt.code)
				return
			}
			x.Close()
			x.wantAnswer("a field section", tt.status, "")
			servetest.Want(t, "it is counted", s.count().TooLarge.Load(), map[string]uint64{"431": 1}[tt.status])
			c.wantLive("of that stream only")
		})
	}
}

func TestTrailerLimits(t *testing.T) {
	t.Parallel()
	count := func(n int) string {
		var fields []string
		for range n {
			fields = append(fields, "x", "")
		}
		return headers(fields...)
	}
	size := func(n int) string { return headers("x", strings.Repeat("a", n-1-32)) }
	plain := func(lines string) string { return fr(kindHeaders, "\x00\x00"+lines) }
	for _, tt := range []struct{ name, in, want string }{ // want empty: malformed
		{"none", headers(), "abc"},
		{"32 fields", count(maxTrailers), "abc[X " + strings.Repeat("|", maxTrailers-1) + "]"},
		{"33 fields", count(maxTrailers + 1), ""},
		{"8 KiB", size(maxTrailerBytes), "abc[X " + strings.Repeat("a", maxTrailerBytes-33) + "]"},
		{"8 KiB and a byte", size(maxTrailerBytes + 1), ""},
		{"a frame of 2^62-1", varint(kindHeaders) + varint(1<<62-1), ""},
		{"4.3 a pseudo-field", headers(":path", "/"), ""},
		{"4.2 an upper-case name", plain(literal("X", "1")), ""},
		{"4.2 LF in a value", plain(literal("x", "a\nb")), ""},
		{"H1-7 names that are dropped", headers("content-length", "5", "host", "b", "authorization", "c", "x", "1"), "abc[X 1]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan error, 1)
			c := connect(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/live" {
					return
				}
				b, err := io.ReadAll(r.Body)
				ended <- err
				w.Write(b)
				for name, values := range r.Trailer {
					fmt.Fprintf(w, "[%s %s]", name, strings.Join(values, "|"))
				}
			})
			x := c.request(headers(post("/")...) + data("abc") + tt.in)
			if tt.want == "" {
				x.wantReset("malformed", frame.MessageError)
				servetest.WantErr(t, "its reader is told", <-ended, errTrailer)
			} else {
				x.wantAnswer("a trailer section", "200", tt.want)
				servetest.WantErr(t, "its reader", <-ended, nil)
			}
			c.wantLive("of that stream only")
		})
	}
}

func TestUnknownFrames(t *testing.T) {
	t.Parallel()
	head := headers(post("/")...)
	frames := func(n int) string { return strings.Repeat(fr(kindGrease, ""), n) }
	bytes := func(n int) string { return fr(kindGrease, strings.Repeat("x", n)) }
	for _, tt := range []struct {
		name, in string
		ok       bool
	}{
		{"32 before a head", frames(maxUnknownFrames) + head, true},
		{"33 before a head", frames(maxUnknownFrames+1) + head, false},
		{"64 KiB before a head", bytes(maxUnknownBytes) + head, true},
		{"64 KiB and a byte before a head", bytes(maxUnknownBytes) + bytes(1) + head, false},
		{"2^62-1 bytes before a head", varint(kindGrease) + varint(1<<62-1), false},
		{"twice 2^61 bytes", varint(kindGrease) + varint(1<<61), false},
		{"32 in a body", head + frames(maxUnknownFrames) + data("a"), true},
		{"33 in a body", head + frames(maxUnknownFrames+1) + data("a"), false},
		{"33 in a body, between empty DATA", head + strings.Repeat(fr(kindGrease, "")+data(""), maxUnknownFrames+1) + data("a"), false},
		{"64 KiB and a byte in a body", head + bytes(maxUnknownBytes) + bytes(1) + data("a"), false},
		{"33 behind a body", head + data("a") + frames(maxUnknownFrames+1), false},
		{"33 behind trailers", head + data("a") + headers("x", "1") + frames(maxUnknownFrames+1), false},
		{"32 each time before the message goes on", frames(maxUnknownFrames) + head + strings.Repeat(frames(maxUnknownFrames)+data("a"), 5), true},
		{"40 KiB each time before the message goes on", bytes(40<<10) + head + strings.Repeat(bytes(40<<10)+data("a"), 5), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := connect(t, echo)
			x := c.open(tt.in)
			if !tt.ok {
				c.wantClosed("too much of what nobody wants", frame.ExcessiveLoad)
				return
			}
			x.Close()
			servetest.Want(t, "ignored", x.answer().status, "200")
			c.wantLive("ignored")
		})
	}
}

func TestControlFlood(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in string }{
		{"PRIORITY_UPDATE", fr(kindPriorityUpdate, "\x00u=1")},
		{"GOAWAY", fr(kindGoAway, "\x00")},
		{"MAX_PUSH_ID", fr(kindMaxPushID, "\x05")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := connect(t, hello) // SETTINGS is one
			c.say(strings.Repeat(tt.in, maxControlFrames-1))
			c.say(tt.in)
			c.wantClosed("1001 of them", frame.ExcessiveLoad)
		})
	}
	t.Run("just enough", func(t *testing.T) {
		t.Parallel()
		in := settings() + strings.Repeat(fr(kindGoAway, "\x00"), maxControlFrames-1)
		e, _ := errors.AsType[*frame.Error](readControl(strings.NewReader(in)))
		servetest.Want(t, "1000 of them, then the end", e.Code, frame.ClosedCriticalStream)
	})
	t.Run("requests refill", func(t *testing.T) {
		t.Parallel()
		var c conn
		for range 3 {
			c.requests++
			for range maxControlFrames {
				servetest.Want(t, "one of 1000", c.spend(), true)
			}
			servetest.Want(t, "one too many", c.spend(), false)
		}
	})
}

// TestWindows: what a handler does not read stays with the client.
func TestWindows(t *testing.T) {
	t.Parallel()
	const window = 64 << 10
	g := newGate()
	c := connect(t, g.serve, func(cfg *Config) { cfg.StreamWindow, cfg.MaxStreamWindow, cfg.ConnWindow = window, window, 3*window/2 })
	fill := func() (*exchange, int) {
		x := c.open(headers(post("/")...) + varint(kindData) + varint(1<<30))
		x.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
		n, err := x.Write(make([]byte, 10*window))
		servetest.WantErr(t, "there is no end of it", err, os.ErrDeadlineExceeded)
		return x, n
	}
	first, n := fill()
	servetest.Want(t, "no more than a stream's window", n <= window, true)
	second, m := fill()
	servetest.Want(t, "no more than the connection's", n+m <= 3*window/2, true)
	close(g.open)
	for _, x := range []*exchange{first, second} {
		servetest.Want(t, "answered", x.answer().status, "200")
	}
	c.wantLive("the credit of what nobody read is given back")
}

func TestMaxBody(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, status string }{
		{"declared", headers(post("/", "content-length", "5")...) + data("abcde"), "200"},
		{"declared too long", headers(post("/", "content-length", "6")...), "413"},
		{"not declared", headers(post("/")...) + data("abc") + data("de"), "200"},
		{"not declared, too long", headers(post("/")...) + data("abc") + data("def"), "413"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := connect(t, func(w http.ResponseWriter, r *http.Request) {
				if b, err := io.ReadAll(r.Body); err != nil {
					_, ok := errors.AsType[*http.MaxBytesError](err)
					servetest.Want(t, "its reader is told", ok, true)
				} else {
					w.Write(b)
				}
			}, func(cfg *Config) { cfg.MaxBodyBytes = 5 })
			x := c.open(tt.in)
			if tt.status == "200" {
				x.Close()
			}
			servetest.Want(t, "a body", x.answer().status, tt.status)
			c.wantLive("of that stream only")
		})
	}
}

// TestUniStreams: more than maxUniStreams that are not finished cannot be.
func TestUniStreams(t *testing.T) {
	t.Parallel()
	c := connect(t, hello) // the control stream is one
	for range maxUniStreams - 1 {
		str, err := c.q.OpenUniStream()
		servetest.Must(t, "one of 16", err)
		write(t, str, "\x40") // half a type
	}
	c.wantLive("they are waited for")
	_, err := c.q.OpenUniStream()
	servetest.Want(t, "one too many", err != nil, true)
}

// TestDefaults: the numbers of the rules.
func TestDefaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		got, want int
	}{
		{"requests at a time (as H2-1)", defaultMaxStreams, 100},
		{"Q-5 bytes of a head", defaultFieldBytes, 64 << 10},
		{"Q-5 fields of a head", defaultFields, 100},
		{"Q-5 fields at which decoding stops", hardFields, 1000},
		{"Q-5 bytes of trailers", maxTrailerBytes, 8 << 10},
		{"Q-5 fields of trailers", maxTrailers, 32},
		{"H1-12 target", defaultTargetBytes, 16384},
		{"H1-12 method", maxMethodBytes, 32},
		{"control frames", maxControlFrames, 1000},
		{"Q-1 half-open handshakes", defaultRetryAbove, 256},
		{"Q-1 handshakes a second", defaultRetryRate, 1000},
		{"Q-2 handshake, seconds", int(defaultHandshakeTimeout / time.Second), 5},
		{"S-1 head, seconds", int(defaultReadHeadTimeout / time.Second), 10},
		{"S-2 body, seconds", int(defaultBodyIdleTimeout / time.Second), 60},
		{"S-2 body, bytes a second", defaultBodyMinRate, 240},
		{"S-2 grace, seconds", int(bodyRateGrace / time.Second), 10},
		{"S-3 reader, seconds", int(defaultWriteIdleTimeout / time.Second), 60},
		{"S-3 reader, bytes a second", defaultWriteMinRate, 240},
		{"S-4 idle, seconds", int(defaultIdleTimeout / time.Second), 75},
		{"H1-17 age, minutes", int(defaultMaxConnAge / time.Minute), 60},
	} {
		servetest.Want(t, tt.name, tt.got, tt.want)
	}
	none := Complete(Config{IdleTimeout: -1, ReadHeadTimeout: -1, MaxStreams: -1, FieldBytes: -1, RetryAbove: -1})
	servetest.Want(t, "negative: no time limit", none.IdleTimeout+none.ReadHeadTimeout, 0)
	servetest.Want(t, "but no size without a bound", none.MaxStreams > 0 && none.FieldBytes > 0 && none.RetryAbove > 0, true)
}
