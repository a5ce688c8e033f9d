package report

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/bench"
)

func TestSummary(t *testing.T) {
	for name, r := range map[string]*bench.Result{
		"closed.txt":  fixed(bench.ClosedLoop),
		"open.txt":    fixed(bench.OpenLoop),
		"failing.txt": failing(),
		"empty.txt":   {Schema: bench.Schema, Latency: bench.NewHistogram(), Target: bench.Target{URL: "http://x/", URLs: 3, Method: "GET", Protocol: bench.H1}},
	} {
		var b bytes.Buffer
		if err := WriteSummary(&b, r); err != nil {
			t.Fatal(err)
		}
		golden(t, name, b.String())
		if strings.ContainsAny(b.String(), "\x1b\x07\r") {
			t.Errorf("%s has what a terminal obeys", name)
		}
	}
}

func TestRampText(t *testing.T) {
	var b bytes.Buffer
	if err := WriteRamp(&b, fixedRamp(), true); err != nil {
		t.Fatal(err)
	}
	golden(t, "ramp.txt", b.String())
}

func TestComparisonText(t *testing.T) {
	a, b := fixed(bench.ClosedLoop), fixed(bench.ClosedLoop)
	for i := range b.Series {
		b.Series[i].Completed = b.Series[i].Completed * 6 / 5
	}
	b.Rate *= 1.2
	b.Load.Connections = 100
	c, err := bench.Compare([]*bench.Result{a}, []*bench.Result{b})
	if err != nil {
		t.Fatal(err)
	}
	c.A.Files, c.B.Files = []string{"old.json"}, []string{"new.json"}
	var text bytes.Buffer
	if err := WriteComparison(&text, c); err != nil {
		t.Fatal(err)
	}
	golden(t, "comparison.txt", text.String())
}

func TestFormats(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{span(0), "0"},
		{span(1500 * time.Nanosecond), "1.50 µs"},
		{span(999_499 * time.Nanosecond), "999 µs"},
		{span(999_600 * time.Nanosecond), "1.00 ms"},
		{span(12_340 * time.Microsecond), "12.3 ms"},
		{span(99_960 * time.Microsecond), "100 ms"},
		{span(75 * time.Second), "75.0 s"},
		{size(0), "0 B"},
		{size(1536), "1.50 KiB"},
		{size(1 << 40), "1.00 TiB"},
		{rate(1234567.8), "1,234,568"},
		{rate(9.5), "9.50"},
		{group(-1234), "-1,234"},
		{group(123), "123"},
		{percent(.00001), "<0.01 %"},
		{percent(.012), "1.20 %"},
		{percent(1), "100.0 %"},
		{percent(.99999), ">99.9 %"},
		{clean("a\nb\x1b[1m\xff"), "a·b·[1m·"},
		{bar(.5, 4), "██  "},
		{bar(1e-9, 2), "▏ "},
		{bar(1, 2), "██"},
		{whole(61 * time.Second), "1:01 min"},
		{whole(1200 * time.Millisecond), "2 s"},
	} {
		if test.got != test.want {
			t.Errorf("%q, want %q", test.got, test.want)
		}
	}
	if n := len([]rune(clean(strings.Repeat("ä", 1000)))); n != maxText {
		t.Errorf("a long text is %d runes", n)
	}
}

func TestBins(t *testing.T) {
	r := fixed(bench.ClosedLoop)
	var n int64
	all := bins(r.Latency, 12)
	for i, b := range all {
		n += b.Count
		if b.To <= b.From || i > 0 && b.From != all[i-1].To {
			t.Errorf("bin %d is %v to %v behind %v", i, b.From, b.To, all[i-1].To)
		}
	}
	if len(all) != 12 || n != r.Latency.Count() {
		t.Errorf("%d bins of %d, want 12 of %d", len(all), n, r.Latency.Count())
	}
	one := bench.NewHistogram()
	one.Record(time.Millisecond)
	if all := bins(one, 12); len(all) != 1 || all[0].Count != 1 {
		t.Errorf("one value: %+v", all)
	}
	if all := bins(bench.NewHistogram(), 12); all != nil {
		t.Errorf("nothing: %+v", all)
	}
}

