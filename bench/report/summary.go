package report

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/penstock-edge/penstock/bench"
)

const (
	textBars = 12 // of the histogram
	barWidth = 32 // of the highest
	noteMark = "  ! "
)

// percentiles of tables.
var percentiles = []struct {
	name string
	q    float64
}{{"p50", .5}, {"p75", .75}, {"p90", .9}, {"p99", .99}, {"p99.9", .999}, {"max", 1}}

// WriteSummary writes what r found as text, some forty lines of up to 100 columns.
func WriteSummary(w io.Writer, r *bench.Result) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n\n", headline(r), loadLine(r))
	for _, row := range facts(r) {
		row.write(&b)
	}
	writePercentiles(&b, r)
	writeBars(&b, r)
	for _, note := range Notes(r) {
		b.WriteString("\n" + noteMark + note)
	}
	if len(Notes(r)) > 0 {
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// headline is what was asked: GET https://example.org/ over h2.
func headline(r *bench.Result) string {
	t := r.Target
	s := clean(t.Method) + " " + clean(t.URL)
	if t.URLs > 1 {
		s += fmt.Sprintf(" and %d more", t.URLs-1)
	}
	return s + " over " + clean(string(t.Protocol))
}

// loadLine is how it was asked: 50 connections, closed loop, 10.0 s.
func loadLine(r *bench.Result) string {
	l := r.Load
	parts := []string{plural(int64(l.Connections), "connection")}
	if l.Streams > 1 {
		parts = append(parts, plural(int64(l.Streams), "stream")+" each")
	}
	if l.Mode == bench.OpenLoop {
		parts = append(parts, "open loop of "+rate(l.Rate)+" requests/s")
	} else {
		parts = append(parts, "closed loop")
	}
	if l.ConnectPerRequest || l.NoKeepAlive {
		parts = append(parts, "a connection a request")
	}
	if l.BodyBytes > 0 {
		parts = append(parts, "bodies of "+size(float64(l.BodyBytes)))
	}
	took := spanOf(r.Seconds)
	if l.Warmup > 0 {
		took += " after " + spanOf(l.Warmup) + " of warm-up"
	}
	return strings.Join(append(parts, took), ", ")
}

// A fact is a name and what there is to say, a line each.
type fact struct {
	name  string
	lines []string
}

func (f fact) write(b *strings.Builder) {
	name := f.name
	for _, line := range f.lines {
		fmt.Fprintf(b, "  %-13s%s\n", name, line)
		name = ""
	}
}

// facts are the counts of r, without what there is nothing of.
func facts(r *bench.Result) (all []fact) {
	add := func(name string, lines ...string) {
		if lines = slices.DeleteFunc(lines, func(s string) bool { return s == "" }); len(lines) > 0 {
			all = append(all, fact{name, lines})
		}
	}
	add("Rate", rate(r.Rate)+" requests/s")
	counts := group(r.Completed) + " completed, " + group(r.Failed) + " failed"
	if r.Abandoned > 0 {
		counts += ", " + group(r.Abandoned) + " in flight at the end"
	}
	add("Requests", counts)
	if r.Seconds > 0 {
		add("Transfer", fmt.Sprintf("%s/s in, %s/s out, %s of bodies", size(float64(r.BytesRead)/r.Seconds), size(float64(r.BytesWritten)/r.Seconds), size(float64(r.BodyBytes))))
	}
	add("Status", statusLine(r))
	add("Errors", errorLines(r)...)
	add("Connections", connectionLine(r), tlsLine(r))
	add("Generator", generatorLine(r))
	add("Server", serverLine(r))
	return all
}

// statusLine is classes, and each status when it is not the usual of its class.
func statusLine(r *bench.Result) string {
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(r.Status)) {
		parts = append(parts, fmt.Sprintf("%d: %s", status, group(r.Status[status])))
	}
	if len(parts) > 8 {
		parts = append(parts[:8], fmt.Sprintf("and %d more", len(parts)-8))
	}
	return strings.Join(parts, ", ")
}

// kinds are those of r's errors, the most frequent first.
func kinds(r *bench.Result) []bench.ErrorKind {
	return slices.SortedFunc(maps.Keys(r.Errors), func(a, b bench.ErrorKind) int {
		return cmp.Or(cmp.Compare(r.Errors[b], r.Errors[a]), strings.Compare(string(a), string(b)))
	})
}

func errorLines(r *bench.Result) (lines []string) {
	for _, kind := range kinds(r) {
		line := clean(string(kind)) + ": " + group(r.Errors[kind])
		if first := r.FirstError[kind]; first != "" {
			line += ", the first: " + clean(first)
		}
		lines = append(lines, line)
	}
	return lines
}

