package app

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/penstock-edge/penstock/cmd/penstock/config"
	"github.com/penstock-edge/penstock/handler/debug"
)

// reloadOnSignals has HUP read certificates and files of users anew, and open the
// logs anew, and USR1 the logs alone. Signals that come while files are read count
// as one. The returned function ends it.
func (p *Prepared) reloadOnSignals() (stop func()) {
	hangup, rotated := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	notifyRotated(rotated)
	ended, over := make(chan struct{}), make(chan struct{})
	go func() { // ends with stop
		defer close(over)
		for {
			select {
			case <-hangup:
				_, _ = p.reload() // it has told
			case <-rotated:
				p.reopenLogs()
			case <-ended:
				return
			}
		}
	}()
	return func() {
		signal.Stop(hangup)
		signal.Stop(rotated)
		close(ended)
		<-over
	}
}

// reload tells the service manager too. changes are those of the configuration file.
func (p *Prepared) reload() (changes []config.Change, err error) {
	err = p.server.Reload(func() error {
		err := p.own.reload()
		if f := p.own.file; f != nil {
			changes = f.changes
		}
		return err
	})
	if err != nil {
		p.life.log.Error("reload; what could not be used stays as it was", slog.Any("error", err))
		return changes, err
	}
	p.life.log.Info("reloaded configuration, certificates, tokens and logs")
	return changes, nil
}

func (p *Prepared) reopenLogs() {
	if err := p.own.reopen(); err != nil {
		p.life.log.Error("open the logs anew; what could not be opened goes on as it was", slog.Any("error", err))
		return
	}
	p.life.log.Info("opened the logs anew")
}

// startContention samples waiting, if that is wanted, until stop.
func (p *Prepared) startContention() (stop func()) {
	if !p.opts.ContentionProfiling {
		return func() {}
	}
	return debug.StartContention(debug.ContentionOptions{})
}
