package static

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// nastyTargets are asked for as they stand. The tree they are tried on holds
// what each of them would find if a rule were missing.
var nastyTargets = []string{
	// Dot segments, plain and escaped.
	"/..", "/../", "/../secret", "/../../etc/passwd", "/sub/..", "/sub/../hello.txt", "/sub/../../secret",
	"/.", "/./", "/./hello.txt", "/sub/.", "/sub/./file", "/%2e", "/%2e/hello.txt", "/%2e%2e", "/%2e%2e/", "/%2e%2e/secret",
	"/%2E%2E/secret", "/.%2e/secret", "/%2e./secret", "/sub/%2e%2e/hello.txt", "/sub/%2e%2e/%2e%2e/secret", "/...", "/.../x",
	// Escaped twice: decoded once, a name that is not there.
	"/%252e%252e/secret", "/%252e%252e%252fsecret", "/sub%252ffile", "/%25%32%65%25%32%65/secret",
	// Escaped separators.
	"/sub%2ffile", "/sub%2Ffile", "/%2fetc/passwd", "/%2f%2fetc%2fpasswd", "/..%2fsecret", "/..%2Fsecret", "/%2e%2e%2fsecret",
	"/sub%2f..%2fhello.txt", "/hello.txt%2f", "/sub%2f", "/%2f", "/%2F/",
	// Backslashes.
	"/..\\secret", "/sub\\file", "/..%5csecret", "/..%5Csecret", "/%5c..%5csecret", "/sub%5cfile", "/%5c%5chost%5cshare", "/\\", "/back%5cslash",
	// NUL.
	"/hello.txt%00", "/hello.txt%00.html", "/%00", "/sub/%00/file", "/%00hello.txt",
	// Empty segments.
	"//", "//hello.txt", "/sub//file", "/sub//", "///", "//etc/passwd", "/hello.txt//", "//evil.example/..",
	// Invalid and overlong UTF-8.
	"/%ff", "/%c0%af", "/%c0%ae%c0%ae/secret", "/%e0%80%af", "/%f0%80%80%af", "/%c0%2e", "/%ed%a0%80", "/%80hello.txt", "/%fe%fe", "/%f8%80%80%80%af",
	// Full-width and other look-alikes are names like any other.
	"/%ef%bc%8e%ef%bc%8e/secret", "/..%ef%bc%8fsecret", "/%e2%80%a5/secret",
	// Parameters, drives, streams.
	"/..;/secret", "/..;a=b/secret", "/sub;/..;/secret", "/C:/windows", "/hello.txt::$DATA", "/hello.txt.", "/hello.txt%20",
	// Hidden names.
	"/.git/config", "/.env", "/.htaccess", "/sub/.hidden", "/%2egit/config", "/%2Eenv", "/.well-known/.hidden", "/sub/.well-known/x", "/.Well-Known/security.txt",
	// Files used as directories, and directories without index.
	"/hello.txt/", "/hello.txt/x", "/hello.txt/..", "/hello.txt/../../secret", "/sub/",
	// Long ones.
	"/" + strings.Repeat("a", 256), "/" + strings.Repeat("a", 8000), "/" + strings.Repeat("a/", 4000), "/" + strings.Repeat("../", 100) + "etc/passwd",
}

func newNastyTree(t testing.TB) (*Handler, string) {
	t.Helper()
	base := t.TempDir()
	dir := filepath.Join(base, "root")
	const secret = "SECRET"
	write(t, base, "secret", secret)
	write(t, dir, "hello.txt", "PUBLIC")
	write(t, dir, "sub/file", "PUBLIC")
	for _, name := range []string{
		".git/config", ".env", ".htaccess", "sub/.hidden", ".well-known/.hidden", "sub/.well-known/x",
		"sub\\file", "..\\secret", "back\\slash", "\xff", "\xc0\xaf", "\\",
	} {
		write(t, dir, name, secret)
	}
	write(t, dir, ".well-known/security.txt", "PUBLIC")
	return newHandler(t, dir, Options{}), dir
}

