package hpack

import (
	"bytes"
	"testing"

	xhpack "golang.org/x/net/http2/hpack"
)

// TestHuffmanSymbols: each symbol alone and between others, against x/net's table.
func TestHuffmanSymbols(t *testing.T) {
	for c := range 256 {
		for _, s := range []string{string([]byte{byte(c)}), "a" + string([]byte{byte(c)}) + "0/abcdefghij"} {
			code := AppendHuffman(nil, s)
			if want := xhpack.AppendHuffmanString(nil, s); !bytes.Equal(code, want) {
				t.Errorf("%q: got %x, want %x", s, code, want)
			}
			if got, err := AppendHuffmanDecoded(nil, code); string(got) != s || err != nil {
				t.Errorf("%x: got %q, %v, want %q", code, got, err, s)
			}
		}
	}
}

// TestHuffmanRefused: RFC 7541 §5.2.
func TestHuffmanRefused(t *testing.T) {
	for _, tt := range []struct{ name, code string }{
		{"5.2 padding of 8 bits", "ff"},
		{"5.2 padding of 8 bits behind a symbol", "1fff"},
		{"5.2 padding of 16 bits behind a symbol", "1fffff"},
		{"5.2 padding of 29 bits", "1fffffff ff"},
		{"5.2 padding of zeros", "00"},
		{"5.2 padding of ones and a zero", "1e"},
		{"5.2 EOS", "ffffffff"},
		{"5.2 EOS before a symbol", "ffffffff fc"},
		{"5.2 EOS among symbols", "00000000 00000000 00ffffff fc000000 00000000 00000000"},
		{"5.2 unfinished symbol", "fffe"},
		{"5.2 unfinished symbol behind others", "00000000 00000000 00fffffe"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := AppendHuffmanDecoded([]byte("x"), unhex(t, tt.code))
			if err != errHuffman || string(got) != "x" {
				t.Errorf("got %q, %v, want %v", got, err, errHuffman)
			}
		})
	}
}

// TestHuffmanBound: no more than 8/5 is made of what came.
func TestHuffmanBound(t *testing.T) {
	code := make([]byte, 1000)
	code[999] = 0x1f
	got, err := AppendHuffmanDecoded(nil, code)
	if err != nil || len(got) > len(code)*8/5 || len(got) < 1599 {
		t.Errorf("%d octets of code: got %d, %v", len(code), len(got), err)
	}
}
