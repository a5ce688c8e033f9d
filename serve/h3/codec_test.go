package h3

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	foreign "github.com/quic-go/qpack"
	"github.com/quic-go/quic-go/quicvarint"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// What a client says, in a codec that is not ours.

// The numbers of RFC 9114, RFC 9204 and RFC 9218, once more.
const (
	kindData, kindHeaders, kindCancelPush, kindSettings = 0x0, 0x1, 0x3, 0x4
	kindPushPromise, kindGoAway, kindMaxPushID          = 0x5, 0x7, 0xd
	kindPriorityUpdate, kindPriorityPush                = 0xf0700, 0xf0701
	kindGrease                                          = 0x1f*7 + 0x21

	kindControl, kindPush, kindEncoder, kindDecoder = 0x0, 0x1, 0x2, 0x3
)

func varint(v uint64) string { return string(quicvarint.Append(nil, v)) }

// fr is a frame.
func fr(kind uint64, payload string) string {
	return varint(kind) + varint(uint64(len(payload))) + payload
}

func data(s string) string { return fr(kindData, s) }

// settings is a SETTINGS frame of pairs.
func settings(pairs ...uint64) string {
	var b strings.Builder
	for _, v := range pairs {
		b.WriteString(varint(v))
	}
	return fr(kindSettings, b.String())
}

// section encodes a field section of names and values.
func section(fields ...string) string {
	var b strings.Builder
	e := foreign.NewEncoder(&b)
	for i := 0; i < len(fields); i += 2 {
		e.WriteField(foreign.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	if len(fields) == 0 {
		return "\x00\x00"
	}
	return b.String()
}

// headers is a HEADERS frame.
func headers(fields ...string) string { return fr(kindHeaders, section(fields...)) }

// literal is a field line without Huffman code and table (RFC 9204 §4.5.6), which
// takes what an encoder would not.
func literal(name, value string) string {
	length := func(first byte, bits, n int) string {
		most := 1<<bits - 1
		if n < most {
			return string([]byte{first | byte(n)})
		}
		b := []byte{first | byte(most)}
		for n -= most; n >= 128; n >>= 7 {
			b = append(b, byte(n)|0x80)
		}
		return string(append(b, byte(n)))
	}
	return length(0x20, 3, len(name)) + name + length(0, 7, len(value)) + value
}

func pseudo(method, path string) []string {
	return []string{":method", method, ":scheme", "https", ":authority", "a", ":path", path}
}

func get(path string, more ...string) []string  { return append(pseudo("GET", path), more...) }
func post(path string, more ...string) []string { return append(pseudo("POST", path), more...) }

type gotFrame struct {
	kind    uint64
	payload string
}

// parseFrames cuts b into frames. rest is what is no whole one.
func parseFrames(b string) (frames []gotFrame, rest string) {
	for len(b) > 0 {
		kind, n, err := quicvarint.Parse([]byte(b))
		if err != nil {
			return frames, b
		}
		length, m, err := quicvarint.Parse([]byte(b[n:]))
		if err != nil || length > uint64(len(b)-n-m) {
			return frames, b
		}
		frames = append(frames, gotFrame{kind, b[n+m:][:length]})
		b = b[n+m+int(length):]
	}
	return frames, ""
}

// decode decodes a field section: values of one name are joined by "|".
func (c *client) decode(block string) map[string]string {
	c.t.Helper()
	fields := map[string]string{}
	next := foreign.NewDecoder().Decode([]byte(block))
	for {
		f, err := next()
		if err == io.EOF {
			return fields
		}
		if err != nil {
			c.t.Fatalf("a section that cannot be decoded: %v: %x", err, block)
		}
		if v, ok := fields[f.Name]; ok {
			f.Value = v + "|" + f.Value
		}
		fields[f.Name] = f.Value
	}
}

// hello answers at once.
func hello(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }

// echo answers with the body, once it is whole.
func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return // the engine has an answer to that
	}
	w.Write(b)
	for name, values := range r.Trailer {
		fmt.Fprintf(w, "[%s %s]", name, strings.Join(values, "|"))
	}
}

// unreached fails the test when it is called, but for the request of wantLive.
func unreached(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/live" {
			t.Errorf("a handler was called for %s %s", r.Method, r.RequestURI)
		}
	}
}

// reads is a handler that reports how reading the body has ended.
func reads(to chan<- error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/live" {
			return
		}
		_, err := io.Copy(io.Discard, r.Body)
		to <- err
	}
}

// TestCodec: the literal of this file is what others read.
func TestCodec(t *testing.T) {
	c := &client{t: t}
	for _, n := range []int{0, 6, 7, 126, 127, 128, 300, 70000} {
		long := strings.Repeat("x", n)
		got := c.decode("\x00\x00" + literal("n"+long, long))
		servetest.Want(t, "a literal field", got["n"+long], long)
	}
}
