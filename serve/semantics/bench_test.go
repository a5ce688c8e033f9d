package semantics

import (
	"net/textproto"
	"strings"
	"testing"
	"time"
)

var benchNames = []struct{ name, field, want string }{
	{"canonical", "User-Agent", "User-Agent"},
	{"lower", "accept-encoding", "Accept-Encoding"},
	{"short", "host", "Host"},
	{"unknown", "X-Nobody-Knows-It", "X-Nobody-Knows-It"},
}

func BenchmarkCanonicalName(b *testing.B) {
	for _, c := range benchNames {
		b.Run(c.name, func(b *testing.B) {
			in := []byte(c.field)
			b.ReportAllocs()
			for b.Loop() {
				if CanonicalName(in) != c.want {
					b.Fatal("wrong name")
				}
			}
		})
		b.Run(c.name+"/textproto", func(b *testing.B) {
			in := []byte(c.field)
			b.ReportAllocs()
			for b.Loop() {
				if textproto.CanonicalMIMEHeaderKey(string(in)) != c.want {
					b.Fatal("wrong name")
				}
			}
		})
	}
}

// BenchmarkCanonicalNameHead is what a browser's head costs: names in turn, as
// the branch predictor sees them.
func BenchmarkCanonicalNameHead(b *testing.B) {
	var names [][]byte
	for n := range strings.FieldsSeq("Host User-Agent Accept Accept-Language Accept-Encoding Referer Connection Cookie Sec-Fetch-Dest Sec-Fetch-Mode Sec-Fetch-Site If-None-Match") {
		names = append(names, []byte(n))
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, n := range names {
			if len(CanonicalName(n)) != len(n) {
				b.Fatal("wrong name")
			}
		}
	}
}

func BenchmarkParseHost(b *testing.B) {
	for _, in := range []string{"127.0.0.1:8080", "www.example.com", "[2001:db8::1]:443"} {
		b.Run(in, func(b *testing.B) {
			host := []byte(in)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ParseHost(host); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkValidFieldValue(b *testing.B) {
	in := []byte("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if !ValidFieldValue(in) {
			b.Fatal("invalid")
		}
	}
}

func BenchmarkAppendDate(b *testing.B) {
	var d DateCache
	var dst []byte
	now := time.Unix(1_700_000_000, 0)
	b.ReportAllocs()
	for b.Loop() {
		if dst = d.AppendField(dst[:0], now); len(dst) != 37 {
			b.Fatalf("%q", dst)
		}
	}
}

func BenchmarkAppendStatusLine(b *testing.B) {
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		if dst = AppendStatusLine(dst[:0], 1, 200); len(dst) != 17 {
			b.Fatalf("%q", dst)
		}
	}
}

func BenchmarkMethod(b *testing.B) {
	in := []byte("GET")
	b.ReportAllocs()
	for b.Loop() {
		if m, ok := Method(in); !ok || m != "GET" {
			b.Fatal(m)
		}
	}
}

// TestNoAllocation: what a request costs in this package, once its host is known.
func TestNoAllocation(t *testing.T) {
	var d DateCache
	dst, now := make([]byte, 0, 128), time.Unix(1_700_000_000, 0)
	d.AppendField(dst, now)
	names := [][]byte{[]byte("user-agent"), []byte("HOST"), []byte("X-Forwarded-For")}
	method := []byte("OPTIONS")
	length, trailer := []string{"17"}, []string{"X-A, X-B"}
	priority, want := []byte(`a="b", u=1;c=d, e=(f), i`), Priority{1, true}
	if got := testing.AllocsPerRun(100, func() {
		for _, n := range names {
			_ = CanonicalName(n)
		}
		_, _ = Method(method)
		dst = d.AppendField(AppendStatusLine(dst[:0], 1, 404), now)
		dst = append(dst, d.Value(now)...)
		if u := TargetURL("/index.html"); !ValidTarget(dst[:1]) || u.Path == "" {
			t.Error("target")
		}
		if n, ok := ParseLength("17"); !ok || DeclaredLength(length) != n {
			t.Error("length")
		}
		if !AnnouncesTrailer(trailer, "X-B") || ForbiddenTrailer("X-A-Name-That-Is-Longer-Than-32-Bytes") || ContentType(dst) == "" || !HasToken("a, Close", "close") {
			t.Error("fields")
		}
		if ParsePriority(priority) != want {
			t.Error("priority")
		}
	}); got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}
