package static

import (
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strconv"
	"time"
)

// youngAge: a file changed so recently may change again without its time
// showing it (RFC 9110 §8.8.2.2), so its validator is weak and its contents
// are read again at the next look.
const youngAge = 2 * time.Second

// variant is one representation of a path (RFC 9110 §3.2): a file, or its
// precompressed sibling. It holds all that an answer needs, made once.
type variant struct {
	// Immutable after load.
	size    int64
	modTime time.Time
	young   bool
	body    []byte   // the whole contents, if file is nil; never written: answers share it
	file    *os.File // kept open by the entry's references; nil: body holds all
	fd      uintptr  // of file
	second  *os.File // the same contents as body, for engines that send files without copying; nil: none

	etag            string // as sent, or "" if nothing is known about the file's age
	contentType     []string
	contentLength   []string
	contentEncoding []string // nil: none
	vary            []string // nil: none
	cacheControl    []string // nil: none
	etagField       []string
	lastModified    []string
}

// load takes an open file over, and reads its contents if they are to be kept.
// whole is false if it changed meanwhile: it is served from the descriptor then,
// once.
func (v *variant) load(h *Handler, f *os.File, info fs.FileInfo, vary []string) (whole bool) {
	v.size, v.modTime = info.Size(), info.ModTime()
	v.vary, v.cacheControl = vary, h.cacheControl
	v.contentLength = []string{strconv.FormatInt(v.size, 10)}
	v.validate(time.Now())
	small := v.size <= h.maxFileBytes
	if small {
		if v.body, whole = readAll(f, info); whole {
			if v.size > copyBytes && h.cache.maxOpen > 0 {
				v.second = f
			} else {
				_ = f.Close() // nothing was written to it
			}
			return true
		}
	}
	v.body, v.file, v.fd = nil, f, f.Fd()
	return !small
}

// readAll reads the contents and tells whether they are of one piece.
func readAll(f *os.File, info fs.FileInfo) (body []byte, ok bool) {
	body = make([]byte, info.Size())
	if _, err := f.ReadAt(body, 0); err != nil && err != io.EOF {
		return nil, false
	}
	after, err := f.Stat()
	return body, err == nil && sameFile(info, after)
}

// validate sets the validators. now is the wall clock's: it is compared with
// the file's time.
func (v *variant) validate(now time.Time) {
	// Images built for reproduction carry no times: two contents of one size
	// would then look the same for ever.
	if v.modTime.IsZero() || v.modTime.Unix() <= 1 {
		return
	}
	age := now.Sub(v.modTime)
	v.young = age < youngAge
	v.setETag("")
	if age >= 0 { // RFC 9110 §8.8.2.1: never a time to come
		v.lastModified = []string{v.modTime.UTC().Format(http.TimeFormat)}
	}
}

// setETag makes the entity tag of a content coding: RFC 9110 §8.8.3.3 wants one
// of its own for each.
func (v *variant) setETag(coding string) {
	if coding != "" {
		coding = "-" + coding
	}
	v.etag = `"` + strconv.FormatInt(v.modTime.UnixNano(), 36) + "-" + strconv.FormatInt(v.size, 36) + coding + `"`
	if v.young {
		v.etag = "W/" + v.etag
	}
	v.etagField = []string{v.etag}
}

// encoded makes v the variant of a content coding. Its type is the original's.
func (v *variant) encoded(coding string, contentType []string) {
	v.contentType, v.contentEncoding = contentType, []string{coding}
	if v.etag != "" {
		v.setETag(coding)
	}
}

// typeByNameOr looks into a file whose name tells nothing, but only to tell
// text from the rest: no name, no active content.
func (v *variant) typeByNameOr(name string) []string {
	if t := typeByName(path.Ext(name)); t != nil {
		return t
	}
	head := v.body
	if v.file != nil {
		head = make([]byte, 512)
		n, _ := v.file.ReadAt(head, 0) // what cannot be read now fails when it is sent
		head = head[:n]
	}
	if http.DetectContentType(head) == textPlain[0] {
		return textPlain
	}
	return octetStream
}

// unchanged tells whether an open file is still what the validators say.
func (v *variant) unchanged() bool {
	size, mtime, err := stamp(v.fd, v.file)
	return err == nil && size == v.size && mtime == v.modTime.UnixNano()
}

func (v *variant) close() {
	for _, f := range [...]*os.File{v.file, v.second} {
		if f != nil {
			_ = f.Close() // nothing was written to it
		}
	}
}

// setFields puts the fields of a 200 or 206 into h, without Content-Length.
func (v *variant) setFields(h http.Header) {
	v.setContent(h)
	h["Accept-Ranges"] = acceptRanges
	v.setValidators(h)
	if v.lastModified != nil {
		h["Last-Modified"] = v.lastModified
	}
}

// setContent puts the fields that say what the content is.
func (v *variant) setContent(h http.Header) {
	h["Content-Type"] = v.contentType
	h["X-Content-Type-Options"] = nosniff
	if v.contentEncoding != nil {
		h["Content-Encoding"] = v.contentEncoding
	}
	v.setVary(h)
}

// setValidators puts the fields that a 304 has too (RFC 9110 §15.4.5: ETag,
// Cache-Control, Vary; Last-Modified only instead of an ETag, which has the same
// conditions here).
func (v *variant) setValidators(h http.Header) {
	if v.etagField != nil {
		h["Etag"] = v.etagField
	}
	if v.cacheControl != nil {
		h["Cache-Control"] = v.cacheControl
	}
	v.setVary(h)
}

func (v *variant) setVary(h http.Header) {
	if v.vary != nil {
		h["Vary"] = v.vary
	}
}