func TestProgressLines(t *testing.T) {
	for _, test := range []struct {
		name    string
		options ProgressOptions
		last    bench.Point
		done    int64
		at      time.Duration
		width   int
		want    string
	}{
		{"warm-up", ProgressOptions{Duration: 10 * time.Second, Warmup: 2 * time.Second}, bench.Point{At: -1}, 0, -1500 * time.Millisecond, 79, "warm-up, 2 s left"},
		{
			"half",
			ProgressOptions{Duration: 10 * time.Second},
			bench.Point{Seconds: 1, Completed: 12_345, P99: .0032},
			0, 5 * time.Second, 79,
			"[███████████▌           ]  50 %  12,345 req/s  p99 3.20 ms  errors 0  5 s left",
		},
		{
			"no room for a bar",
			ProgressOptions{Duration: 10 * time.Second},
			bench.Point{Seconds: 1, Completed: 12_345, P99: .0032},
			0, 5 * time.Second, 0,
			" 50 %  12,345 req/s  p99 3.20 ms  errors 0  5 s left",
		},
		{"by requests", ProgressOptions{Requests: 1000}, bench.Point{Seconds: 1, Completed: 100}, 250, 2 * time.Second, 0, " 25 %  100 req/s  p99 0  errors 0  6 s left"},
		{"no request yet", ProgressOptions{Requests: 1000}, bench.Point{Seconds: 1}, 0, 2 * time.Second, 0, "  0 %  0.00 req/s  p99 0  errors 0"},
		{"over its time", ProgressOptions{Duration: time.Second}, bench.Point{Seconds: 1}, 0, 2 * time.Second, 0, "100 %  0.00 req/s  p99 0  errors 0  0 s left"},
	} {
		p := &Progress{o: test.options, recent: []bench.Point{test.last}, completed: test.done}
		if got := p.line(test.at, test.width); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// The rate is that of about a second, however short the intervals are.
func TestProgressRecent(t *testing.T) {
	p := &Progress{o: ProgressOptions{Terminal: true}}
	for i := range 30 {
		p.Point(bench.Point{At: float64(i+1) / 10, Seconds: .1, Completed: int64(10 * i), P99: float64(i) / 1000})
	}
	if got, want := p.line(3*time.Second, 0), "3 s  2,450 req/s  p99 29.0 ms  errors 0"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestProgressPlain(t *testing.T) {
	var b bytes.Buffer
	p := StartProgress(&b, ProgressOptions{Duration: 11 * time.Second, Warmup: time.Second})
	for i := range 12 {
		p.Point(bench.Point{At: float64(i), Seconds: 1, Completed: 100})
	}
	p.Stop()
	want := " 45 %  100 req/s  p99 0  errors 0  6 s left\n 91 %  100 req/s  p99 0  errors 0  1 s left\n"
	if b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}

func TestProgressTerminal(t *testing.T) { synctest.Test(t, testProgressTerminal) }

func testProgressTerminal(t *testing.T) {
	var b bytes.Buffer
	p := StartProgress(&b, ProgressOptions{Terminal: true, Duration: 10 * time.Second})
	time.Sleep(250 * time.Millisecond)
	p.Point(bench.Point{At: 1, Seconds: 1, Completed: 100})
	time.Sleep(time.Second)
	p.Stop()
	lines := strings.Split(b.String(), "\r\x1b[K")
	// Nothing, five lines a second, and an end that takes the last one away.
	if len(lines) != 8 || lines[1] != "connecting" || lines[7] != "" || !strings.Contains(lines[6], "20 %") {
		t.Errorf("%q", lines)
	}
	for _, l := range lines {
		if n := len([]rune(l)); n > 79 {
			t.Errorf("%d columns: %q", n, l)
		}
	}
}
