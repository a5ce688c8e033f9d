//go:build unix

package app

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// probe runs in a page of --html: it tells what the browser complained of, and what
// became of the charts.
const probe = `
const complaints = [];
addEventListener("error", e => complaints.push("error: " + e.message));
addEventListener("securitypolicyviolation", e => complaints.push("policy: " + e.violatedDirective + " " + e.blockedURI));
addEventListener("load", () => {
  const charts = () => [...document.querySelectorAll("svg")].map(s => {
    const r = s.getBoundingClientRect();
    return {x: r.left, w: r.width, h: r.height, title: s.querySelector("title").textContent, marks: s.querySelectorAll(".line, .column").length,
      drawn: [...s.querySelectorAll(".line, .column, text")].map(e => { const b = e.getBBox(); return [b.x, b.y, b.x + b.width, b.y + b.height]; })};
  });
  const main = document.querySelector("main");
  const measure = () => ({charts: charts(), width: main.clientWidth, scroll: main.scrollWidth});
  const wide = measure();
  document.body.style.width = "360px";
  const told = {complaints, wide, narrow: measure(), weight: getComputedStyle(document.querySelector("h1")).fontWeight,
    rows: document.querySelectorAll("tbody tr").length};
  const out = document.createElement("pre");
  out.id = "probe";
  out.textContent = JSON.stringify(told);
  document.body.append(out);
});
`

// probed is what the probe tells.
type probed struct {
	Complaints   []string
	Wide, Narrow measured
	Weight       string
	Rows         int
}

// measured is a page in a window.
type measured struct {
	Width, Scroll float64
	Charts        []struct {
		X, W, H float64
		Title   string
		Marks   int
		Drawn   [][4]float64
	}
}

// withProbe is the page with the probe, which its policy allows and nothing else.
func withProbe(t *testing.T, page string) string {
	t.Helper()
	sum := sha256.Sum256([]byte(probe))
	allowed := strings.Replace(page, "; base-uri", "; script-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'; base-uri", 1)
	allowed = strings.Replace(allowed, "<title>", "<script>"+probe+"</script><title>", 1)
	if allowed == page || !strings.Contains(allowed, "script-src") {
		t.Fatal("the page has no policy to allow the probe in")
	}
	return allowed
}

// TestBrowserReport: a browser shows a report without a complaint, and its charts
// have their place.
func TestBrowserReport(t *testing.T) {
	browser := findBrowser(t)
	p := start(t, nil, "respond", "--listen", anyPort, "--body", "hello")
	dir := t.TempDir()
	file := filepath.Join(dir, "page.html")
	code, _, stderr := runBench(p.urls[0], "-d", "2500ms", "-c", "4", "--rate", "500", "--html", file, "-q")
	if code != ExitClean && code != ExitFailed {
		t.Fatalf("exit %d, %q", code, stderr)
	}
	page, err := os.ReadFile(file)
	servetest.Must(t, "read the page", err)
	servetest.Must(t, "write the page", os.WriteFile(file, []byte(withProbe(t, string(page))), 0o600))
	s := &browserSite{url: "file://" + file}
	dom := s.dump(t, browser, "")
	_, told, ok := strings.Cut(dom, `<pre id="probe">`)
	if !ok {
		t.Fatalf("the probe did not run:\n%s", dom)
	}
	told, _, _ = strings.Cut(told, "</pre>")
	var got probed
	servetest.Must(t, "read what the probe tells", json.Unmarshal([]byte(html.UnescapeString(told)), &got))
	wantReport(t, got)
}

func wantReport(t *testing.T, got probed) {
	t.Helper()
	if len(got.Complaints) > 0 {
		t.Errorf("the browser complains: %q", got.Complaints)
	}
	servetest.Want(t, "the style is in force", got.Weight, "650")
	if got.Rows < 15 {
		t.Errorf("%d rows of values", got.Rows)
	}
	for name, m := range map[string]measured{"wide": got.Wide, "narrow": got.Narrow} {
		if m.Scroll > m.Width || name == "narrow" && m.Width > 360 {
			t.Errorf("%s: %v wide in a window of %v", name, m.Scroll, m.Width)
		}
		var titles []string
		for _, c := range m.Charts {
			titles = append(titles, c.Title)
			if c.W < 250 || c.H < 130 || c.X < 0 || c.W > m.Width || c.Marks == 0 {
				t.Errorf("%s: %s is %v by %v at %v, with %d marks", name, c.Title, c.W, c.H, c.X, c.Marks)
			}
			for _, b := range c.Drawn { // in the chart's own units, 480 by 264
				if b[0] < -1 || b[1] < -1 || b[2] > 481 || b[3] > 265 {
					t.Errorf("%s: %s draws at %v", name, c.Title, b)
				}
			}
		}
		servetest.Want(t, name+": the charts", strings.Join(titles, ", "), "Latency by percentile, Histogram of latency, Rate over time, Latency over time")
	}
}