func connectionLine(r *bench.Result) string {
	c := r.Connections
	line := fmt.Sprintf("%s at a time; while measured %s opened, %s failed, %s closed by the server", group(int64(r.Load.Connections)), group(c.Opened), group(c.Failed), group(c.Closed))
	if r.Connect != nil && r.Connect.Count() > 0 {
		line += fmt.Sprintf("; connect p50 %s, p99 %s", span(r.Connect.Quantile(.5)), span(r.Connect.Quantile(.99)))
	}
	return line
}

func tlsLine(r *bench.Result) string {
	t := r.Target
	if t.TLSVersion == "" {
		return ""
	}
	parts := []string{t.TLSVersion, t.CipherSuite, t.KeyExchange}
	if t.Resumed > 0 {
		parts = append(parts, group(t.Resumed)+" resumed")
	}
	return clean(strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", "))
}

func generatorLine(r *bench.Result) string {
	g := r.Generator
	if g.Cores == 0 {
		return ""
	}
	line := fmt.Sprintf("%.0f %% of %s, %s µs of CPU a request", g.Busy*100, plural(int64(g.Cores), "core"), digits(g.MicrosPerRequest))
	if r.Lag != nil && r.Lag.Count() > 0 {
		line += fmt.Sprintf("; its own delay p50 %s, p99 %s, max %s", span(r.Lag.Quantile(.5)), span(r.Lag.Quantile(.99)), span(r.Lag.Max()))
	}
	return line
}

func serverLine(r *bench.Result) string {
	s := r.Server
	if s == nil {
		if r.Target.ServerName == "" {
			return ""
		}
		return clean(r.Target.ServerName)
	}
	line := fmt.Sprintf("penstock %s: %s, %s µs of CPU each", clean(s.Version), plural(s.Requests, "request"), digits(s.MicrosPerRequest))
	if s.P50 > 0 {
		line += fmt.Sprintf("; by its own clock p50 %s, p90 %s, p99 %s", serverSpan(s, s.P50), serverSpan(s, s.P90), serverSpan(s, s.P99))
	}
	if s.ResidentBytes > 0 {
		line += "; " + size(float64(s.ResidentBytes)) + " resident"
	}
	return line
}

// serverSpan is a percentile of the server's, as far as its buckets tell.
func serverSpan(s *bench.Server, seconds float64) string {
	if seconds <= s.Lowest {
		return "≤" + spanOf(s.Lowest)
	}
	return spanOf(seconds)
}

// A row is a histogram with its name.
type row struct {
	name string
	h    *bench.Histogram
}

// rows are the histograms of r that have something to tell.
func rows(r *bench.Result) (all []row) {
	add := func(name string, h *bench.Histogram) {
		if h != nil && h.Count() > 0 {
			all = append(all, row{name, h})
		}
	}
	add("Latency", r.Latency)
	if r.Load.Mode == bench.OpenLoop { // of a closed loop it is the latency
		add("Service", r.Service)
	}
	add("First byte", r.FirstByte)
	return all
}

func writePercentiles(b *strings.Builder, r *bench.Result) {
	all := rows(r)
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(b, "\n  %-13s", "")
	for _, p := range percentiles {
		fmt.Fprintf(b, "%10s", p.name)
	}
	fmt.Fprintf(b, "%10s%10s\n", "mean", "± sd")
	for _, row := range all {
		fmt.Fprintf(b, "  %-13s", row.name)
		for _, p := range percentiles {
			b.WriteString(right(span(row.h.Quantile(p.q)), 10))
		}
		b.WriteString(right(span(row.h.Mean()), 10) + right(span(row.h.StdDev()), 10) + "\n")
	}
}

// right puts s, whose letters may be longer than a byte, at the end of a column.
func right(s string, width int) string {
	return strings.Repeat(" ", max(width-utf8.RuneCountInString(s), 0)) + s
}

func writeBars(b *strings.Builder, r *bench.Result) {
	all := bins(r.Latency, textBars)
	if len(all) < 2 {
		return
	}
	b.WriteString("\n")
	highest, total := most(all), r.Latency.Count()
	for _, bin := range all {
		label := right(span(bin.From), 8) + " to " + right(span(bin.To), 8)
		count := ""
		if bin.Count > 0 {
			count = right(group(bin.Count), 12) + right(percent(float64(bin.Count)/float64(total)), 10)
		}
		line := fmt.Sprintf("  %s  %s%s", label, bar(float64(bin.Count)/float64(highest), barWidth), count)
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

// bar fills share of width, in eighths of a column; what is not nothing shows.
func bar(share float64, width int) string {
	eighths := int(share*float64(width)*8 + .5)
	if share > 0 {
		eighths = max(eighths, 1)
	}
	s := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		s += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return s + strings.Repeat(" ", width-utf8.RuneCountInString(s))
}
