package app

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/penstock-edge/penstock/handler/debug"
)

// reloadOnHangup has HUP read certificates and tokens anew, and open the logs
// anew. Signals that come while files are read count as one. The returned
// function ends it.
func (p *Prepared) reloadOnHangup() (stop func()) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	ended, over := make(chan struct{}), make(chan struct{})
	go func() { // ends with stop
		defer close(over)
		for {
			select {
			case <-hangup:
				p.reload()
			case <-ended:
				return
			}
		}
	}()
	return func() {
		signal.Stop(hangup)
		close(ended)
		<-over
	}
}

// reload tells the service manager too.
func (p *Prepared) reload() {
	if err := p.server.Reload(p.own.reload); err != nil {
		p.life.log.Error("reload; what could not be used stays as it was", slog.Any("error", err))
		return
	}
	p.life.log.Info("reloaded certificates, tokens and logs")
}

// startContention samples waiting, if that is wanted, until stop.
func (p *Prepared) startContention() (stop func()) {
	if !p.opts.ContentionProfiling {
		return func() {}
	}
	return debug.StartContention(debug.ContentionOptions{})
}
