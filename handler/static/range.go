package static

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

// maxRanges is more than any client needs; a longer list only makes work.
const maxRanges = 16

// span is a part of a file.
type span struct{ start, length int64 }

func (s span) end() int64 { return s.start + s.length }

// contentRange: RFC 9110 §14.4.
func (s span) contentRange(size int64) string {
	return "bytes " + strconv.FormatInt(s.start, 10) + "-" + strconv.FormatInt(s.end()-1, 10) + "/" + strconv.FormatInt(size, 10)
}

// rangeKind says how a Range field is to be answered.
type rangeKind int

const (
	rangeWhole         rangeKind = iota // 200: none, not understood, or not worth it
	rangePart                           // 206
	rangeUnsatisfiable                  // 416
)

// parseRange reads a Range field (RFC 9110 §14.2) for a file of size bytes.
// What it does not understand is as if it were not there.
func parseRange(values []string, size int64) (rangeKind, span) {
	if len(values) != 1 || size == 0 { // a client that always asks for a range gets its empty file
		return rangeWhole, span{}
	}
	unit, set, ok := strings.Cut(values[0], "=")
	if !ok || !strings.EqualFold(unit, "bytes") {
		return rangeWhole, span{}
	}
	spans, ok := parseSpans(set, size)
	switch {
	case !ok:
		return rangeWhole, span{}
	case len(spans) == 0:
		return rangeUnsatisfiable, span{}
	}
	if spans = merge(spans); len(spans) > 1 {
		return rangeWhole, span{}
	}
	return rangePart, spans[0]
}

// parseSpans gives the satisfiable ranges; ok is false if the set is malformed
// or too long.
func parseSpans(set string, size int64) (spans []span, ok bool) {
	var count int
	for spec := range strings.SplitSeq(set, ",") {
		spec = strings.Trim(spec, " \t")
		if spec == "" {
			continue // RFC 9110 §5.6.1.2: empty list elements are ignored
		}
		if count++; count > maxRanges {
			return nil, false
		}
		s, ok := parseSpan(spec, size)
		if !ok {
			return nil, false
		}
		if s.length > 0 {
			spans = append(spans, s)
		}
	}
	return spans, count > 0
}

// parseSpan reads one range-spec. A range beyond the end has length 0.
func parseSpan(spec string, size int64) (s span, ok bool) {
	first, last, ok := strings.Cut(spec, "-")
	if !ok {
		return span{}, false
	}
	if first == "" { // suffix: the last so many bytes
		n, ok := parsePos(last)
		n = min(n, size)
		return span{size - n, n}, ok
	}
	start, ok := parsePos(first)
	if !ok {
		return span{}, false
	}
	end := int64(math.MaxInt64)
	if last != "" {
		if end, ok = parsePos(last); !ok || end < start {
			return span{}, false // RFC 9110 §14.1.1: last before first is invalid
		}
	}
	if start >= size {
		return span{}, true
	}
	return span{start, min(end, size-1) - start + 1}, true
}

// parsePos reads digits only; a number too large for any file counts as the largest.
func parsePos(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return math.MaxInt64, true
	}
	return n, true
}

// merge joins ranges that overlap or touch (RFC 9110 §15.3.7.2).
func merge(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.start, b.start) })
	out := spans[:1]
	for _, s := range spans[1:] {
		if last := &out[len(out)-1]; s.start <= last.end() {
			last.length = max(last.end(), s.end()) - last.start
		} else {
			out = append(out, s)
		}
	}
	return out
}
