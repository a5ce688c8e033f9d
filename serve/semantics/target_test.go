package semantics

import (
	"net/url"
	"strings"
	"testing"
)

func TestValidTarget(t *testing.T) {
	for in, want := range map[string]bool{
		"/": true, "*": true, "/a?b=c": true, "http://a/": true, `/"<>\^{|}` + "`": true, "/%2F%aF%00": true, "/?%41": true,
		"": false, "/a b": false, "/#": false, "/\t": false, "/\x00": false, "/\x7f": false, "/\x80": false, "/é": false,
		"%": false, "/%": false, "/%4": false, "/%4g": false, "/%g4": false, "/%%41": false, "/%4%41": false, "/%\xc1\xc1": false,
	} {
		if got := ValidTarget([]byte(in)); got != want {
			t.Errorf("ValidTarget(%q) = %v, want %v", in, got, want)
		}
	}
}

func TestTargetURL(t *testing.T) {
	for _, c := range []struct {
		name, target string
		want         url.URL
	}{
		{"plain", "/a/b.html", url.URL{Path: "/a/b.html"}},
		{"root", "/", url.URL{Path: "/"}},
		{"asterisk", "*", url.URL{Path: "*"}},
		{"query", "/a?b=%20", url.URL{Path: "/a", RawQuery: "b=%20"}},
		{"empty query", "/a?", url.URL{Path: "/a", ForceQuery: true}},
		{"encoded", "/a%20b", url.URL{Path: "/a b"}},
		{"encoded slash", "/a%2Fb", url.URL{Path: "/a/b", RawPath: "/a%2Fb"}},
		{"dots stay", "/a/../b", url.URL{Path: "/a/../b"}},
		{"no authority in origin-form", "//a/b", url.URL{Path: "//a/b"}},
		{"absolute-form", "http://a:8/b?c", url.URL{Scheme: "http", Host: "a:8", Path: "/b", RawQuery: "c"}},
		{"opaque", "http://[/b?c=[", url.URL{Path: "http://[/b", RawQuery: "c=["}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := TargetURL(c.target); got != c.want {
				t.Errorf("TargetURL(%q) = %+v, want %+v", c.target, got, c.want)
			}
		})
	}
}

// FuzzTargetURL: the short way gives what net/url gives; where that refuses,
// the target is kept as it came.
func FuzzTargetURL(f *testing.F) {
	for _, s := range []string{
		"/", "*", "//", "///", "//a/b", "/a:b", "/a@b", "/a;b,c", "/a%2fb", "/%zz", "/a?b?c", "/?", "http://a", "http://[", "/[", "/a*b", "/!'()", "/é",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, target string) {
		got := TargetURL(target)
		u, err := url.ParseRequestURI(target)
		switch {
		case err != nil && (got.Scheme != "" || got.Host != "" || strings.TrimSuffix(got.Path+"?"+got.RawQuery, "?") != strings.TrimSuffix(target, "?")):
			t.Errorf("TargetURL(%q) = %+v; net/url refuses it: %v", target, got, err)
		case err == nil && (got.User != nil) != (u.User != nil):
			t.Errorf("TargetURL(%q) = %+v, want %+v", target, got, *u)
		case err == nil && got.String() != u.String():
			t.Errorf("TargetURL(%q) = %q, want %q", target, got.String(), u.String())
		}
		if err == nil && u.User == nil && got != *u {
			t.Errorf("TargetURL(%q) = %+v, want %+v", target, got, *u)
		}
	})
}
