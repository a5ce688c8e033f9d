package static

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"
)

// Handler serves the files below its root. It is safe for concurrent use and
// keeps nothing of a request.
type Handler struct {
	// Immutable after New.
	root         *os.Root
	prefix       string // without a slash at its end
	index        []string
	notFound     location // of the page; its name is "" if there is none
	notFoundKey  string   // in the cache: the page's own path
	siblings     []sibling
	cacheControl []string // nil: none
	browse       bool
	maxFileBytes int64
	revalidate   time.Duration
	started      time.Time

	cache  cache
	misses misses
}

// New opens dir as the root. The directory itself is held open: moving or
// replacing it later does not change what is served.
func New(dir string, opts Options) (*Handler, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open root: %w", err)
	}
	h := &Handler{
		root:         root,
		prefix:       strings.TrimSuffix(opts.Prefix, "/"),
		index:        opts.index(),
		siblings:     siblingsOf(opts.Precompressed),
		browse:       opts.Browse,
		maxFileBytes: opts.keptFileBytes(),
		revalidate:   opts.revalidate(),
		started:      time.Now(),
	}
	if opts.CacheControl != "" {
		h.cacheControl = []string{opts.CacheControl}
	}
	if opts.NotFound != "" {
		h.notFound, _ = locatePath(opts.NotFound, "")
		h.notFoundKey = h.prefix + opts.NotFound
	}
	h.cache.init(opts.cacheEntries(), opts.cacheBytes(), opts.cacheOpenFiles())
	if opts.cacheEntries() > 0 && h.revalidate > 0 {
		h.misses.init(opts.cacheEntries(), h.revalidate)
	}
	return h, nil
}

// Close gives the root and the files that are kept open back; a file that is being
// sent is closed behind it. Requests that come later are answered 500.
func (h *Handler) Close() error {
	h.cache.close()
	return h.root.Close()
}

// RecycleRequests tells the engine that nothing of a request is kept.
func (h *Handler) RecycleRequests() bool { return true }

// ServeHTTP answers GET and HEAD. A hit in the cache is answered without a lock
// and without an allocation (TestHitAllocatesNothing, BenchmarkHit).
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header()["Allow"] = allowed
		methodNotAllowed.serve(w, r)
		return
	}
	// A path that was cached has passed the rules, but for one that decoding
	// hides: RawPath is set when the target held escapes such as %2f.
	if r.URL.RawPath == "" || !escapesSlash(r.URL.RawPath) {
		if e := h.cache.get(r.URL.Path); e != nil && h.fresh(e) {
			if h.serveCached(w, r, e) {
				return
			}
		} else if h.misses.has(r.URL.Path, h.now()) {
			h.serveNotFound(w, r)
			return
		}
	}
	h.find(w, r)
}

// serveCached answers with what was remembered. False: it is no longer open, or
// was changed, and nothing was sent.
func (h *Handler) serveCached(w http.ResponseWriter, r *http.Request, e *entry) bool {
	v := e.choose(r.Header)
	if v.file == nil {
		h.serveVariant(w, r, v)
		return true
	}
	if !e.acquire() {
		return false
	}
	defer e.release()
	// A file that is written to in place keeps its descriptor: its validators must
	// not go out with other bytes, and its length is not to be promised.
	if !v.unchanged() {
		h.cache.remove(e)
		return false
	}
	h.serveVariant(w, r, v)
	return true
}

// now is monotonic, in nanoseconds since New: setting the wall clock neither
// freezes nor floods the revalidation (rule O-5).
func (h *Handler) now() int64 { return int64(time.Since(h.started)) }
