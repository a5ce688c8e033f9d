package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve"
)

// runCommand is the way all serving commands go, from flags to the end.
func runCommand(cmd *cobra.Command, stopCh <-chan struct{}, opts *ServingOptions, build func(*lifecycle) (http.Handler, error)) error {
	life := &lifecycle{log: slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))}
	completed := opts.Complete()
	h, err := build(life)
	if err := errors.Join(completed.Validate(), err); err != nil {
		return err
	}
	p, err := completed.Prepare(cmd.Context(), h, life)
	if err != nil {
		return err
	}
	return p.Run(stopCh, cmd.OutOrStdout())
}

// Prepared has everything that can fail at the start behind it, but listens
// nowhere yet. Only Prepare makes one.
type Prepared struct {
	opts  CompletedOptions
	life  *lifecycle
	http  *serve.Server
	certs string // a note on the certificate

	plain, secure, admin []bound
	packets              []boundPackets // with --http3
	serving              sync.WaitGroup // the accept loops
}

// boundPackets is one of --tls-listen whose UDP port was taken.
type boundPackets struct {
	endpoint
	group *listener.PacketGroup
}

// bound is an address that was taken.
type bound struct {
	endpoint
	group *listener.Group
}

// Prepare loads the certificate and binds all addresses. Nothing is left
// behind when it fails.
func (c CompletedOptions) Prepare(ctx context.Context, h http.Handler, life *lifecycle) (*Prepared, error) {
	p := &Prepared{opts: c, life: life}
	var tlsConfig *tls.Config
	if len(c.TLSListen) > 0 {
		var err error
		if tlsConfig, p.certs, err = c.serverTLS(life.log); err != nil {
			return nil, err
		}
	}
	if err := p.bind(ctx); err != nil {
		p.closeGroups()
		return nil, err
	}
	p.http = newEngine(h, tlsConfig, c, life.log)
	return p, nil
}

// deferAccept is how long, about, a connection without a byte waits in the kernel.
const deferAccept = time.Second

// anyPortTries bounds the search for a port that is free for TCP and UDP.
const anyPortTries = 8

// listenConfig is that of the addresses for HTTP.
func (p *Prepared) listenConfig() listener.Config {
	// In HTTP the client speaks first, so a connection may wait in the kernel
	// until its first bytes are there: 11 in place of 18 us of CPU for one with
	// a single request (BENCHMARKS.md, churn). The price: a connection opened
	// ahead of its request is not seen by the drain during its first second.
	return listener.Config{Sockets: p.opts.Listeners, DeferAccept: deferAccept, ErrorLog: p.life.log}
}

func (p *Prepared) bind(ctx context.Context) error {
	cfg := p.listenConfig()
	// One socket, and a unix socket for its owner alone.
	adminCfg := listener.Config{Sockets: 1, UnixMode: 0o600, ErrorLog: p.life.log}
	admin := []string{p.opts.Admin}
	if p.opts.Admin == adminOff {
		admin = nil
	}
	for _, set := range []struct {
		to    *[]bound
		flag  string
		specs []string
		cfg   listener.Config
	}{
		{&p.plain, "--listen", p.opts.Listen, cfg},
		{&p.secure, "--tls-listen", p.opts.TLSListen, cfg},
		{&p.admin, "--admin", admin, adminCfg},
	} {
		all, errs := endpoints(set.flag, set.specs)
		if err := errors.Join(errs...); err != nil {
			return err
		}
		for _, e := range all {
			group, err := e.bind(ctx, set.cfg)
			if err != nil {
				return err
			}
			*set.to = append(*set.to, bound{e, group})
		}
	}
	return p.bindPackets(ctx)
}

// bindPackets takes the UDP ports of --tls-listen for HTTP/3.
func (p *Prepared) bindPackets(ctx context.Context) error {
	if !p.opts.HTTP3 {
		return nil
	}
	for i := range p.secure {
		b := &p.secure[i]
		if b.network == "unix" {
			continue
		}
		packets, err := p.takePackets(ctx, b)
		for try := 1; !b.fixedPort() && errors.Is(err, syscall.EADDRINUSE) && try < anyPortTries; try++ {
			// TCP picked the port; in UDP it is somebody else's.
			if err := p.rebind(ctx, b); err != nil {
				return err
			}
			packets, err = p.takePackets(ctx, b)
		}
		if err != nil {
			return err
		}
		p.packets = append(p.packets, packets)
	}
	return nil
}

