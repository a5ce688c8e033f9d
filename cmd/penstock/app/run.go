package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve"
)

// releaseTimeout bounds how long logs are written behind the last request.
const releaseTimeout = 5 * time.Second

// runCommand is the way all serving commands go, from flags to the end: build
// has what is wrong with the flags of the command alone.
func runCommand(cmd *cobra.Command, stopCh <-chan struct{}, opts *ServingOptions, build func() (serverFactory, error)) error {
	completed := opts.Complete()
	create, err := build()
	if err := errors.Join(completed.Validate(), err); err != nil {
		return err
	}
	level, _ := completed.level() // Validate has read it
	life := newLifecycle(cmd.ErrOrStderr(), level)
	return Run(cmd.Context(), completed, create, life, stopCh, cmd.OutOrStdout())
}

// Run serves with checked options until stopCh closes.
func Run(ctx context.Context, c CompletedOptions, create serverFactory, life *lifecycle, stopCh <-chan struct{}, stdout io.Writer) error {
	p, err := c.prepare(ctx, create, life)
	if err != nil {
		return err
	}
	return p.Run(stopCh, stdout)
}

// Prepared has everything that can fail at the start behind it, but listens
// nowhere yet. Only Prepare makes one.
type Prepared struct {
	opts   CompletedOptions
	life   *lifecycle
	own    resources
	server *serve.GenericServer
	run    interface {
		Run(stopCh <-chan struct{}) error
	}
	stages *stages
	pid    pidFile
	stdout io.Writer // of Run

	plain, secure, admin []bound
	socket               []bound        // admin.socket of a file
	profiles             []bound        // with --debug-socket-path
	packets              []boundPackets // with --http3

	inherited *listener.Inheritance // nil: bind has not begun
}

// Prepare readies a run with one handler for all paths.
func (c CompletedOptions) Prepare(ctx context.Context, h http.Handler, life *lifecycle) (*Prepared, error) {
	return c.prepare(ctx, newSingle(h), life)
}

// prepare reads all files, binds all addresses and makes the servers. Nothing is
// left behind when it fails.
func (c CompletedOptions) prepare(ctx context.Context, create serverFactory, life *lifecycle) (*Prepared, error) {
	p := &Prepared{opts: c, life: life, pid: pidFile{name: c.PIDFile}}
	if c.file != nil {
		c.file.prepare = p
	}
	err := p.own.open(c, life.log)
	if err == nil {
		err = p.bind(ctx)
	}
	if err == nil && p.opts.file.listens() {
		err = p.opts.file.bind(ctx, p)
	}
	p.dropInherited(err != nil)
	if err == nil {
		err = p.create(create)
	}
	if err != nil {
		p.release()
		return nil, err
	}
	return p, nil
}

// create makes the servers from what is open and bound.
func (p *Prepared) create(create serverFactory) error {
	cfg := p.config()
	p.stages = cfg.stages
	var err error
	if p.server, err = create(cfg.Complete()); err != nil {
		return err
	}
	if p.own.certs != nil {
		err = p.server.AddReadyzChecks(handler.NamedCheck("certificates", func(*http.Request) error { return p.own.certs.check() }))
	}
	prepared, prepareErr := p.server.PrepareRun()
	p.run = prepared
	return errors.Join(err, prepareErr)
}

// Run serves until stopCh closes or something fails for good, drains, and
// returns what the exit code follows from. It may be called once.
func (p *Prepared) Run(stopCh <-chan struct{}, stdout io.Writer) error {
	defer p.release()
	defer p.pid.remove()
	p.stdout = stdout
	if err := p.listen(); err != nil {
		return err
	}
	if err := p.opts.file.begin(); err != nil {
		return err
	}
	p.life.log.Info("starting", slog.String("version", handler.BuildVersion().String()), slog.Int("GOMAXPROCS", runtime.GOMAXPROCS(0)),
		slog.String("GOGC", os.Getenv("GOGC")), slog.String("GOMEMLIMIT", os.Getenv("GOMEMLIMIT")), slog.String("GOTRACEBACK", os.Getenv("GOTRACEBACK")))
	admin, err := p.serveAdmin()
	if err != nil {
		return err
	}
	defer admin.close()
	defer p.serveProfiles().close()
	defer p.startFlightRecorder()()
	defer p.startContention()()
	defer p.reloadOnSignals()()
	defer p.tellDrain()()
	return p.explainStop(p.run.Run(stopCh))
}

// release lets go of all that was opened and bound; twice is no matter.
func (p *Prepared) release() {
	ctx, cancel := context.WithTimeout(context.Background(), releaseTimeout)
	defer cancel()
	p.closeGroups()
	p.opts.file.release()
	if err := p.own.close(ctx); err != nil {
		p.life.log.Error("close logs and watched files", slog.Any("error", err))
	}
}

// explainStop gives a stop that has cut requests its exit code, and tells the
// fix; what else has failed stays beside it.
func (p *Prepared) explainStop(err error) error {
	if joined := explode(err); joined != nil {
		for i := range joined {
			joined[i] = p.explainStop(joined[i])
		}
		return errors.Join(joined...)
	}
	if cut, ok := errors.AsType[*serve.CutError](err); ok {
		return &ExitCodeError{ExitCut, fmt.Errorf("the drain did not end within %v, %d requests were cut; raise --shutdown-timeout if they need longer", cut.Timeout, cut.Cut)}
	}
	return err
}

// tellDrain writes a line of JSON about what the drain waits for when it begins
// to, and one when it is over. The returned function writes the latter.
func (p *Prepared) tellDrain() (over func()) {
	ended, told := make(chan struct{}), make(chan struct{})
	go func() { // ends with over
		defer close(told)
		select {
		case <-p.server.Signals().NotAcceptingNewRequest.Signaled():
			p.life.line(p.server.DrainStatus().JSON())
		case <-ended:
		}
	}()
	return func() {
		close(ended)
		<-told
		if p.server.Signals().ShutdownInitiated.HasSignaled() {
			p.life.line(p.server.DrainStatus().JSON())
		}
	}
}
