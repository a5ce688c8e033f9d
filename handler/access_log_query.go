package handler

import "strings"

// secretWords mark a field of a query whose value is not logged, wherever they
// stand in its name and in any case.
var secretWords = []string{"token", "pass", "secret", "key", "auth", "sig", "code", "session", "credential", "jwt", "ticket", "pwd"}

// appendQuery appends a raw query as a JSON string, with "-" for the values of
// fields that seem to be credentials. It is cut at a field, never inside of what
// decides about one.
func appendQuery(dst []byte, query string) []byte {
	dst = append(dst, '"')
	left := maxLogPath
	for n := 0; query != ""; n++ {
		var field string
		field, query, _ = strings.Cut(query, "&")
		if n > 0 {
			dst = append(dst, '&')
		}
		name, value, given := strings.Cut(field, "=")
		// The bound comes before the search: a long query costs no more than it.
		if left -= len(name) + 2; left >= 0 && given && secretName(name) {
			value = "-"
		}
		if left -= len(value); left < 0 {
			dst = append(dst, "…"...)
			break
		}
		dst = appendEscaped(dst, name)
		if given && nested(value) {
			value = "-"
		}
		if given {
			dst = append(dst, '=')
			dst = appendEscaped(dst, value)
		}
	}
	return append(dst, '"')
}

// secretName: an escaped name may be any, so it counts as a secret's.
func secretName(name string) bool {
	if strings.ContainsAny(name, "%;") {
		return true
	}
	for _, word := range secretWords {
		if containsFold(name, word) {
			return true
		}
	}
	return false
}

// nested: a value that is a query itself, or holds one, has names of its own.
func nested(value string) bool {
	return strings.ContainsAny(value, "=;") || containsFold(value, "%3d")
}

// containsFold is strings.Contains for a word in lower-case ASCII, in any case.
func containsFold(s, word string) bool {
	for ; len(s) >= len(word); s = s[1:] {
		if s[0]|0x20 == word[0]|0x20 && strings.EqualFold(s[:len(word)], word) {
			return true
		}
	}
	return false
}
