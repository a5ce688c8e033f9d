package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Config says which certificates a Dynamic serves, to whom and how. The zero
// value lacks one thing: a certificate.
type Config struct {
	// CertFile and KeyFile are the default pair: for clients that name no server,
	// or one that no other pair is for. If empty, SelfSigned, else the first of SNI.
	CertFile, KeyFile string
	// CertDir keeps the default pair in a folder and renews it, in place of
	// CertFile and KeyFile. If nil, it does not.
	CertDir *CertDir
	// SelfSigned is the default in place of files. If nil, none.
	SelfSigned *SelfSignedSource
	// SNI are pairs by server name; the earlier of equals counts.
	SNI []NamedPair
	// RejectUnknown refuses server names that no certificate is for, with the
	// alert unrecognized_name. If false, they get the default certificate.
	RejectUnknown bool

	// Policy is that of all names which Policies do not name.
	Policy Policy
	// Policies are the policies of some names.
	Policies []NamedPolicy

	// MinVersion bounds all policies from below. If zero, tls.VersionTLS12; lower
	// is an error (rule T-4).
	MinVersion uint16
	// CipherSuites of TLS 1.2. If empty, those of ServingCipherSuites(nil).
	CipherSuites []uint16
	// Curves are the key exchanges. If empty, Go's.
	Curves []tls.CurveID
	// NextProtos are the ALPN names over TCP; over QUIC it is h3. If empty, h2 and
	// http/1.1.
	NextProtos []string

	// Keys are the session ticket keys of names without client certificates; all
	// other policies have keys of their own. If nil, fresh ones.
	Keys *TicketKeys
	// Former is what this one takes the place of: a policy that is the same there,
	// with the same client CA in content, keeps its ticket keys, so that sessions go
	// on (rule T-9). If nil, there is none.
	Former *Dynamic
	// Watcher notices changed files. If nil, they are read anew by Reload alone.
	Watcher *Watcher
	// Log is told of changes. If nil, slog.Default().
	Log *slog.Logger
}

var (
	errNoCertificate = errors.New("no certificate: give a pair of files, a folder for one, or a self-signed source")
	errTwoDefaults   = errors.New("the default certificate is given twice: by files, folder or self-signed source; leave one")
)

// complete is a checked copy with its defaults.
func (c Config) complete() (Config, error) {
	given := 0
	for _, is := range []bool{c.CertFile != "" || c.KeyFile != "", c.CertDir != nil, c.SelfSigned != nil} {
		if is {
			given++
		}
	}
	switch {
	case given > 1:
		return c, errTwoDefaults
	case given == 0 && len(c.SNI) == 0:
		return c, errNoCertificate
	}
	if err := checkVersion(c.MinVersion); err != nil {
		return c, err
	}
	for _, p := range c.SNI {
		if err := p.check(); err != nil {
			return c, fmt.Errorf("certificate %s: %w", p.CertFile, err)
		}
	}
	if c.MinVersion == 0 {
		c.MinVersion = tls.VersionTLS12
	}
	if len(c.CipherSuites) == 0 {
		c.CipherSuites = servingSuites()
	}
	if len(c.NextProtos) == 0 {
		c.NextProtos = []string{"h2", "http/1.1"}
	}
	if c.Keys == nil && c.Former != nil {
		c.Keys = c.Former.cfg.Keys
	}
	if c.Keys == nil {
		c.Keys = NewTicketKeys(time.Now())
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	c.CipherSuites, c.Curves, c.NextProtos = slices.Clone(c.CipherSuites), slices.Clone(c.Curves), slices.Clone(c.NextProtos)
	return c, nil
}
