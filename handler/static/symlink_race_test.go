package static

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Rule F-2, figure 23: links that lead in and out by turns, as files and as
// directories, while they are asked for. Not a byte comes from outside, and no
// length is wrong.
func TestLinksSwappedMeanwhile(t *testing.T) {
	length := time.Second
	if testing.Short() {
		length = 100 * time.Millisecond
	}
	for name, opts := range map[string]Options{
		"memory":        {Revalidate: -1, Precompressed: []string{"gzip"}},
		"kept open":     {Revalidate: -1, CacheFileBytes: -1, Browse: true},
		"trusted a bit": {Revalidate: time.Millisecond, CacheFileBytes: 100, NotFound: "/link"},
		"not kept":      {CacheEntries: -1, Precompressed: []string{"gzip"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			swapWhileServing(t, opts, length)
		})
	}
}

func swapWhileServing(t *testing.T, opts Options, length time.Duration) {
	base := t.TempDir()
	dir := filepath.Join(base, "root")
	for i, name := range []string{"a", "b", "long"} {
		write(t, dir, "in/"+name, strings.Repeat("PUBLIC", 1+i*50))
		write(t, base, "out/"+name, strings.Repeat("SECRET", 1+i*70))
		write(t, dir, "in/"+name+".gz", strings.Repeat("PACKED", 1+i*40))
		write(t, base, "out/"+name+".gz", strings.Repeat("SECRET", 1+i*30))
	}
	h := newHandler(t, dir, opts)
	var stop atomic.Bool
	var swapper, clients sync.WaitGroup
	swapper.Go(func() { // until the clients have had their time
		for i := 0; !stop.Load(); i++ {
			swap(dir, "link", []string{"in/a", "../out/a", "in/long", "/proc/self/status", "in/b", "../out/long"}[i%6])
			swap(dir, "dir", []string{"in", "../out", "..", "/"}[i%4])
			swap(dir, "in/c.gz", []string{"a.gz", "../../out/a.gz"}[i%2])
		}
	})
	end := time.Now().Add(length)
	var good atomic.Int64
	for range 2 {
		clients.Go(func() {
			for time.Now().Before(end) {
				for _, target := range []string{"/link", "/dir/a", "/dir/long", "/dir/", "/in/c", "/dir"} {
					good.Add(askSwapped(t, h, target))
				}
			}
		})
	}
	clients.Wait()
	stop.Store(true)
	swapper.Wait()
	if good.Load() == 0 {
		t.Error("nothing was ever served: the test proves nothing")
	}
	h.cache.check(t)
}

func swap(dir, name, target string) {
	tmp := filepath.Join(dir, ".tmp")
	_ = os.Symlink(target, tmp)
	_ = os.Rename(tmp, filepath.Join(dir, name))
}

// askSwapped tells whether a file was served.
func askSwapped(t *testing.T, h *Handler, target string) (served int64) {
	w := newSharingWriter()
	if aborts(func() { h.ServeHTTP(w, request(t, "GET", target, "Accept-Encoding: gzip")) }) {
		t.Errorf("%s: aborted, though no file shrinks", target)
	}
	body := w.Body.String()
	if strings.Contains(body, "SECRET") || strings.Contains(body, "Umask") {
		t.Errorf("%s: served from outside of the root: %.40q", target, body)
	}
	if got := w.Header().Get("Content-Length"); got != strconv.Itoa(len(body)) {
		t.Errorf("%s: %d bytes, Content-Length %s", target, len(body), got)
	}
	if w.Code != 200 {
		return 0
	}
	text, coding := "PUBLIC", w.Header().Get("Content-Encoding")
	if coding == "gzip" {
		text = "PACKED"
	}
	if target != "/dir/" && strings.ReplaceAll(body, text, "") != "" {
		t.Errorf("%s: %s holds %.40q", target, coding, body)
	}
	return 1
}
