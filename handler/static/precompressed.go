package static

import (
	"net/http"
	"os"
	"strings"

	"github.com/penstock-edge/penstock/handler"
)

// sibling is a content coding and the extension of files that are stored in it.
type sibling struct{ coding, extension string }

func siblingsOf(codings []string) []sibling {
	var out []sibling
	for _, coding := range codings {
		out = append(out, sibling{coding, extensionOf(coding)})
	}
	return out
}

// extensionOf is "" for a coding that is not known.
func extensionOf(coding string) string {
	switch coding {
	case "zstd":
		return ".zst"
	case "br":
		return ".br"
	case "gzip":
		return ".gz"
	}
	return ""
}

// hasSiblings tells whether siblings of a file are looked for: not of one that is
// a sibling itself.
func (h *Handler) hasSiblings(name string) bool {
	for _, s := range h.siblings {
		if strings.HasSuffix(name, s.extension) {
			return false
		}
	}
	return len(h.siblings) > 0
}

// loadSiblings adds the siblings of a file that are there and not older than it:
// an older one is of contents that were. False: one changed under the reading.
func (h *Handler) loadSiblings(e *entry, name string) (keep bool) {
	keep = true
	for _, s := range h.siblings {
		f, l := h.openSibling(name + s.extension)
		e.looks = append(e.looks, l)
		if f == nil {
			continue
		}
		if l.info.ModTime().Before(e.self.modTime) {
			_ = f.Close() // nothing was written to it
			continue
		}
		var v variant
		keep = v.load(h, f, l.info, e.self.vary) && keep
		v.encoded(s.coding, e.self.contentType)
		e.siblings = append(e.siblings, v)
		e.codings = append(e.codings, s.coding)
	}
	return keep
}

// openSibling opens a sibling that is a regular file, and notes what is there.
func (h *Handler) openSibling(name string) (*os.File, look) {
	f, info, err := h.open(name)
	if err == nil && info.Mode().IsRegular() {
		return f, look{name, info}
	}
	if err == nil {
		_ = f.Close() // nothing was written to it
		return nil, look{name, info}
	}
	return nil, h.lookAt(name)
}

// lookAt notes what is there under a name that cannot be served.
func (h *Handler) lookAt(name string) look {
	info, err := h.root.Stat(name)
	if err != nil {
		return look{name, nil}
	}
	return look{name, info}
}

// choose takes the variant that Accept-Encoding prefers. Nothing else decides:
// ranges are of the chosen bytes.
func (e *entry) choose(h http.Header) *variant {
	if len(e.siblings) == 0 {
		return &e.self
	}
	if i := handler.ChooseEncoding(h["Accept-Encoding"], e.codings); i >= 0 {
		return &e.siblings[i]
	}
	return &e.self
}
