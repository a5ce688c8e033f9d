package static

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestListing(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.txt", "a.txt", "zdir/x", ".hidden", "<script>alert(1)</script>x/y", `"quote'&`, "javascript:alert(1)", "a?b#c%d"} {
		write(t, dir, name, "12345")
	}
	h := newHandler(t, dir, Options{Browse: true})
	w := get(t, h, "/")
	body := w.Body.String()
	if w.Code != 200 || w.Header().Get("Content-Type") != "text/html; charset=utf-8" || !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	for _, want := range []string{`href="./a.txt">a.txt<`, `href="./zdir/">zdir/<`, `href="./javascript:alert%281%29"`, `href="./a%3Fb%23c%25d"`, "5 B", "2026-01-02 03:04"} {
		if !strings.Contains(body, want) {
			t.Errorf("%s is missing in\n%s", want, body)
		}
	}
	for _, bad := range []string{"<script>", ".hidden", `href="../"`} {
		if strings.Contains(body, bad) {
			t.Errorf("the listing holds %s", bad)
		}
	}
	if strings.Index(body, "zdir/") > strings.Index(body, "a.txt") || strings.Index(body, "a.txt") > strings.Index(body, "b.txt") {
		t.Error("not sorted: directories first, then by name")
	}
	if sub := get(t, h, "/zdir/").Body.String(); !strings.Contains(sub, `href="../"`) {
		t.Error("no way up")
	}
	if w := do(t, h, "HEAD", "/"); w.Body.Len() != 0 || w.Header().Get("Content-Length") == "" {
		t.Errorf("HEAD: %d bytes", w.Body.Len())
	}
	if w := get(t, h, "/none/"); w.Code != 404 {
		t.Errorf("missing directory: %d", w.Code)
	}
	if w := get(t, h, "/a.txt/"); w.Code != 404 {
		t.Errorf("file as a directory: %d", w.Code)
	}
}

// Each link of a listing leads to its file.
func TestListingLinksLeadSomewhere(t *testing.T) {
	dir := t.TempDir()
	for i, name := range []string{"plain", "with space", "ü", "a?b", "a#b", "100%", "a&b", "a+b", "semi;colon", "quote\"'", "col:on", "new\nline"} {
		write(t, dir, name, fmt.Sprint(i))
	}
	h := newHandler(t, dir, Options{Browse: true})
	page, err := h.readListing(".")
	if err != nil || len(page.Files) != 12 {
		t.Fatalf("%d files, %v", len(page.Files), err)
	}
	for _, file := range page.Files {
		if w := get(t, h, strings.TrimPrefix(string(file.Href), ".")); w.Code != 200 {
			t.Errorf("%q (%s): %d", file.Name, file.Href, w.Code)
		}
	}
}

func TestListingIsBounded(t *testing.T) {
	dir := t.TempDir()
	for i := range maxListed + 5 {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	}
	h := newHandler(t, dir, Options{Browse: true})
	body := get(t, h, "/").Body.String()
	if got := strings.Count(body, "<tr>"); got != maxListed || !strings.Contains(body, "Only the first 10000") {
		t.Errorf("%d rows", got)
	}
}

func TestFormatSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1 << 20: "1.0 MiB", 5 << 40: "5.0 TiB", 1 << 62: "4096.0 PiB"} {
		if got := formatSize(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestListingAsJSON(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b.txt", "a<b>.txt", "zdir/x", ".hidden"} {
		write(t, dir, name, "12345")
	}
	h := newHandler(t, dir, Options{Browse: true})
	w := get(t, h, "/", "Accept: application/json")
	var got struct {
		Path  string
		Cut   bool
		Files []struct {
			Name, Type, Href string
			Size             *int64
			Modified         time.Time
		}
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, w.Body)
	}
	if w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Vary") != "Accept" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("fields %v", w.Header())
	}
	if len(got.Files) != 3 || got.Path != "/" || got.Cut {
		t.Fatalf("%+v", got)
	}
	if d := got.Files[0]; d.Name != "zdir" || d.Type != "directory" || d.Href != "./zdir/" || d.Size != nil {
		t.Errorf("directory %+v", d)
	}
	if f := got.Files[1]; f.Name != "a<b>.txt" || f.Type != "file" || f.Href != "./a%3Cb%3E.txt" || *f.Size != 5 || !f.Modified.Equal(oldTime.Truncate(time.Second)) {
		t.Errorf("file %+v", f)
	}
	if body := get(t, h, "/zdir/", "Accept: application/json").Body.String(); !strings.HasPrefix(body, `{"path":"/zdir/","files":[{"name":"x",`) {
		t.Error(body)
	}
}

func TestListingFormByAccept(t *testing.T) {
	for accept, want := range map[string]bool{
		"": false, "*/*": false, "text/html": false, "application/json": true, "APPLICATION/JSON": true, "application/*": true,
		"text/html, application/json": false, "text/html;q=0.9, application/json": true, "application/json;q=0.9, text/html": false,
		"application/json;q=0": false, "application/json;q=0.5, */*;q=0.1": true, "application/json;q=0.5, */*": false,
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": false, "application/json;v=1": false, "application/json;q=x": false, ",,": false,
	} {
		if got := prefersJSON([]string{accept}); got != want {
			t.Errorf("%q: JSON %v, want %v", accept, got, want)
		}
	}
}
