package static

import (
	"math/big"
	"regexp"
	"strings"
	"testing"
)

var rangeSpec = regexp.MustCompile(`^(?:([0-9]+)-([0-9]*)|-([0-9]+))$`)

// modelRange is parseRange said slowly: which bytes of a file are asked for, and
// how often, by the words of RFC 9110 §14.1.1 and rule S-8.
func modelRange(value string, size int) (kind rangeKind, wanted []bool) {
	unit, set, ok := strings.Cut(value, "=")
	if !ok || strings.ToLower(unit) != "bytes" || size == 0 {
		return rangeWhole, nil
	}
	wanted = make([]bool, size)
	specs, cost := 0, 0
	for spec := range strings.SplitSeq(set, ",") {
		if spec = strings.Trim(spec, " \t"); spec == "" {
			continue
		}
		m := rangeSpec.FindStringSubmatch(spec)
		if specs++; m == nil || specs > maxRangeSpecs {
			return rangeWhole, nil
		}
		first, last := number(m[1]), number(m[2])
		if m[1] != "" && m[2] != "" && last.Cmp(first) < 0 {
			return rangeWhole, nil
		}
		for i := range size {
			at := big.NewInt(int64(i))
			in := at.Cmp(first) >= 0 && (m[2] == "" || at.Cmp(last) <= 0)
			if m[3] != "" {
				in = big.NewInt(int64(size-i)).Cmp(number(m[3])) <= 0
			}
			if in {
				wanted[i] = true
				cost++
			}
		}
	}
	return judged(specs, cost, wanted)
}

// judged says what the bytes come to.
func judged(specs, cost int, wanted []bool) (rangeKind, []bool) {
	runs := 0
	for i, w := range wanted {
		if w && (i == 0 || !wanted[i-1]) {
			runs++
		}
	}
	switch {
	case specs == 0, cost > len(wanted), runs > maxRanges:
		return rangeWhole, nil
	case runs == 0:
		return rangeUnsatisfiable, nil
	}
	return rangeParts, wanted
}

func number(digits string) *big.Int {
	n, _ := new(big.Int).SetString("0"+digits, 10)
	return n
}

func FuzzRange(f *testing.F) {
	for _, value := range []string{
		"bytes=0-3", "bytes=-3", "bytes=5-", "bytes=0-1,5-6", "bytes=5-6, 0-1 ,,", "bytes=3-1", "bytes=-0", "bytes=99999999999999999999-",
		"bytes=0-99999999999999999999", "bytes=-99999999999999999999", "BYTES=1-2,2-3", "bytes=+1-2", "lines=0-1", "bytes=0-0,2-2,4-4,6-6,8-8", "bytes=0-,0-",
	} {
		f.Add(value, uint8(20))
	}
	f.Fuzz(func(t *testing.T, value string, size uint8) {
		kind, parts := parseRange([]string{value}, int64(size))
		wantKind, wanted := modelRange(value, int(size))
		if kind != wantKind {
			t.Fatalf("%q of %d bytes: kind %d, model %d", value, size, kind, wantKind)
		}
		sent := make([]bool, size)
		for _, p := range parts {
			if p.length <= 0 || p.start < 0 || p.end() > int64(size) {
				t.Fatalf("%q of %d bytes: part %+v", value, size, p)
			}
			for i := p.start; i < p.end(); i++ {
				if sent[i] {
					t.Fatalf("%q: byte %d is sent twice", value, i)
				}
				sent[i] = true
			}
		}
		for i := range wanted {
			if sent[i] != wanted[i] {
				t.Fatalf("%q of %d bytes: byte %d sent %v, want %v", value, size, i, sent[i], wanted[i])
			}
		}
	})
}
