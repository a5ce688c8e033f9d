package static

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// check tells whether ring, shards, sums and references agree, when nobody is served.
func (c *cache) check(t *testing.T) {
	t.Helper()
	var count int
	for i := range c.shards {
		if m := c.shards[i].Load(); m != nil {
			count += len(*m)
		}
	}
	var bytes int64
	var open int
	for i, e := range c.ring {
		bytes += e.bytes
		open += e.open
		if e.slot != i || c.current(e.key) != e {
			t.Errorf("ring place %d holds %q, which says %d", i, e.key, e.slot)
		}
		if n := e.refs.Load(); n != 1 {
			t.Errorf("%q has %d references, want the cache's alone", e.key, n)
		}
	}
	if count != len(c.ring) || count > c.maxEntries {
		t.Errorf("%d in shards, %d in the ring (max %d)", count, len(c.ring), c.maxEntries)
	}
	if bytes != c.bytes || bytes > c.maxBytes || open != c.open || open > c.maxOpen {
		t.Errorf("%d bytes, counted %d (max %d); %d files, counted %d (max %d)", bytes, c.bytes, c.maxBytes, open, c.open, c.maxOpen)
	}
}

// newEntry is one of a path, with no file.
func newEntry(key string) *entry {
	e := &entry{key: key}
	e.refs.Store(1)
	return e
}

// revalidateNow lets the next request of each cached file look at it.
func (h *Handler) revalidateNow() {
	for _, e := range h.cache.ring {
		e.checked.Store(e.checked.Load() - int64(h.revalidate))
	}
}

func TestHitReadsNoFile(t *testing.T) {
	dir := t.TempDir()
	name := write(t, dir, "a.txt", "first")
	h := newHandler(t, dir, Options{Revalidate: time.Hour})
	get(t, h, "/a.txt")
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if w := get(t, h, "/a.txt"); w.Code != http.StatusOK || w.Body.String() != "first" {
		t.Errorf("inside the interval: %d %q", w.Code, w.Body)
	}
	h.revalidateNow()
	if w := get(t, h, "/a.txt"); w.Code != http.StatusNotFound {
		t.Errorf("after it: %d", w.Code)
	}
	h.cache.check(t)
}

func TestChangesAreSeenAtTheNextLook(t *testing.T) {
	replace := func(t *testing.T, dir, name, body string) {
		tmp := write(t, dir, "tmp", body)
		if err := os.Rename(tmp, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name   string
		change func(t *testing.T, dir string)
		want   string
	}{
		{"replaced, same size and time", func(t *testing.T, dir string) { replace(t, dir, "a.txt", "other") }, "other"},
		{"replaced by a longer one", func(t *testing.T, dir string) { replace(t, dir, "a.txt", "longer one") }, "longer one"},
		{"rewritten in place", func(t *testing.T, dir string) {
			setTime(t, write(t, dir, "a.txt", "again"), oldTime.Add(time.Nanosecond))
		}, "again"},
		{"truncated", func(t *testing.T, dir string) { write(t, dir, "a.txt", "f") }, "f"},
		{"unchanged", func(*testing.T, string) {}, "first"},
	}
	for size, opts := range map[string]Options{
		"kept in memory": {}, "kept open": {CacheFileBytes: -1}, "opened each time": {CacheFileBytes: -1, CacheOpenFiles: -1},
	} {
		opts.Revalidate = time.Hour
		for _, test := range tests {
			t.Run(size+"/"+test.name, func(t *testing.T) {
				dir := t.TempDir()
				write(t, dir, "a.txt", "first")
				h := newHandler(t, dir, opts)
				first := get(t, h, "/a.txt")
				test.change(t, dir)
				h.revalidateNow()
				second := get(t, h, "/a.txt")
				if second.Body.String() != test.want || second.Header().Get("Content-Length") != fmt.Sprint(len(test.want)) {
					t.Errorf("got %q, length %s, want %q", second.Body, second.Header().Get("Content-Length"), test.want)
				}
				if test.name == "rewritten in place" && first.Header().Get("Etag") == second.Header().Get("Etag") {
					t.Error("two contents with one strong validator")
				}
				h.cache.check(t)
			})
		}
	}
}

// A file changed a moment ago may change again within the same tick: it is
// read again at each look, and its validator says so.
func TestYoungFile(t *testing.T) {
	for name, opts := range map[string]Options{"memory": {Revalidate: time.Hour}, "opened": {CacheFileBytes: -1}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := write(t, dir, "a.txt", "first")
			now := time.Now().Add(time.Hour) // stays young however slow the test is
			setTime(t, file, now)
			h := newHandler(t, dir, opts)
			w := get(t, h, "/a.txt")
			if !strings.HasPrefix(w.Header().Get("Etag"), `W/"`) {
				t.Errorf("Etag %s, want a weak one", w.Header().Get("Etag"))
			}
			if w.Header().Get("Last-Modified") != "" {
				t.Error("Last-Modified in the future")
			}
			if err := os.WriteFile(file, []byte("FIRST"), 0o644); err != nil {
				t.Fatal(err)
			}
			setTime(t, file, now)
			h.revalidateNow()
			if w := get(t, h, "/a.txt"); w.Body.String() != "FIRST" {
				t.Errorf("got %q: trusted a young file's time", w.Body)
			}
		})
	}
}

