package app

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/penstock-edge/penstock/cmd/penstock/config"
	"github.com/penstock-edge/penstock/serve/certs"
)

// certsConfig says which certificates one listener of cfg serves, and to whom.
func (f *configFile) certsConfig(name string, cfg *config.Config, o CompletedOptions, log *slog.Logger) (certs.Config, error) {
	spec := cfg.Listeners[name].TLS
	c := certs.Config{RejectUnknown: spec.UnknownSNI == "reject", Keys: f.keys, Log: log, NextProtos: o.alpn()}
	errs := f.tune(&c, o, spec)
	for _, cert := range spec.Certificates {
		if err := addCertificate(&c, cfg.Certificates[cert]); err != nil {
			errs = append(errs, fmt.Errorf("certificates.%s: %w", cert, err))
			continue
		}
		if pair, err := certs.LoadPair(cfg.Certificates[cert].CertFile, cfg.Certificates[cert].KeyFile); err == nil {
			warnExpiry(log, cfg.Certificates[cert].CertFile, pair.Leaf, time.Now())
		}
	}
	if err := errors.Join(errs...); err != nil {
		return c, fmt.Errorf("listeners.%s.tls: %w", name, err)
	}
	return c, nil
}

// tryTLS makes the certificates of all listeners, and lets them go.
func (f *configFile) tryTLS() error {
	var errs []error
	o := newServingOptions(serveDefaults).Complete()
	cfg := f.config()
	for _, name := range slices.Sorted(maps.Keys(cfg.Listeners)) {
		if cfg.Listeners[name].TLS == nil {
			continue
		}
		c, err := f.certsConfig(name, cfg, o, slog.New(slog.DiscardHandler))
		if err == nil {
			_, err = certs.NewDynamic(c)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// tune sets versions and algorithms: those of flags, else those of the listener.
func (f *configFile) tune(c *certs.Config, o CompletedOptions, spec *config.ListenerTLS) (errs []error) {
	var err error
	version, suites := o.MinVersion, o.CipherSuites
	if version == "" && spec.MinVersion == "1.3" {
		version = "VersionTLS13"
	}
	if len(suites) == 0 {
		suites = spec.CipherSuites
	}
	c.MinVersion, err = certs.TLSVersion(version)
	errs = append(errs, err)
	if c.CipherSuites, err = certs.ServingCipherSuites(suites); err != nil {
		errs = append(errs, fmt.Errorf("cipher_suites: %w", err))
	}
	c.Curves, err = certs.Curves(o.Curves)
	return append(errs, err)
}

// addCertificate adds a pair, and what its names ask of clients. The first one is
// the default certificate too: who names no server, or one that nobody knows, is
// asked the same, or it would be a way around.
func addCertificate(c *certs.Config, cert *config.Certificate) error {
	policy, err := policyOf(cert)
	if err != nil {
		return err
	}
	if len(c.SNI) == 0 {
		c.Policy = policy
	}
	c.SNI = append(c.SNI, certs.NamedPair{CertFile: cert.CertFile, KeyFile: cert.KeyFile, Patterns: cert.Names})
	names, err := certificateNames(cert)
	if err == nil && (len(names) > 0 || policy.ClientAuth != certs.ClientAuthNone) {
		c.Policies = append(c.Policies, certs.NamedPolicy{Patterns: names, Policy: policy})
	}
	return err
}

func policyOf(cert *config.Certificate) (certs.Policy, error) {
	if cert.ClientAuth == "" || cert.ClientAuth == "none" {
		return certs.Policy{}, nil
	}
	auth, err := certs.ParseClientAuth(cert.ClientAuth)
	return certs.Policy{ClientAuth: auth, ClientCAFile: cert.ClientCAFile}, err
}

// certificateNames are the host names that a certificate is served for.
func certificateNames(cert *config.Certificate) (names []string, err error) {
	names = cert.Names
	if len(names) == 0 {
		pair, err := certs.LoadPair(cert.CertFile, cert.KeyFile)
		if err != nil {
			return nil, err
		}
		names = pair.Leaf.DNSNames
	}
	// A policy is by name; addresses come without one.
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		_, err := netip.ParseAddr(name)
		return err == nil
	}), nil
}

// tlsHash is what the certificates of a listener are made of: a reload with another
// one makes them anew. The names in files that ask for client certificates are a
// part, since policies go by them; what else changes in files is noticed by itself.
func tlsHash(cfg *config.Config, name, hash string) string {
	spec := cfg.Listeners[name].TLS
	if spec == nil {
		return ""
	}
	for _, cert := range spec.Certificates {
		names, err := certificateNames(cfg.Certificates[cert])
		if err != nil {
			return hash + err.Error() // told when they are made
		}
		hash += " " + strings.Join(names, ",")
	}
	return hash
}

// reloadCertificates reads the files of all listeners anew.
func (f *configFile) reloadCertificates() error {
	var errs []error
	for _, l := range f.live {
		if l.certs != nil {
			errs = append(errs, l.certs.Get().Reload())
		}
	}
	return errors.Join(errs...)
}

// checkCertificates names files that are not in use as they are.
func (f *configFile) checkCertificates() error {
	f.mu.Lock()
	live := f.live
	f.mu.Unlock()
	var errs []error
	for _, l := range live {
		if l.certs == nil {
			continue
		}
		for _, s := range l.certs.Get().Status() {
			if s.Err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", s.Name, s.Err))
			}
		}
	}
	return errors.Join(errs...)
}
