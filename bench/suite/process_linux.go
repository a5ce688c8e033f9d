package suite

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// ticks are those of /proc's CPU times: USER_HZ, 100 on all of Linux.
	ticks = 100
	// logKept is how much of a server's last words is kept.
	logKept = 8 << 10
)

// process is a server with its children, pinned to cores.
type process struct {
	cmd  *exec.Cmd
	log  tail
	done chan struct{}
}

// startProcess runs args on the cores, in a process group of its own.
func startProcess(cores string, env []string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command("taskset", append([]string{"-c", cores}, args...)...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.log, &p.log
	p.cmd.WaitDelay = stopLimit // children that left the group hold its output open
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// waitPort waits until somebody listens.
func (p *process) waitPort(port int) error {
	for begin := time.Now(); time.Since(begin) < startLimit; time.Sleep(20 * time.Millisecond) {
		select {
		case <-p.done:
			return fmt.Errorf("it ended before it listened: %s", lastLine(p.log))
		default:
		}
		if c, err := net.DialTimeout("tcp", fmt.Sprint("127.0.0.1:", port), time.Second); err == nil {
			return c.Close()
		}
	}
	return &slowError{fmt.Sprintf("it does not listen after %v", startLimit)}
}

// tail is a writer that keeps the end of what it is given.
type tail []byte

func (t *tail) Write(b []byte) (int, error) {
	*t = append(*t, b...)
	if extra := len(*t) - logKept; extra > 0 {
		*t = append((*t)[:0], (*t)[extra:]...)
	}
	return len(b), nil
}

// stop ends the whole group.
func (p *process) stop() {
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGTERM) // it may be gone
	select {
	case <-p.done:
	case <-time.After(stopLimit):
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
}

// tree are the processes of the group's leader and all below it.
func tree(pid int) []int {
	all := []int{pid}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return all
	}
	for _, t := range tasks {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, t.Name()))
		if err != nil {
			continue
		}
		for field := range strings.FieldsSeq(string(children)) {
			if child, err := strconv.Atoi(field); err == nil {
				all = append(all, tree(child)...)
			}
		}
	}
	return all
}

// cpu is the CPU time of the tree so far.
func (p *process) cpu() time.Duration {
	var total int64
	for _, pid := range tree(p.cmd.Process.Pid) {
		total += cpuOf(pid)
	}
	return time.Duration(total) * time.Second / ticks
}

// cpuOf is user and system time of a process in ticks, by /proc/PID/stat.
func cpuOf(pid int) int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	return parseStat(b)
}

// parseStat reads fields 14 and 15. The name in field 2 may hold anything, also
// spaces and parentheses.
func parseStat(b []byte) int64 {
	_, rest, ok := bytes.Cut(b[max(0, bytes.LastIndexByte(b, ')')):], []byte(") "))
	fields := bytes.Fields(rest)
	if !ok || len(fields) < 13 {
		return 0
	}
	user, err1 := strconv.ParseInt(string(fields[11]), 10, 64)
	system, err2 := strconv.ParseInt(string(fields[12]), 10, 64)
	if err1 != nil || err2 != nil {
		return 0
	}
	return user + system
}

// memory is the proportional set size of the tree, in KiB.
func (p *process) memory() int64 {
	var total int64
	for _, pid := range tree(p.cmd.Process.Pid) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			if text, ok := strings.CutPrefix(line, "Pss:"); ok {
				n, _ := strconv.ParseInt(strings.Fields(text)[0], 10, 64)
				total += n
			}
		}
	}
	return total
}
