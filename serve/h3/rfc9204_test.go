package h3

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/h3/frame"
	"github.com/penstock-edge/penstock/serve/h3/qpack"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// RFC 9204 as a connection keeps it: the dynamic table is off. The codec
// itself is tested in serve/h3/qpack.

func TestRFC9204Section4Sections(t *testing.T) {
	t.Parallel()
	pre := section(get("/")...)
	for _, tt := range []struct {
		name, section string
	}{
		{"4.5.1 a Required Insert Count", "\x01" + pre[1:]},
		{"4.5.1 a Base below 0", "\x00\x80" + pre[2:]},
		{"4.5.1 no prefix", ""},
		{"4.5.1 half a prefix", "\x00"},
		{"4.5.2 an indexed field of the dynamic table", pre + "\x80"},
		{"4.5.3 an indexed field behind the base", pre + "\x10"},
		{"4.5.4 a name of the dynamic table", pre + "\x40\x01a"},
		{"4.5.5 a name behind the base", pre + "\x00\x01a"},
		{"3.1 an index above the static table", pre + "\xff\x24"},
		{"4.1.1 an integer without end", pre + "\xff" + strings.Repeat("\xff", 20)},
		{"4.1.2 a string longer than the section", pre + "\x23abc\x7f"},
		{"4.1.2 Huffman code that is none", pre + literal("x", "")[:2] + "\x81\x00"},
		{"2.2 the end within a field line", pre + literal("x-a", "1")[:3]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := connect(t, unreached(t))
			c.open(fr(kindHeaders, tt.section))
			c.wantClosed("of the whole connection", frame.QPACKDecompressionFailed)
		})
	}
	t.Run("4.5.1 a Base that nothing refers to", func(t *testing.T) {
		t.Parallel()
		c := connect(t, hello)
		c.request(fr(kindHeaders, "\x00\x05"+pre[2:])).wantAnswer("any will do", "200", "hello")
	})
	t.Run("2.2 in trailers", func(t *testing.T) {
		t.Parallel()
		c := connect(t, echo)
		c.open(headers(post("/")...) + fr(kindHeaders, "\x02\x00"))
		c.wantClosed("of the whole connection", frame.QPACKDecompressionFailed)
	})
}

func TestRFC9204Section4Streams(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		kind uint64
		in   string
		code frame.Code // 0: none
	}{
		{"4.3.1 the capacity set to 0", kindEncoder, "\x20", 0},
		{"4.3.1 another capacity", kindEncoder, "\x3f\x01", frame.QPACKEncoderStreamError},
		{"4.3.2 an insertion with a name of the static table", kindEncoder, "\xc0\x01a", frame.QPACKEncoderStreamError},
		{"4.3.2 an insertion with a name of the dynamic table", kindEncoder, "\x80\x01a", frame.QPACKEncoderStreamError},
		{"4.3.3 an insertion with a literal name", kindEncoder, "\x41a\x01a", frame.QPACKEncoderStreamError},
		{"4.3.4 a duplicate", kindEncoder, "\x00", frame.QPACKEncoderStreamError},
		{"4.4.1 an acknowledgment", kindDecoder, "\x80", frame.QPACKDecoderStreamError},
		{"4.4.2 cancellations", kindDecoder, "\x40\x7f\x81\x01\x44", 0},
		{"4.4.3 an increment", kindDecoder, "\x01", frame.QPACKDecoderStreamError},
		{"4.4.3 an increment of 0", kindDecoder, "\x00", frame.QPACKDecoderStreamError},
		{"4.4.3 an increment behind cancellations", kindDecoder, "\x40\x7f\x81\x01\x01", frame.QPACKDecoderStreamError},
		{"4.1.1 an integer without end", kindDecoder, "\x7f" + strings.Repeat("\xff", 20), frame.QPACKDecoderStreamError},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := connect(t, hello)
			str := c.openUni(tt.kind, tt.in)
			if tt.code != 0 {
				c.wantClosed("of the whole connection", tt.code)
				return
			}
			c.wantLive("no fault")
			write(t, str, "\x00") // what came before it was read to its end
			c.wantClosed("an instruction that is one", map[uint64]frame.Code{
				kindEncoder: frame.QPACKEncoderStreamError, kindDecoder: frame.QPACKDecoderStreamError,
			}[tt.kind])
		})
		t.Run(tt.name+", cut", func(t *testing.T) {
			want := frame.ClosedCriticalStream
			if tt.code != 0 {
				want = tt.code
			}
			for size := range len(tt.in) {
				e, _ := errors.AsType[*frame.Error](readQPACK(tt.kind, &pieces{left: tt.in, size: size}))
				if e == nil || e.Code != want {
					t.Errorf("cut at %d: got %v, want %v", size, e, want)
				}
			}
		})
	}
}

// readQPACK is what a QPACK stream's bytes end with, however they come.
func readQPACK(kind uint64, src source) error {
	c, r := new(conn), &input{str: src}
	// Its type was read from the same buffer before.
	if err := r.fill(); err != nil {
		return critical(err)
	}
	if kind == kindEncoder {
		return c.readQPACK(r, &c.peer.encoder, new(qpack.EncoderStream), frame.QPACKEncoderStreamError)
	}
	return c.readQPACK(r, &c.peer.decoder, new(qpack.DecoderStream), frame.QPACKDecoderStreamError)
}

// TestRFC9204Answers: what we send refers to nothing either, and foreign eyes
// read it: all tests do. Here, that no QPACK stream of ours comes however much
// is repeated.
func TestRFC9204Answers(t *testing.T) {
	t.Parallel()
	c := connect(t, hello)
	for range 20 {
		c.request(headers(get("/", "x-a", strings.Repeat("a", 100))...)).wantAnswer("repeated", "200", "hello")
	}
	str := c.serverControl()
	go func() {
		time.Sleep(10 * time.Millisecond)
		c.q.CloseWithError(0x100, "")
	}()
	_, err := c.q.AcceptUniStream(t.Context())
	servetest.Want(t, "there is one stream", err != nil, true)
	str.CancelRead(0)
}
