package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Dynamic answers crypto/tls, over TCP and QUIC alike (rule T-7), from files that
// may change while it does. A handshake is given a configuration that was made
// before, without a lock and without a copy; what changes is made anew beside it
// and takes its place in one step (rule T-8).
type Dynamic struct {
	// Immutable after NewDynamic.
	cfg      Config
	policies *policies
	pairs    []*DynamicCert // the default pair first, if it is of files
	cas      map[string]*ClientCA
	watches  []*Watch

	// Atomic; read by any handshake.
	current atomic.Pointer[generation]

	// mu guards changes of current.
	mu sync.Mutex
}

// NewDynamic reads all files, and has them watched. Files that cannot be used at
// the start are an error.
func NewDynamic(cfg Config) (*Dynamic, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	d := &Dynamic{cfg: cfg, cas: map[string]*ClientCA{}}
	if d.policies, err = newPolicies(cfg.Policy, cfg.Policies, cfg.MinVersion); err != nil {
		return nil, err
	}
	if err := d.load(); err != nil {
		return nil, err
	}
	d.current.Store(newGeneration(d, nil))
	d.cfg.Former = nil // it was asked; it must not live as long as we do
	d.watch()
	return d, nil
}

func (d *Dynamic) load() error {
	files := make([]NamedPair, 0, 1+len(d.cfg.SNI))
	switch {
	case d.cfg.CertDir != nil:
		certFile, keyFile, err := d.cfg.CertDir.Ensure()
		if err != nil {
			return err
		}
		files = append(files, NamedPair{CertFile: certFile, KeyFile: keyFile})
	case d.cfg.CertFile != "" || d.cfg.KeyFile != "":
		files = append(files, NamedPair{CertFile: d.cfg.CertFile, KeyFile: d.cfg.KeyFile})
	}
	for _, f := range append(files, d.cfg.SNI...) {
		pair, err := NewDynamicCert(f.CertFile, f.KeyFile)
		if err != nil {
			return err
		}
		d.pairs = append(d.pairs, pair)
	}
	for _, p := range d.policies.list {
		if p.ClientCAFile == "" || d.cas[p.ClientCAFile] != nil {
			continue
		}
		ca, err := NewClientCA(p.ClientCAFile)
		if err != nil {
			return err
		}
		d.cas[p.ClientCAFile] = ca
	}
	return nil
}

// watch has the watcher call refresh when a file changes.
func (d *Dynamic) watch() {
	w := d.cfg.Watcher
	if w == nil {
		return
	}
	for i, pair := range d.pairs {
		reload := pair.Reload
		if i == 0 && d.cfg.CertDir != nil {
			reload = d.renewStored
		}
		d.watches = append(d.watches, w.Watch("certificate", pair.Files(), func() error { return d.refresh(reload, pair.Status) }))
	}
	for _, ca := range d.cas {
		d.watches = append(d.watches, w.Watch("client CA", ca.Files(), func() error { return d.refresh(ca.Reload, ca.Status) }))
	}
}

// refresh reads one source anew and passes on what has changed.
func (d *Dynamic) refresh(reload func() (bool, error), status func() Status) error {
	changed, err := reload()
	if !changed {
		return err
	}
	d.renew()
	now := status()
	attrs := []any{slog.Any("files", now.Files)}
	if !now.NotAfter.IsZero() {
		attrs = append(attrs, slog.Time("notAfter", now.NotAfter))
	}
	d.cfg.Log.Info("reloaded "+now.Name, attrs...)
	return err
}

// renewStored writes the stored pair anew when it is due.
func (d *Dynamic) renewStored() (changed bool, err error) {
	_, _, due := d.cfg.CertDir.Ensure()
	changed, err = d.pairs[0].Reload()
	return changed, errors.Join(due, err)
}

// renew puts a generation of what is loaded now into the place of the former one.
func (d *Dynamic) renew() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.current.Store(newGeneration(d, d.current.Load()))
}

// Reload reads all files now, for a signal or a test; calls are serialised, and
// cheap when nothing has changed (rule O-1). What cannot be used is left out and
// told of; the rest counts.
func (d *Dynamic) Reload() error {
	var errs []error
	changed := false
	for i, pair := range d.pairs {
		reload := pair.Reload
		if i == 0 && d.cfg.CertDir != nil {
			reload = d.renewStored
		}
		c, err := reload()
		changed, errs = changed || c, append(errs, err)
	}
	for _, ca := range d.cas {
		c, err := ca.Reload()
		changed, errs = changed || c, append(errs, err)
	}
	if changed {
		d.renew()
	}
	return errors.Join(errs...)
}

// TLSConfig is the configuration for listeners over TCP and for QUIC. The ALPN
// names of the answers to handshakes are those of Config, whatever NextProtos
// the caller sets on it.
func (d *Dynamic) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, CipherSuites: d.cfg.CipherSuites, NextProtos: d.cfg.NextProtos,
		GetConfigForClient: d.configForClient,
	}
}

// SamePolicy tells whether a request for host, a Host field, may come on a
// connection that was made under the server name sni. If not, it is misdirected
// (rule T-5). It neither locks nor allocates.
func (d *Dynamic) SamePolicy(sni, host string) bool { return d.policies.same(sni, host) }

// Status tells of each source of files: pairs in their order, then client CAs.
func (d *Dynamic) Status() []Status {
	all := make([]Status, 0, len(d.pairs)+len(d.cas))
	for _, pair := range d.pairs {
		all = append(all, pair.Status())
	}
	for _, p := range d.policies.list {
		if ca := d.cas[p.ClientCAFile]; ca != nil {
			all = append(all, ca.Status())
		}
	}
	return all
}

// Check is for a health check: an error says which files are not in use as they
// are, or which certificate has ended.
func (d *Dynamic) Check() error {
	now := time.Now()
	var errs []error
	for _, s := range d.Status() {
		if s.Err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.Name, s.Err))
		}
		if !s.NotAfter.IsZero() && now.After(s.NotAfter) {
			errs = append(errs, fmt.Errorf("%s %s ended on %s", s.Name, s.Files[0], s.NotAfter.Format(time.DateOnly)))
		}
	}
	return errors.Join(errs...)
}

// Close ends the watching. Handshakes go on with what is loaded.
func (d *Dynamic) Close() {
	for _, w := range d.watches {
		w.Stop()
	}
}
