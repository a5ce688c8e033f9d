package static

import (
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// youngAge: a file changed so recently may change again without its time
// showing it (RFC 9110 §8.8.2.2), so its validator is weak and its contents
// are read again at the next look.
const youngAge = 2 * time.Second

// entry is a file as it was at one look: all that an answer needs, made once.
type entry struct {
	// Immutable after load.
	key      string // the URL path it answers
	name     string // below the root
	info     fs.FileInfo
	size     int64
	modTime  time.Time
	young    bool
	inMemory bool   // body holds the whole file
	body     []byte // never written after load: answers share it

	etag          string // as sent, or "" if nothing is known about the file's age
	contentType   []string
	contentLength []string
	etagField     []string
	lastModified  []string

	// Atomic; written by any goroutine.
	checked atomic.Int64 // when the file was last looked at, see Handler.now
	used    atomic.Bool  // since the cache's hand last passed

	slot int // in the cache's ring; guarded by cache.mu
}

// load makes the entry of an open file and reads its contents if they are to
// be kept. keep is false when the file changed under the reading: the entry
// then serves this one request, from the descriptor.
func (h *Handler) load(key, name string, f *os.File, info fs.FileInfo) (e *entry, keep bool) {
	e = &entry{
		key: strings.Clone(key), name: strings.Clone(name), // the request's memory may be recycled
		info: info, size: info.Size(), modTime: info.ModTime(),
		contentLength: []string{strconv.FormatInt(info.Size(), 10)},
	}
	e.checked.Store(h.now())
	e.validate(time.Now())
	keep = true
	if e.size <= h.maxFileBytes {
		keep = e.read(f)
	}
	e.contentType = e.typeByNameOr(f)
	return e, keep
}

// validate sets the validators. now is the wall clock's: it is compared with
// the file's time.
func (e *entry) validate(now time.Time) {
	// Images built for reproduction carry no times: two contents of one size
	// would then look the same for ever.
	if e.modTime.IsZero() || e.modTime.Unix() <= 1 {
		return
	}
	age := now.Sub(e.modTime)
	e.young = age < youngAge
	e.etag = `"` + strconv.FormatInt(e.modTime.UnixNano(), 36) + "-" + strconv.FormatInt(e.size, 36) + `"`
	if e.young {
		e.etag = "W/" + e.etag
	}
	e.etagField = []string{e.etag}
	if age >= 0 { // RFC 9110 §8.8.2.1: never a time to come
		e.lastModified = []string{e.modTime.UTC().Format(http.TimeFormat)}
	}
}

// read takes the contents into memory and tells whether they are of one piece.
func (e *entry) read(f *os.File) bool {
	body := make([]byte, e.size)
	if _, err := f.ReadAt(body, 0); err != nil && err != io.EOF {
		return false
	}
	after, err := f.Stat()
	if err != nil || !e.same(after) {
		return false
	}
	e.body, e.inMemory = body, true
	return true
}

// same tells whether a later look found the same file, unchanged.
func (e *entry) same(info fs.FileInfo) bool {
	return info.Size() == e.size && info.ModTime().Equal(e.modTime) && os.SameFile(info, e.info)
}

// typeByNameOr looks into a file whose name tells nothing, but only to tell
// text from the rest: no name, no active content.
func (e *entry) typeByNameOr(f *os.File) []string {
	if t := typeByName(path.Ext(e.name)); t != nil {
		return t
	}
	head := e.body
	if !e.inMemory {
		head = make([]byte, 512)
		n, _ := f.ReadAt(head, 0) // what cannot be read now fails when it is sent
		head = head[:n]
	}
	if http.DetectContentType(head) == textPlain[0] {
		return textPlain
	}
	return octetStream
}

// setFields puts the fields of a 200 or 206 into h, without Content-Length.
func (e *entry) setFields(h http.Header) {
	h["Content-Type"] = e.contentType
	h["X-Content-Type-Options"] = nosniff
	h["Accept-Ranges"] = acceptRanges
	e.setValidators(h)
}

func (e *entry) setValidators(h http.Header) {
	if e.etagField != nil {
		h["Etag"] = e.etagField
	}
	if e.lastModified != nil {
		h["Last-Modified"] = e.lastModified
	}
}
