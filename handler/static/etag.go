package static

import (
	"net/http"
	"strings"
	"time"
)

// verdict is what the preconditions of a request come to.
type verdict int

const (
	proceed verdict = iota
	notModified
	preconditionFailed
)

// judge evaluates the preconditions in the order of RFC 9110 §13.2.2. Only GET
// and HEAD come here.
func (v *variant) judge(h http.Header) verdict {
	if list := h["If-Match"]; len(list) > 0 {
		if !matchAny(list, v.etag, strongMatch) {
			return preconditionFailed
		}
	} else if v.unmodifiedSince(h["If-Unmodified-Since"]) == no {
		return preconditionFailed
	}
	if list := h["If-None-Match"]; len(list) > 0 {
		if matchAny(list, v.etag, weakMatch) {
			return notModified
		}
	} else if v.unmodifiedSince(h["If-Modified-Since"]) == yes {
		return notModified
	}
	return proceed
}

// answered: whether a condition holds, or cannot be evaluated and is ignored.
type answered int

const (
	ignored answered = iota
	yes
	no
)

// unmodifiedSince compares in whole seconds, which is all a date can say.
// RFC 9110 §13.1.3, §13.1.4: what is not one valid date is ignored.
func (v *variant) unmodifiedSince(dates []string) answered {
	if len(dates) != 1 || v.lastModified == nil {
		return ignored
	}
	t, err := http.ParseTime(dates[0])
	if err != nil {
		return ignored
	}
	if v.modTime.Truncate(time.Second).After(t) {
		return no
	}
	return yes
}

// rangeHolds tells whether If-Range lets a Range count: RFC 9110 §13.1.5 asks
// for strong comparison, so a young file never passes.
func (v *variant) rangeHolds(values []string) bool {
	if len(values) == 0 {
		return true
	}
	if len(values) > 1 || v.young {
		return false
	}
	if tag, _ := scanETag(values[0]); tag != "" {
		return strongMatch(tag, v.etag)
	}
	return v.lastModified != nil && values[0] == v.lastModified[0]
}

// matchAny looks for etag in the list of all field lines. "*" matches, as the
// file is there (RFC 9110 §13.1.1).
func matchAny(lines []string, etag string, match func(a, b string) bool) bool {
	for _, line := range lines {
		for {
			line = strings.TrimLeft(line, " \t,")
			if line == "" {
				break
			}
			if line[0] == '*' {
				return true
			}
			tag, rest := scanETag(line)
			if tag == "" {
				break // not a list of entity tags: the rest says nothing
			}
			if match(tag, etag) {
				return true
			}
			line = rest
		}
	}
	return false
}

// strongMatch and weakMatch: RFC 9110 §8.8.3.2.
func strongMatch(a, b string) bool { return a == b && a != "" && a[0] == '"' }

func weakMatch(a, b string) bool {
	return b != "" && strings.TrimPrefix(a, "W/") == strings.TrimPrefix(b, "W/")
}

// scanETag takes an entity tag (RFC 9110 §8.8.3) off the front of s.
func scanETag(s string) (tag, rest string) {
	start := 0
	if strings.HasPrefix(s, "W/") {
		start = 2
	}
	if len(s)-start < 2 || s[start] != '"' {
		return "", ""
	}
	for i := start + 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return s[:i+1], s[i+1:]
		case c == 0x21, c >= 0x23 && c <= 0x7e, c >= 0x80:
		default:
			return "", ""
		}
	}
	return "", ""
}
