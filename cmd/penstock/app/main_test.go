package app

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/serve"
)

// actAsPenstock makes the test binary be the command: tests of signals and
// exit codes need a process of their own.
const actAsPenstock = "TEST_BINARY_IS_PENSTOCK"

func TestMain(m *testing.M) {
	if os.Getenv(actAsPenstock) != "" {
		os.Exit(Execute(NewServerCommand(serve.SetupSignalHandler())))
	}
	for _, v := range os.Environ() { // nothing of the machine's own
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, envPrefix) {
			_ = os.Unsetenv(name)
		}
	}
	os.Exit(m.Run())
}

// patience bounds every wait for a process; reaching it fails the test.
const patience = 30 * time.Second

// process is a running penstock.
type process struct {
	t      testing.TB
	cmd    *exec.Cmd
	urls   []string // announced, in order
	stderr lockedBuffer
	exited chan struct{}
	code   int
}

// lockedBuffer may be read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs penstock until it has announced its addresses.
func start(t testing.TB, env []string, args ...string) *process {
	t.Helper()
	p := launch(t, env, args...)
	p.announce()
	return p
}

// announce runs p until it has announced its addresses.
func (p *process) announce() {
	p.t.Helper()
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	p.run()
	reader := bufio.NewReader(out)
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			<-p.exited
			p.t.Fatalf("penstock %v ended with %d before it served: %s", p.cmd.Args, p.code, p.stderr.String())
		}
		if strings.HasPrefix(line, "  ") {
			p.urls = append(p.urls, strings.Fields(line)[0])
		}
		if strings.Contains(line, "stop with") {
			return
		}
	}
}

func launch(t testing.TB, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0], args...), exited: make(chan struct{})}
	p.cmd.Env = append(append(os.Environ(), actAsPenstock+"=1"), env...)
	p.cmd.Stderr = &p.stderr
	return p
}

func (p *process) run() {
	p.t.Helper()
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		err := p.cmd.Wait()
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			p.code = exit.ExitCode()
		}
	}()
	p.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
	})
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// wait gives the exit code and what was written to stderr.
func (p *process) wait() (code int, stderr string) {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.code, p.stderr.String()
	case <-time.After(patience):
		p.t.Fatalf("still running; stderr so far: %s", p.stderr.String())
		return 0, ""
	}
}

// runBinary runs penstock to its end.
func runBinary(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := launch(t, nil, args...)
	var out bytes.Buffer
	p.cmd.Stdout = &out
	p.run()
	code, stderr = p.wait()
	return code, out.String(), stderr
}

// runHere runs a command that does not serve, in this process.
func runHere(args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	stop := make(chan struct{})
	close(stop)
	root := NewServerCommand(stop)
	root.SetArgs(append([]string{}, args...)) // never nil: cobra would take the test binary's own
	root.SetOut(&out)
	root.SetErr(&errs)
	code = Execute(root)
	return code, out.String(), errs.String()
}

// field finds name=value in the log.
func field(t *testing.T, log, name string) string {
	t.Helper()
	m := regexp.MustCompile(`\b` + name + `=(\S+)`).FindStringSubmatch(log)
	if m == nil {
		t.Fatalf("no %s= in %q", name, log)
	}
	return m[1]
}

// newSite is the embedded site by itself.
func newSite(life *lifecycle) (http.Handler, error) {
	routes, err := CoreConfig{}.routes(life.log, newSitePages(), func() []string { return nil })
	if err != nil {
		return nil, err
	}
	mux := handler.NewPathRecorderMux("site", newSitePages())
	return mux, mux.Replace(routes...)
}
