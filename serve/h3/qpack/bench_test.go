package qpack

import (
	"bytes"
	"strings"
	"testing"

	quic "github.com/quic-go/qpack"

	"github.com/penstock-edge/penstock/serve/h2/hpack"
)

// browserFields is what a browser sends to a site it knows.
var browserFields = fieldsOf(
	":method: GET", ":scheme: https", ":authority: www.example.com", ":path: /assets/app/main.css?v=20260131",
	"user-agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
	"accept: text/css,*/*;q=0.1", "accept-language: en-US,en;q=0.5", "accept-encoding: gzip, deflate, br, zstd",
	"referer: https://www.example.com/start", "sec-fetch-dest: style", "sec-fetch-mode: no-cors", "te: trailers",
)

// answerFields is what a server answers, as net/http writes it, without :status.
var answerFields = fieldsOf(
	"Content-Type: text/html; charset=iso-8859-1", "Content-Length: 12345",
	"Date: Mon, 21 Oct 2013 20:13:21 GMT", "Server: penstock",
)

type benchBlock struct {
	name   string
	block  []byte
	want   int
	allocs int
}

// benchBlocks are made by quic-go's encoder.
func benchBlocks() []benchBlock {
	raw := unhexString("0000 d1 d7 50 0f") + "www.example.com" + unhexString("51 20") + "/assets/app/other.css?v=20260131"
	return []benchBlock{
		{"browser=12", encodeQUIC(browserFields), 12, 1},
		{"indexed=3", encodeQUIC(fieldsOf(":method: GET", ":scheme: https", ":path: /")), 3, 0},
		{"raw=4", []byte(raw), 4, 1},
	}
}

func unhexString(s string) string { return string(unhex(new(testing.B), s)) }

func encodeQUIC(fields []hpack.Field) []byte {
	var buf bytes.Buffer
	e := quic.NewEncoder(&buf)
	for _, f := range fields {
		if err := e.WriteField(quic.HeaderField{Name: strings.ToLower(f.Name), Value: f.Value}); err != nil {
			panic(err)
		}
	}
	return buf.Bytes()
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range benchBlocks() {
		b.Run(c.name, func(b *testing.B) {
			fields := make([]hpack.Field, 0, 16)
			var err error
			b.ReportAllocs()
			for b.Loop() {
				fields, _, err = Decode(fields[:0], c.block, hpack.Limits{})
				if err != nil || len(fields) != c.want {
					b.Fatal(len(fields), err)
				}
			}
		})
		b.Run(c.name+"/quic-go", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				for next := quic.NewDecoder().Decode(c.block); ; n++ {
					if _, err := next(); err != nil {
						break
					}
				}
				if n != c.want {
					b.Fatal(n)
				}
			}
		})
	}
}

// BenchmarkAnswer is the head of an answer: a status and four fields.
func BenchmarkAnswer(b *testing.B) {
	want := len(appendAnswer(nil, 200, answerFields))
	b.Run("cached", func(b *testing.B) {
		var c Cache
		var buf []byte
		b.ReportAllocs()
		for b.Loop() {
			buf = AppendStatus(AppendPrefix(buf[:0]), 200)
			for i := range answerFields {
				buf = c.appendField(buf, answerFields[i].Name, answerFields[i].Value)
			}
		}
		if len(buf) != want {
			b.Fatal(len(buf))
		}
	})
	b.Run("encoded", func(b *testing.B) {
		var buf []byte
		b.ReportAllocs()
		for b.Loop() {
			buf = appendAnswer(buf[:0], 200, answerFields)
		}
		if len(buf) != want {
			b.Fatal(len(buf))
		}
	})
	b.Run("quic-go", func(b *testing.B) {
		var buf bytes.Buffer
		var fields []quic.HeaderField
		for _, f := range answerFields {
			fields = append(fields, quic.HeaderField{Name: strings.ToLower(f.Name), Value: f.Value})
		}
		b.ReportAllocs()
		for b.Loop() {
			buf.Reset()
			e := quic.NewEncoder(&buf)
			e.WriteField(quic.HeaderField{Name: ":status", Value: "200"})
			for _, f := range fields {
				e.WriteField(f)
			}
		}
		if buf.Len() != want {
			b.Fatal(buf.Len())
		}
	})
}

func appendAnswer(dst []byte, status int, fields []hpack.Field) []byte {
	dst = AppendStatus(AppendPrefix(dst), status)
	for i := range fields {
		dst = AppendField(dst, fields[i].Name, fields[i].Value)
	}
	return dst
}

// appendField is what the user of a Cache does.
func (c *Cache) appendField(dst []byte, name, value string) []byte {
	if dst, ok := c.AppendHit(dst, name, value); ok {
		return dst
	}
	return c.AppendMiss(dst, name, value)
}

func BenchmarkAppendField(b *testing.B) {
	for _, c := range []struct {
		name   string
		values []string
		field  string
	}{
		{"hit", []string{"text/html; charset=iso-8859-1"}, "Content-Type"},
		{"static", []string{"text/html; charset=utf-8"}, "Content-Type"},
		{"date", []string{"Mon, 21 Oct 2013 20:13:21 GMT"}, "Date"},
		{"unknown name", []string{"some value"}, "X-Application-Name"},
		{"request id", requestIDs(600), "X-Request-Id"},
	} {
		run := func(name string, appendField func(dst []byte, name, value string) []byte) {
			b.Run(c.name+"/"+name, func(b *testing.B) {
				var buf []byte
				i := 0
				b.ReportAllocs()
				for b.Loop() {
					buf = appendField(buf[:0], c.field, c.values[i])
					if i++; i == len(c.values) {
						i = 0
					}
				}
			})
		}
		run("encoded", AppendField)
		run("cached", new(Cache).appendField)
	}
}

func requestIDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = strings.Repeat(string(rune('a'+i%26)), 16) + strings.Repeat(string(rune('a'+i/26)), 16)
	}
	return ids
}

func BenchmarkAppendStatus(b *testing.B) {
	for _, c := range []struct {
		name   string
		status int
	}{{"one octet", 304}, {"two octets", 302}, {"literal", 301}} {
		b.Run(c.name, func(b *testing.B) {
			var buf []byte
			for b.Loop() {
				buf = AppendStatus(buf[:0], c.status)
			}
		})
	}
}
