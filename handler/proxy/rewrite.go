package proxy

import (
	"errors"
	"fmt"
	"strings"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// Rewrite changes the path that an upstream is asked for. The query goes on as it
// is, and what is not changed of the path does so byte for byte.
type Rewrite struct {
	// StripPrefix is taken off the path's begin: a path of whole segments,
	// /api or /api/. It is compared with the decoded path. Requests whose path does
	// not begin with it go on as they are.
	StripPrefix string
	// AddPrefix is put before the path then: /v2.
	AddPrefix string
	// Path takes the place of the whole path instead.
	Path string
}

func (o *Rewrite) empty() bool { return o.StripPrefix == "" && o.AddPrefix == "" && o.Path == "" }

func (o *Rewrite) validate() error {
	var errs []error
	for _, f := range []struct{ name, value string }{
		{"strip prefix", o.StripPrefix}, {"add prefix", o.AddPrefix}, {"path", o.Path},
	} {
		if f.value == "" {
			continue
		}
		if f.value[0] != '/' || strings.ContainsAny(f.value, "?#") || !semantics.ValidTarget([]byte(f.value)) {
			errs = append(errs, fmt.Errorf("rewrite: %s %q is no path: it begins with / and has no query", f.name, f.value))
		}
	}
	if o.Path != "" && (o.StripPrefix != "" || o.AddPrefix != "") {
		errs = append(errs, errors.New("rewrite: a path takes the place of the whole one; give either it or prefixes"))
	}
	return errors.Join(errs...)
}

// apply rewrites a target in origin-form.
func (o *Rewrite) apply(target string) string {
	path, query := target, ""
	if at := strings.IndexByte(target, '?'); at >= 0 {
		path, query = target[:at], target[at:]
	}
	if o.Path != "" {
		return o.Path + query
	}
	if rest, ok := stripPath(path, o.StripPrefix); ok {
		path = rest
	}
	return strings.TrimSuffix(o.AddPrefix, "/") + path + query
}

// stripPath takes prefix, which is decoded, off a path that is not. What is left
// begins with a slash. False: the path is another one.
func stripPath(path, prefix string) (rest string, ok bool) {
	prefix = strings.TrimSuffix(prefix, "/")
	i := 0
	for n := 0; n < len(prefix); n++ {
		if i >= len(path) {
			return "", false
		}
		c, width := path[i], 1
		if c == '%' && i+2 < len(path) { // checked: two hex digits follow
			c, width = unhex(path[i+1])<<4|unhex(path[i+2]), 3
		}
		if c != prefix[n] || c == '/' && width == 3 {
			return "", false
		}
		i += width
	}
	switch {
	case i == len(path):
		return "/", true
	case path[i] != '/':
		return "", false
	}
	return path[i:], true
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

// originForm is the target as an origin is asked for it: path and query, or "*".
// Clients of a proxy send a whole URL (RFC 9112 §3.2.2).
func originForm(target string) string {
	if target == "" {
		return "/"
	}
	if target[0] == '/' || target == "*" {
		return target
	}
	_, rest, ok := strings.Cut(target, "://")
	if !ok {
		return "/"
	}
	at := strings.IndexAny(rest, "/?")
	switch {
	case at < 0:
		return "/"
	case rest[at] == '?':
		return "/" + rest[at:]
	}
	return rest[at:]
}