func TestNastyPaths(t *testing.T) {
	if len(nastyTargets) < 60 {
		t.Fatalf("only %d targets", len(nastyTargets))
	}
	h, _ := newNastyTree(t)
	for _, target := range nastyTargets {
		if _, err := url.ParseRequestURI(target); err != nil {
			continue // net/url refuses it: so does any engine
		}
		w := do(t, h, http.MethodGet, target)
		if w.Code != http.StatusNotFound {
			t.Errorf("%.60q: %d %.20q, want 404", target, w.Code, w.Body)
		}
		if w.Body.String() != string(notFound.body) {
			t.Errorf("%.60q: body %.60q tells a difference", target, w.Body)
		}
	}
}

// The same through a whole server: what the parser of requests makes of a
// target must not open what the table closes.
func TestNastyPathsOverHTTP(t *testing.T) {
	h, _ := newNastyTree(t)
	server := httptest.NewServer(h)
	defer server.Close()
	for _, target := range nastyTargets {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			continue
		}
		r := &http.Request{Method: http.MethodGet, Host: "edge", URL: &url.URL{
			Scheme: "http", Host: server.Listener.Addr().String(), Opaque: "//edge" + u.EscapedPath(),
		}}
		resp, err := server.Client().Transport.RoundTrip(r)
		if err != nil {
			continue // refused by the client or the server: not served
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%.60q: %d, want 404 or 400", target, resp.StatusCode)
		}
	}
}

// A cached file must not be reached by a spelling that the rules refuse.
func TestRefusedSpellingsOfACachedFile(t *testing.T) {
	h, _ := newNastyTree(t)
	if w := get(t, h, "/sub/file"); w.Code != http.StatusOK {
		t.Fatalf("/sub/file: %d", w.Code)
	}
	for _, target := range []string{"/sub%2ffile", "/sub%2Ffile", "/%73ub%2ffile"} {
		if w := get(t, h, target); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", target, w.Code)
		}
	}
	if w := get(t, h, "/%73ub/file"); w.Code != http.StatusOK {
		t.Errorf("an unusual but good spelling: %d", w.Code)
	}
}

func TestSymlinks(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "root")
	write(t, base, "outside/secret", "SECRET")
	write(t, dir, "inside/file", "PUBLIC")
	links := map[string]string{ // link: target
		"good": "inside/file", "good-dir": "inside", "via-parent": "inside/../inside/file",
		"out": "../outside/secret", "out-dir": "../outside", "absolute": filepath.Join(base, "outside/secret"),
		"absolute-dir": "/etc", "loop": "loop", "dangling": "none", "up": "..", "out-and-back": "../root/inside/file",
	}
	for link, target := range links {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	h := newHandler(t, dir, Options{Browse: true})
	for target, want := range map[string]int{
		"/good": 200, "/good-dir/file": 200, "/via-parent": 200,
		"/out": 404, "/out/": 404, "/out-dir/secret": 404, "/out-dir": 404, "/out-dir/": 404, "/absolute": 404,
		"/absolute-dir/passwd": 404, "/absolute-dir/": 404, "/loop": 404, "/dangling": 404, "/up/outside/secret": 404, "/up/": 404, "/out-and-back": 404,
	} {
		if w := get(t, h, target); w.Code != want || strings.Contains(w.Body.String(), "SECRET") {
			t.Errorf("%s: %d %q, want %d", target, w.Code, w.Body, want)
		}
	}
	listing := get(t, h, "/").Body.String()
	for link := range links {
		shown := strings.Contains(listing, `href="./`+link+`"`) || strings.Contains(listing, `href="./`+link+`/"`)
		if want := link == "good" || link == "good-dir" || link == "via-parent"; shown != want {
			t.Errorf("listing shows %s: %v, want %v", link, shown, want)
		}
	}
}

func FuzzLocate(f *testing.F) {
	for _, target := range nastyTargets {
		f.Add(target)
	}
	f.Add("/good/path.txt")
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			t.Skip()
		}
		loc, ok := new(Handler).locate(u)
		if !ok {
			return
		}
		if loc.name != "." && !filepath.IsLocal(loc.name) || filepath.Clean(loc.name) != loc.name {
			t.Errorf("%q gives %q, which is not a clean local name", target, loc.name)
		}
		for segment := range strings.SplitSeq(loc.name, "/") {
			if loc.name != "." && strings.HasPrefix(segment, ".") && segment != wellKnown {
				t.Errorf("%q gives the hidden name %q", target, loc.name)
			}
		}
	})
}
