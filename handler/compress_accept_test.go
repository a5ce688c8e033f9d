package handler

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestChooseEncoding(t *testing.T) {
	offers := []string{"zstd", "br", "gzip"}
	for _, test := range []struct {
		lines []string
		want  string
	}{
		{nil, ""},
		{[]string{""}, ""},
		{[]string{"gzip"}, "gzip"},
		{[]string{"gzip, deflate, br, zstd"}, "zstd"},
		{[]string{"gzip", "br"}, "br"},
		{[]string{"gzip;q=1.0, br;q=0.9"}, "gzip"},
		{[]string{"gzip;q=0"}, ""},
		{[]string{"gzip;q=0.000, br;q=0.001"}, "br"},
		{[]string{"*"}, "zstd"},
		{[]string{"*;q=0"}, ""},
		{[]string{"*, zstd;q=0"}, "br"},
		{[]string{"gzip;q=0.5, *;q=0.4"}, "gzip"},
		{[]string{"gzip;q=0.5, *"}, "zstd"},
		{[]string{"identity"}, ""},
		{[]string{"identity, gzip;q=0.9"}, ""},
		{[]string{"identity;q=0.9, gzip;q=0.9"}, "gzip"},
		{[]string{"identity;q=0, gzip;q=0.1"}, "gzip"},
		{[]string{"GZip ; Q=0.3"}, "gzip"},
		{[]string{"x-gzip"}, "gzip"},
		{[]string{"gzip, gzip;q=0"}, ""},
		{[]string{"gzip;q=1.1, br;q=x, zstd;q=0.0001"}, ""},
		{[]string{"gzip;level=9"}, ""},
		{[]string{",, ,gzip,"}, "gzip"},
		{[]string{"gzipp, xgzip, br2"}, ""},
	} {
		got := ""
		if i := ChooseEncoding(test.lines, offers); i >= 0 {
			got = offers[i]
		}
		if got != test.want {
			t.Errorf("%q: %q, want %q", test.lines, got, test.want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { ChooseEncoding([]string{"gzip, deflate, br;q=0.9, zstd"}, offers) }); n != 0 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
}

var acceptMember = regexp.MustCompile(`^[ \t]*([^;, \t][^;,]*?)[ \t]*(?:;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?$`)

// modelEncoding is ChooseEncoding said slowly.
func modelEncoding(line string, offers []string) int {
	weights := map[string]int{}
	for member := range strings.SplitSeq(line, ",") {
		m := acceptMember.FindStringSubmatch(member)
		if m == nil {
			continue
		}
		name, weight := strings.ToLower(m[1]), 1000
		if name == "x-gzip" {
			name = "gzip"
		}
		if m[2] != "" {
			f, _ := strconv.ParseFloat(m[2], 64)
			weight = int(f*1000 + 0.5)
		}
		if old, ok := weights[name]; !ok || weight < old {
			weights[name] = weight
		}
	}
	of := func(name string, unnamed int) int {
		if w, ok := weights[name]; ok {
			return w
		}
		if w, ok := weights["*"]; ok {
			return w
		}
		return unnamed
	}
	best, bestWeight := -1, 0
	for i, offer := range offers {
		if w := of(offer, 0); w > bestWeight {
			best, bestWeight = i, w
		}
	}
	if bestWeight < of("identity", 0) {
		return -1
	}
	return best
}

func FuzzChooseEncoding(f *testing.F) {
	for _, line := range []string{
		"gzip, deflate, br, zstd", "gzip;q=0.5, *;q=0.4", "identity;q=0, *;q=0.1", "x-gzip;Q=1.000", "br;q=0.001,br;q=1", "*;q=0, zstd", ";q=1,gzip;q=", "gzip ;q=0.12 ,\tzstd",
	} {
		f.Add(line)
	}
	offers := []string{"zstd", "br", "gzip"}
	f.Fuzz(func(t *testing.T, line string) {
		if slices.ContainsFunc([]rune(line), func(r rune) bool { return r < ' ' && r != '\t' || r >= 0x7f }) {
			t.Skip("no engine lets it through, or case folding differs")
		}
		got, want := ChooseEncoding([]string{line}, offers), modelEncoding(line, offers)
		if got != want {
			t.Errorf("%q: %d, model %d", line, got, want)
		}
		// A list may come in several lines (RFC 9110 §5.3).
		if split := ChooseEncoding(strings.Split(line, ","), offers); split != got {
			t.Errorf("%q: %d, in lines %d", line, got, split)
		}
	})
}
