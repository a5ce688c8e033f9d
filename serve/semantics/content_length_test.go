package semantics

import (
	"math"
	"strconv"
	"strings"
	"testing"
)

func TestParseLength(t *testing.T) {
	for in, want := range map[string]int64{
		"0": 0, "7": 7, "007": 7, "42": 42, "9223372036854775807": math.MaxInt64, strings.Repeat("0", 100) + "1": 1,
		"": -1, " 1": -1, "1 ": -1, "+1": -1, "-1": -1, "1,1": -1, "0x1": -1, "1_0": -1, "1.0": -1, "\x00": -1, "\u0663": -1,
		"9223372036854775808": -1, "9223372036854775810": -1, "18446744073709551616": -1, "18446744073709551617": -1, strings.Repeat("9", 100): -1,
	} {
		n, ok := ParseLength(in)
		if ok != (want >= 0) || n != max(want, 0) {
			t.Errorf("ParseLength(%q) = %d, %v, want %d", in, n, ok, want)
		}
		if nb, okb := ParseLength([]byte(in)); nb != n || okb != ok {
			t.Errorf("ParseLength([]byte(%q)) = %d, %v", in, nb, okb)
		}
	}
}

// FuzzParseLength: strconv is the oracle, but for signs.
func FuzzParseLength(f *testing.F) {
	for _, s := range []string{"", "0", "+1", "-0", "9223372036854775807", "9223372036854775808", "00", "1e3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := strconv.ParseInt(s, 10, 64)
		wantOK := err == nil && !strings.ContainsAny(s, "+-")
		if n, ok := ParseLength(s); ok != wantOK || ok && n != want {
			t.Errorf("ParseLength(%q) = %d, %v, want %d, %v", s, n, ok, want, wantOK)
		}
	})
}

func TestDeclaredLength(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []string
		want   int64
	}{
		{"none", nil, -1},
		{"empty", []string{""}, -1},
		{"zero", []string{"0"}, 0},
		{"length", []string{"12"}, 12},
		{"two", []string{"1", "1"}, -1},
		{"signed", []string{"-1"}, -1},
		{"spaces", []string{" 1"}, -1},
		{"18 digits", []string{strings.Repeat("9", 18)}, 1e18 - 1},
		{"19 digits", []string{"1" + strings.Repeat("0", 18)}, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := DeclaredLength(c.values); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}
