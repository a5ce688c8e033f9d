package serve_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// modeEnv tells a child what to do.
const modeEnv = "TEST_CHILD_MODE"

// childSignals is the process whose signals are tested.
func childSignals() int {
	mode := os.Getenv(modeEnv)
	if serve.RequestShutdown() {
		return 90 // nobody had set up anything
	}
	stop := serve.SetupSignalHandler()
	if mode == "setup twice" {
		defer func() { fmt.Println("panic:", recover()) }()
		serve.SetupSignalContext()
		return 91
	}
	fmt.Println("ready")
	if mode == "request" {
		fmt.Println("requested", serve.RequestShutdown())
	}
	<-stop
	fmt.Println("closed")
	time.Sleep(patience) // the second signal does not wait for this
	return 92
}

// helperProcess is a process of this binary.
type helperProcess struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startHelper(t *testing.T, name, mode string) *helperProcess {
	t.Helper()
	c := &helperProcess{t: t, cmd: exec.Command(os.Args[0])}
	c.cmd.Env = append(os.Environ(), childEnv+"="+name, modeEnv+"="+mode)
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	servetest.Must(t, "stdout", err)
	c.in, err = c.cmd.StdinPipe()
	servetest.Must(t, "stdin", err)
	c.out = bufio.NewReader(out)
	servetest.Must(t, "start", c.cmd.Start())
	watch := time.AfterFunc(2*patience, func() { c.cmd.Process.Kill() })
	t.Cleanup(func() {
		watch.Stop()
		if c.cmd.ProcessState == nil {
			c.cmd.Process.Kill()
			c.cmd.Wait()
		}
	})
	return c
}

func (c *helperProcess) want(line string) {
	c.t.Helper()
	got, err := c.out.ReadString('\n')
	if got != line+"\n" {
		c.t.Fatalf("the child said %q (%v), want %q", got, err, line)
	}
}

func (c *helperProcess) exitCode() int {
	c.t.Helper()
	rest, _ := io.ReadAll(c.out)
	if len(rest) > 0 {
		c.t.Errorf("the child said more: %q", rest)
	}
	var exit *exec.ExitError
	if err := c.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		c.t.Fatal(err)
	}
	return c.cmd.ProcessState.ExitCode()
}

// TestSignals: the first signal closes the channel, the second ends the process
// with 1, whichever they are.
func TestSignals(t *testing.T) {
	for _, signals := range [][2]syscall.Signal{
		{syscall.SIGTERM, syscall.SIGTERM},
		{syscall.SIGINT, syscall.SIGQUIT},
		{syscall.SIGQUIT, syscall.SIGINT},
	} {
		c := startHelper(t, "signals", "wait")
		c.want("ready")
		servetest.Must(t, "first", c.cmd.Process.Signal(signals[0]))
		c.want("closed")
		servetest.Must(t, "second", c.cmd.Process.Signal(signals[1]))
		servetest.Want(t, fmt.Sprintf("exit code after %v", signals), c.exitCode(), 1)
	}
}

// TestRequestShutdown: it counts as the first signal.
func TestRequestShutdown(t *testing.T) {
	c := startHelper(t, "signals", "request")
	c.want("ready")
	c.want("requested true")
	c.want("closed")
	servetest.Must(t, "a signal", c.cmd.Process.Signal(syscall.SIGTERM))
	servetest.Want(t, "the signal is the second", c.exitCode(), 1)
}

// TestSetupTwice: the second handler would never hear of a signal.
func TestSetupTwice(t *testing.T) {
	c := startHelper(t, "signals", "setup twice")
	line, _ := c.out.ReadString('\n')
	if !strings.Contains(line, "panic: serve:") {
		t.Errorf("the child said %q, want a panic of ours", line)
	}
	c.exitCode()
}
