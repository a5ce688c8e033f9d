package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// maxText bounds what is shown of a text that a server sent.
const maxText = 160

// clean is a text of the network's as one line that a terminal prints and does not
// obey.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, strings.ToValidUTF8(s, "·"))
	if r := []rune(s); len(r) > maxText {
		return string(r[:maxText-1]) + "…"
	}
	return s
}

// digits is v with three significant digits, and no exponent.
func digits(v float64) string {
	switch a := math.Abs(v); {
	case a >= 99.95:
		return group(int64(math.Round(v)))
	case a >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// group parts the thousands of n.
func group(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	var b strings.Builder
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return sign + b.String()
}

// rate is a number a second: whole from 100 on.
func rate(v float64) string { return digits(v) }

// span is a duration with three digits and the unit that fits.
func span(d time.Duration) string {
	switch {
	case d == 0:
		return "0"
	case d < 999_500*time.Nanosecond:
		return digits(float64(d)/1e3) + " µs"
	case d < 999_500*time.Microsecond:
		return digits(float64(d)/1e6) + " ms"
	}
	return digits(d.Seconds()) + " s"
}

// spanOf is span of seconds.
func spanOf(seconds float64) string { return span(secondsOf(seconds)) }

// secondsOf bounds what a file says: 290 years are more than a run takes.
func secondsOf(s float64) time.Duration {
	return time.Duration(min(max(s, 0), 9e9) * float64(time.Second))
}

// size is a number of bytes with three digits and the unit that fits.
func size(bytes float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	i := 0
	for bytes >= 1024 && i < len(units)-1 {
		bytes /= 1024
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%.0f B", bytes)
	}
	return digits(bytes) + " " + units[i]
}

// percent is a share of 1; what is not zero does not look so.
func percent(share float64) string {
	switch {
	case share > 0 && share < .0001:
		return "<0.01 %"
	case share < .0995:
		return strconv.FormatFloat(share*100, 'f', 2, 64) + " %"
	case share > .9999 && share < 1:
		return ">99.9 %"
	}
	return strconv.FormatFloat(share*100, 'f', 1, 64) + " %"
}

// plural is a count with its noun.
func plural(n int64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return group(n) + " " + one + "s"
}
