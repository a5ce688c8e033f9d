package listener

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func closeFD(fd int) { _ = unix.Close(fd) }

// process is the test binary in one of the roles of child.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// start runs a role; the process ends with the test.
func start(t *testing.T, role string, extra []*os.File, env ...string) *process {
	t.Helper()
	exe, err := os.Executable()
	must(t, "executable", err)
	p := &process{t: t, cmd: exec.CommandContext(t.Context(), exe)}
	p.cmd.Env = append(append(os.Environ(), childEnv+"="+role), env...)
	p.cmd.ExtraFiles = extra
	p.cmd.Stderr = os.Stderr
	p.in, err = p.cmd.StdinPipe()
	must(t, "stdin", err)
	out, err := p.cmd.StdoutPipe()
	must(t, "stdout", err)
	p.out = bufio.NewReader(out)
	must(t, "start", p.cmd.Start())
	t.Cleanup(func() {
		_ = p.in.Close()
		_ = p.cmd.Wait()
	})
	return p
}

// line reads one line of what the process says.
func (p *process) line() string {
	p.t.Helper()
	s, err := p.out.ReadString('\n')
	must(p.t, "line of the child", err)
	return strings.TrimSpace(s)
}

// say sends one line.
func (p *process) say(s string) { _, _ = io.WriteString(p.in, s+"\n") }

// child is main in a process started by a test.
func child(role string) {
	var err error
	switch name, arg, _ := strings.Cut(role, " "); name {
	case "hold":
		err = childHold(arg)
	case "inherit":
		err = childInherit()
	case "scarce":
		err = childScarce()
	default:
		err = fmt.Errorf("no role %q", role)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "child:", err)
		os.Exit(1)
	}
}

// childHold is a stranger who binds an address, and listens when told to.
func childHold(address string) error {
	g, err := Bind(context.Background(), Config{Address: address, Sockets: 2})
	if err != nil {
		return err
	}
	fmt.Println(g.Addr())
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil {
		return g.Close()
	}
	if err := g.Listen(); err != nil {
		return err
	}
	fmt.Println("listening")
	_, _ = in.ReadString('\n')
	return g.Close()
}

// childInherit says what it has inherited and serves on all of it.
func childInherit() error {
	groups, err := Inherited()
	fmt.Println("error:", err)
	fmt.Println("groups:", len(groups))
	for _, g := range groups {
		fmt.Println(g.Name(), g.Addr(), len(g.Sockets()))
		go serveEcho(g, 0)
	}
	again, err := Inherited()
	fmt.Println("again:", len(again), err, os.Getenv(envFDs))
	_, _ = io.Copy(io.Discard, os.Stdin)
	for _, g := range groups {
		err = g.Close()
	}
	return err
}

// childScarce serves with few descriptors and tells, at the end, what it cost.
func childScarce() error {
	lim := unix.Rlimit{Cur: 32, Max: 32}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return err
	}
	var lines atomic.Int64
	log := slog.New(slog.NewTextHandler(writerFunc(func(b []byte) (int, error) {
		lines.Add(1)
		return len(b), nil
	}), nil))
	g, err := Listen(context.Background(), Config{Address: "127.0.0.1:0", Sockets: 3, ErrorLog: log})
	if err != nil {
		return err
	}
	fmt.Println(g.Addr(), ConnectionCeiling())
	begin := time.Now()
	go serveEcho(g, 0)
	_, _ = io.Copy(io.Discard, os.Stdin)
	var use unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &use); err != nil {
		return err
	}
	cpu := time.Duration(use.Utime.Nano() + use.Stime.Nano())
	fmt.Println(lines.Load(), time.Since(begin).Milliseconds(), cpu.Milliseconds())
	return g.Close()
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }
