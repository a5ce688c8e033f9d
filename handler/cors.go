package handler

import (
	"fmt"
	"math"
	"net/http"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-edge/penstock/serve/semantics"
)

const (
	// maxOrigin bounds an Origin that is looked at: scheme, a name of 253 bytes
	// and a port leave room. TestCORSHostile crosses it.
	maxOrigin = 512
	// corsFix is the end of each message about a pattern that is not pinned.
	corsFix = `begin each alternative with ^ and end it with $, for instance ^https://example\.com(:[0-9]+)?$`
)

// CORSOptions says which pages of other origins may read answers.
type CORSOptions struct {
	// AllowedOrigins are regular expressions for the whole Origin, scheme and port
	// with it. One that is not pinned at both ends is refused, because
	// "example\.com" also means https://example.com.attacker.org (CVE-2022-1996).
	// If empty, no other origin. Flag: --cors-allowed-origins.
	AllowedOrigins []string
	// AllowedMethods and AllowedHeaders are what a page may send. If nil, POST, GET,
	// OPTIONS, PUT, DELETE, PATCH, and Content-Type, Content-Length, Accept-Encoding,
	// X-CSRF-Token, Authorization, X-Requested-With, If-Modified-Since.
	AllowedMethods, AllowedHeaders []string
	// ExposedHeaders are what a page may read besides the safe ones. If nil, Date.
	ExposedHeaders []string
	// MaxAge is how long a browser may keep the answer to a preflight. If zero, as
	// long as the browser likes (5 s). If negative, not at all.
	MaxAge time.Duration
	// AllowCredentials lets pages send cookies and certificates of the user. With
	// patterns that anybody can match, anybody may act as the user then.
	AllowCredentials bool
}

// CORS answers preflights and adds the fields of the CORS protocol (Fetch §3.2)
// for allowed origins. Requests of others pass without them, so that the browser
// keeps the answer from the page. Each answer gets Vary: Origin. It belongs in
// front of Authentication: preflights carry no credentials. It allocates nothing,
// but where the handler sets Vary too.
type CORS struct {
	origins []*regexp.Regexp
	fields  []sharedField // of each answer to an allowed origin
	maxAge  []string      // of preflights; nil: none
}

// NewCORS checks the options and makes the stage.
func NewCORS(o CORSOptions) (*CORS, error) {
	c := &CORS{}
	for _, p := range o.AllowedOrigins {
		re, err := compilePinned(p)
		if err != nil {
			return nil, fmt.Errorf("CORS origin %q: %w", p, err)
		}
		c.origins = append(c.origins, re)
	}
	lists := []struct {
		name            string
		given, fallback []string
	}{
		{"Access-Control-Allow-Methods", o.AllowedMethods, []string{"POST", "GET", "OPTIONS", "PUT", "DELETE", "PATCH"}},
		{"Access-Control-Allow-Headers", o.AllowedHeaders, []string{
			"Content-Type", "Content-Length", "Accept-Encoding", "X-CSRF-Token", "Authorization", "X-Requested-With", "If-Modified-Since",
		}},
		{"Access-Control-Expose-Headers", o.ExposedHeaders, []string{"Date"}},
	}
	for _, l := range lists {
		if l.given == nil {
			l.given = l.fallback
		}
		for _, token := range l.given {
			if !semantics.IsToken(token) {
				return nil, fmt.Errorf("%s: %q is not a name", l.name, token)
			}
		}
		c.fields = append(c.fields, sharedField{l.name, []string{strings.Join(l.given, ", ")}})
	}
	if o.AllowCredentials {
		c.fields = append(c.fields, sharedField{"Access-Control-Allow-Credentials", []string{"true"}})
	}
	if o.MaxAge != 0 {
		seconds := math.Ceil(max(o.MaxAge, 0).Seconds())
		c.maxAge = []string{strconv.FormatFloat(seconds, 'f', 0, 64)}
	}
	return c, nil
}

// Begin answers the preflight of an allowed origin with 204.
func (c *CORS) Begin(x *Exchange) bool {
	x.corsOrigin = c.allowed(x.Request.Header["Origin"])
	if x.corsOrigin == nil || x.Request.Method != http.MethodOptions {
		return true
	}
	w := x.Writer()
	if c.maxAge != nil {
		w.Header()["Access-Control-Max-Age"] = c.maxAge
	}
	w.WriteHeader(http.StatusNoContent)
	return false
}

// allowed is the Origin as the answer may carry it, or nil. It is the request's
// own slice: both end together.
func (c *CORS) allowed(origin []string) []string {
	// More than one is no origin of a browser (RFC 6454 §7.3).
	if len(origin) != 1 || origin[0] == "" || len(origin[0]) > maxOrigin {
		return nil
	}
	for _, re := range c.origins {
		if re.MatchString(origin[0]) {
			return origin[:1:1]
		}
	}
	return nil
}

// Head adds the fields. They replace those of the handler: two different answers
// to the same question are none.
func (c *CORS) Head(x *Exchange, _ int) {
	if len(c.origins) == 0 {
		return
	}
	h := x.Writer().Header()
	addVary(h, varyOrigin)
	if x.corsOrigin == nil {
		return
	}
	h["Access-Control-Allow-Origin"] = x.corsOrigin
	for i := range c.fields {
		h[c.fields[i].name] = c.fields[i].values
	}
}

var varyOrigin = []string{"Origin"}

// addVary adds the one name of field to Vary, unless it is there.
func addVary(h http.Header, field []string) {
	old := h["Vary"]
	if len(old) == 0 {
		h["Vary"] = field
		return
	}
	for _, v := range old {
		if semantics.HasToken(v, field[0]) || strings.TrimSpace(v) == "*" {
			return
		}
	}
	h["Vary"] = append(slices.Clip(old), field[0]) // a copy: old may be shared
}

// compilePinned compiles a pattern that can only match a whole string.
func compilePinned(pattern string) (*regexp.Regexp, error) {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	if !pinned(tree, syntax.OpBeginText, firstOf) {
		return nil, fmt.Errorf("not pinned at its start, so that it means other origins too (CVE-2022-1996): %s", corsFix)
	}
	if !pinned(tree, syntax.OpEndText, lastOf) {
		return nil, fmt.Errorf("not pinned at its end, so that it means other origins too (CVE-2022-1996): %s", corsFix)
	}
	return regexp.Compile(pattern)
}

// pinned tells whether each way through the expression passes the anchor at the
// end of a concatenation that pick takes. ^ and $ of (?m) are other anchors.
func pinned(re *syntax.Regexp, anchor syntax.Op, pick func([]*syntax.Regexp) *syntax.Regexp) bool {
	switch re.Op {
	case anchor:
		return true
	case syntax.OpCapture, syntax.OpPlus:
		return pinned(re.Sub[0], anchor, pick)
	case syntax.OpRepeat:
		return re.Min > 0 && pinned(re.Sub[0], anchor, pick)
	case syntax.OpConcat:
		return pinned(pick(re.Sub), anchor, pick)
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			if !pinned(sub, anchor, pick) {
				return false
			}
		}
		return len(re.Sub) > 0
	default: // characters, and what may be left out
		return false
	}
}

func firstOf(subs []*syntax.Regexp) *syntax.Regexp { return subs[0] }
func lastOf(subs []*syntax.Regexp) *syntax.Regexp  { return subs[len(subs)-1] }
