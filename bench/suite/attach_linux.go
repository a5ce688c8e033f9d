package suite

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// detachLimit is how long a tool has to write what it counted.
const detachLimit = 20 * time.Second

// tool is a process that looks at another.
type tool struct {
	cmd  *exec.Cmd
	log  tail
	done chan struct{}
}

// attach has a counter look at all processes of a server.
func attach(c counter, server *process) (*tool, error) {
	var pids []string
	for _, pid := range tree(server.cmd.Process.Pid) {
		pids = append(pids, strconv.Itoa(pid))
	}
	args := c.command(pids)
	t := &tool{cmd: exec.Command(args[0], args[1:]...), done: make(chan struct{})}
	t.cmd.Stdout, t.cmd.Stderr = &t.log, &t.log
	t.cmd.WaitDelay = stopLimit
	t.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := t.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = t.cmd.Wait() // what it wrote tells
		close(t.done)
	}()
	select {
	case <-t.done:
		return nil, fmt.Errorf("it ended: %w", errors.New(lastLine(t.log)))
	case <-time.After(attachTime):
		return t, nil
	}
}

// interrupt ends it as Ctrl-C does, and answers what it wrote.
func (t *tool) interrupt() string {
	_ = t.cmd.Process.Signal(syscall.SIGINT) // it may be gone
	select {
	case <-t.done:
	case <-time.After(detachLimit):
		_ = t.cmd.Process.Kill() // likewise
		<-t.done
	}
	return string(t.log)
}
