package listener

import (
	"bufio"
	"context"
	"errors"
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

// childInherit takes all that it inherits, says what that was, and serves on it.
func childInherit() error {
	in, err := Inherit()
	fmt.Println("error:", err)
	if err != nil {
		return nil
	}
	var groups []*Group
	for _, name := range []string{"web", "admin"} {
		g, err := in.Group(name, Config{})
		if err != nil {
			return err
		}
		fmt.Println(g.Name(), g.Addr(), len(g.Sockets()), g.Shared())
		groups = append(groups, g)
		go serveEcho(g, 0)
	}
	for _, name := range []string{"web", "quic", "idle", "file", "two", "none"} {
		_, err := in.Group(name, Config{})
		fmt.Println(err)
	}
	packets, err := in.Packets("quic", PacketConfig{})
	if err != nil {
		return err
	}
	fmt.Println("packets:", packets.Addr(), len(packets.Conns()))
	_, err = in.Packets("admin", PacketConfig{})
	fmt.Println(err)
	unused := in.Close()
	fmt.Println(len(unused), strings.Join(unused, "; "))
	_, err = in.Group("two", Config{})
	fmt.Println(err)
	again, err := Inherit()
	fmt.Println("again:", len(again.Close()), err, os.Getenv(envFDs), os.Getenv(envNames), os.Getenv(envPID))
	fmt.Println("left to children:", leftToChildren())
	_, _ = io.Copy(io.Discard, os.Stdin)
	for _, g := range groups {
		err = errors.Join(err, g.Close())
	}
	return errors.Join(err, packets.Close())
}

// leftToChildren counts the descriptors that a process started from here would have.
func leftToChildren() (n int) {
	for fd := firstInherited; fd < 64; fd++ {
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			n++
		}
	}
	return n
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
