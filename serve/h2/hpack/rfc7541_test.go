package hpack

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"
)

// unhex reads the dumps of the RFC.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fieldsOf reads "name: value" lines; the first colon of a pseudo-field is its own.
func fieldsOf(lines ...string) (fields []Field) {
	for _, l := range lines {
		i := strings.Index(l[1:], ": ") + 1
		fields = append(fields, Field{Name: l[:i], Value: l[i+2:]})
	}
	return fields
}

// tableOf returns the dynamic table, newest entry first.
func tableOf(d *Decoder) (fields []Field) {
	for age := range uint32(d.table.live) {
		e := d.table.at(age + 1)
		fields = append(fields, Field{Name: e.name, Value: e.value})
	}
	return fields
}

// TestRFC7541 holds the examples of Appendix C.
func TestRFC7541(t *testing.T) {
	t.Run("C.1 integers", testIntegerExamples)
	t.Run("C.2 field representations", testRepresentations)
	for _, tt := range appendixC {
		t.Run(tt.name, func(t *testing.T) {
			var d Decoder
			d.table.setMax(tt.size)
			for i, step := range tt.steps {
				got, over, err := d.Decode(nil, unhex(t, step.block), Limits{})
				if err != nil || over || !slices.Equal(got, fieldsOf(step.fields...)) {
					t.Errorf("block %d: got %v, %v, %v, want %v", i+1, got, over, err, step.fields)
				}
				if got, want := tableOf(&d), fieldsOf(step.table...); !slices.Equal(got, want) {
					t.Errorf("table after block %d: got %v, want %v", i+1, got, want)
				}
				if got, want := int(d.table.size), step.size; got != want {
					t.Errorf("table size after block %d: got %d, want %d", i+1, got, want)
				}
			}
		})
	}
	t.Run("C.4, C.6 strings, encoded", testHuffmanExamples)
}

func testIntegerExamples(t *testing.T) {
	for _, tt := range []struct {
		name string
		v    uint32
		bits uint
		want string
	}{
		{"C.1.1 10 with a 5-bit prefix", 10, 5, "0a"},
		{"C.1.2 1337 with a 5-bit prefix", 1337, 5, "1f9a0a"},
		{"C.1.3 42 at an octet boundary", 42, 8, "2a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := appendInteger(nil, 0, tt.bits, tt.v)
			if got := hex.EncodeToString(b); got != tt.want {
				t.Errorf("encoded: got %s, want %s", got, tt.want)
			}
			// The bits before the prefix are not the integer's.
			if tt.bits < 8 {
				b[0] |= 0xff << tt.bits
			}
			if got, next, err := readInteger(b, 0, tt.bits); got != tt.v || next != len(b) || err != nil {
				t.Errorf("decoded: got %d, %d, %v, want %d, %d", got, next, err, tt.v, len(b))
			}
		})
	}
}

func testRepresentations(t *testing.T) {
	for _, tt := range []struct {
		name, block string
		want        Field
		inserted    bool
	}{
		{"C.2.1 literal with indexing", "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", Field{Name: "custom-key", Value: "custom-header"}, true},
		{"C.2.2 literal without indexing", "040c 2f73 616d 706c 652f 7061 7468", Field{Name: ":path", Value: "/sample/path"}, false},
		{"C.2.3 literal never indexed", "1008 7061 7373 776f 7264 0673 6563 7265 74", Field{Name: "password", Value: "secret", Sensitive: true}, false},
		{"C.2.4 indexed", "82", Field{Name: ":method", Value: "GET"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var d Decoder
			got, over, err := d.Decode(nil, unhex(t, tt.block), Limits{})
			if err != nil || over || len(got) != 1 || got[0] != tt.want {
				t.Errorf("got %v, %v, %v, want %v", got, over, err, tt.want)
			}
			if got := len(tableOf(&d)) == 1; got != tt.inserted {
				t.Errorf("inserted: got %v, want %v", got, tt.inserted)
			}
		})
	}
}

func testHuffmanExamples(t *testing.T) {
	for _, tt := range []struct{ text, code string }{
		{"www.example.com", "f1e3 c2e5 f23a 6ba0 ab90 f4ff"},
		{"no-cache", "a8eb 1064 9cbf"},
		{"custom-key", "25a8 49e9 5ba9 7d7f"},
		{"custom-value", "25a8 49e9 5bb8 e8b4 bf"},
		{"302", "6402"},
		{"private", "aec3 771a 4b"},
		{"Mon, 21 Oct 2013 20:13:21 GMT", "d07a be94 1054 d444 a820 0595 040b 8166 e082 a62d 1bff"},
		{"https://www.example.com", "9d29 ad17 1863 c78f 0b97 c8e9 ae82 ae43 d3"},
		{"307", "640e ff"},
		{"gzip", "9bd9 ab"},
		{
			"foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
			"94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
		},
	} {
		code := unhex(t, tt.code)
		if got := AppendHuffman(nil, tt.text); !slices.Equal(got, code) {
			t.Errorf("%q: got %x, want %x", tt.text, got, code)
		}
		if got := huffmanLen(tt.text); got != len(code) {
			t.Errorf("%q: length is %d, want %d", tt.text, got, len(code))
		}
		if got, err := AppendHuffmanDecoded([]byte("x"), code); string(got) != "x"+tt.text || err != nil {
			t.Errorf("%x: got %q, %v, want %q", code, got, err, tt.text)
		}
	}
}

type exampleStep struct {
	block  string
	fields []string
	table  []string // afterwards, newest entry first
	size   int
}

var (
	requestFields = [][]string{
		{":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"},
		{":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com", "cache-control: no-cache"},
		{":method: GET", ":scheme: https", ":path: /index.html", ":authority: www.example.com", "custom-key: custom-value"},
	}
	requestTables = [][]string{
		{":authority: www.example.com"},
		{"cache-control: no-cache", ":authority: www.example.com"},
		{"custom-key: custom-value", "cache-control: no-cache", ":authority: www.example.com"},
	}
	responseFields = [][]string{
		{":status: 302", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:21 GMT", "location: https://www.example.com"},
		{":status: 307", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:21 GMT", "location: https://www.example.com"},
		{
			":status: 200", "cache-control: private", "date: Mon, 21 Oct 2013 20:13:22 GMT", "location: https://www.example.com",
			"content-encoding: gzip", "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
		},
	}
	responseTables = [][]string{
		{"location: https://www.example.com", "date: Mon, 21 Oct 2013 20:13:21 GMT", "cache-control: private", ":status: 302"},
		{":status: 307", "location: https://www.example.com", "date: Mon, 21 Oct 2013 20:13:21 GMT", "cache-control: private"},
		{
			"set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1", "content-encoding: gzip",
			"date: Mon, 21 Oct 2013 20:13:22 GMT",
		},
	}
)

var appendixC = []struct {
	name  string
	size  int
	steps []exampleStep
}{
	{"C.3 requests without Huffman", 4096, []exampleStep{
		{"8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d", requestFields[0], requestTables[0], 57},
		{"8286 84be 5808 6e6f 2d63 6163 6865", requestFields[1], requestTables[1], 110},
		{"8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65", requestFields[2], requestTables[2], 164},
	}},
	{"C.4 requests with Huffman", 4096, []exampleStep{
		{"8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff", requestFields[0], requestTables[0], 57},
		{"8286 84be 5886 a8eb 1064 9cbf", requestFields[1], requestTables[1], 110},
		{"8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf", requestFields[2], requestTables[2], 164},
	}},
	{"C.5 responses without Huffman", 256, []exampleStep{
		{`4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
		2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
		6c65 2e63 6f6d`, responseFields[0], responseTables[0], 222},
		{"4803 3330 37c1 c0bf", responseFields[1], responseTables[1], 222},
		{`88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
		54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
		5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
		3d31`, responseFields[2], responseTables[2], 215},
	}},
	{"C.6 responses with Huffman", 256, []exampleStep{
		{`4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
		2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`, responseFields[0], responseTables[0], 222},
		{"4883 640e ffc1 c0bf", responseFields[1], responseTables[1], 222},
		{`88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
		77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
		9587 3160 65c0 03ed 4ee5 b106 3d50 07`, responseFields[2], responseTables[2], 215},
	}},
}
