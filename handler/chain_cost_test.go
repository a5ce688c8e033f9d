//go:build unix

package handler_test

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// What the default chain costs a server over real sockets: the same handler behind
// nothing, behind a mux, and behind the chain, with and without the promise to keep
// nothing of a request (handler.Recycler). Each server is a process of its own on
// core 0 with GOMAXPROCS=1, the client one on core 1, and their rounds alternate. What
// counts is the server's CPU time a request, by getrusage, and its allocations.
//
//	go test ./handler -run '^TestChainCost$' -compare -v
var (
	compare       = flag.Bool("compare", false, "run TestChainCost, which takes minutes on two idle cores")
	compareRounds = flag.Int("compare-rounds", 5, "rounds of TestChainCost")
)

// roleVariable says in the processes that TestChainCost starts what they are: a name
// of costCases, or client.
const roleVariable = "PENSTOCK_CHAIN_COST"

// quietLoad is the load average above which figures are not to be believed.
const quietLoad = 1.5

// costWorks are what a round asks for.
var costWorks = []struct {
	name                     string
	major                    int
	conns, streams, requests int
}{
	{"HTTP/1.1, clear, 16 connections", 1, 16, 1, 60_000},
	{"HTTP/2, TLS, 4 connections of 16", 2, 4, 16, 60_000},
}

func TestChainCost(t *testing.T) {
	if role := os.Getenv(roleVariable); role != "" {
		playCostRole(t, strings.Fields(role))
		return
	}
	if !*compare {
		t.Skip("a measurement, not a test: run it with -compare")
	}
	if _, err := exec.LookPath("taskset"); err != nil {
		t.Skip("taskset is not installed (util-linux)")
	}
	for _, work := range costWorks {
		costs := make([]costs, len(costCases))
		for range *compareRounds {
			for i, c := range costCases {
				costs[i].add(measureCost(t, c.name, work.major, work.conns, work.streams, work.requests))
			}
		}
		t.Logf("%s, medians of %d rounds, load %s\n%s", work.name, *compareRounds, loadAverage(t), costTable(t, costs))
	}
}

// costs are the figures of one case, round by round.
type costs struct{ cpu, allocs []float64 } // microseconds and numbers a request

func (c *costs) add(cpu, allocs float64) {
	c.cpu, c.allocs = append(c.cpu, cpu), append(c.allocs, allocs)
}

func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

// costTable shows the cases beside the first. What a case costs more is the median of
// the rounds' differences: neighbours in time share the machine's moods.
func costTable(t *testing.T, all []costs) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "CPU us/request\tmin\tmore than the first\tallocations\tserver\t")
	for i, c := range all {
		more := make([]float64, len(c.cpu))
		for k := range more {
			more[k] = c.cpu[k] - all[0].cpu[k]
		}
		fmt.Fprintf(w, "%.2f\t%.2f\t%+.2f\t%.2f\t%s\t\n", median(c.cpu), slices.Min(c.cpu), median(more), median(c.allocs), costCases[i].name)
	}
	servetest.Must(t, "table", w.Flush())
	return text.String()
}

// measureCost is a server's CPU time and allocations a request.
func measureCost(t *testing.T, name string, major, conns, streams, requests int) (cpu, allocs float64) {
	t.Helper()
	server := costChild(0, fmt.Sprint(name, " ", major))
	server.Env = append(server.Env, "GOMAXPROCS=1")
	in, err := server.StdinPipe()
	servetest.Must(t, "pipe", err)
	out, err := server.StdoutPipe()
	servetest.Must(t, "pipe", err)
	servetest.Must(t, "start the server", server.Start())
	defer func() {
		in.Close() // it ends with its input
		_, _ = io.Copy(io.Discard, out)
		servetest.Must(t, "the server's end", server.Wait())
	}()
	lines := bufio.NewReader(out)
	line := func() string {
		s, err := lines.ReadString('\n')
		servetest.Must(t, "the server's word", err)
		return strings.TrimSpace(s)
	}
	addr := line()
	load := func(requests int) {
		client := costChild(1, fmt.Sprint("client ", addr, " ", major, " ", conns, " ", streams, " ", requests))
		if said, err := client.CombinedOutput(); err != nil {
			t.Fatalf("client: %v\n%s", err, said)
		}
	}
	used := func() (us, mallocs int64) {
		_, err := fmt.Fprintln(in, "used")
		servetest.Must(t, "ask the server", err)
		_, err = fmt.Sscan(line(), &us, &mallocs)
		servetest.Must(t, "its figures", err)
		return us, mallocs
	}
	load(requests / 10) // warm
	us, mallocs := used()
	load(requests)
	usThen, mallocsThen := used()
	return float64(usThen-us) / float64(requests), float64(mallocsThen-mallocs) / float64(requests)
}

// costChild is this test binary in a role, on a core.
func costChild(core int, role string) *exec.Cmd {
	cmd := exec.Command("taskset", "-c", fmt.Sprint(core), os.Args[0], "-test.run=^TestChainCost$")
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	return cmd
}

// loadAverage is that of the last minute, with a word where it says that figures are
// of a busy machine.
func loadAverage(t *testing.T) string {
	text, err := os.ReadFile("/proc/loadavg")
	if errors.Is(err, os.ErrNotExist) {
		return "unknown"
	}
	servetest.Must(t, "load", err)
	var one float64
	_, err = fmt.Sscan(string(text), &one)
	servetest.Must(t, "load", err)
	if one > quietLoad+2 { // server and client themselves are two
		return fmt.Sprintf("%.2f: OTHERS ARE BUSY HERE", one)
	}
	return fmt.Sprintf("%.2f", one)
}

// until bounds a child's life: a parent that was killed leaves none behind.
const until = 10 * time.Minute
