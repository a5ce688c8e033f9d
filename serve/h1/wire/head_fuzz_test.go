package wire

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// headSeeds are the raw cases that the whole project shares.
func headSeeds(f *testing.F) [][]byte {
	f.Helper()
	seeds := [][]byte{[]byte(wrkHead), []byte(browserHead)}
	text, err := os.ReadFile("../testdata/cases.json")
	if err != nil {
		f.Fatal(err)
	}
	var file struct{ Cases []struct{ Bytes string } }
	if err := json.Unmarshal(text, &file); err != nil || len(file.Cases) == 0 {
		f.Fatalf("%d cases, %v", len(file.Cases), err)
	}
	for _, c := range file.Cases {
		b, err := base64.StdEncoding.DecodeString(c.Bytes)
		if err != nil {
			f.Fatal(err)
		}
		seeds = append(seeds, b)
	}
	return seeds
}

// FuzzRequestHead: what we accept, net/http accepts too and reads alike; and no
// cut of the bytes changes anything.
func FuzzRequestHead(f *testing.F) {
	for _, s := range headSeeds(f) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		var whole RequestHead
		n, err := whole.Parse(in, testLimits())
		verdict := verdictOf(t, n, err)
		dripped, slow := drip(t, in, testLimits())
		if verdict != dripped {
			t.Fatalf("verdict %d in one piece, %d byte by byte", verdict, dripped)
		}
		if verdict != accepted {
			return
		}
		if string(whole.Method) != string(slow.Method) || string(whole.Target) != string(slow.Target) ||
			whole.Host != slow.Host || whole.ContentLength != slow.ContentLength || whole.Chunked != slow.Chunked ||
			whole.Close != slow.Close || !slices.EqualFunc(headerLines(&whole), headerLines(slow), equalLine) {
			t.Fatalf("one piece:    %+v\nbyte by byte: %+v", whole, slow)
		}
		compareNetHTTP(t, &whole, in[:n])
	})
}

type line struct{ name, value string }

func equalLine(a, b line) bool { return a == b }

func headerLines(h *RequestHead) (lines []line) {
	for i := range h.Len() {
		lines = append(lines, line{string(h.Name(i)), string(h.Value(i))})
	}
	return lines
}

// compareNetHTTP holds an accepted head against http.ReadRequest. Wanted
// differences, all of which make net/http the one that refuses or rewrites:
//   - it takes no empty line before the request;
//   - it checks the names in Trailer when the body is chunked (we drop such
//     fields when they come, H1-7), and removes Trailer from the header;
//   - it adds Cache-Control to Pragma: no-cache.
func compareNetHTTP(t *testing.T, h *RequestHead, head []byte) {
	t.Helper()
	head = bytes.TrimLeft(head, "\r\n")
	want := http.Header{}
	for _, l := range headerLines(h) {
		name := textproto.CanonicalMIMEHeaderKey(l.name)
		if got := semantics.CanonicalName([]byte(l.name)); got != name {
			t.Fatalf("CanonicalName(%q) = %q, textproto says %q", l.name, got, name)
		}
		want.Add(name, l.value)
	}
	if h.Chunked && want.Get("Trailer") != "" {
		return
	}
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		t.Fatalf("we accept what net/http refuses: %v\n%q", err, head)
	}
	if want.Get("Pragma") == "no-cache" && want["Cache-Control"] == nil {
		r.Header.Del("Cache-Control")
	}
	for _, name := range []string{"Host", "Transfer-Encoding", "Trailer"} {
		want.Del(name)
		r.Header.Del(name)
	}
	host := ""
	if r.Host != "" {
		if host, err = semantics.ParseHost([]byte(r.Host)); err != nil {
			t.Fatalf("net/http sees the host %q", r.Host)
		}
	}
	length := h.ContentLength
	if length < 0 && !h.Chunked {
		length = 0
	}
	switch {
	case r.Method != string(h.Method), r.RequestURI != string(h.Target), host != h.Host,
		min(r.ProtoMinor, 1) != h.Minor, r.ContentLength != length, (len(r.TransferEncoding) == 1) != h.Chunked,
		r.Close != h.Close:
		t.Fatalf("net/http: %+v\nours: %+v", r, h)
	}
	if len(r.Header) != len(want) {
		t.Fatalf("header: net/http %q, ours %q", r.Header, want)
	}
	for name, values := range want {
		if strings.Join(values, "\n") != strings.Join(r.Header[name], "\n") {
			t.Fatalf("%s: net/http %q, ours %q", name, r.Header[name], values)
		}
	}
}
