package static

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// wellKnown is the one name with a dot in front that is public (RFC 8615).
const wellKnown = ".well-known"

// location is what a path asks for: a name below the root ("." for the root
// itself), without slash at its end; dir tells that the path had one.
type location struct {
	name string
	dir  bool
}

// locate judges a URL's path (rule F-1). What it refuses is answered like a file
// that is not there, so that nothing can be learned from the difference. The
// name shares the memory of u.
func (h *Handler) locate(u *url.URL) (loc location, ok bool) {
	if u.RawPath != "" && escapesSlash(u.RawPath) {
		return location{}, false
	}
	return locatePath(u.Path, h.prefix)
}

// locatePath judges a path that was decoded, and cuts the prefix off.
func locatePath(path, prefix string) (loc location, ok bool) {
	path, ok = strings.CutPrefix(path, prefix)
	switch {
	case !ok:
		return location{}, false
	case path == "" && prefix != "":
		return location{name: "."}, true // "/assets" for "/assets/": to be redirected
	case path == "" || path[0] != '/', !utf8.ValidString(path), strings.ContainsAny(path, "\\\x00"):
		return location{}, false
	}
	name := path[1:]
	if name == "" {
		return location{name: ".", dir: true}, true
	}
	name, loc.dir = strings.CutSuffix(name, "/")
	loc.name = name
	for first := true; ; first = false {
		segment, rest, more := strings.Cut(name, "/")
		if !segmentAllowed(segment, first) {
			return location{}, false
		}
		if !more {
			return loc, true
		}
		name = rest
	}
}

// segmentAllowed refuses empty segments ("//"), dot segments left after
// decoding, and hidden names.
func segmentAllowed(segment string, first bool) bool {
	if segment == "" {
		return false
	}
	return segment[0] != '.' || first && segment == wellKnown
}

// nameAllowed tells whether a single name could be asked for.
func nameAllowed(name string) bool {
	loc, ok := locatePath("/"+name, "")
	return ok && !loc.dir && !strings.Contains(name, "/") && name != wellKnown
}

// escapesSlash finds %2f in an escaped path: decoding would make a separator
// of what was sent as part of a name. (%5c and %00 still show after decoding.)
func escapesSlash(raw string) bool {
	for {
		i := strings.Index(raw, "%2")
		if i < 0 {
			return false
		}
		if raw = raw[i+2:]; raw != "" && raw[0]|0x20 == 'f' {
			return true
		}
	}
}

// visible tells whether a listing shows a name of the directory dir.
func visible(dir, name string) bool { return segmentAllowed(name, dir == ".") }

// below is a name in a directory, as os.Root wants it.
func below(dir, name string) string {
	if dir == "." {
		return name
	}
	return dir + "/" + name
}