func TestFileWithoutTimeHasNoValidators(t *testing.T) {
	dir := t.TempDir()
	setTime(t, write(t, dir, "a.txt", "x"), time.Unix(0, 0))
	h := newHandler(t, dir, Options{})
	for range 2 {
		w := get(t, h, "/a.txt", `If-None-Match: ""`)
		if w.Code != 200 || w.Header().Get("Etag") != "" || w.Header().Get("Last-Modified") != "" {
			t.Errorf("%d %v", w.Code, w.Header())
		}
	}
}

func TestCacheBounds(t *testing.T) {
	dir := t.TempDir()
	for i := range 50 {
		write(t, dir, fmt.Sprint(i), strings.Repeat("x", 10*i))
	}
	for _, opts := range []Options{
		{CacheEntries: 8}, {CacheBytes: 1000}, {CacheEntries: 1}, {CacheEntries: -1}, {CacheBytes: -1}, {CacheFileBytes: -1}, {CacheBytes: 1, CacheEntries: 3},
	} {
		h := newHandler(t, dir, opts)
		for i := range 200 {
			n := i * 13 % 50
			if w := get(t, h, fmt.Sprintf("/%d", n)); w.Code != 200 || w.Body.Len() != 10*n {
				t.Errorf("%+v: /%d: %d, %d bytes", opts, n, w.Code, w.Body.Len())
			}
		}
		if opts.CacheEntries < 0 || opts.CacheBytes < 0 {
			for _, e := range h.cache.ring {
				if e.bytes > 0 {
					t.Errorf("%+v: contents were kept", opts)
				}
			}
			continue
		}
		h.cache.check(t)
	}
}

// What is used stays when a crowd of others passes by.
func TestCacheSparesWhatIsUsed(t *testing.T) {
	var c cache
	c.init(10, 1<<20, 0)
	put := func(key string) *entry {
		e := newEntry(key)
		c.put(e)
		e.release() // as the request does that has loaded it
		return e
	}
	put("/hot")
	for i := range 1000 {
		put(fmt.Sprint(i))
		if c.get("/hot") == nil {
			t.Fatalf("evicted after %d others", i+1)
		}
	}
	c.check(t)
}

// What is not used goes, the oldest first: the newest are not those that pay.
func TestCacheForgetsWhatIsNotUsed(t *testing.T) {
	var c cache
	c.init(10, 1<<20, 0)
	for i := range 100 {
		e := newEntry(fmt.Sprint(i))
		c.put(e)
		e.release()
		for old := range i - 10 {
			if c.current(fmt.Sprint(old)) != nil {
				t.Fatalf("%d is still there behind %d", old, i)
			}
		}
	}
	c.check(t)
}

func TestCacheRemoveLeavesTheNewerEntry(t *testing.T) {
	var c cache
	c.init(10, 1<<20, 0)
	older, newer := newEntry("/a"), newEntry("/a")
	c.put(older)
	older.release()
	c.put(newer)
	newer.release()
	c.remove(older)
	if c.get("/a") != newer {
		t.Error("the newer entry is gone")
	}
	c.check(t)
}

// The keys and names an entry keeps must not be the request's memory.
func TestEntryKeepsNothingOfTheRequest(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "sub/a.txt", "x")
	h := newHandler(t, dir, Options{})
	target := []byte("/sub/a.txt")
	r := request(t, "GET", "/")
	r.URL.Path = unsafeString(target)
	h.ServeHTTP(httptest.NewRecorder(), r)
	copy(target, "##########")
	e := h.cache.get("/sub/a.txt")
	if e == nil || e.key != "/sub/a.txt" || e.looks[0].name != "sub/a.txt" {
		t.Fatalf("entry %+v", e)
	}
}

func TestShrinkingFileAborts(t *testing.T) {
	dir := t.TempDir()
	const size = 1 << 20
	name := write(t, dir, "big", strings.Repeat("x", size))
	h := newHandler(t, dir, Options{})
	w := &truncatingWriter{ResponseRecorder: httptest.NewRecorder(), name: name}
	if !aborts(func() { h.ServeHTTP(w, request(t, "GET", "/big")) }) {
		t.Error("the answer was not aborted")
	}
	if w.Body.Len() >= size || w.Header().Get("Content-Length") != fmt.Sprint(size) {
		t.Errorf("%d bytes sent of %s promised: padded?", w.Body.Len(), w.Header().Get("Content-Length"))
	}
}

// truncatingWriter cuts the file at the first bytes it gets.
type truncatingWriter struct {
	*httptest.ResponseRecorder
	name string
}

func (w *truncatingWriter) Write(p []byte) (int, error) {
	if err := os.Truncate(w.name, 1000); err != nil {
		return 0, err
	}
	return w.ResponseRecorder.Write(p)
}

// The same seen by a client: it must notice that the body is not whole.
func TestShrinkingFileOverHTTP(t *testing.T) {
	dir := t.TempDir()
	name := write(t, dir, "big", strings.Repeat("x", 64<<20))
	h := newHandler(t, dir, Options{})
	server := httptest.NewServer(h)
	defer server.Close()
	resp, err := server.Client().Get(server.URL + "/big")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := os.Truncate(name, 1); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Errorf("%d bytes and no error: the client believes it has the file", n)
	}
}
