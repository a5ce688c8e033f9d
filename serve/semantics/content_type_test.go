package semantics

import (
	"net/http"
	"strings"
	"testing"
)

func sniffSeeds() []string {
	seeds := []string{
		"", "Hello, world!\n", `{"a": 1}`, "[1,2]", " text", "\n<html>", "<html>", "<!DOCTYPE HTML>", "<?xml", "%PDF-", "%!PS-Adobe-",
		"BM", "BMW is a car", "GIF89a", "GIFs", "RIFF0000WEBPVP8", "FORM0000AIFF", "ID3", "OggS\x00", "OTTO", "MThd\x00\x00\x00\x06", "PK\x03\x04", "Rar!\x1a\x07\x00",
		"ttcf", "true", "wOFF", "wOF2", "\x00\x01\x00\x00", "\xef\xbb\xbftext", "\xfe\xff\x00a", "\x1f\x8b\x08", "a\x00b", "a\x1bb", "a\x0bb", "a\x7fb", "a\xffb",
		strings.Repeat("a", 34) + "LP", strings.Repeat("a", 34) + "LPx", strings.Repeat("a", 600) + "\x00", strings.Repeat("a", 511) + "\x00",
	}
	for c := range 256 {
		seeds = append(seeds, string([]byte{byte(c)}), string([]byte{byte(c)})+" and some text")
	}
	return seeds
}

func TestContentType(t *testing.T) {
	for _, s := range sniffSeeds() {
		if got, want := ContentType([]byte(s)), http.DetectContentType([]byte(s)); got != want {
			t.Errorf("ContentType(%q) = %q, want %q", s, got, want)
		}
	}
}

// FuzzContentType: the short way never gives another type than net/http.
func FuzzContentType(f *testing.F) {
	for _, s := range sniffSeeds() {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, want := ContentType(b), http.DetectContentType(b); got != want {
			t.Errorf("ContentType(%q) = %q, want %q", b, got, want)
		}
	})
}
