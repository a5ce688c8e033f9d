package bench

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

// machine is the processor's name, and the load average of the last minute.
func machine() (cpu string, load float64) {
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for lines := bufio.NewScanner(f); cpu == "" && lines.Scan(); {
			if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(value)
			}
		}
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		first, _, _ := strings.Cut(string(b), " ")
		load, _ = strconv.ParseFloat(first, 64)
	}
	return cpu, load
}
