package suite

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// Cores are those that this process may use, in order; on systems that do not tell,
// none.
func Cores() []int {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(b)) {
		if list, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
			return parseCores(strings.TrimSpace(list))
		}
	}
	return nil
}

// parseCores reads a list such as 0-2,5.
func parseCores(list string) (cores []int) {
	for part := range strings.SplitSeq(list, ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := strconv.Atoi(from)
		last := first
		if err == nil && isRange {
			last, err = strconv.Atoi(to)
		}
		if err != nil || last-first > 1<<16 {
			return nil
		}
		for c := first; c <= last; c++ {
			cores = append(cores, c)
		}
	}
	return cores
}

// coreCount is how many cores a list such as 0,2-3 names; at least one.
func coreCount(list string) int { return max(1, len(parseCores(list))) }

// machine tells of the processor, the kernel and the load, where /proc does.
func machine() (cpu, kernel string, load float64) {
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(b), "model name"); ok {
			first, _, _ := strings.Cut(rest, "\n")
			cpu = strings.TrimSpace(strings.TrimLeft(first, "\t :"))
		}
	}
	if b, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		kernel = strings.TrimSpace(string(b))
	}
	return cpu, kernel, loadAverage()
}

func loadAverage() (load float64) {
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		_, _ = fmt.Sscan(string(b), &load) // 0 where it is no number
	}
	return load
}

// commitOf names what is measured; empty: Git does not tell.
func commitOf(root string) string {
	cmd := exec.Command("git", "describe", "--always", "--dirty")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
