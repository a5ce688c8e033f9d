package semantics

import "net/http"

// SniffBytes is how much of a body ContentType looks at (mimesniff §7).
const SniffBytes = 512

// ContentType is http.DetectContentType with a short way for what is most
// often sniffed, text that begins with a letter, digit or bracket: it is 20 %
// of the cost of a small answer otherwise (BenchmarkServe).
func ContentType(b []byte) string {
	if plainText(b) {
		return "text/plain; charset=utf-8"
	}
	return http.DetectContentType(b)
}

// plainText tells that b is text and that none of the sniffing standard's
// signatures can match: they are told apart by their first byte, but for the
// one of EOT fonts, which has "LP" behind 34 bytes of anything.
func plainText(b []byte) bool {
	b = b[:min(len(b), SniffBytes)]
	if len(b) == 0 || !firstOfText[b[0]] || len(b) > 35 && b[34] == 'L' && b[35] == 'P' {
		return false
	}
	for _, c := range b {
		if c < 0x20 && !textControl[c] {
			return false
		}
	}
	return true
}

// firstOfText: bytes that begin text and no signature (mimesniff §7, as in net/http).
var firstOfText = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "{[(\"'*+-/=_" {
		t[c] = true
	}
	for _, c := range "BFGIMOPRtw" { // BM FORM GIF ID3 MThd OggS OTTO PK RIFF Rar! true ttcf wOFF
		t[c] = false
	}
	return t
}()

// textControl: control bytes that are not binary data.
var textControl = [0x20]bool{'\t': true, '\n': true, '\f': true, '\r': true, 0x1b: true}
