package handler

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// benchTime is the time of all tests that have one.
var benchTime = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

// testCA signs certificates.
type testCA struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue signs a certificate, with the CA's key or its own.
func (ca *testCA) issue(t testing.TB, template *x509.Certificate) *testCA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	servetest.Must(t, "key", err)
	template.SerialNumber = big.NewInt(7)
	if template.NotBefore.IsZero() {
		template.NotBefore, template.NotAfter = benchTime.Add(-time.Hour), benchTime.Add(time.Hour)
	}
	signer := ca
	if signer == nil {
		signer = &testCA{template, key}
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, signer.cert, &key.PublicKey, signer.key)
	servetest.Must(t, "certificate", err)
	cert, err := x509.ParseCertificate(raw)
	servetest.Must(t, "parse", err)
	return &testCA{cert, key}
}

func newTestCA(t testing.TB) *testCA {
	return (*testCA)(nil).issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
}

func (ca *testCA) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(ca.cert)
	return p
}

var clientUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}

// exchangeOver is a request whose connection has shown the certificates.
func exchangeOver(verified [][]*x509.Certificate, peer ...*x509.Certificate) *Exchange {
	r := request("GET", "https://a.example/")
	r.TLS = &tls.ConnectionState{PeerCertificates: peer, VerifiedChains: verified}
	return &Exchange{Request: r}
}

func newTestCertificates(pool func() *x509.CertPool, now *time.Time) *ClientCertificates {
	c := NewClientCertificates(pool)
	c.now = func() time.Time { return *now }
	return c
}

func TestClientCertificates(t *testing.T) {
	ca, other, now := newTestCA(t), newTestCA(t), benchTime
	middle := ca.issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "middle"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	ann := pkix.Name{CommonName: "ann", Organization: []string{"admins", "users"}}
	leaf := func(by *testCA, name pkix.Name, usage []x509.ExtKeyUsage) *x509.Certificate {
		return by.issue(t, &x509.Certificate{Subject: name, ExtKeyUsage: usage}).cert
	}
	uid := func(values ...any) pkix.Name {
		n := ann
		for _, v := range values {
			n.ExtraNames = append(n.ExtraNames, pkix.AttributeTypeAndValue{Type: uidAttribute, Value: v})
		}
		return n
	}
	for _, c := range []struct {
		name string
		peer []*x509.Certificate
		want string // name, UID, groups; empty: no opinion; "error"
	}{
		{"no certificate", nil, ""},
		{"known", []*x509.Certificate{leaf(ca, ann, clientUsage)}, "ann//users,admins"},
		{"known, with a UID", []*x509.Certificate{leaf(ca, uid("u1"), clientUsage)}, "ann/u1/users,admins"},
		{"two UIDs", []*x509.Certificate{leaf(ca, uid("u1", "u2"), clientUsage)}, "error"},
		{"no name", []*x509.Certificate{leaf(ca, pkix.Name{Organization: []string{"admins"}}, clientUsage)}, ""},
		{"a server's", []*x509.Certificate{leaf(ca, ann, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth})}, "error"},
		{"another CA's", []*x509.Certificate{leaf(other, ann, clientUsage)}, "error"},
		{"by the middle one", []*x509.Certificate{leaf(middle, ann, clientUsage), middle.cert}, "ann//users,admins"},
		{"the middle one is missing", []*x509.Certificate{leaf(middle, ann, clientUsage)}, "error"},
		{"brings its own CA", []*x509.Certificate{leaf(other, ann, clientUsage), other.cert}, "error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newTestCertificates(func() func() *x509.CertPool { p := ca.pool(); return func() *x509.CertPool { return p } }(), &now)
			for range 2 { // the second time it is remembered
				u, ok, err := a.Authenticate(exchangeOver(nil, c.peer...))
				servetest.Want(t, "error", err != nil, c.want == "error")
				servetest.Want(t, "ok", ok, c.want != "" && c.want != "error")
				if ok {
					servetest.Want(t, "user", u.Name+"/"+u.UID+"/"+strings.Join(u.Groups, ","), c.want)
					servetest.Want(t, "credential", strings.HasPrefix(u.Extra[credentialID][0], "X509SHA256="), true)
				}
			}
		})
	}
	_, ok, err := NewClientCertificates(nil).Authenticate(&Exchange{Request: request("GET", "/")})
	servetest.Want(t, "without TLS", ok || err != nil, false)
}

func TestClientCertificatesVerifiedByHandshake(t *testing.T) {
	ca, now := newTestCA(t), benchTime
	leaf := ca.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "ann"}, ExtKeyUsage: clientUsage}).cert
	a := newTestCertificates(nil, &now)
	_, ok, err := a.Authenticate(exchangeOver(nil, leaf))
	servetest.Want(t, "not verified", ok || err != nil, false)
	chains := [][]*x509.Certificate{{leaf, ca.cert}}
	u, ok, err := a.Authenticate(exchangeOver(chains, leaf))
	servetest.Must(t, "verified", err)
	servetest.Want(t, "verified", ok && u.Name == "ann", true)
	_, ok, _ = a.Authenticate(exchangeOver(nil, leaf))
	servetest.Want(t, "remembered, but not verified on this connection", ok, false)
	now = now.Add(2 * time.Hour)
	_, ok, err = a.Authenticate(exchangeOver(chains, leaf))
	servetest.Want(t, "expired since", !ok && err != nil, true)
}

func TestClientCertificatesHostile(t *testing.T) {
	ca, other, now := newTestCA(t), newTestCA(t), benchTime
	leaf := ca.issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "ann"}, ExtKeyUsage: clientUsage}).cert
	pool := ca.pool()
	a := newTestCertificates(func() *x509.CertPool { return pool }, &now)
	long := []*x509.Certificate{leaf}
	for range maxPeerCertificates {
		long = append(long, ca.cert)
	}
	_, ok, err := a.Authenticate(exchangeOver(nil, long...))
	servetest.Want(t, "a long chain", !ok && err != nil, true)

	_, ok, _ = a.Authenticate(exchangeOver(nil, leaf))
	servetest.Want(t, "known", ok, true)
	now = now.Add(2 * time.Hour)
	_, ok, err = a.Authenticate(exchangeOver(nil, leaf))
	servetest.Want(t, "expired while remembered", !ok && err != nil, true)
	now = benchTime
	_, ok, _ = a.Authenticate(exchangeOver(nil, leaf))
	servetest.Want(t, "known again", ok, true)
	pool = other.pool()
	_, ok, err = a.Authenticate(exchangeOver(nil, leaf))
	servetest.Want(t, "the CA has gone", !ok && err != nil, true)
	pool = nil
	_, ok, err = a.Authenticate(exchangeOver(nil, leaf))
	servetest.Want(t, "no CA is no opinion", ok || err != nil, false)
}
