package handler

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// SecurityHeadersOptions says what SecurityHeaders adds. The zero value adds
// nothing: each field is a promise that the owner of the site must make.
type SecurityHeadersOptions struct {
	// HSTS are the directives of Strict-Transport-Security (RFC 6797), in this
	// form: max-age=<seconds>, includeSubDomains, preload. max-age must be among
	// them. Browsers keep the promise for that long, whatever is served later;
	// max-age=0 takes it back. If empty, none.
	// Flag: --strict-transport-security-directives.
	HSTS []string
	// NoSniff adds "X-Content-Type-Options: nosniff": browsers believe Content-Type.
	NoSniff bool
	// FrameOptions is X-Frame-Options: DENY or SAMEORIGIN. If empty, none.
	FrameOptions string
	// ReferrerPolicy is one policy or a list of them, the last known one counts.
	// If empty, none.
	ReferrerPolicy string
	// ContentSecurityPolicy is sent as it is. If empty, none.
	ContentSecurityPolicy string
}

// SecurityHeaders adds fields by which browsers protect the users of a site, to
// each answer that does not have them already: a handler's own value counts, also
// nil. HSTS is added over TLS only (RFC 6797 §7.2). It allocates nothing.
type SecurityHeaders struct {
	hsts   []string // nil: none
	fields []sharedField
}

// sharedField is a field whose values go into header maps as they are.
type sharedField struct {
	name   string
	values []string
}

// NewSecurityHeaders checks the options and makes the stage.
func NewSecurityHeaders(o SecurityHeadersOptions) (*SecurityHeaders, error) {
	s := &SecurityHeaders{}
	if len(o.HSTS) > 0 {
		if err := checkHSTS(o.HSTS); err != nil {
			return nil, err
		}
		s.hsts = []string{strings.Join(o.HSTS, "; ")}
	}
	if o.FrameOptions != "" && o.FrameOptions != "DENY" && o.FrameOptions != "SAMEORIGIN" {
		return nil, fmt.Errorf("frame options %q: DENY or SAMEORIGIN", o.FrameOptions)
	}
	if err := checkReferrerPolicy(o.ReferrerPolicy); err != nil {
		return nil, err
	}
	if !semantics.ValidFieldValue([]byte(o.ContentSecurityPolicy)) {
		return nil, errors.New("content security policy: not the value of a field")
	}
	if o.NoSniff {
		s.fields = append(s.fields, sharedField{"X-Content-Type-Options", nosniff})
	}
	s.add("X-Frame-Options", o.FrameOptions)
	s.add("Referrer-Policy", o.ReferrerPolicy)
	s.add("Content-Security-Policy", o.ContentSecurityPolicy)
	return s, nil
}

func (s *SecurityHeaders) add(name, value string) {
	if value != "" {
		s.fields = append(s.fields, sharedField{name, []string{value}})
	}
}

// Begin does nothing: what the answer has is known at its head.
func (s *SecurityHeaders) Begin(*Exchange) bool { return true }

// Head adds the fields.
func (s *SecurityHeaders) Head(x *Exchange, _ int) {
	h := x.Writer().Header()
	// RFC 6797 §7.2: MUST NOT be sent over a transport that is not secure.
	if s.hsts != nil && x.Request.TLS != nil {
		setDefault(h, "Strict-Transport-Security", s.hsts)
	}
	for i := range s.fields {
		setDefault(h, s.fields[i].name, s.fields[i].values)
	}
}

var errHSTS = errors.New("allowed are max-age=<seconds>, includeSubDomains and preload, each once (RFC 6797 §6.1)")

// checkHSTS wants known directives, each once, and max-age among them.
func checkHSTS(directives []string) error {
	seen := make(map[string]bool, len(directives))
	for _, d := range directives {
		name, value, valued := strings.Cut(d, "=")
		switch {
		case name == "max-age" && valued:
			// RFC 6797 §6.1.1: delta-seconds, digits alone (ParseUint takes a sign nowhere).
			if _, err := strconv.ParseUint(value, 10, 62); err != nil {
				return fmt.Errorf("HSTS directive %q: seconds expected: %w", d, errHSTS)
			}
		case (name == "includeSubDomains" || name == "preload") && !valued:
		default:
			return fmt.Errorf("HSTS directive %q: %w", d, errHSTS)
		}
		// RFC 6797 §6.1: a directive MUST NOT appear more than once.
		if seen[name] {
			return fmt.Errorf("HSTS directive %q again: %w", d, errHSTS)
		}
		seen[name] = true
	}
	if !seen["max-age"] {
		return fmt.Errorf("HSTS without max-age: browsers ignore it: %w", errHSTS)
	}
	return nil
}

var referrerPolicies = []string{
	"no-referrer", "no-referrer-when-downgrade", "origin", "origin-when-cross-origin", "same-origin", "strict-origin",
	"strict-origin-when-cross-origin", "unsafe-url",
}

func checkReferrerPolicy(list string) error {
	if list == "" {
		return nil
	}
	for p := range strings.SplitSeq(list, ",") {
		if !slices.Contains(referrerPolicies, strings.TrimSpace(p)) {
			return fmt.Errorf("referrer policy %q: known are %s", p, strings.Join(referrerPolicies, ", "))
		}
	}
	return nil
}
