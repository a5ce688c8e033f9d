package hpack

import (
	"bytes"
	"strings"
	"testing"

	xhpack "golang.org/x/net/http2/hpack"
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
	"Date: Mon, 21 Oct 2013 20:13:21 GMT", "Server: penstock", "Content-Type: text/html; charset=utf-8",
	"Cache-Control: public, max-age=3600", "Vary: Accept-Encoding",
)

// benchBlock is a block to be decoded behind another that fills the table.
type benchBlock struct {
	name         string
	first, block []byte
	want         int
}

func benchBlocks() []benchBlock {
	var buf bytes.Buffer
	x := xhpack.NewEncoder(&buf)
	encode := func(sensitive bool, fields ...Field) []byte {
		buf.Reset()
		for _, f := range fields {
			if err := x.WriteField(xhpack.HeaderField{Name: f.Name, Value: f.Value, Sensitive: sensitive}); err != nil {
				panic(err)
			}
		}
		return bytes.Clone(buf.Bytes())
	}
	first := encode(false, browserFields...)
	second := encode(false, browserFields...)
	cookie := encode(true, fieldsOf("cookie: session=0123456789abcdef0123456789abcdef; theme=dark; lang=en")...)
	path := encode(true, fieldsOf(":path: /assets/app/other.css?v=20260131")...)
	raw := appendLiteral(nil, &names.all[names.find(":path", hashName(":path"))], ":path", "/assets/app/other.css?v=20260131")
	minimal := encode(false, browserFields[:4]...)
	x = xhpack.NewEncoder(&buf)
	literals := encode(true, browserFields...)
	return []benchBlock{
		{"indexed=12", first, second, 12},
		{"indexed=4", first, minimal, 4},
		{"indexed=12,path,cookie", first, append(append(bytes.Clone(second), path...), cookie...), 14},
		{"indexed=12,path raw", first, append(bytes.Clone(second), raw...), 13},
		{"literals=12", nil, literals, 12},
		{"inserted=12", nil, first, 12},
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, c := range benchBlocks() {
		b.Run(c.name, func(b *testing.B) {
			var d Decoder
			_, _, err := d.Decode(nil, c.first, Limits{})
			if err != nil {
				b.Fatal(err)
			}
			fields := make([]Field, 0, 16)
			b.ReportAllocs()
			for b.Loop() {
				fields, _, err = d.Decode(fields[:0], c.block, Limits{})
				if err != nil || len(fields) != c.want {
					b.Fatal(len(fields), err)
				}
			}
		})
		b.Run(c.name+"/xnet", func(b *testing.B) {
			n := 0
			d := xhpack.NewDecoder(DefaultTableSize, func(xhpack.HeaderField) { n++ })
			if _, err := d.Write(c.first); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				n = 0
				if _, err := d.Write(c.block); err != nil || d.Close() != nil || n != c.want {
					b.Fatal(n, err)
				}
			}
		})
	}
}

var huffmanTexts = []struct{ name, text string }{
	{"path", "/assets/app/other.css?v=20260131"},
	{"agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"},
	{"cookie", "session=0123456789abcdef0123456789abcdef; theme=dark; lang=en"},
	{"date", "Mon, 21 Oct 2013 20:13:21 GMT"},
	{"bytes", strings.Repeat("\x00\xff\x80\n", 8)},
}

