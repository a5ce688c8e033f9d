package static

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

const (
	// maxRanges is how many parts one answer has at most (rule S-8): more than any
	// client needs; a longer list only makes work (TestManyRanges).
	maxRanges = 16
	// maxRangeSpecs bounds what is looked at before ranges are merged.
	maxRangeSpecs = 8 * maxRanges
)

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
	rangeParts                          // 206
	rangeUnsatisfiable                  // 416
)

// parseRange reads a Range field (RFC 9110 §14.2) for a file of size bytes.
// What it does not understand is as if it were not there. parts are what to send,
// in the client's order, without overlaps.
func parseRange(values []string, size int64) (kind rangeKind, parts []span) {
	if len(values) != 1 || size == 0 { // a client that always asks for a range gets its empty file
		return rangeWhole, nil
	}
	unit, set, ok := strings.Cut(values[0], "=")
	if !ok || !strings.EqualFold(unit, "bytes") {
		return rangeWhole, nil
	}
	spans, ok := parseSpans(set, size)
	switch {
	case !ok:
		return rangeWhole, nil
	case len(spans) == 0:
		return rangeUnsatisfiable, nil
	case longerThan(spans, size): // rule S-8: overlaps that cost more than the file
		return rangeWhole, nil
	}
	if spans = merge(spans); len(spans) > maxRanges {
		return rangeWhole, nil
	}
	return rangeParts, spans
}

// longerThan tells whether spans sum to more than size.
func longerThan(spans []span, size int64) bool {
	var sum int64
	for _, s := range spans {
		if s.length > size-sum {
			return true
		}
		sum += s.length
	}
	return false
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
		if count++; count > maxRangeSpecs {
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

// merge joins ranges that overlap or touch. RFC 9110 §15.3.7.2: the parts SHOULD
// come in the order in which they were asked for; a joined one has the place of
// the first of its ranges.
func merge(spans []span) []span {
	if len(spans) == 1 {
		return spans
	}
	type placed struct {
		span
		place int
	}
	sorted := make([]placed, len(spans))
	for i, s := range spans {
		sorted[i] = placed{s, i}
	}
	slices.SortFunc(sorted, func(a, b placed) int { return cmp.Compare(a.start, b.start) })
	out := sorted[:1]
	for _, s := range sorted[1:] {
		last := &out[len(out)-1]
		if s.start > last.end() {
			out = append(out, s)
			continue
		}
		last.length = max(last.end(), s.end()) - last.start
		last.place = min(last.place, s.place)
	}
	slices.SortFunc(out, func(a, b placed) int { return cmp.Compare(a.place, b.place) })
	spans = spans[:0]
	for _, s := range out {
		spans = append(spans, s.span)
	}
	return spans
}
