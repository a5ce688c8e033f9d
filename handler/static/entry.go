package static

import (
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
)

// entry is what a path is answered with: a file and its precompressed siblings, as
// they were at one look.
type entry struct {
	// Immutable after load.
	key      string    // the URL path it answers
	looks    []look    // what was seen; the first is the file itself
	self     variant   // the file
	siblings []variant // in order of preference
	codings  []string  // of the siblings, in their order
	young    bool      // one of them is
	bytes    int64     // in memory
	open     int       // files that are kept open

	// Atomic; written by any goroutine.
	refs    atomic.Int64 // who uses the open files: the cache, and each answer
	checked atomic.Int64 // when the files were last looked at, see Handler.now
	used    atomic.Bool  // since the cache's hand last passed

	slot int // in the cache's ring; guarded by cache.mu
}

// look is what was found under a name: nil if nothing was.
type look struct {
	name string
	info fs.FileInfo
}

// acquire keeps the files open until release. False: they are closed.
func (e *entry) acquire() bool {
	for {
		n := e.refs.Load()
		if n == 0 {
			return false
		}
		if e.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release closes the files behind the last one who uses them.
func (e *entry) release() {
	switch n := e.refs.Add(-1); {
	case n < 0:
		panic("BUG: static: entry released twice")
	case n > 0:
		return
	}
	e.self.close()
	for i := range e.siblings {
		e.siblings[i].close()
	}
}

// intact tells whether no open file was written to.
func (e *entry) intact() bool {
	for i := range e.siblings {
		if v := &e.siblings[i]; v.file != nil && !v.unchanged() {
			return false
		}
	}
	return e.self.file == nil || e.self.unchanged()
}

// found is an open file before it is loaded.
type found struct {
	name   string
	file   *os.File
	info   fs.FileInfo
	missed []look // names that would have come first, and are not there
}

// load makes the entry of an open file, which it takes over. The caller holds the
// one reference. keep is false when a file changed under the reading: the entry
// then serves this one request.
func (h *Handler) load(key string, f found) (e *entry, keep bool) {
	name := strings.Clone(f.name) // the request's memory may be recycled
	e = &entry{key: strings.Clone(key), looks: append([]look{{name, f.info}}, f.missed...)}
	e.refs.Store(1)
	e.checked.Store(h.now())
	// What is looked for decides about Vary, not what is found (RFC 9110 §12.5.5).
	var vary []string
	if h.hasSiblings(name) {
		vary = varyEncoding
	}
	keep = e.self.load(h, f.file, f.info, vary)
	e.self.contentType = e.self.typeByNameOr(name)
	if vary != nil && !h.loadSiblings(e, name) {
		keep = false
	}
	e.count()
	return e, keep
}

func (e *entry) count() {
	add := func(v *variant) {
		e.bytes += int64(len(v.body))
		e.young = e.young || v.young
		if v.file != nil || v.second != nil {
			e.open++
		}
	}
	add(&e.self)
	for i := range e.siblings {
		add(&e.siblings[i])
	}
}

// fresh tells whether e may be served. One request a revalidation interval
// looks at the files; the others do not wait for it.
func (h *Handler) fresh(e *entry) bool {
	if h.revalidate >= 0 {
		now := h.now()
		last := e.checked.Load()
		if now-last < int64(h.revalidate) || !e.checked.CompareAndSwap(last, now) {
			return true
		}
	}
	if !e.young && h.unchanged(e.looks) {
		return true
	}
	h.cache.remove(e)
	return false
}

// unchanged looks again. A missing file that is there now counts as a change.
func (h *Handler) unchanged(looks []look) bool {
	for _, l := range looks {
		info, err := h.root.Stat(l.name)
		if err != nil {
			if l.info == nil {
				continue
			}
			return false
		}
		if l.info == nil || !sameFile(l.info, info) {
			return false
		}
	}
	return true
}

// sameFile tells whether two looks found the same file, unchanged.
func sameFile(a, b fs.FileInfo) bool {
	return a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) && os.SameFile(a, b)
}
