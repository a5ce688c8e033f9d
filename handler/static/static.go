package static

import (
	"fmt"
	"net/http"
	"os"
	"time"
)

// Options shapes a Handler. The zero value serves files without listings.
type Options struct {
	// Browse answers a directory without index.html with a list of its files.
	Browse bool
	// CacheEntries is how many files are remembered. If zero, 1024. If negative, none.
	CacheEntries int
	// CacheBytes bounds the contents kept in memory, in bytes. If zero, 64 MiB. If negative, none.
	CacheBytes int64
	// CacheFileBytes is the largest file whose contents are kept. If zero, 128 KiB. If negative, none.
	CacheFileBytes int64
	// Revalidate is how long contents are served without asking the file
	// system whether they changed. If zero, 1 s. If negative, each request asks.
	Revalidate time.Duration
}

const (
	defaultCacheEntries   = 1024
	defaultCacheBytes     = 64 << 20
	defaultCacheFileBytes = 128 << 10
	defaultRevalidate     = time.Second
)

func (o Options) cacheEntries() int         { return zeroMeans(o.CacheEntries, defaultCacheEntries) }
func (o Options) cacheBytes() int64         { return zeroMeans(o.CacheBytes, defaultCacheBytes) }
func (o Options) revalidate() time.Duration { return zeroMeans(o.Revalidate, defaultRevalidate) }

// keptFileBytes is the largest size that is worth reading into memory.
func (o Options) keptFileBytes() int64 {
	if o.cacheEntries() < 0 {
		return -1
	}
	return min(zeroMeans(o.CacheFileBytes, defaultCacheFileBytes), o.cacheBytes())
}

func zeroMeans[T ~int | ~int64](v, zero T) T {
	switch {
	case v == 0:
		return zero
	case v < 0:
		return -1
	}
	return v
}

// Handler serves the files below its root. It is safe for concurrent use and
// keeps nothing of a request.
type Handler struct {
	// Immutable after New.
	root         *os.Root
	browse       bool
	maxFileBytes int64
	revalidate   time.Duration
	started      time.Time

	cache cache
}

// New opens dir as the root. The directory itself is held open: moving or
// replacing it later does not change what is served.
func New(dir string, opts Options) (*Handler, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open root: %w", err)
	}
	h := &Handler{
		root:         root,
		browse:       opts.Browse,
		maxFileBytes: opts.keptFileBytes(),
		revalidate:   opts.revalidate(),
		started:      time.Now(),
	}
	h.cache.init(opts.cacheEntries(), opts.cacheBytes())
	return h, nil
}

// Close gives the root back. Requests that come later are answered 500.
func (h *Handler) Close() error { return h.root.Close() }

// RecycleRequests tells the engine that nothing of a request is kept.
func (h *Handler) RecycleRequests() bool { return true }

// ServeHTTP answers GET and HEAD. A hit in the cache is answered without a
// lock and without an allocation (TestHitAllocatesNothing, BenchmarkHit).
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header()["Allow"] = allowed
		methodNotAllowed.serve(w, r)
		return
	}
	// A path that was cached has passed the rules, but for one that decoding
	// hides: RawPath is set when the target held escapes such as %2f.
	if r.URL.RawPath == "" || !escapesSlash(r.URL.RawPath) {
		if e := h.cache.get(r.URL.Path); e != nil && e.inMemory && h.fresh(e) {
			h.serveEntry(w, r, e, nil)
			return
		}
	}
	h.find(w, r)
}

// fresh tells whether e may be served. One request a revalidation interval
// looks at the file; the others do not wait for it.
func (h *Handler) fresh(e *entry) bool {
	now := h.now()
	last := e.checked.Load()
	if now-last < int64(h.revalidate) || !e.checked.CompareAndSwap(last, now) {
		return true
	}
	info, err := h.root.Stat(e.name)
	if err == nil && !e.young && e.same(info) {
		return true
	}
	h.cache.remove(e)
	return false
}

// now is monotonic, in nanoseconds since New: setting the wall clock neither
// freezes nor floods the revalidation (rule O-5).
func (h *Handler) now() int64 { return int64(time.Since(h.started)) }
