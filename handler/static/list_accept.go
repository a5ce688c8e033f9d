package static

import (
	"strings"

	"github.com/penstock-edge/penstock/handler"
)

// prefersJSON tells whether Accept, given by its field lines, wants a listing as
// JSON rather than as a page: by its name or application/*, with more weight than
// the page has. "*/*" says nothing: the page stays.
func prefersJSON(lines []string) bool {
	var html, json mediaWeight
	for _, line := range lines {
		for line != "" {
			var member string
			member, line, _ = strings.Cut(line, ",")
			media, weight, ok := mediaRangeOf(member)
			if !ok {
				continue
			}
			html.note(media, "text/html", "text/*", weight)
			json.note(media, "application/json", "application/*", weight)
		}
	}
	return json.exact > 1 && json.weight > html.weight
}

// mediaWeight is the weight of a type. RFC 9110 §12.5.1: the most exact range
// decides.
type mediaWeight struct{ exact, weight int }

func (m *mediaWeight) note(media, name, group string, weight int) {
	exact := 0
	switch {
	case strings.EqualFold(media, name):
		exact = 3
	case strings.EqualFold(media, group):
		exact = 2
	case media == "*/*":
		exact = 1
	}
	if exact > m.exact {
		m.exact, m.weight = exact, weight
	}
}

// mediaRangeOf reads one member: a range without parameters of its own, which
// would be for another type, and its weight.
func mediaRangeOf(member string) (media string, weight int, ok bool) {
	media, rest, weighed := strings.Cut(member, ";")
	media = strings.Trim(media, " \t")
	if !weighed {
		return media, 1000, media != ""
	}
	name, value, _ := strings.Cut(strings.Trim(rest, " \t"), "=")
	if !strings.EqualFold(name, "q") {
		return "", 0, false
	}
	weight, ok = handler.Weight(value)
	return media, weight, ok
}
