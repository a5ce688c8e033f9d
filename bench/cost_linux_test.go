package bench

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

var (
	compare       = flag.Bool("compare", false, "run TestGeneratorCost and TestSchedulingError, which measure for minutes")
	compareRounds = flag.Int("compare-rounds", 5, "rounds of TestGeneratorCost")
	compareSecs   = flag.Int("compare-secs", 3, "seconds of each run of these")
)

// TestGeneratorCost is what the generator costs beside wrk (HTTP/1.1) and h2load
// (HTTP/2), in CPU time of the whole process by request, against the same server:
//
//	go test ./bench -run '^TestGeneratorCost$' -compare -v
//
// penstock respond has core 0, each generator core 1, with one thread; their runs
// alternate. Given are medians, and those of the rounds' ratios: theirs by ours, above
// 1 the generator is the cheaper one. It asserts nothing but that all were answered.
func TestGeneratorCost(t *testing.T) {
	binary := toCompare(t, "wrk", "h2load")
	clear, secure := startRespond(t, binary)
	secs := strconv.Itoa(*compareSecs)
	h2load := func(m string) []string { return []string{"h2load", "-t1", "-c16", "-m" + m, "-D" + secs, secure} }
	ours := func(args ...string) []string {
		if args[len(args)-1] == secure {
			args = append([]string{"--insecure"}, args...)
		}
		return append([]string{binary, "bench", "-q", "-d", secs + "s"}, args...)
	}
	t.Logf("%-7s %28s   %28s   %s", "", "wrk, h2load: us (user, sys)", "penstock bench: us (user, sys)", "theirs / ours")
	for _, w := range []struct {
		name         string
		theirs, ours []string
	}{
		{"h1", []string{"wrk", "-t1", "-c64", "-d" + secs + "s", clear}, ours("-c", "64", clear)},
		{"h1s", []string{"wrk", "-t1", "-c64", "-d" + secs + "s", secure}, ours("-c", "64", "--protocol", "h1", secure)},
		{"h2m1", h2load("1"), ours("-c", "16", secure)},
		{"h2m32", h2load("32"), ours("-c", "16", "-m", "32", secure)},
		{"h2m100", h2load("100"), ours("-c", "16", "-m", "100", secure)},
	} {
		var theirs, own []cost
		var ratios []float64
		for range *compareRounds {
			a, b := measure(t, w.theirs), measure(t, w.ours)
			theirs, own = append(theirs, a), append(own, b)
			ratios = append(ratios, a.all()/b.all())
		}
		t.Logf("%-7s %12.2f (%5.2f, %5.2f)     %14.2f (%5.2f, %5.2f)   %.2f", w.name,
			medianOf(theirs, cost.all), medianOf(theirs, cost.inUser), medianOf(theirs, cost.inSystem),
			medianOf(own, cost.all), medianOf(own, cost.inUser), medianOf(own, cost.inSystem), median(ratios))
	}
}

// TestSchedulingError is how late the generator begins the requests of an open loop by
// its own fault (Result.Lag), on one core beside penstock respond on the other:
//
//	go test ./bench -run '^TestSchedulingError$' -compare -v
//
// It asserts that all were answered; what others do on the machine is in the figures.
func TestSchedulingError(t *testing.T) {
	binary := toCompare(t)
	clear, secure := startRespond(t, binary)
	for _, w := range []struct {
		name string
		args []string
	}{
		{"h1", []string{"-c", "64", clear}},
		{"h2m32", []string{"-c", "16", "-m", "32", "--insecure", secure}},
	} {
		for _, rate := range []int{20_000, 100_000} {
			args := append([]string{
				"-c", "1", binary, "bench", "-q", "--json", "-", "--warmup", "1s", "-d", fmt.Sprint(*compareSecs, "s"),
				"--rate", strconv.Itoa(rate),
			}, w.args...)
			cmd := exec.Command("taskset", args...)
			cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %v", args, err)
			}
			r, err := ReadResult(bytes.NewReader(out))
			if err != nil || r.Failed > 0 || r.Lag == nil {
				t.Fatalf("%v: %v, %+v", args, err, r)
			}
			t.Logf("%-6s %6d/s: lag p50 %v, p99 %v, p99.9 %v, max %v; latency p50 %v, p99 %v; %.0f/s, %d late, busy %.2f, load %.1f", w.name, rate,
				r.Lag.Quantile(.5), r.Lag.Quantile(.99), r.Lag.Quantile(.999), r.Lag.Max(), r.Latency.Quantile(.5), r.Latency.Quantile(.99),
				r.Rate, r.Late, r.Generator.Busy, r.Environment.LoadAverage)
		}
	}
}

