package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// syscallTime is how long calls are counted; what counts disturbs, so no other
// figure is of such a run.
const syscallTime = time.Second

// attachTime is how long a tool has to attach: none says when it has.
const attachTime = 300 * time.Millisecond

// allCalls is the name of the sum.
const allCalls = "all"

// counter counts a process tree's system calls.
type counter struct {
	tool string
	// command has the tool attach to the processes.
	command func(pids []string) []string
	// parse reads what it wrote when it was ended.
	parse func(text string) (map[string]int64, error)
}

// counters are tried in turn: perf counts in the kernel and hardly disturbs, strace
// stops the server twice for each call.
var counters = []counter{
	{"perf", perfCommand, parsePerf},
	{"strace", func(pids []string) []string { return []string{"strace", "-f", "-c", "-p", strings.Join(pids, ",")} }, parseStrace},
}

// perfCalls are counted by name: those that servers wait, read and write with.
var perfCalls = []string{
	"recvfrom", "recvmsg", "recvmmsg", "read", "readv", "sendto", "sendmsg", "sendmmsg", "write", "writev", "sendfile64", "epoll_wait", "epoll_pwait",
	"epoll_ctl", "accept4", "close", "shutdown", "openat", "newfstat", "newfstatat", "futex", "nanosleep", "setsockopt", "getsockopt", "ioctl", "fcntl",
}

// tracepoints is where the kernel shows which calls can be counted.
const tracepoints = "/sys/kernel/tracing/events/syscalls/sys_enter_"

func perfCommand(pids []string) []string {
	events := []string{"raw_syscalls:sys_enter"}
	for _, c := range perfCalls {
		if _, err := os.Stat(tracepoints + c); err != nil {
			continue // this kernel, or processor, has no such call
		}
		events = append(events, "syscalls:sys_enter_"+c)
	}
	return []string{"perf", "stat", "-x", ",", "-e", strings.Join(events, ","), "-p", strings.Join(pids, ",")}
}

// parsePerf reads lines of count,unit,event,...
func parsePerf(text string) (map[string]int64, error) {
	calls := make(map[string]int64)
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSpace(line), ",")
		if len(fields) < 3 {
			continue
		}
		name, ok := strings.CutPrefix(fields[2], "syscalls:sys_enter_")
		if fields[2] == "raw_syscalls:sys_enter" {
			name, ok = allCalls, true
		}
		if n, err := strconv.ParseInt(fields[0], 10, 64); ok && err == nil && n > 0 {
			calls[name] = n
		}
	}
	if calls[allCalls] == 0 {
		return nil, fmt.Errorf("perf counted nothing: %s", lastLine([]byte(text)))
	}
	return calls, nil
}

// parseStrace reads the table of -c: % time, seconds, usecs/call, calls, errors
// where there were some, syscall.
func parseStrace(text string) (map[string]int64, error) {
	calls := make(map[string]int64)
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 5 || len(fields) > 6 {
			continue
		}
		if n, err := strconv.ParseInt(fields[3], 10, 64); err == nil && fields[len(fields)-1] != "total" {
			calls[fields[len(fields)-1]] += n
			calls[allCalls] += n
		}
	}
	if calls[allCalls] == 0 {
		return nil, fmt.Errorf("strace counted nothing: %s", lastLine([]byte(text)))
	}
	return calls, nil
}

// syscalls has each target's calls counted once.
func (n *session) syscalls(ctx context.Context, w Work) error {
	return n.rounds(ctx, Run{Work: w.Name, Measure: Syscalls}, w, 1, n.countCalls)
}

// errNoCounter: the machine allows neither.
var errNoCounter = errors.New("neither perf nor strace can count here (apt-get install linux-perf strace; both want the right to trace)")

// countCalls counts over a whole load, its connections included.
func (n *session) countCalls(ctx context.Context, t *turn) error {
	if _, err := n.load(ctx, t.place, loadOptions{duration: n.warmup(t.work)}); err != nil {
		return fmt.Errorf("warm-up: %w", err)
	}
	for len(n.counters) > 0 {
		c := n.counters[0]
		tool, err := attach(c, t.server)
		if err != nil {
			n.Log("NOTE no system calls are counted by %s: %v", c.tool, err)
			n.counters = n.counters[1:]
			continue
		}
		r, err := n.load(ctx, t.place, loadOptions{duration: t.longer(syscallTime)})
		text := tool.interrupt()
		if err != nil {
			return err
		}
		if err := judge(r, t.work); err != nil {
			return err
		}
		calls, err := c.parse(text)
		if err != nil {
			n.Log("NOTE no system calls are counted by %s: %v", c.tool, err)
			n.counters = n.counters[1:]
			continue
		}
		t.run.Tool, t.run.Calls = c.tool, make(map[string]float64)
		for name, count := range calls {
			t.run.Calls[name] = float64(count) / float64(r.Completed)
		}
		return nil
	}
	return errNoCounter
}
