package handler

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// CompressOptions shapes a Compress. With the zero value texts of 1 KiB and more
// are compressed.
type CompressOptions struct {
	// Encodings are the content codings, in order of preference, which decides where
	// a client likes them equally. If nil, all this package can make: zstd, gzip.
	Encodings []string
	// Types are the media types that are compressed, without parameters. If nil,
	// texts, scripts, JSON, XML, SVG, wasm and fonts that are not packed. An event
	// stream (text/event-stream) is not among them: it would hold an encoder while
	// it waits.
	Types []string
	// MinBytes is the least content that is worth it, in bytes, 64 KiB at most. As
	// much is kept back where an answer does not tell its length. If zero, 1 KiB. If
	// negative, none.
	MinBytes int
	// Level is between 1 (fast) and 9 (small), as gzip has them; zstd has three of
	// its own in that range. If zero, 4. Higher ones cost time, and with zstd up to
	// 5 MiB an encoder.
	Level int
	// WindowBytes is how far back zstd looks for what comes again: a power of two,
	// 1 KiB to 8 MiB (RFC 9659 §3). It is what an answer costs its client, and twice
	// that its server. gzip has always 32 KiB. If zero, 256 KiB.
	WindowBytes int
	// MaxEncoders is how many answers are compressed at once; further ones go as
	// they are (S-9). An encoder costs 1 to 2 MiB, and is held until its client has
	// taken the answer. If zero, 16 for each processor, 256 at most. It is not to be
	// negative: there is no form without a bound.
	MaxEncoders int
}

// Bounds and defaults of the options.
const (
	defaultMinBytes    = 1 << 10
	maxMinBytes        = 64 << 10
	defaultLevel       = 4
	defaultWindowBytes = 256 << 10
	minWindowBytes     = 1 << 10
	maxWindowBytes     = 8 << 20
	encodersPerCPU     = 16
	maxDefaultEncoders = 256
)

// compressedTypes are those that shrink to less than two thirds.
var compressedTypes = []string{
	"application/atom+xml", "application/javascript", "application/json", "application/ld+json", "application/manifest+json",
	"application/problem+json", "application/rss+xml", "application/vnd.apple.mpegurl", "application/vnd.ms-fontobject",
	"application/wasm", "application/xhtml+xml", "application/xml", "application/yaml", "font/otf", "font/ttf", "image/svg+xml",
	"image/x-icon", "text/calendar", "text/css", "text/csv", "text/html", "text/javascript", "text/markdown", "text/plain", "text/vtt", "text/xml",
}

// Compress compresses answers on the fly where the client takes it (RFC 9110
// §12.5.3). It is a filter around a handler and no stage of a Chain, as it changes
// the content: it goes inside of a chain, which then counts what is sent.
//
// Left as they are: answers that have a Content-Encoding (also an empty one, by
// which a handler declines), parts (206, Content-Range), those that say no-transform
// or carry a digest or announce trailers, types that are not on the list, and what
// is shorter than MinBytes. Of a compressed answer the Content-Length and
// Accept-Ranges go, a strong ETag becomes weak, and Vary tells of Accept-Encoding,
// also where the client takes none. Flush passes through.
//
// A head without a declared length waits for MinBytes of content, a Flush, or the
// end. Headers are not to be changed in between.
//
// An answer that holds a secret and repeats what a stranger sends must not be
// compressed: its length tells (BREACH). Such a handler declines.
type Compress struct {
	// Immutable after NewCompress.
	encodings []string
	types     map[string]struct{}
	minBytes  int
	encoders  encoders

	skipped atomic.Int64
}

// NewCompress checks the options and makes the filter, which any number of handlers
// may share.
func NewCompress(o CompressOptions) (*Compress, error) {
	c := &Compress{encodings: slices.Clone(o.Encodings), types: make(map[string]struct{}), minBytes: o.MinBytes}
	if o.Encodings == nil {
		c.encodings = knownEncodings()
	}
	if err := c.checkEncodings(); err != nil {
		return nil, err
	}
	types := o.Types
	if types == nil {
		types = compressedTypes
	}
	for _, t := range types {
		if strings.Count(t, "/") != 1 || strings.ContainsAny(t, "*; \t") {
			return nil, fmt.Errorf("compress: type %q: one like text/html expected, without parameters", t)
		}
		c.types[strings.ToLower(t)] = struct{}{}
	}
	if c.minBytes == 0 {
		c.minBytes = defaultMinBytes
	}
	if c.minBytes > maxMinBytes {
		return nil, fmt.Errorf("compress: %d bytes at least: as much is kept back, so 64 KiB is the most", o.MinBytes)
	}
	return c, c.initEncoders(o)
}

func (c *Compress) checkEncodings() error {
	if len(c.encodings) == 0 {
		return errors.New("compress: no encodings")
	}
	for i, coding := range c.encodings {
		if !slices.Contains(knownEncodings(), coding) {
			return fmt.Errorf("compress: encoding %q: known are %s", coding, strings.Join(knownEncodings(), ", "))
		}
		if slices.Contains(c.encodings[:i], coding) {
			return fmt.Errorf("compress: encoding %q: named twice", coding)
		}
	}
	return nil
}

// initEncoders checks what concerns them.
func (c *Compress) initEncoders(o CompressOptions) error {
	s := encoderSettings{level: o.Level, windowBytes: o.WindowBytes}
	if s.level == 0 {
		s.level = defaultLevel
	}
	if s.windowBytes == 0 {
		s.windowBytes = defaultWindowBytes
	}
	most := o.MaxEncoders
	if most == 0 {
		most = min(encodersPerCPU*runtime.GOMAXPROCS(0), maxDefaultEncoders)
	}
	switch w := s.windowBytes; {
	case s.level < 1 || s.level > 9:
		return fmt.Errorf("compress: level %d: 1 to 9", o.Level)
	case w < minWindowBytes || w > maxWindowBytes || w&(w-1) != 0:
		return fmt.Errorf("compress: window of %d bytes: a power of two between 1 KiB and 8 MiB", o.WindowBytes)
	case most < 0:
		return fmt.Errorf("compress: %d encoders: more than none", o.MaxEncoders)
	}
	c.encoders.init(c.encodings, s, int64(most))
	return nil
}

// Skipped is how many answers went as they are because all encoders were in use.
func (c *Compress) Skipped() int64 { return c.skipped.Load() }

// Wrap makes h's answers go through the filter.
func (c *Compress) Wrap(h http.Handler) http.Handler {
	f := &compressed{c: c, handler: h}
	if r, ok := h.(interface{ RecycleRequests() bool }); ok {
		f.recycle = r.RecycleRequests()
	}
	return f
}

// compressed is a handler behind the filter.
type compressed struct {
	c       *Compress
	handler http.Handler
	recycle bool
	pool    sync.Pool // of *compressWriter, if the handler keeps none
}

// RecycleRequests is the handler's own promise: the filter keeps nothing.
func (f *compressed) RecycleRequests() bool { return f.recycle }

// ServeHTTP runs the handler, and ends its answer.
func (f *compressed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	cw := f.take()
	cw.begin(f.c, w, r)
	whole := false
	defer func() {
		if !whole { // it has panicked, or ended its goroutine
			cw.abandon()
		}
	}()
	f.handler.ServeHTTP(cw, r)
	cw.finish()
	whole = true
	if f.recycle {
		cw.c, cw.inner, cw.r = nil, nil, nil
		f.pool.Put(cw)
	}
}

func (f *compressed) take() *compressWriter {
	if f.recycle {
		if cw, ok := f.pool.Get().(*compressWriter); ok {
			return cw
		}
	}
	return new(compressWriter)
}
