package app

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/bench"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// write makes a file of the test and gives its path.
func writeText(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	servetest.Must(t, "write "+name, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestBenchWrongFlags(t *testing.T) {
	const target = "http://127.0.0.1:1/"
	dir := t.TempDir()
	for _, test := range []struct {
		name string
		args []string
		want []string // one for each line of stderr
	}{
		{"no URL", nil, []string{"the URL is missing; write penstock bench http://HOST:PORT/"}},
		{"two URLs", []string{target, "http://x/"}, []string{`bench takes one URL, got "http://x/" too`}},
		{"no scheme", []string{"localhost:8080"}, []string{`"localhost:8080": write the URL with its scheme, http://localhost:8080`}},
		{"other scheme", []string{"ftp://x/"}, []string{`"ftp://x/": the scheme must be http or https`}},
		{"no host", []string{"http:///x"}, []string{`"http:///x": the host is missing`}},
		{"no port", []string{"http://x:y/"}, []string{`"http://x:y/" is no URL: `}},
		{"credentials", []string{"http://a:secret@x/"}, []string{`"http://a:xxxxx@x/": give credentials as --header`}},
		{"no duration", []string{target, "-d", "5"}, []string{`--duration "5": must be a duration with its unit`}},
		{"no time", []string{target, "-d", "0s"}, []string{"--duration 0s: must be above 0"}},
		{"no requests", []string{target, "-n", "0", "-d", "1s"}, []string{"--requests 0: must be above 0"}},
		{"streams of HTTP/1.1", []string{target, "--protocol", "h1", "-m", "2"}, []string{"--streams 2: HTTP/1.1 has one request in flight"}},
		{"HTTP/3 without TLS", []string{target, "--protocol", "h3"}, []string{"--protocol h3 needs an URL of https"}},
		{"keep-alive of HTTP/2", []string{target, "--protocol", "h2", "--disable-keepalive"}, []string{"--disable-keepalive is HTTP/1.1's"}},
		{"rate", []string{target, "--rate", "-1"}, []string{"--rate -1: give up to 1e9"}},
		{"rate of NaN", []string{target, "--rate", "NaN"}, []string{"--rate NaN: give up to 1e9"}},
		{"method", []string{target, "--method", "G T"}, []string{`--method "G T": is no method`}},
		{"framing", []string{target, "-H", "Content-Length: 5"}, []string{`Content-Length is the generator's own`}},
		{"header", []string{target, "-H", "a b: c", "-H", "x: a\nb: c"}, []string{`--header "a b: c": write "Name: value"`, `a value is one line`}},
		{"body twice", []string{target, "--body", "x", "--data", "y"}, []string{"--body and --data exclude each other"}},
		{"no body", []string{target, "--body", "/none"}, []string{"--body /none: no such file or directory; for a text use --data"}},
		{"no such status", []string{target, "--expect-status", "200,6xx,204-203"}, []string{`--expect-status "6xx"`, `--expect-status "204-203"`}},
		{"objective alone", []string{target, "--objective", "p99=1s"}, []string{"--objective has no effect without --find-max"}},
		{"objectives", []string{target, "--find-max", "--objective", "p99,q=1s"}, []string{`--objective "p99": write METRIC=BOUND`, `--objective "q=1s": the metric must be`}},
		{"search by requests", []string{target, "--find-max", "-n", "5"}, []string{"--requests has no effect with --find-max"}},
		{"TLS without TLS", []string{target, "--insecure", "--tls-min", "1.2"}, []string{"--insecure, --tls-min: no effect with an URL of http"}},
		{"TLS versions", []string{"https://x/", "--tls-min", "1.3", "--tls-max", "1.2"}, []string{"--tls-min 1.3: is above --tls-max 1.2"}},
		{"old TLS", []string{"https://x/", "--tls-min", "1.0"}, []string{`--tls-min "1.0": must be 1.2 or 1.3`}},
		{"no such curve", []string{"https://x/", "--tls-curves", "X25519,secp224r1"}, []string{`--tls-curves "secp224r1": must be of X25519MLKEM768, X25519, P256`}},
		{"curve without TLS", []string{target, "--tls-curves", "X25519"}, []string{"--tls-curves: no effect with an URL of http"}},
		{"key without certificate", []string{"https://x/", "--key", "x"}, []string{"--key needs --cert beside it"}},
		{"no such authority", []string{"https://x/", "--cacert", "/none"}, []string{"--cacert /none: no such file or directory"}},
		{"no certificate", []string{"https://x/", "--cacert", writeText(t, "ca", "x")}, []string{"has no certificate in PEM"}},
		{"no such pair", []string{"https://x/", "--cert", "/none", "--key", "/none"}, []string{"--cert /none, --key /none: no such file or directory"}},
		{"output", []string{target, "--json", filepath.Join(dir, "none/x"), "--html", dir}, []string{"--json " + dir + "/none/x: no such", "--html " + dir + ": is a directory"}},
		{"both to standard output", []string{target, "--json", "-", "--html", "-"}, []string{"--json and --html cannot both be standard output"}},
		{"no URLs", []string{"--urls", "/none"}, []string{"--urls /none: no such file or directory"}},
		{"empty URLs", []string{"--urls", writeText(t, "urls", "# none\n\n")}, []string{"has no URL"}},
		{
			"URLs of two hosts",
			[]string{"--urls", writeText(t, "urls", "http://a/1\n\nhttp://b/2\nftp://a/\n/path\n")},
			[]string{`urls:3: "http://b/2": all URLs must have the scheme and host of the first, http://a`, `urls:4: "ftp://a/"`, `urls:5: "/path": write the URL with its scheme`},
		},
		{
			"all at once",
			[]string{"x", "-c", "0", "-m", "-1", "--workers", "-1", "--timeout", "0s", "--warmup", "-1s", "--protocol", "h4", "--header", "y", "--cert", "z", "--urls", "/none"},
			[]string{`"x": write`, "--urls", "--connections", "--streams", "--workers", "--warmup", "--timeout", "--protocol", "--cert", "--header"},
		},
		{"compare with one file", []string{"compare", "a.json"}, []string{"compare takes two sides, got 1"}},
		{"compare what is not there", []string{"compare", "/none/a", "/none/b,/none/c"}, []string{"/none/a: no such file", "/none/b: no such file", "/none/c: no such file"}},
	} {
		t.Run(test.name, func(t *testing.T) { wantRefused(t, append([]string{"bench"}, test.args...), test.want) })
	}
}

// planOf gives what bench makes of flags.
func planOf(t *testing.T, args ...string) *benchPlan {
	t.Helper()
	o, cmd := newBenchOptions(), newBenchCommand(nil)
	cmd.ResetFlags()
	o.addFlags(cmd.Flags())
	servetest.Must(t, "flags", cmd.ParseFlags(args))
	servetest.Must(t, "environment", applyEnv(cmd.Flags()))
	p, err := o.plan(cmd, cmd.Flags().Args())
	servetest.Must(t, "plan", err)
	return p
}

func TestBenchPlan(t *testing.T) {
	t.Setenv("PENSTOCK_CONNECTIONS", "7")
	t.Setenv("PENSTOCK_HEADER", "A: 1, 2\nB: 3")
	p := planOf(t, "http://127.0.0.1:8080#top")
	servetest.Want(t, "the URL", p.options.URLs[0].String(), "http://127.0.0.1:8080/")
	servetest.Want(t, "connections of the environment", p.options.Connections, 7)
	servetest.Want(t, "fields of the environment", len(p.options.Header), 2)
	servetest.Want(t, "a field with a comma", p.options.Header[0], bench.Field{Name: "A", Value: "1, 2"})
	servetest.Want(t, "duration", p.options.Duration, 10*time.Second)

	p = planOf(t, "http://127.0.0.1:8080/a/b", "-n", "100", "--data", "x", "--urls", writeText(t, "urls", "c\n# none\n/d?e\nhttp://127.0.0.1:8080/f\n"))
	servetest.Want(t, "with --requests no duration", p.options.Duration, 0)
	servetest.Want(t, "the content", string(p.options.Body), "x")
	var paths []string
	for _, u := range p.options.URLs {
		paths = append(paths, u.RequestURI())
	}
	servetest.Want(t, "paths", strings.Join(paths, " "), "/a/c /d?e /f")

	p = planOf(t, "http://127.0.0.1:8080/", "--body", "@"+writeText(t, "body", "content"))
	servetest.Want(t, "the file's content", string(p.options.Body), "content")

	p = planOf(t, "http://127.0.0.1:8080/", "--find-max", "--rate", "5", "--expect-status", "2xx,404")
	servetest.Want(t, "duration of a step", p.options.Duration, defaultStepDuration)
	servetest.Want(t, "warm-up of a step", p.options.Warmup, defaultStepWarmup)
	servetest.Want(t, "the first step", p.search.Start, 5)
	servetest.Want(t, "objective", p.search.Objectives[0].String(), defaultObjective)
	for status, good := range map[int]bool{200: true, 299: true, 404: true, 400: false, 503: false, 1000: false, -1: false} {
		servetest.Want(t, "a good status", p.options.Check(status, nil) == nil, good)
	}
}

func TestBenchHelp(t *testing.T) {
	for _, args := range [][]string{{"bench", "--help"}, {"bench", "compare", "--help"}} {
		code, stdout, stderr := runHere(args...)
		if code != ExitClean || stderr != "" || !strings.Contains(stdout, "Examples:\n  penstock bench ") {
			t.Errorf("%v: exit %d, %q, %q", args, code, stdout, stderr)
		}
	}
}

// resultFile writes a run of ten seconds at about this rate.
func resultFile(t *testing.T, rate float64) string {
	t.Helper()
	r := &bench.Result{Schema: bench.Schema, Seconds: 10, Rate: rate, Completed: int64(10 * rate), Latency: bench.NewHistogram(), Load: bench.Load{Mode: bench.ClosedLoop}}
	for i := range 10 {
		off := 1 + .01*float64(i%3)
		r.Series = append(r.Series, bench.Point{At: float64(i + 1), Seconds: 1, Completed: int64(rate * off), P50: 1 / rate / off, P90: 2 / rate / off, P99: 3 / rate / off})
	}
	for i := range 1000 {
		r.Latency.Record(time.Duration(float64(i+500) / rate * 1e6))
	}
	text, err := json.Marshal(r)
	servetest.Must(t, "encode", err)
	return writeText(t, "result.json", string(text))
}

func TestBenchCompare(t *testing.T) {
	slow, fast := resultFile(t, 1000), resultFile(t, 2000)
	for _, args := range [][]string{{slow, fast}, {slow + ":" + fast}, {filepath.Dir(slow) + "/*.json", fast + "," + fast}} {
		code, stdout, stderr := runHere(append([]string{"bench", "compare"}, args...)...)
		if code != ExitClean || stderr != "" || !strings.Contains(stdout, "\nB is faster\n") || !strings.Contains(stdout, "method: on the intervals of the runs: Mann-Whitney") {
			t.Errorf("%v: exit %d, %q, %q", args, code, stdout, stderr)
		}
	}
	code, stdout, _ := runHere("bench", "compare", "--json", fast, slow)
	var c bench.Comparison
	if err := json.Unmarshal([]byte(stdout), &c); err != nil || code != ExitClean || c.Verdict != bench.Slower || c.A.Files[0] != fast {
		t.Errorf("exit %d, %+v, %v", code, c, err)
	}
	code, _, stderr := runHere("bench", "compare", slow, writeText(t, "x", "{}"))
	if code != ExitError || !strings.Contains(stderr, "not a result of penstock bench") {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

// A penstock at the default address is the target only if it answered the requests.
func TestBenchLikelyServer(t *testing.T) {
	run := func(warmup float64) *bench.Result {
		r := &bench.Result{Completed: 1000, Seconds: 10, Abandoned: 5}
		r.Load.Warmup = warmup
		return r
	}
	for _, test := range []struct {
		name     string
		requests int64
		warmup   float64
		want     bool
	}{
		{"all", 1000, 0, true},
		{"those in flight too", 1105, 0, true},
		{"another server", 0, 0, false},
		{"another one that is busy", 5000, 0, false},
		{"a part of a second of warm-up", 1250, 2, true},
		{"a part of them", 500, 2, false},
	} {
		servetest.Want(t, test.name, likely(&bench.Server{Requests: test.requests}, run(test.warmup)), test.want)
	}
	servetest.Want(t, "no request", likely(&bench.Server{}, &bench.Result{}), false)
	for host, want := range map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true, "127.9.9.9": true, "10.0.0.1": false, "example.org": false, "": false} {
		servetest.Want(t, "loopback: "+host, isLoopback(host), want)
	}
}

func TestBenchInterval(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		0: 250 * time.Millisecond, 100 * time.Millisecond: 50 * time.Millisecond, 10 * time.Second: 500 * time.Millisecond, time.Hour: time.Second,
	} {
		servetest.Want(t, "interval of "+d.String(), benchInterval(d), want)
	}
}
