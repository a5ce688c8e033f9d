package wire_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"net/http/httputil"
	"net/textproto"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/h1/wire"
)

func TestAppendChunkHeader(t *testing.T) {
	for _, n := range []int{1, 9, 10, 15, 16, 255, 256, 4096, 65535, 65536, math.MaxInt32, math.MaxInt64} {
		got := string(wire.AppendChunkHeader([]byte("before "), n))
		if want := fmt.Sprintf("before %x\r\n", n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

// TestAppendChunkedBody: what we encode, net/http's decoder and our own read.
func TestAppendChunkedBody(t *testing.T) {
	var body []byte
	want := ""
	for _, part := range []string{"a", "hello, world", strings.Repeat("x", 70_000)} {
		body = wire.AppendChunkHeader(body, len(part))
		body = append(append(body, part...), "\r\n"...)
		want += part
	}
	body = append(append(body, wire.LastChunk...), "\r\n"...)
	data, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(body)))
	if err != nil || string(data) != want {
		t.Errorf("net/http reads %d bytes, %v; want %d", len(data), err, len(want))
	}
	if r := chunkDecode(t, nil, string(body), 4096); !r.done || r.data != want || r.used != len(body) {
		t.Errorf("we read %d bytes, done %v, error %q; want %d", len(r.data), r.done, r.reason, len(want))
	}
}

// TestAppendField is rule H1-16: nothing a handler sets splits the message.
func TestAppendField(t *testing.T) {
	for _, c := range []struct {
		name, field, value, want string
		clean                    bool
	}{
		{"5.5 plain", "X-A", "b", "X-A: b\r\n", true},
		{"5.5 empty value", "X-A", "", "X-A: \r\n", true},
		{"5.5 HTAB and 8-bit are legal", "X-A", "a\tb\x80\xff", "X-A: a\tb\x80\xff\r\n", true},
		{"5.5 value of eight and more", "X-A", "0123456789abcdef", "X-A: 0123456789abcdef\r\n", true},
		{"5.5 CRLF and a field", "Location", "/\r\nSet-Cookie: a=b", "Location: /  Set-Cookie: a=b\r\n", false},
		{"5.5 CR", "X-A", "a\rb", "X-A: a b\r\n", false},
		{"5.5 LF", "X-A", "a\nb", "X-A: a b\r\n", false},
		{"5.5 NUL", "X-A", "a\x00b", "X-A: a b\r\n", false},
		{"5.5 control", "X-A", "a\x1bb", "X-A: a b\r\n", false},
		{"5.5 DEL", "X-A", "a\x7fb", "X-A: a b\r\n", false},
		{"5.5 the last of nine", "X-A", "01234567\n", "X-A: 01234567 \r\n", false},
		{"5.5 every byte bad", "X-A", "\r\n\r\n\r\n\r\n\x00", "X-A:          \r\n", false},
		{"5.1 empty name", "", "b", "", false},
		{"5.1 space in name", "X A", "b", "", false},
		{"5.1 colon in name", "X:", "b", "", false},
		{"5.1 CRLF in name", "X\r\nY", "b", "", false},
		{"5.1 8-bit in name", "X\xe9", "b", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			const before = "HTTP/1.1 200 OK\r\n"
			out, clean := wire.AppendField([]byte(before), c.field, c.value)
			if got := string(out); got != before+c.want || clean != c.clean {
				t.Errorf("got %q %v, want %q %v", got, clean, before+c.want, c.clean)
			}
		})
	}
}

// TestAppendFieldEveryByte puts each byte at each place of a word of eight: no
// short cut may let one through.
func TestAppendFieldEveryByte(t *testing.T) {
	for c := range 256 {
		legal := c == '\t' || c >= ' ' && c != 0x7f
		for at := range 17 {
			value := []byte("\t123456\xff\t1234567\x7e")
			value[at] = byte(c)
			out, clean := wire.AppendField(nil, "X", string(value))
			if !legal {
				value[at] = ' '
			}
			if want := "X: " + string(value) + "\r\n"; string(out) != want || clean != legal {
				t.Fatalf("byte %#x at %d: %q %v, want %q %v", c, at, out, clean, want, legal)
			}
		}
	}
}

func TestAppendAllocs(t *testing.T) {
	buf := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		b := wire.AppendChunkHeader(buf, 4096)
		b, _ = wire.AppendField(b, "Content-Type", "text/plain; charset=utf-8")
		b, _ = wire.AppendField(b, "Location", "/a\r\nb")
		if len(b) == 0 {
			t.Fatal("nothing appended")
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func BenchmarkAppendChunkHeader(b *testing.B) {
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		if out := wire.AppendChunkHeader(buf, 4096); len(out) != 6 {
			b.Fatal(out)
		}
	}
}

func BenchmarkAppendField(b *testing.B) {
	buf := make([]byte, 0, 512)
	for _, c := range []struct{ name, field, value string }{
		{"short", "Content-Length", "12"},
		{"usual", "Content-Type", "text/plain; charset=utf-8"},
		{"long", "Set-Cookie", strings.Repeat("abcdefgh=12345; ", 16)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if out, clean := wire.AppendField(buf, c.field, c.value); !clean || len(out) != len(c.field)+len(c.value)+4 {
					b.Fatal(out, clean)
				}
			}
		})
	}
}

// FuzzAppendField: whatever name and value are, what comes out is nothing, or
// one field line that a foreign reader takes for the same name and, but for
// what had to be changed, the same value.
func FuzzAppendField(f *testing.F) {
	f.Add("Content-Type", "text/plain")
	f.Add("Location", "/\r\nSet-Cookie: a=b")
	f.Add("X\r\nY", "\x00")
	f.Add("x", " \t é \t ")
	f.Fuzz(func(t *testing.T, name, value string) {
		out, clean := wire.AppendField(nil, name, value)
		if len(out) == 0 {
			if clean {
				t.Fatalf("%q left out, yet called clean", name)
			}
			return
		}
		line, ended := strings.CutSuffix(string(out), "\r\n")
		if !ended || strings.ContainsAny(line, "\r\n\x00") {
			t.Fatalf("%q: %q is not one line", name, out)
		}
		if clean && line != name+": "+value || len(line) != len(name)+2+len(value) {
			t.Fatalf("%q: %q becomes %q, clean %v", name, value, line, clean)
		}
		h, err := textproto.NewReader(bufio.NewReader(strings.NewReader(string(out) + "\r\n"))).ReadMIMEHeader()
		if err != nil || len(h) != 1 {
			t.Fatalf("net/textproto reads %v, %v from %q", h, err, out)
		}
		want := strings.Trim(line[len(name)+2:], " \t")
		if got := h[textproto.CanonicalMIMEHeaderKey(name)]; len(got) != 1 || got[0] != want {
			t.Fatalf("net/textproto reads %q from %q, want %q", got, out, want)
		}
	})
}