func BenchmarkHuffmanDecode(b *testing.B) {
	for _, c := range huffmanTexts {
		code := AppendHuffman(nil, c.text)
		b.Run(c.name, func(b *testing.B) {
			var buf []byte
			var err error
			b.ReportAllocs()
			b.SetBytes(int64(len(c.text)))
			for b.Loop() {
				if buf, err = AppendHuffmanDecoded(buf[:0], code); err != nil || len(buf) != len(c.text) {
					b.Fatal(err)
				}
			}
		})
		b.Run(c.name+"/xnet", func(b *testing.B) {
			var buf bytes.Buffer
			b.ReportAllocs()
			b.SetBytes(int64(len(c.text)))
			for b.Loop() {
				buf.Reset()
				if _, err := xhpack.HuffmanDecode(&buf, code); err != nil || buf.Len() != len(c.text) {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkHuffmanEncode(b *testing.B) {
	for _, c := range huffmanTexts {
		want := len(AppendHuffman(nil, c.text))
		b.Run(c.name, func(b *testing.B) {
			var buf []byte
			b.ReportAllocs()
			b.SetBytes(int64(len(c.text)))
			for b.Loop() {
				if buf = AppendHuffman(buf[:0], c.text); len(buf) != want || huffmanLen(c.text) != want {
					b.Fatal(len(buf))
				}
			}
		})
		b.Run(c.name+"/xnet", func(b *testing.B) {
			var buf []byte
			b.ReportAllocs()
			b.SetBytes(int64(len(c.text)))
			for b.Loop() {
				if buf = xhpack.AppendHuffmanString(buf[:0], c.text); len(buf) != want || int(xhpack.HuffmanEncodeLength(c.text)) != want {
					b.Fatal(len(buf))
				}
			}
		})
	}
}

// lowerFields: x/net's encoder has its names in lower case from its caller.
func lowerFields(fields []Field) []xhpack.HeaderField {
	var out []xhpack.HeaderField
	for _, f := range fields {
		out = append(out, xhpack.HeaderField{Name: strings.ToLower(f.Name), Value: f.Value})
	}
	return out
}

// BenchmarkAnswer is the head of an answer: five fields that repeat and a length
// that does not.
func BenchmarkAnswer(b *testing.B) {
	lengths := []string{"5", "120", "98765", "1048576"}
	b.Run("fields=7", func(b *testing.B) {
		var e Encoder
		var buf []byte
		i := 0
		b.ReportAllocs()
		for b.Loop() {
			buf = e.BeginBlock(buf[:0])
			buf = e.AppendStatus(buf, 200)
			for j := range answerFields {
				buf = e.AppendField(buf, answerFields[j].Name, answerFields[j].Value)
			}
			buf = e.AppendField(buf, "Content-Length", lengths[i&3])
			i++
		}
		if len(buf) > 20 {
			b.Fatal(len(buf))
		}
	})
	b.Run("fields=7/xnet", func(b *testing.B) {
		var buf bytes.Buffer
		e := xhpack.NewEncoder(&buf)
		fields := lowerFields(answerFields)
		i := 0
		b.ReportAllocs()
		for b.Loop() {
			buf.Reset()
			e.WriteField(xhpack.HeaderField{Name: ":status", Value: "200"})
			for _, f := range fields {
				e.WriteField(f)
			}
			e.WriteField(xhpack.HeaderField{Name: "content-length", Value: lengths[i&3]})
			i++
		}
	})
}

func BenchmarkAppendField(b *testing.B) {
	for _, c := range []struct {
		name   string
		values []string
		field  string
	}{
		{"hit", []string{"text/html; charset=utf-8"}, "Content-Type"},
		{"hit lower case", []string{"text/html; charset=utf-8"}, "content-type"},
		{"hit unknown name", []string{"some value"}, "X-Application-Name"},
		{"hit static", []string{"GET"}, ":method"},
		{"two values", []string{"text/html; charset=utf-8", "application/xhtml+xml"}, "Content-Type"},
		{"length", []string{"12345", "54321"}, "Content-Length"},
		{"etag", []string{`"5f3a-61c2"`, `"61c2-5f3a"`}, "Etag"},
		{"request id", requestIDs(600), "X-Request-Id"},
		{"unknown changing", requestIDs(600), "X-Application-Id"},
	} {
		b.Run(c.name, func(b *testing.B) {
			var e Encoder
			var buf []byte
			for range 3 { // a table as connections have it
				for _, f := range answerFields {
					buf = e.AppendField(buf[:0], f.Name, f.Value)
				}
			}
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				buf = e.AppendField(buf[:0], c.field, c.values[i])
				if i++; i == len(c.values) {
					i = 0
				}
			}
		})
		b.Run(c.name+"/xnet", func(b *testing.B) {
			var buf bytes.Buffer
			e := xhpack.NewEncoder(&buf)
			for _, f := range lowerFields(answerFields) {
				e.WriteField(f)
			}
			i := 0
			f := xhpack.HeaderField{Name: strings.ToLower(c.field)}
			b.ReportAllocs()
			for b.Loop() {
				buf.Reset()
				f.Value = c.values[i]
				e.WriteField(f)
				if i++; i == len(c.values) {
					i = 0
				}
			}
		})
	}
}

// BenchmarkLiteral: what Huffman code would cost where a value is sent once.
func BenchmarkLiteral(b *testing.B) {
	const value = `Wed, 21 Oct 2015 07:28:00 GMT`
	known := &names.all[names.find("last-modified", hashName("last-modified"))]
	b.Run("raw", func(b *testing.B) {
		var buf []byte
		for b.Loop() {
			buf = appendLiteral(buf[:0], known, "Last-Modified", value)
		}
		b.ReportMetric(float64(len(buf)), "octets")
	})
	b.Run("huffman", func(b *testing.B) {
		var buf []byte
		for b.Loop() {
			buf = appendInteger(buf[:0], 0, 4, uint32(known.static))
			buf = AppendHuffman(appendInteger(buf, 0x80, 7, uint32(huffmanLen(value))), value)
		}
		b.ReportMetric(float64(len(buf)), "octets")
	})
}

func BenchmarkAppendStatus(b *testing.B) {
	b.Run("static", func(b *testing.B) {
		var e Encoder
		var buf []byte
		for b.Loop() {
			buf = e.AppendStatus(buf[:0], 304)
		}
	})
	b.Run("literal", func(b *testing.B) {
		var e Encoder
		var buf []byte
		for b.Loop() {
			buf = e.AppendStatus(buf[:0], 302)
		}
	})
	b.Run("from the table", func(b *testing.B) {
		var e Encoder
		var buf []byte
		for b.Loop() {
			buf = e.AppendField(buf[:0], ":status", "302")
		}
	})
}

func requestIDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = strings.Repeat(string(rune('a'+i%26)), 16) + strings.Repeat(string(rune('a'+i/26)), 16)
	}
	return ids
}
