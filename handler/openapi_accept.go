package handler

import "strings"

// acceptsJSON tells whether application/json may be sent (RFC 9110 §12.5.1): the
// most exact range that fits decides, and q=0 refuses. Ranges with parameters of
// their own are for another type; malformed ones are left out.
func acceptsJSON(lines []string) bool {
	best, accepted, given := 0, false, false
	for _, line := range lines {
		for member := range strings.SplitSeq(line, ",") {
			if member = trimOWS(member); member == "" {
				continue
			}
			given = true
			exact, ok := rangeOf(member)
			switch {
			case exact > best:
				best, accepted = exact, ok
			case exact == best && exact > 0:
				accepted = accepted || ok // the same range twice: what is allowed once is
			}
		}
	}
	return !given || accepted // RFC 9110 §12.5.1: without the field all is accepted
}

// rangeOf is how exactly a media range names application/json, 0 not at all, and
// whether it has a weight above 0.
func rangeOf(member string) (exact int, ok bool) {
	media, parameters, _ := strings.Cut(member, ";")
	switch media = trimOWS(media); {
	case strings.EqualFold(media, "application/json"):
		exact = 3
	case strings.EqualFold(media, "application/*"):
		exact = 2
	case media == "*/*":
		exact = 1
	default:
		return 0, false
	}
	for parameters != "" {
		var p string
		p, parameters, _ = strings.Cut(parameters, ";")
		if p = trimOWS(p); p == "" {
			continue
		}
		name, value, _ := strings.Cut(p, "=")
		if !strings.EqualFold(name, "q") {
			return 0, false // charset, profile, as=Table: another representation
		}
		weight, valid := qvalue(value)
		if !valid {
			return 0, false
		}
		return exact, weight // RFC 9110 §12.5.1: what follows q is no part of the range
	}
	return exact, true
}

// qvalue reads a weight (RFC 9110 §12.4.2): 0 to 1, three digits at most.
func qvalue(s string) (positive, ok bool) {
	if s == "" || len(s) > 5 || s[0] != '0' && s[0] != '1' || len(s) > 1 && s[1] != '.' {
		return false, false
	}
	positive = s[0] == '1'
	for i := 2; i < len(s); i++ {
		switch c := s[i]; {
		case c < '0' || c > '9' || s[0] == '1' && c != '0':
			return false, false
		case c != '0':
			positive = true
		}
	}
	return positive, true
}

// matchesETag tells whether If-None-Match holds etag, by the weak comparison that
// RFC 9110 §13.1.2 wants.
func matchesETag(lines []string, etag string) bool {
	for _, line := range lines {
		for member := range strings.SplitSeq(line, ",") {
			member = trimOWS(member)
			if member == "*" || strings.TrimPrefix(member, "W/") == etag {
				return true
			}
		}
	}
	return false
}

func trimOWS(s string) string { return strings.Trim(s, " \t") }
