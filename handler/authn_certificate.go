package handler

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// maxPeerCertificates bounds the chain that is verified for a request; chains in
// use have two or three. TestClientCertificatesHostile crosses it.
const maxPeerCertificates = 10

// credentialID is the key in User.Extra that tells which credential was shown.
const credentialID = "authentication.kubernetes.io/credential-id"

// ClientCertificates knows users by the certificate of their connection: the
// common name is the user, each organization a group, and the attribute
// 1.3.6.1.4.1.57683.2 the UID. Without a common name it has no opinion.
type ClientCertificates struct {
	pool func() *x509.CertPool
	now  func() time.Time
	// users remembers by the certificate's identity: a connection has one, and
	// crypto/tls shares one between the connections that show it.
	users *recent[*x509.Certificate]
}

// NewClientCertificates makes the authenticator. With a nil pool the handshake must
// have verified the certificate (tls.VerifyClientCertIfGiven and above); one that
// it has not is no opinion. Else the certificate is verified here, for the usage
// ClientAuth, against what pool returns at that time (tls.RequestClientCert); a nil
// result is no opinion. Results are remembered until the pool is another one, so it
// should return the same as long as nothing has changed.
func NewClientCertificates(pool func() *x509.CertPool) *ClientCertificates {
	return &ClientCertificates{pool, time.Now, newRecent[*x509.Certificate](defaultRememberedUsers)}
}

// Authenticate knows the user by the certificate.
func (c *ClientCertificates) Authenticate(x *Exchange) (*User, bool, error) {
	state := x.Request.TLS
	if state == nil || len(state.PeerCertificates) == 0 {
		return nil, false, nil
	}
	var pool *x509.CertPool
	if c.pool != nil {
		if pool = c.pool(); pool == nil {
			return nil, false, nil
		}
	} else if len(state.VerifiedChains) == 0 {
		return nil, false, nil
	}
	leaf, now := state.PeerCertificates[0], c.now()
	if u, ok := c.users.get(leaf, pool, now); ok {
		return u, true, nil
	}
	chains := state.VerifiedChains
	if pool != nil {
		var err error
		if chains, err = verifyPeer(state.PeerCertificates, pool, now); err != nil {
			return nil, false, err
		}
	}
	until, ok := validUntil(chains, now)
	if !ok {
		// The connection is older than the certificate was to become.
		return nil, false, errors.New("client certificate: a certificate of its chain has expired since the handshake")
	}
	u, err := certificateUser(leaf)
	if u == nil {
		return nil, false, err
	}
	c.users.add(leaf, verified{u, pool, until})
	return u, true, nil
}

func verifyPeer(peer []*x509.Certificate, pool *x509.CertPool, now time.Time) ([][]*x509.Certificate, error) {
	if len(peer) > maxPeerCertificates {
		return nil, fmt.Errorf("client certificate: a chain of %d, more than %d", len(peer), maxPeerCertificates)
	}
	o := x509.VerifyOptions{Roots: pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if len(peer) > 1 {
		o.Intermediates = x509.NewCertPool()
		for _, cert := range peer[1:] {
			o.Intermediates.AddCert(cert)
		}
	}
	chains, err := peer[0].Verify(o)
	if err != nil {
		return nil, fmt.Errorf("client certificate with serial number %d: %w", peer[0].SerialNumber, err)
	}
	return chains, nil
}

// validUntil is how long one of the chains holds, the one that holds longest.
func validUntil(chains [][]*x509.Certificate, now time.Time) (until time.Time, ok bool) {
	for _, chain := range chains {
		end, holds := time.Time{}, true
		for i, cert := range chain {
			holds = holds && !now.Before(cert.NotBefore) && now.Before(cert.NotAfter)
			if i == 0 || cert.NotAfter.Before(end) {
				end = cert.NotAfter
			}
		}
		if holds && end.After(until) {
			until, ok = end, true
		}
	}
	return until, ok
}

// uidAttribute is kube-apiserver's for the UID of a user.
var uidAttribute = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57683, 2}

// certificateUser is nil without an error for a certificate that names nobody.
func certificateUser(leaf *x509.Certificate) (*User, error) {
	if leaf.Subject.CommonName == "" {
		return nil, nil
	}
	fingerprint := sha256.Sum256(leaf.Raw)
	u := &User{
		Name:   leaf.Subject.CommonName,
		Groups: leaf.Subject.Organization,
		Extra:  map[string][]string{credentialID: {"X509SHA256=" + hex.EncodeToString(fingerprint[:])}},
	}
	found := false
	for _, name := range leaf.Subject.Names {
		if !name.Type.Equal(uidAttribute) {
			continue
		}
		uid, isString := name.Value.(string)
		if found || !isString || uid == "" {
			return nil, errors.New("client certificate: its UID is empty, no string, or there is more than one")
		}
		u.UID, found = uid, true
	}
	return u, nil
}
