package semantics

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestForbiddenTrailer(t *testing.T) {
	for _, name := range forbiddenTrailers {
		for _, form := range []string{name, strings.ToUpper(name), http.CanonicalHeaderKey(name)} {
			if !ForbiddenTrailer(form) {
				t.Errorf("%q may be a trailer", form)
			}
		}
	}
	for _, name := range []string{"", "X-A", "Etag", "Grpc-Status", "Server-Timing", "Content-Digest", "Hos", "Hostt", "T\x05"} {
		if ForbiddenTrailer(name) {
			t.Errorf("%q may not be a trailer", name)
		}
	}
}

var trailerCases = []struct {
	name  string
	lines []string
	want  []string
}{
	{"none", nil, nil},
	{"empty", []string{""}, nil},
	{"one", []string{"x-a"}, []string{"X-A"}},
	{"list", []string{"X-A, x-b ,\tX-C"}, []string{"X-A", "X-B", "X-C"}},
	{"lines", []string{"X-B", "X-A"}, []string{"X-B", "X-A"}},
	{"empty members", []string{",X-A,,"}, []string{"X-A"}},
	{"forbidden", []string{"Content-Length, X-A", "host"}, []string{"X-A"}},
	{"no token", []string{"X A, X-A: b, \x00, X-B"}, []string{"X-B"}},
}

func TestAppendTrailerNames(t *testing.T) {
	for _, c := range trailerCases {
		t.Run(c.name, func(t *testing.T) {
			if got := AppendTrailerNames(nil, c.lines); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if got, want := AppendTrailerNames([]string{"before"}, c.lines), append([]string{"before"}, c.want...); !slices.Equal(got, want) {
				t.Errorf("appended: %q, want %q", got, want)
			}
		})
	}
}

func TestAnnouncedTrailers(t *testing.T) {
	for _, c := range trailerCases {
		t.Run(c.name, func(t *testing.T) {
			h := http.Header{"X": {"y"}}
			if c.lines != nil {
				h["Trailer"] = c.lines
			}
			got := AnnouncedTrailers(h)
			if (got == nil) != (c.want == nil) || !slices.Equal(slices.Sorted(maps.Keys(got)), slices.Sorted(slices.Values(c.want))) {
				t.Errorf("got %v, want %q", got, c.want)
			}
			for name, values := range got {
				if values != nil {
					t.Errorf("%s has values before the trailers have come: %q", name, values)
				}
			}
			if len(h) != 1 {
				t.Errorf("the header became %v", h)
			}
		})
	}
}

func TestAnnouncesTrailer(t *testing.T) {
	lines := []string{"x-a, X-B", "Content-Length"}
	for name, want := range map[string]bool{"X-A": true, "X-B": true, "Content-Length": false, "X-C": false, "": false} {
		if got := AnnouncesTrailer(lines, name); got != want {
			t.Errorf("AnnouncesTrailer(%q) = %v, want %v", name, got, want)
		}
	}
}