// toCompare answers a penstock that was built for a test that measures, and skips that
// unless it was asked for and all tools are there.
func toCompare(t *testing.T, tools ...string) (binary string) {
	t.Helper()
	if !*compare {
		t.Skip("SKIPPED: measures for minutes; give -compare")
	}
	for _, tool := range append(tools, "taskset") {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED: %s is not there: apt-get install util-linux wrk nghttp2-client", tool)
		}
	}
	binary = filepath.Join(t.TempDir(), "penstock")
	if out, err := exec.Command("go", "build", "-o", binary, "../cmd/penstock").CombinedOutput(); err != nil {
		t.Fatalf("build: %v: %s", err, out)
	}
	return binary
}

// cost is CPU time by request, in microseconds.
type cost struct{ user, system float64 }

func (c cost) all() float64      { return c.user + c.system }
func (c cost) inUser() float64   { return c.user }
func (c cost) inSystem() float64 { return c.system }

func medianOf(all []cost, of func(cost) float64) float64 {
	var v []float64
	for _, c := range all {
		v = append(v, of(c))
	}
	return median(v)
}

// answered finds in what a generator prints how many requests it had answered.
var answered = regexp.MustCompile(`([\d,]+) completed,|(\d+) requests in |requests: \d+ total, \d+ started, (\d+) done`)

func measure(t *testing.T, args []string) cost {
	t.Helper()
	cmd := exec.Command("taskset", append([]string{"-c", "1"}, args...)...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v: %s", args, err, out)
	}
	m := answered.FindSubmatch(out)
	if m == nil {
		t.Fatalf("%v: no number of requests in %s", args, out)
	}
	n, err := strconv.ParseFloat(strings.ReplaceAll(string(bytes.Join(m[1:4], nil)), ",", ""), 64)
	if err != nil || n == 0 {
		t.Fatalf("%v: %v requests, %v", args, n, err)
	}
	const micro = 1e6
	return cost{cmd.ProcessState.UserTime().Seconds() * micro / n, cmd.ProcessState.SystemTime().Seconds() * micro / n}
}

// startRespond runs penstock respond, and answers its URLs.
func startRespond(t *testing.T, binary string) (clear, secure string) {
	t.Helper()
	ports := make([]int, 2)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = l.Addr().(*net.TCPAddr).Port
		l.Close()
	}
	cmd := exec.Command("taskset", "-c", "0", binary, "respond", "--body", "Hello, World!", "--header", "Content-Type: text/plain",
		"--listen", fmt.Sprint("127.0.0.1:", ports[0]), "--tls-listen", fmt.Sprint("127.0.0.1:", ports[1]))
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	for _, port := range ports {
		for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			c, err := net.Dial("tcp", fmt.Sprint("127.0.0.1:", port))
			if err == nil {
				c.Close()
				break
			}
			if !errors.Is(err, syscall.ECONNREFUSED) || time.Since(begin) > patience {
				t.Fatal(err)
			}
		}
	}
	return fmt.Sprintf("http://127.0.0.1:%d/hello", ports[0]), fmt.Sprintf("https://127.0.0.1:%d/hello", ports[1])
}
