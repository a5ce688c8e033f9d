package handler

import "strings"

// maxOffers bounds the content codings of one choice: there are not more that
// browsers know.
const maxOffers = 8

// ChooseEncoding gives the place in offers of the content coding that an answer to
// Accept-Encoding, given by its field lines, should have; -1: none (RFC 9110
// §12.5.3). offers are names in lower case, eight at most, in the server's order of
// preference, which decides between equal weights. A client that does not name
// codings gets none. Malformed members are left out; of a coding named twice the
// lower weight counts. It allocates nothing.
func ChooseEncoding(lines, offers []string) int {
	offers = offers[:min(len(offers), maxOffers)]
	var named [maxOffers]int // weight and one, of what was named
	identity, others := 0, 0 // likewise, of "identity" and "*"
	for _, line := range lines {
		for line != "" {
			var member string
			member, line, _ = strings.Cut(line, ",")
			coding, weight, ok := codingOf(member)
			if !ok {
				continue
			}
			switch {
			case coding == "*":
				note(&others, weight)
				continue
			case strings.EqualFold(coding, "identity"):
				note(&identity, weight)
				continue
			}
			for i, offer := range offers {
				if sameCoding(coding, offer) {
					note(&named[i], weight)
				}
			}
		}
	}
	for i := range offers {
		if named[i] == 0 {
			named[i] = others
		}
	}
	if identity == 0 {
		identity = max(others, 1) // not named: good, but after all others
	}
	return heaviest(named[:len(offers)], identity)
}

// note keeps the lower of two weights.
func note(kept *int, weight int) {
	if *kept == 0 || weight+1 < *kept {
		*kept = weight + 1
	}
}

// heaviest is the first of the greatest weights, if that is above 0 and not less
// than that of no coding at all.
func heaviest(weights []int, identity int) int {
	best := -1
	for i, w := range weights {
		if w > 1 && (best < 0 && w >= identity || best >= 0 && w > weights[best]) {
			best = i
		}
	}
	return best
}

// codingOf reads one member of the list: a name and its weight in thousandths.
func codingOf(member string) (coding string, weight int, ok bool) {
	coding, rest, weighed := strings.Cut(member, ";")
	if coding = trimOWS(coding); coding == "" {
		return "", 0, false
	}
	if !weighed {
		return coding, 1000, true
	}
	// RFC 9110 §12.5.3: codings [ weight ], and no other parameters.
	name, value, _ := strings.Cut(trimOWS(rest), "=")
	if !strings.EqualFold(name, "q") {
		return "", 0, false
	}
	weight, ok = Weight(value)
	return coding, weight, ok
}

// sameCoding: names have no letter case (RFC 9110 §8.4.1), and x-gzip is gzip (§8.4.1.3).
func sameCoding(named, offer string) bool {
	return strings.EqualFold(named, offer) || offer == "gzip" && strings.EqualFold(named, "x-gzip")
}

// Weight reads a weight (RFC 9110 §12.4.2: 0 to 1, three digits at most) in
// thousandths.
func Weight(s string) (thousandths int, ok bool) {
	if _, ok := qvalue(s); !ok {
		return 0, false
	}
	thousandths = int(s[0]-'0') * 1000
	for i, unit := 2, 100; i < len(s); i, unit = i+1, unit/10 {
		thousandths += int(s[i]-'0') * unit
	}
	return thousandths, true
}
