package app

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"github.com/penstock-edge/penstock/serve/certs"
)

// expirySoon is when a certificate's end is worth a warning.
const expirySoon = 14 * 24 * time.Hour

// certificates are those of a run, and what keeps them up to date.
type certificates struct {
	dynamic *certs.Dynamic
	clients *certs.ClientCA // nil: clients show no certificates
	note    string          // for the people who started the server
}

// openCertificates reads the files of HTTPS and has w watch them.
func (c CompletedOptions) openCertificates(log *slog.Logger, w *certs.Watcher) (*certificates, error) {
	cfg, note, err := c.certsConfig(log)
	if err != nil {
		return nil, err
	}
	cfg.Watcher, cfg.Log = w, log
	own := &certificates{note: note}
	if c.ClientCAFile != "" {
		if own.clients, err = certs.NewClientCA(c.ClientCAFile); err != nil {
			return nil, c.explainPair(err)
		}
	}
	if own.dynamic, err = certs.NewDynamic(cfg); err != nil {
		return nil, c.explainPair(err)
	}
	if own.clients != nil {
		w.Watch("client CA of the chain", own.clients.Files(), func() error { _, err := own.clients.Reload(); return err })
	}
	return own, nil
}

// certsConfig is what the flags say, with the default certificate.
func (c CompletedOptions) certsConfig(log *slog.Logger) (cfg certs.Config, note string, err error) {
	if cfg.SNI, err = c.pairs(); err != nil {
		return cfg, "", err
	}
	for _, pair := range cfg.SNI {
		if err := c.inspect(log, pair.CertFile, pair.KeyFile); err != nil {
			return cfg, "", err
		}
	}
	// Validated before: these have no error any more.
	cfg.MinVersion, _ = certs.TLSVersion(c.MinVersion)
	cfg.CipherSuites, _ = certs.ServingCipherSuites(c.CipherSuites)
	cfg.Curves, _ = certs.Curves(c.Curves)
	cfg.NextProtos = c.alpn()
	switch c.ClientAuth {
	case clientAuthRequest:
		cfg.Policy = certs.Policy{ClientAuth: certs.ClientAuthRequest, ClientCAFile: c.ClientCAFile}
	case clientAuthRequire:
		cfg.Policy = certs.Policy{ClientAuth: certs.ClientAuthRequire, ClientCAFile: c.ClientCAFile}
	}
	switch {
	case c.CertFile != "":
		if err := c.inspect(log, c.CertFile, c.KeyFile); err != nil {
			return cfg, "", err
		}
		cfg.CertFile, cfg.KeyFile = c.CertFile, c.KeyFile
		return cfg, c.CertFile, nil
	case c.CertDir != "":
		cfg.CertDir = &certs.CertDir{Dir: c.CertDir, Hosts: c.selfSignedHosts()}
		file, _ := cfg.CertDir.Files()
		return cfg, file, nil
	case len(cfg.SNI) > 0: // the first of them is the default
		return cfg, cfg.SNI[0].CertFile, nil
	}
	if cfg.SelfSigned, err = certs.NewSelfSignedSource(c.selfSignedHosts()); err != nil {
		return cfg, "", err
	}
	sum := sha256.Sum256(cfg.SelfSigned.Certificate().Leaf.Raw)
	return cfg, fmt.Sprintf("self-signed, SHA-256 %x", sum), nil
}

// inspect reads a pair only to tell what is wrong with it, or will be soon.
func (c CompletedOptions) inspect(log *slog.Logger, certFile, keyFile string) error {
	pair, err := certs.LoadPair(certFile, keyFile)
	if err != nil {
		return c.explainPair(err)
	}
	warnExpiry(log, certFile, pair.Leaf, time.Now())
	return nil
}

// alpn are the names offered over TCP, best first.
func (c CompletedOptions) alpn() []string {
	switch {
	case c.DisableHTTP2:
		return []string{"http/1.1"}
	case c.DisableHTTP1:
		return []string{"h2"}
	}
	return []string{"h2", "http/1.1"}
}

// check names files that are not in use as they are. A certificate that has
// ended is served all the same, and so is no reason to be unready.
func (o *certificates) check() error {
	var errs []error
	for _, s := range o.dynamic.Status() {
		if s.Err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.Name, s.Err))
		}
	}
	return errors.Join(errs...)
}

// reload reads all files now. nil has none.
func (o *certificates) reload() error {
	if o == nil {
		return nil
	}
	err := o.dynamic.Reload()
	if o.clients != nil {
		_, caErr := o.clients.Reload()
		err = errors.Join(err, caErr)
	}
	return err
}

// explainPair says which flag gave the file.
func (c CompletedOptions) explainPair(err error) error {
	var pe *certs.PairError
	if !errors.As(err, &pe) {
		return err
	}
	flag := "--tls-sni-cert-key"
	switch pe.File {
	case c.CertFile:
		flag = "--tls-cert-file"
	case c.KeyFile:
		flag = "--tls-private-key-file"
	case c.ClientCAFile:
		flag = "--client-ca-file"
	default:
		if c.CertDir != "" && len(c.SNICertKeys) == 0 {
			flag = "--cert-dir"
		}
	}
	return fmt.Errorf("%s %w", flag, err)
}

// warnExpiry does not refuse: serving with yesterday's certificate is better
// than not starting at all.
func warnExpiry(log *slog.Logger, file string, leaf *x509.Certificate, now time.Time) {
	attrs := []any{slog.String("file", file), slog.Time("notBefore", leaf.NotBefore), slog.Time("notAfter", leaf.NotAfter)}
	switch {
	case now.After(leaf.NotAfter):
		log.Warn("certificate has expired, clients will refuse it; renew it", attrs...)
	case now.Before(leaf.NotBefore):
		log.Warn("certificate is not valid yet, clients will refuse it; check the clock", attrs...)
	case now.After(leaf.NotAfter.Add(-expirySoon)):
		log.Warn("certificate expires soon; renew it", attrs...)
	}
}

// selfSignedHosts are the names the server can be reached by from here.
func (c CompletedOptions) selfSignedHosts() []string {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if name, err := os.Hostname(); err == nil && isHostName(name) && name != "localhost" {
		hosts = append(hosts, name)
	}
	secure, _ := endpoints("--tls-listen", c.TLSListen) // validated before
	for _, e := range secure {
		host := e.host()
		addr, err := netip.ParseAddr(host)
		switch {
		case err == nil && !addr.IsUnspecified() && !addr.IsLoopback():
			hosts = append(hosts, addr.WithZone("").String())
		case err != nil && isHostName(host) && host != "localhost":
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// isHostName tells whether s can stand in a certificate as a DNS name.
func isHostName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return false
		}
	}
	return s != "" && s[0] != '.' && s[0] != '-'
}
