package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// selfSignedLifetime is how long a self-signed certificate is valid.
	selfSignedLifetime = 365 * 24 * time.Hour
	// selfSignedBackdate lets clients whose clock is behind accept it at once.
	selfSignedBackdate = time.Hour
	// renewBefore is how long before its end a source replaces its certificate.
	renewBefore = 30 * 24 * time.Hour
	// selfSignedName begins the common name, by which stored ones are known.
	selfSignedName = "penstock self-signed "
)

// SelfSigned makes a certificate for hosts (DNS names and IP addresses) that
// is signed by its own fresh ECDSA P-256 key: valid from one hour ago for one
// year. Without hosts it is made for localhost, 127.0.0.1 and ::1.
func SelfSigned(hosts []string) (tls.Certificate, error) {
	return selfSignedAt(hosts, time.Now())
}

// A SelfSignedSource hands out a self-signed certificate and replaces it 30
// days before its end, so that a long-lived process never shows an expired one.
type SelfSignedSource struct {
	hosts   []string
	now     func() time.Time
	current atomic.Pointer[tls.Certificate]
	renew   sync.Mutex // held by the one handshake that renews
}

// NewSelfSignedSource makes the first certificate for hosts, as SelfSigned does.
func NewSelfSignedSource(hosts []string) (*SelfSignedSource, error) {
	return newSelfSignedSource(hosts, time.Now)
}

func newSelfSignedSource(hosts []string, now func() time.Time) (*SelfSignedSource, error) {
	s := &SelfSignedSource{hosts: append([]string(nil), hosts...), now: now}
	cert, err := selfSignedAt(s.hosts, now())
	if err != nil {
		return nil, err
	}
	s.current.Store(&cert)
	return s, nil
}

// Certificate is the one in use now, without a look at the clock.
func (s *SelfSignedSource) Certificate() *tls.Certificate { return s.current.Load() }

// GetCertificate is for tls.Config.GetCertificate. A handshake that finds the
// certificate due renews it; others meanwhile get the old one and do not wait.
func (s *SelfSignedSource) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	cert := s.current.Load()
	now := s.now()
	if !renewalDue(cert.Leaf, now) || !s.renew.TryLock() {
		return cert, nil
	}
	defer s.renew.Unlock()
	if cert = s.current.Load(); !renewalDue(cert.Leaf, now) {
		return cert, nil
	}
	fresh, err := selfSignedAt(s.hosts, now)
	if err != nil {
		return cert, nil // the old one may still serve; the next handshake tries again
	}
	s.current.Store(&fresh)
	return &fresh, nil
}

// renewalDue also covers a wall clock that was set back behind the start of
// the certificate (rule O-5): validity is the one thing wall time decides.
func renewalDue(leaf *x509.Certificate, now time.Time) bool {
	return now.After(leaf.NotAfter.Add(-renewBefore)) || now.Before(leaf.NotBefore)
}

func selfSignedAt(hosts []string, now time.Time) (tls.Certificate, error) {
	template, err := selfSignedTemplate(hosts, now)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("self-signed certificate: make key: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("self-signed certificate: sign: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("self-signed certificate: parse: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

func selfSignedTemplate(hosts []string, now time.Time) (*x509.Certificate, error) {
	if len(hosts) == 0 {
		hosts = []string{"localhost", "127.0.0.1", "::1"}
	}
	// RFC 5280 §4.1.2.2: positive, at most 20 octets, unpredictable.
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("self-signed certificate: serial: %w", err)
	}
	t := &x509.Certificate{
		SerialNumber: serial,
		// A random part in the name keeps browsers from refusing a second
		// certificate of the same issuer as a forgery of the first.
		Subject:               pkix.Name{CommonName: fmt.Sprintf("%s%032x", selfSignedName, serial)},
		NotBefore:             now.Add(-selfSignedBackdate).UTC(),
		NotAfter:              now.Add(selfSignedLifetime).UTC(),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, host := range hosts {
		if err := addHost(t, host); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// addHost adds one subject alternative name; clients look nowhere else (RFC 9525 §2).
func addHost(t *x509.Certificate, host string) error {
	if ip := net.ParseIP(host); ip != nil {
		t.IPAddresses = append(t.IPAddresses, ip)
		return nil
	}
	name := strings.TrimSuffix(host, ".")
	if name == "" || strings.ContainsAny(name, " :/\\\x00") {
		return fmt.Errorf("self-signed certificate: %q is neither a host name nor an IP address", host)
	}
	t.DNSNames = append(t.DNSNames, strings.ToLower(name))
	return nil
}
