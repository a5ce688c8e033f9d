package suite

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestUsedBetween(t *testing.T) {
	begin := time.Unix(1000, 0)
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	samples := []sample{{at(0), 0}, {at(20), 10 * time.Millisecond}, {at(40), 30 * time.Millisecond}, {at(200), 50 * time.Millisecond}, {at(220), 50 * time.Millisecond}}
	for _, c := range []struct{ from, to, want, unsure int }{
		{0, 220, 50, 0},
		{0, 20, 10, 0},
		{10, 20, 5, 0},
		{20, 30, 10, 0},
		{-100, 400, 50, 0},
		{210, 210, 0, 0},
		{0, 100, 50, 20},   // the end within a long gap, which counts whole
		{120, 210, 10, 20}, // the begin within it
		{120, 121, 10, 40},
	} {
		used, unsure := usedBetween(samples, at(c.from), at(c.to))
		if used != time.Duration(c.want)*time.Millisecond || unsure != time.Duration(c.unsure)*time.Millisecond {
			t.Errorf("from %d to %d: %v, %v not sure, want %d and %d ms", c.from, c.to, used, unsure, c.want, c.unsure)
		}
	}
	if used, unsure := usedBetween(nil, at(0), at(1)); used != 0 || unsure != 0 {
		t.Error(used, unsure)
	}
}

func TestCommonRate(t *testing.T) {
	r := constructed()
	if got := r.commonRate("h1"); got != 450 {
		t.Errorf("%v, want half of nginx's 900", got)
	}
	if got := r.commonRate("none"); got != 0 {
		t.Error(got)
	}
	for rate, want := range map[float64]float64{0: 0, 9.9: 9, 99: 99, 101: 100, 45_678: 45_000, 123_456: 120_000} {
		if got := roundDown(rate); got != want {
			t.Errorf("%v: %v, want %v", rate, got, want)
		}
	}
}

func TestParsePerf(t *testing.T) {
	calls, err := parsePerf("# started on\n2057,,raw_syscalls:sys_enter,100,100.00,,\n1001,,syscalls:sys_enter_recvfrom,100,100.00,,\n" +
		"<not counted>,,syscalls:sys_enter_read,0,0.00,,\n1000,,cycles,1,1,,\nnonsense\n")
	if err != nil || fmt.Sprint(calls) != "map[all:2057 recvfrom:1001]" {
		t.Errorf("%v, %v", calls, err)
	}
	for _, text := range []string{"", "Error:\nNo permission to enable raw_syscalls:sys_enter event.\n", "<not counted>,,raw_syscalls:sys_enter,0,0.00,,\n"} {
		if calls, err := parsePerf(text); err == nil {
			t.Errorf("%q: %v", text, calls)
		}
	}
}

func TestParseStrace(t *testing.T) {
	calls, err := parseStrace(`strace: Process 17 attached
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 51.22    0.300000           3    100000           sendto
 48.00    0.200000           2     99999       123 recvfrom
  0.78    0.001000           1         1           epoll_wait
------ ----------- ----------- --------- --------- ----------------
100.00    0.501000           2    200000       123 total
`)
	if err != nil || fmt.Sprint(calls) != "map[all:200000 epoll_wait:1 recvfrom:99999 sendto:100000]" {
		t.Errorf("%v, %v", calls, err)
	}
	if calls, err := parseStrace("strace: attach: ptrace(PTRACE_SEIZE, 1): Operation not permitted\n"); err == nil {
		t.Error(calls)
	}
}

func TestMeasureTables(t *testing.T) {
	r := constructed()
	if r.latencyTable() != "" || r.syscallTable() != "" {
		t.Error("tables of nothing")
	}
	for round, v := range []float64{1, 2, 3} {
		r.Runs = append(r.Runs,
			Run{Work: "h1", Target: "penstock", Measure: Latency, Round: round, Offered: 12_000, P50: v / 1e4, P98: v / 1e3, P99: v / 1e3, P999: v / 100, Lag: 1e-5},
			Run{Work: "h1", Target: "nginx", Measure: Latency, Round: round, Offered: 12_000, P50: v / 1e4, P99: v / 1e3, P999: v / 100, Lag: .01})
	}
	r.Runs = append(r.Runs,
		Run{Work: "h1", Target: "h2o", Measure: Latency, Offered: 12_000, Error: "late", Slow: true},
		Run{Work: "h1", Target: "penstock", Measure: Syscalls, Tool: "perf", Calls: map[string]float64{"all": 2.1, "sendto": 1, "recvfrom": 1, "futex": .001, "epoll_pwait": .09}},
		Run{Work: "h1", Target: "nginx", Measure: Syscalls, Tool: "strace", Calls: map[string]float64{"all": 2, "writev": 1}})
	for got, want := range map[string]string{
		r.latencyTable(): "| keep-alive (`h1`), 12,000/s | 0.200 / 2.00 / 20.0 | 0.200 / 2.00 / 20.0 * | void |",
		r.syscallTable(): "| Work | penstock | nginx |\n|---|---|---|\n| keep-alive (`h1`) | 2.10 (recvfrom 1.00, sendto 1.00, epoll_pwait 0.09) | 2.00 (writev 1.00) * |",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	r.Works[0].Kind = Mix
	if got := r.latencyTable(); !strings.Contains(got, "| 0.200 / 2.00 (p98) |") {
		t.Error(got)
	}
	if c := r.Cell("h1", "penstock"); c.Runs != 3 || c.Value != 4.4 {
		t.Errorf("other measures are among the cost: %+v", c)
	}
}
