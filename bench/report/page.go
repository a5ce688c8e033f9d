package report

import (
	"crypto/sha256"
	_ "embed" // page.html and page.css
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/penstock-edge/penstock/bench"
)

var (
	//go:embed page.html
	pageSource string
	//go:embed page.css
	pageStyle string

	pageTemplate = template.Must(template.New("page").Parse(pageSource))
)

// page is what the template shows.
type page struct {
	Policy, Language string
	Style            template.CSS
	Title, Subtitle  string
	When             string
	Cards            []card
	Notes            []string
	Charts           []chart
	Tables           []table
	Values           []table // folded away
	Made             string
}

// A card is one number to see first.
type card struct{ Name, Value, More string }

// A table has a head when there is one, and a first column that names its rows.
type table struct {
	Title string
	Head  []string
	Rows  [][]string
}

// WritePage writes r as one page of HTML.
func WritePage(w io.Writer, r *bench.Result) error {
	p := newPage(headline(r), r.Started)
	p.Subtitle = loadLine(r)
	p.addResult(r)
	p.Cards, p.Notes = cards(r), Notes(r)
	return pageTemplate.Execute(w, p)
}

// WriteRampPage writes a search as one page of HTML, with the run at the rate found.
func WriteRampPage(w io.Writer, r *bench.Ramp) error {
	p := newPage(verdict(r), r.Started)
	p.Notes = rampNotes(r)
	p.Cards = []card{
		{"Highest rate", rate(r.Rate), "requests/s"},
		{"Objectives", clean(strings.Join(r.Objectives, ", ")), ""},
		{"Limited by", clean(r.LimitedBy), ""},
	}
	if len(r.Steps) > 1 {
		p.Charts = append(p.Charts, rampChart(r), completedChart(r))
	}
	steps := table{Title: "Steps", Head: []string{"Step", "Asked for", "Completed", "p50", "p99", "max", "Objectives"}}
	for _, s := range r.Steps {
		l, result := s.Result.Latency, "hold"
		if !s.Holds {
			result = clean(strings.Join(s.Broken, ", "))
		}
		steps.Rows = append(steps.Rows, []string{
			clean(string(s.Phase)), rate(s.Rate) + "/s", rate(s.Result.Rate) + "/s",
			span(l.Quantile(.5)), span(l.Quantile(.99)), span(l.Max()), result,
		})
	}
	p.Tables = append(p.Tables, steps)
	if best := r.Best(); best != nil {
		p.Subtitle = headline(best.Result) + ", " + loadLine(best.Result)
		p.addResult(best.Result)
	} else if len(r.Steps) > 0 {
		p.Subtitle = headline(r.Steps[0].Result)
	}
	return pageTemplate.Execute(w, p)
}

func newPage(title string, started time.Time) *page {
	p := &page{Title: title, Style: template.CSS(pageStyle), Language: "en"}
	sum := sha256.Sum256([]byte(pageStyle))
	p.Policy = "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"
	if !started.IsZero() {
		p.When = started.UTC().Format("2 January 2006, 15:04:05 UTC")
	}
	return p
}

// addResult adds what a run has: its charts, and all numbers as tables.
func (p *page) addResult(r *bench.Result) {
	for _, draw := range []func(*bench.Result) (chart, bool){percentileChart, histogramChart, rateChart, latencyChart} {
		if c, ok := draw(r); ok {
			p.Charts = append(p.Charts, c)
		}
	}
	p.Tables = append(p.Tables, percentileTable(r))
	run := table{Title: "Run"}
	for _, f := range facts(r) {
		run.Rows = append(run.Rows, []string{f.name, strings.Join(f.lines, "\n")})
	}
	p.Tables = append(p.Tables, run, environmentTable(r))
	p.Values = append(p.Values, intervalTable(r))
	p.Made = strings.TrimSpace("penstock bench " + clean(r.Generator.Version))
}

func cards(r *bench.Result) []card {
	all := []card{
		{"Rate", rate(r.Rate), "requests/s"},
		{"p50", span(r.Latency.Quantile(.5)), "half of the answers"},
		{"p99", span(r.Latency.Quantile(.99)), "99 of 100"},
		{"p99.9", span(r.Latency.Quantile(.999)), "999 of 1000"},
		{"Failed", percent(r.FailedShare()), group(r.Failed+r.ServerErrors()) + " of " + group(r.Completed+r.Failed)},
	}
	if r.Server != nil {
		all = append(all, card{"Server CPU", digits(r.Server.MicrosPerRequest) + " µs", "a request"})
	}
	return all
}

func percentileTable(r *bench.Result) table {
	t := table{Title: "Percentiles", Head: []string{""}}
	for _, p := range percentiles {
		t.Head = append(t.Head, p.name)
	}
	t.Head = append(t.Head, "mean", "deviation", "count")
	all := rows(r)
	if r.Connect != nil && r.Connect.Count() > 0 {
		all = append(all, row{"Connect", r.Connect})
	}
	for _, row := range all {
		line := []string{row.name}
		for _, p := range percentiles {
			line = append(line, span(row.h.Quantile(p.q)))
		}
		t.Rows = append(t.Rows, append(line, span(row.h.Mean()), span(row.h.StdDev()), group(row.h.Count())))
	}
	if s := r.Server; s != nil && s.P50 > 0 {
		t.Rows = append(t.Rows, []string{"Server's own", serverSpan(s, s.P50), "–", serverSpan(s, s.P90), serverSpan(s, s.P99), "–", "–", "–", "–", group(s.Requests)})
	}
	return t
}

func environmentTable(r *bench.Result) table {
	e := r.Environment
	t := table{Title: "Machine of the generator"}
	for _, row := range [][]string{
		{"Processor", clean(e.CPU)},
		{"Cores", fmt.Sprintf("%d, of which the generator could use %d", e.Cores, r.Generator.Cores)},
		{"System", clean(strings.TrimSpace(e.OS + "/" + e.Arch + " " + e.Kernel))},
		{"Go", clean(e.GoVersion)},
		{"Load average", fmt.Sprintf("%.2f at the begin", e.LoadAverage)},
	} {
		if row[1] != "" {
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}

func intervalTable(r *bench.Result) table {
	t := table{Title: "Intervals", Head: []string{"Until", "Completed/s", "Failed", "In flight", "p50", "p90", "p99", "max", "Generator"}}
	for _, p := range thin(r.Series, maxPoints) {
		t.Rows = append(t.Rows, []string{
			fmt.Sprintf("%.1f s", p.At), rate(perSecond(p)), group(p.Failed), group(p.InFlight),
			spanOf(p.P50), spanOf(p.P90), spanOf(p.P99), spanOf(p.Max), fmt.Sprintf("%.2f cores", p.GeneratorCPU),
		})
	}
	return t
}
