package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/bench"
)

func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	write := func(name string, write func(w io.Writer) error) {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all[name] = b.String()
	}
	for name, r := range map[string]*bench.Result{
		"closed": fixed(bench.ClosedLoop), "open": fixed(bench.OpenLoop), "failing": failing(),
		"empty": {Schema: bench.Schema, Latency: bench.NewHistogram()},
	} {
		write(name, func(w io.Writer) error { return WritePage(w, r) })
	}
	write("ramp", func(w io.Writer) error { return WriteRampPage(w, fixedRamp()) })
	write("ramp without a step", func(w io.Writer) error { return WriteRampPage(w, &bench.Ramp{}) })
	if dir := os.Getenv("REPORT_PAGES"); dir != "" { // to look at them
		for name, text := range all {
			if err := os.WriteFile(filepath.Join(dir, name+".html"), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}

func TestPages(t *testing.T) {
	for name, text := range pages(t) {
		for _, bad := range []string{"<script", "http-equiv=\"refresh", "src=", "href=", "url(", "@import", " style=", "ZgotmplZ", "NaN", "Inf", "%!", "<b>"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s: %q is in the page", name, bad)
			}
		}
		for _, want := range []string{"Content-Security-Policy", "default-src &#39;none&#39;", "prefers-color-scheme: dark", `<h1>`, `lang="en"`, "</html>"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not in the page", name, want)
			}
		}
		want := map[string]int{"closed": 4, "open": 4, "failing": 4, "ramp": 6}[name]
		if n := strings.Count(text, "<svg"); n != want {
			t.Errorf("%s: %d charts, want %d", name, n, want)
		}
		for part := range strings.SplitSeq(text, "<svg") {
			if body, _, ok := strings.Cut(part, "</svg>"); ok {
				wellFormed(t, name, "<svg"+body+"</svg>")
			}
		}
	}
}

// wellFormed fails when a chart is no XML, has no title, or draws outside of itself.
func wellFormed(t *testing.T, name, svg string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v in %s", name, err, svg)
		}
	}
	if !strings.Contains(svg, "<title id=") || !strings.Contains(svg, "<desc id=") {
		t.Errorf("%s: a chart without title and description: %.200s", name, svg)
	}
	if strings.Contains(svg, `="-`) {
		t.Errorf("%s: a chart with a negative place", name)
	}
}

func TestScales(t *testing.T) {
	for name, test := range map[string]struct {
		s     scale
		ticks int
	}{
		"zero":         {linear(0), 6},
		"rate":         {linear(81_000), 6},
		"small":        {linear(.3), 4},
		"one latency":  {logarithmic(.001), 2},
		"two decades":  {logarithmic(.001, .09), 7},
		"six decades":  {logarithmic(1e-6, .9), 7},
		"nothing":      {logarithmic(), 4},
		"only zeroes":  {logarithmic(0, 0), 4},
		"one in a log": {logarithmic(1e-3, 1e-3), 2},
	} {
		ticks := test.s.ticks()
		if len(ticks) < 2 || len(ticks) > 11 {
			t.Errorf("%s: ticks %v", name, ticks)
		}
		s := test.s
		s.from, s.to = 0, 100
		for _, v := range ticks {
			if at := s.at(v); at < -1e-9 || at > 100+1e-9 || at != at {
				t.Errorf("%s: tick %v is at %v", name, v, at)
			}
		}
		if s.at(s.low) != 0 || s.at(s.high) != 100 {
			t.Errorf("%s: ends at %v and %v", name, s.at(s.low), s.at(s.high))
		}
	}
}

func TestThin(t *testing.T) {
	r := fixed(bench.ClosedLoop)
	all := thin(r.Series, 4)
	if len(all) != 4 || all[3].At != 15 {
		t.Fatalf("%+v", all)
	}
	var n int64
	for _, p := range all {
		n += p.Completed
	}
	if n != r.Completed || all[2].Max != r.Series[8].Max {
		t.Errorf("%d of %d, max %v of %v", n, r.Completed, all[2].Max, r.Series[8].Max)
	}
}
