package config

import (
	"fmt"
	"strings"
)

// expand replaces ${NAME} and ${NAME:-default}. $$ stands for a dollar. used tells
// whether anything came from the environment.
func expand(s string, lookup func(string) (string, bool)) (out string, used bool, err error) {
	if !strings.Contains(s, "$") {
		return s, false, nil
	}
	var b strings.Builder
	for {
		at := strings.IndexByte(s, '$')
		if at < 0 || at == len(s)-1 {
			b.WriteString(s)
			return b.String(), used, nil
		}
		b.WriteString(s[:at])
		s = s[at+1:]
		switch {
		case s[0] == '$':
			b.WriteByte('$')
			s = s[1:]
			continue
		case s[0] != '{':
			b.WriteByte('$')
			continue
		}
		name, rest, ok := strings.Cut(s[1:], "}")
		if !ok {
			return "", used, fmt.Errorf("${%s has no end; $$ stands for a dollar", s[1:])
		}
		name, byDefault, hasDefault := strings.Cut(name, ":-")
		if !isName(name) {
			return "", used, fmt.Errorf("${%s}: a name has letters, digits and _; $$ stands for a dollar", name)
		}
		value, set := lookup(name)
		switch {
		case set:
			used = true
		case hasDefault:
			value = byDefault
		default:
			return "", used, fmt.Errorf("the environment has no %s; set it, or write ${%s:-default}", name, name)
		}
		b.WriteString(value)
		s = rest
	}
}

func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
