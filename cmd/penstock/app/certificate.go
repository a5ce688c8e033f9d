package app

import (
	"crypto/sha256"
	"crypto/tls"
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

// serverTLS is the configuration of the HTTPS addresses, and a note on the
// certificate for the people who started the server.
func (c CompletedOptions) serverTLS(log *slog.Logger) (cfg *tls.Config, note string, err error) {
	if c.CertFile == "" {
		source, err := certs.NewSelfSignedSource(c.selfSignedHosts())
		if err != nil {
			return nil, "", err
		}
		sum := sha256.Sum256(source.Certificate().Leaf.Raw)
		return &tls.Config{GetCertificate: source.GetCertificate}, fmt.Sprintf("self-signed, SHA-256 %x", sum), nil
	}
	pair, err := certs.LoadPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, "", c.explainPair(err)
	}
	warnExpiry(log, c.CertFile, pair.Leaf, time.Now())
	return &tls.Config{Certificates: []tls.Certificate{pair}}, c.CertFile, nil
}

// explainPair says which flag gave the file.
func (c CompletedOptions) explainPair(err error) error {
	var pe *certs.PairError
	if !errors.As(err, &pe) {
		return err
	}
	flag := "--tls-cert-file"
	if pe.File == c.KeyFile && pe.File != c.CertFile {
		flag = "--tls-private-key-file"
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
