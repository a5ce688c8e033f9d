package report

import (
	"flag"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/bench"
)

var update = flag.Bool("update", false, "write testdata anew")

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (-update writes it anew); got\n%s", path, got)
	}
}

// fixed is a run of a quarter of a minute with a stall in the middle, the same each
// time.
func fixed(mode bench.Mode) *bench.Result {
	r := &bench.Result{
		Schema: bench.Schema, Started: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC), Seconds: 15,
		Target: bench.Target{
			URL: "https://edge.example:8443/", URLs: 1, Method: "GET", Address: "127.0.0.1:8443", Protocol: bench.H2,
			TLSVersion: "TLS 1.3", CipherSuite: "TLS_AES_128_GCM_SHA256", KeyExchange: "X25519MLKEM768", ServerName: "penstock",
		},
		Load:    bench.Load{Mode: mode, Connections: 50, Streams: 10, Workers: 2, Duration: 15, Warmup: 2},
		Status:  map[int]int64{},
		Latency: bench.NewHistogram(), Service: bench.NewHistogram(), FirstByte: bench.NewHistogram(), Connect: bench.NewHistogram(),
		Connections: bench.Connections{Opened: 50},
		Generator:   bench.Generator{UserSeconds: 10, SystemSeconds: 6, Cores: 2, Busy: .53, MicrosPerRequest: 12.5, Version: "devel"},
		Server:      &bench.Server{Version: "v0.9.0", CPUSeconds: 12, MicrosPerRequest: 9.4, P50: 410e-6, P90: 900e-6, P99: 4.1e-3, Lowest: 410e-6, ResidentBytes: 41 << 20},
		Environment: bench.Environment{GoVersion: "go1.26.8", OS: "linux", Arch: "amd64", Kernel: "6.12.1", CPU: "Example 9000", Cores: 8, LoadAverage: .3},
	}
	for i := range 15 {
		fixedInterval(r, i)
	}
	r.Requests, r.Status[200] = r.Completed+7, r.Completed
	r.Abandoned = 7
	r.Rate = float64(r.Completed) / r.Seconds
	r.BytesRead, r.BytesWritten, r.BodyBytes = r.Completed*180, r.Completed*60, r.Completed*128
	r.Server.Requests = r.Completed + 3
	for i := range 50 {
		r.Connect.Record(time.Duration(900+20*i) * time.Microsecond)
	}
	if mode == bench.OpenLoop {
		r.Load.Rate = 85_000
	}
	return r
}

// fixedInterval adds second i: latencies are lognormal, and the ninth second stalls.
func fixedInterval(r *bench.Result, i int) {
	h := bench.NewHistogram()
	stall := 1.
	if i == 8 {
		stall = 6
	}
	n := int64(85_000 + 3000*math.Sin(float64(i)))
	for k := range 4000 {
		// Quantiles of the normal distribution, by its logistic neighbour.
		q := (float64(k) + .5) / 4000
		z := math.Log(q/(1-q)) / 1.702
		d := time.Duration(stall * 480e3 * math.Exp(.7*z))
		h.Record(d)
		r.Service.Record(d * 9 / 10)
		r.FirstByte.Record(d * 8 / 10)
	}
	r.Latency.Merge(h)
	if i == 8 {
		n /= 3
	}
	r.Completed += n
	r.Series = append(r.Series, bench.Point{
		At: float64(i + 1), Seconds: 1, Completed: n, InFlight: 500, GeneratorCPU: 1.06,
		P50: h.Quantile(.5).Seconds(), P90: h.Quantile(.9).Seconds(), P99: h.Quantile(.99).Seconds(), Max: h.Max().Seconds(),
	})
}

// failing is fixed with failures of two kinds, texts of the network's that are not to
// be trusted, and a generator at its limit.
func failing() *bench.Result {
	r := fixed(bench.OpenLoop)
	r.Failed, r.Late, r.Interrupted = 1500, 12, true
	r.Completed -= 1500
	r.Status = map[int]int64{200: r.Completed - 40, 404: 10, 503: 30}
	r.Errors = map[bench.ErrorKind]int64{bench.ErrorTimeout: 1400, bench.ErrorReset: 100}
	r.FirstError = map[bench.ErrorKind]string{
		bench.ErrorTimeout: "no answer within 30s", bench.ErrorReset: "reset \x1b[31mred\x1b[0m <script>alert(1)</script>\r\nover",
	}
	r.Target.ServerName = "<b>\x07nginx</b>"
	r.Server, r.Generator.Busy, r.Environment.LoadAverage = nil, .97, 9
	r.Series[3].Failed = 1500
	r.Lag = bench.NewHistogram()
	r.Lag.Record(40 * time.Millisecond)
	return r
}

// fixedRamp is a search with three steps.
func fixedRamp() *bench.Ramp {
	step := func(phase bench.Phase, rate float64, broken ...string) bench.Step {
		r := fixed(bench.OpenLoop)
		r.Load.Rate = rate
		return bench.Step{Phase: phase, Rate: rate, Holds: len(broken) == 0, Broken: broken, Result: r}
	}
	return &bench.Ramp{
		Schema: bench.Schema, Kind: bench.KindRamp, Started: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC),
		Objectives: []string{"p99=10ms", "errors=0%"}, Rate: 84_500, LimitedBy: bench.LimitObjective,
		Steps: []bench.Step{
			step(bench.PhaseGrow, 64_000), step(bench.PhaseGrow, 128_000, "p99 is 1.2s", "84500 of 128000 a second were answered"),
			step(bench.PhaseBisect, 84_500), step(bench.PhaseConfirm, 84_500),
		},
	}
}
