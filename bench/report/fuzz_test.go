package report

import (
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/bench"
)

// Whatever a file of results says, what is made of it is text without a terminal's
// commands, and a page without a script or a number that is none.
func FuzzReport(f *testing.F) {
	for _, r := range []*bench.Result{fixed(bench.ClosedLoop), failing()} {
		r.Series = r.Series[:3]
		text, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		for _, hostile := range []string{"5e-324", "1e308", "-1e308", "0"} {
			for _, field := range []string{"p50", "max", "at", "seconds", "rate", "busy"} {
				f.Add(regexp.MustCompile(`"`+field+`":[^,}]+`).ReplaceAll(text, []byte(`"`+field+`":`+hostile)))
			}
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := bench.ReadResult(bytes.NewReader(text))
		if err != nil {
			return
		}
		var summary, page bytes.Buffer
		if err := WriteSummary(&summary, r); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsAny(summary.String(), "\x1b\r\x07\u009b") {
			t.Errorf("a terminal would obey %q", summary.String())
		}
		if err := WritePage(&page, r); err != nil {
			t.Fatal(err)
		}
		if text := page.String(); strings.Contains(text, "<script") || strings.Contains(text, `="NaN`) || strings.Contains(text, "NaN ") {
			t.Errorf("in the page: %s", text)
		}
		c, err := bench.Compare([]*bench.Result{r}, []*bench.Result{r})
		if err != nil {
			t.Fatal(err)
		}
		if err := WriteComparison(io.Discard, c); err != nil {
			t.Fatal(err)
		}
	})
}