// takePackets takes the UDP port of b's number.
func (p *Prepared) takePackets(ctx context.Context, b *bound) (boundPackets, error) {
	e, err := b.packets()
	if err != nil {
		return boundPackets{}, err
	}
	group, err := listener.BindPackets(ctx, listener.PacketConfig{Network: e.network, Address: e.address, Sockets: p.opts.Listeners, ErrorLog: p.life.log})
	if err != nil {
		return boundPackets{}, e.explain(err)
	}
	return boundPackets{e, group}, nil
}

// rebind lets the system pick another port for b. The old one is kept until
// then, or it could be picked again.
func (p *Prepared) rebind(ctx context.Context, b *bound) error {
	group, err := b.bind(ctx, p.listenConfig())
	if err != nil {
		return err
	}
	_ = b.group.Close() // nothing was accepted
	b.group = group
	return nil
}

func (p *Prepared) groups() []bound {
	return append(append(append([]bound(nil), p.admin...), p.plain...), p.secure...)
}

func (p *Prepared) closeGroups() {
	for _, b := range p.groups() {
		_ = b.group.Close() // nothing was accepted: nothing to lose; closing twice is no error
	}
	for _, b := range p.packets {
		_ = b.group.Close()
	}
}

// Run serves until stopCh closes or an accept loop fails, drains, and returns
// what the exit code follows from. It may be called once.
func (p *Prepared) Run(stopCh <-chan struct{}, stdout io.Writer) error {
	for _, b := range p.groups() {
		if err := b.group.Listen(); err != nil {
			p.closeGroups()
			return b.explain(err)
		}
	}
	var admin *adminServer
	for _, b := range p.admin {
		var err error
		if admin, err = serveAdmin(b.group, p.life); err != nil {
			p.closeGroups()
			return err
		}
	}
	defer admin.close()

	failed := p.start()
	p.announce(stdout)
	var fatal error
	delay := p.opts.ShutdownDelay
	select {
	case <-stopCh:
	case fatal = <-failed:
		p.life.log.Error("accepting failed, draining", slog.Any("error", fatal))
		delay = 0
	}
	p.life.stop.Store(true)
	return errors.Join(fatal, p.drain(delay))
}

// start runs an accept loop an address. An error of any is fatal; only the
// first one is wanted.
func (p *Prepared) start() <-chan error {
	failed := make(chan error, len(p.plain)+len(p.secure)+len(p.packets))
	serve := func(e endpoint, serve func() error) {
		p.serving.Go(func() {
			if err := serve(); err != nil && !errors.Is(err, http.ErrServerClosed) {
				failed <- fmt.Errorf("%s %s: %w", e.flag, e.spec, err)
			}
		})
	}
	for _, b := range p.plain {
		serve(b.endpoint, func() error { return p.http.Serve(b.group) })
	}
	for _, b := range p.secure {
		serve(b.endpoint, func() error { return p.http.ServeTLS(b.group, "", "") })
	}
	for _, b := range p.packets {
		serve(b.endpoint, func() error { return p.http.ServeHTTP3(b.group, "", "") })
	}
	return failed
}

// drain is the stop, bounded as a whole by one deadline from the signal on:
//
//	stop signal      delay over           drained, or the deadline
//	────┼────────────────┼──────────────────────────┼──────────▶ exit 0 or 3
//	    │ readyz fails,  │ nothing new is accepted, │ what is
//	    │ all is served  │ what runs is finished    │ left is cut
func (p *Prepared) drain(delay time.Duration) error {
	start := time.Now()
	ctx, cancel := context.WithDeadline(context.Background(), start.Add(p.opts.ShutdownTimeout))
	defer cancel()
	p.life.log.Info("stopping", slog.Duration("delay", delay), slog.Duration("timeout", p.opts.ShutdownTimeout))
	time.Sleep(delay) // ended early only by the second signal, which ends the process
	err := p.http.Shutdown(ctx)
	if err != nil {
		_ = p.http.Close() // whatever it says, the process ends now
	}
	p.serving.Wait()
	p.closeGroups() // those the signal came too early for
	report := p.http.DrainReport()
	p.life.log.Info("stopped", slog.Uint64("finished", report.Finished), slog.Int64("cut", report.Cut), slog.Duration("took", time.Since(start).Round(time.Millisecond)))
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &ExitCodeError{ExitCut, fmt.Errorf("the drain did not end within %v, %d requests were cut; raise --shutdown-timeout if they need longer", p.opts.ShutdownTimeout, report.Cut)}
	case err != nil:
		return fmt.Errorf("drain: %w", err)
	}
	return nil
}
