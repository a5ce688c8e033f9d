package h3_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The comparison of BENCHMARKS.md: this engine beside quic-go's http3.Server,
// the same handler, certificate and QUIC settings but for those that the engines
// set themselves; and beside QUIC alone, which reads each stream to its end and
// answers with bytes made beforehand: no server on quic-go can be cheaper. Each server is a process of its own on core 0 with GOMAXPROCS=1,
// the client one on core 1; the rounds of both alternate. What counts is the
// server's CPU time a request, by the kernel's account (schedstat).
//
//	go test ./serve/h3 -run '^TestCompare$' -compare -v
var (
	compare       = flag.Bool("compare", false, "run TestCompare, which takes a minute on two idle cores")
	compareRounds = flag.Int("compare-rounds", 5, "rounds of TestCompare")
)

// roleVariable says in the processes that TestCompare starts what they are: own,
// stock, quic or client.
const roleVariable = "PENSTOCK_COMPARE"

func TestCompare(t *testing.T) {
	if role := os.Getenv(roleVariable); role != "" {
		playRole(role)
		return
	}
	if !*compare {
		t.Skip("a measurement, not a test: run it with -compare")
	}
	if _, err := exec.LookPath("taskset"); err != nil {
		t.Skip("taskset is not installed (util-linux)")
	}
	for _, work := range []struct {
		name                            string
		conns, streams, requests, bytes int
	}{
		{"13 bytes, m=1", 16, 1, 40_000, 13},
		{"13 bytes, m=16", 16, 16, 100_000, 13},
		{"100 KB, m=4", 16, 4, 8_000, 100_000},
	} {
		for round := range *compareRounds {
			var cost [3]float64
			for i, role := range []string{"own", "stock", "quic"} {
				cost[i] = measure(t, role, work.conns, work.streams, work.requests, work.bytes)
			}
			t.Logf("%-15s round %d: own %6.2f us, http3.Server %6.2f us, ratio %.2f; QUIC alone %6.2f us", work.name, round, cost[0], cost[1], cost[1]/cost[0], cost[2])
		}
	}
}

// measure is the server's CPU time a request, in microseconds.
func measure(t *testing.T, role string, conns, streams, requests, size int) float64 {
	t.Helper()
	server := child(role, "0", strconv.Itoa(size))
	server.Env = append(server.Env, "GOMAXPROCS=1")
	out, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer server.Wait()
	defer server.Process.Kill()
	addr := make([]byte, 64)
	n, err := out.Read(addr)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(requests int) {
		client := child("client", "1", strings.TrimSpace(string(addr[:n])), strconv.Itoa(conns), strconv.Itoa(streams), strconv.Itoa(requests))
		if said, err := client.CombinedOutput(); err != nil {
			t.Fatalf("client: %v\n%s", err, said)
		}
	}
	ask(requests / 10) // warm
	before := cpuTime(t, server.Process.Pid)
	ask(requests)
	return float64(cpuTime(t, server.Process.Pid)-before) / float64(requests) / 1000
}

// child is this test binary in a role, on a core.
func child(role, core string, args ...string) *exec.Cmd {
	cmd := exec.Command("taskset", "-c", core, os.Args[0], "-test.run=^TestCompare$")
	cmd.Env = append(os.Environ(), roleVariable+"="+role+" "+strings.Join(args, " "))
	return cmd
}

// cpuTime is what all threads of a process have run, in nanoseconds.
func cpuTime(t *testing.T, pid int) (sum int64) {
	t.Helper()
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if len(files) == 0 {
		t.Skip("no schedstat on this system")
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has gone
		}
		word, _, _ := strings.Cut(string(b), " ")
		n, _ := strconv.ParseInt(word, 10, 64)
		sum += n
	}
	return sum
}
