package static

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// pieces are what the generated paths are made of: each of them harmless, hidden,
// a way up, or a spelling of one, plain and escaped once or twice.
var pieces = []string{
	"sub", "file", "hello.txt", "none", "..", ".", "%2e%2e", "%2E.", "%252e%252e", "%2f", "%2F", "%5c", "\\", "%00", "",
	"%c0%ae%c0%ae", "%ff", "..;", ";", "..%2f", "%2e%2e%5c", "secret", ".env", ".well-known", "security.txt", "%ef%bc%8e%ef%bc%8e",
}

// generatedTargets are all pairs of pieces, as two segments of one path.
func generatedTargets() (targets []string) {
	for _, a := range pieces {
		for _, b := range pieces {
			targets = append(targets, "/"+a+"/"+b)
		}
	}
	return targets
}

// modelFile is F-1 said slowly: which file of the nasty tree a target is, or none.
// Decoded once, no segment may be empty, begin with a dot, or hold what could
// separate or end a name.
func modelFile(target string) string {
	files := map[string]bool{"hello.txt": true, "sub/file": true, ".well-known/security.txt": true}
	if strings.Contains(strings.ToLower(target), "%2f") {
		return ""
	}
	path, err := url.PathUnescape(target)
	if err != nil || strings.ContainsAny(path, "\\\x00\ufffd") {
		return ""
	}
	name := strings.TrimPrefix(path, "/")
	for i, segment := range strings.Split(name, "/") {
		if segment == "" || segment[0] == '.' && (i > 0 || segment != ".well-known") {
			return ""
		}
	}
	if !files[name] {
		return ""
	}
	return name
}

// Rule F-1, figure 23: 500 paths and more, each of them judged alike whether it is
// asked for the first time or again, with and without a cache.
func TestGeneratedPaths(t *testing.T) {
	targets := generatedTargets()
	if len(targets) < 500 {
		t.Fatalf("only %d paths", len(targets))
	}
	cached, dir := newNastyTree(t)
	plain := newHandler(t, dir, Options{CacheEntries: -1, Precompressed: allCodings})
	served := 0
	for _, target := range targets {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			continue // net/url refuses it: so does any engine
		}
		file := modelFile(target)
		if file != "" {
			served++
		}
		for name, h := range map[string]*Handler{"cached": cached, "plain": plain} {
			for round := range 2 {
				w := httptest.NewRecorder()
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.URL = u
				h.ServeHTTP(w, r)
				switch {
				case strings.Contains(w.Body.String(), "SECRET"):
					t.Errorf("%s %q: a hidden file was served", name, target)
				case file != "" && (w.Code != 200 || w.Body.String() != "PUBLIC"):
					t.Errorf("%s %q, round %d: %d %q, want %s", name, target, round, w.Code, w.Body, file)
				case file == "" && (w.Code != 404 || w.Body.String() != string(notFound.body)):
					t.Errorf("%s %q, round %d: %d %q, want 404", name, target, round, w.Code, w.Body)
				}
			}
		}
	}
	if served == 0 {
		t.Error("no path of the table is good: it proves nothing")
	}
}
