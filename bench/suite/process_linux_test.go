package suite

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	for text, want := range map[string]int64{
		"1 (a) b) (c) S 1 2 3 4 5 6 7 8 9 10 7 5 0 0": 12,
		"1 (nginx) S 1 2 3 4 5 6 7 8 9 10 100 20 0 0": 120,
		"1 (nginx) S 1 2": 0, "": 0, ")": 0, "1 (x) S 1 2 3 4 5 6 7 8 9 10 a b 0": 0,
	} {
		if got := parseStat([]byte(text)); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

// A server's children are part of it, and nothing is left of it.
func TestProcess(t *testing.T) {
	if _, err := exec.LookPath("taskset"); err != nil {
		t.Skip("SKIPPED: taskset is not there: apt-get install util-linux")
	}
	p, err := startProcess("0", nil, "sh", "-c", "sh -c 'while :; do :; done' & wait")
	if err != nil {
		t.Fatal(err)
	}
	for begin := time.Now(); p.cpu() < 50*time.Millisecond; time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > 30*time.Second {
			p.stop()
			t.Fatal("a child's CPU time is not counted")
		}
	}
	all := tree(p.cmd.Process.Pid)
	if p.memory() == 0 || len(all) < 2 {
		t.Errorf("%d KiB, processes %v", p.memory(), all)
	}
	p.stop()
	for _, pid := range all {
		for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
			b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			if err != nil || len(b) > 0 && parseState(b) == 'Z' {
				break
			}
			if time.Since(begin) > 30*time.Second {
				t.Fatalf("process %d is still there", pid)
			}
		}
	}
}

func parseState(b []byte) byte {
	for i := len(b) - 1; i > 0; i-- {
		if b[i] == ')' && i+2 < len(b) {
			return b[i+2]
		}
	}
	return 0
}

// What ends at once is told with its last words.
func TestProcessThatEnds(t *testing.T) {
	if _, err := exec.LookPath("taskset"); err != nil {
		t.Skip("SKIPPED: taskset is not there: apt-get install util-linux")
	}
	p, err := startProcess("0", nil, "sh", "-c", "echo why >&2; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	defer p.stop()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.waitPort(port); err == nil || err.Error() != "it ended before it listened: why" {
		t.Errorf("%v", err)
	}
}
