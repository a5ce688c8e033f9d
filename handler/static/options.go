package static

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// Options shapes a Handler. The zero value serves files without listings and
// without precompressed siblings.
type Options struct {
	// Prefix is the part of the URL's path that is cut off before a file is looked
	// for, "/assets" for instance; other paths are not found. If empty, none.
	Prefix string
	// Index are the names that answer for a directory; the first that is there
	// counts. If nil, index.html. If empty but not nil, none.
	Index []string
	// NotFound is the path of a page below the root, "/404.html" for instance, that
	// is sent with each 404. If empty, or where there is no such page, a short text.
	NotFound string
	// CacheControl is the Cache-Control of files (200, 206 and 304). If empty, none.
	CacheControl string
	// Precompressed are the content codings whose siblings are looked for, in order
	// of preference: "zstd" (f.zst), "br" (f.br), "gzip" (f.gz). A sibling older
	// than its file is left alone. Each costs one more look at a file that is not
	// cached. If nil, none.
	Precompressed []string
	// Browse answers a directory without an index with a list of its files.
	Browse bool

	// CacheEntries is how many files are remembered, and how many missing ones. If
	// zero, 1024. If negative, none.
	CacheEntries int
	// CacheBytes bounds the contents kept in memory, in bytes. If zero, 64 MiB. If negative, none.
	CacheBytes int64
	// CacheFileBytes is the largest file whose contents are kept; a larger one is
	// kept open instead. If zero, 128 KiB. If negative, none.
	CacheFileBytes int64
	// CacheOpenFiles is how many files are kept open. If zero, as many as
	// CacheEntries, but an eighth of the process' limit of descriptors at most; a
	// process with many roots sets it lower. If negative, none: larger files are
	// opened for each request.
	CacheOpenFiles int
	// Revalidate is how long what is remembered, missing files too, is trusted
	// without asking the file system. If zero, 1 s. If negative, each request asks.
	Revalidate time.Duration
}

// The defaults. Over clear HTTP/1.1 contents in memory are ahead of sendfile up to
// copyBytes, as they leave with the head in one write; over TLS, HTTP/2 and HTTP/3 they
// spare the reading of the file, whatever its size (BenchmarkMemoryOrFile, and s100k
// of the referee: 16.7 us an answer of 100 KB by sendfile, 21.3 from memory).
const (
	defaultCacheEntries   = 1024
	defaultCacheBytes     = 64 << 20
	defaultCacheFileBytes = 128 << 10
	defaultRevalidate     = time.Second

	// copyBytes is up to where contents in memory are copied to a clear connection;
	// larger ones go by sendfile from a descriptor that is kept beside them.
	copyBytes = 16 << 10
)

func (o *Options) cacheEntries() int         { return zeroMeans(o.CacheEntries, defaultCacheEntries) }
func (o *Options) cacheBytes() int64         { return zeroMeans(o.CacheBytes, defaultCacheBytes) }
func (o *Options) revalidate() time.Duration { return zeroMeans(o.Revalidate, defaultRevalidate) }

// keptFileBytes is the largest size that is worth reading into memory.
func (o *Options) keptFileBytes() int64 {
	if o.cacheEntries() < 0 {
		return -1
	}
	return min(zeroMeans(o.CacheFileBytes, defaultCacheFileBytes), o.cacheBytes())
}

// cacheOpenFiles leaves the other descriptors to connections.
func (o *Options) cacheOpenFiles() int {
	eighth := int(min(descriptorLimit()/8, math.MaxInt32))
	return zeroMeans(o.CacheOpenFiles, min(max(o.cacheEntries(), 0), eighth))
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

// check finds what cannot be meant.
func (o *Options) check() error {
	if p := strings.TrimSuffix(o.Prefix, "/"); p != "" {
		if _, ok := locatePath(p, ""); !ok {
			return fmt.Errorf("prefix %q: a path like /assets expected, without dot segments", o.Prefix)
		}
	}
	for _, name := range o.Index {
		if !nameAllowed(name) {
			return fmt.Errorf("index %q: the name of a file expected, not hidden", name)
		}
	}
	if o.NotFound != "" {
		if loc, ok := locatePath(o.NotFound, ""); !ok || loc.dir {
			return fmt.Errorf("not found page %q: the path of a file below the root expected, like /404.html", o.NotFound)
		}
	}
	if !semantics.ValidFieldValue([]byte(o.CacheControl)) {
		return fmt.Errorf("cache control %q: not the value of a field", o.CacheControl)
	}
	for i, coding := range o.Precompressed {
		if extensionOf(coding) == "" {
			return fmt.Errorf("precompressed %q: zstd, br and gzip are known", coding)
		}
		if slices.Contains(o.Precompressed[:i], coding) {
			return fmt.Errorf("precompressed %q: named twice", coding)
		}
	}
	return nil
}

// index is what answers for a directory.
func (o *Options) index() []string {
	if o.Index == nil {
		return []string{"index.html"}
	}
	return slices.Clone(o.Index)
}
