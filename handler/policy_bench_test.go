package handler

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"maps"
	"net/http"
	"slices"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// BenchmarkPolicyStages is one request through a chain of one stage; "empty chain"
// is what to subtract.
func BenchmarkPolicyStages(b *testing.B) {
	stages := policyStages(b)
	stages["empty chain"] = nil
	for _, name := range slices.Sorted(maps.Keys(stages)) {
		b.Run(name, func(b *testing.B) {
			h, w, r := NewChain(NotFound{}, stages[name]), newStubWriter(), benchRequest()
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
			if w.status != http.StatusNotFound {
				b.Fatal(w.status)
			}
		})
	}
}

// BenchmarkAuthenticators is what it costs to know a user, remembered and not.
func BenchmarkAuthenticators(b *testing.B) {
	i, ca, now := newIssuer(b), newTestCA(b), benchTime
	keys, pool := i.keys(b), ca.pool()
	leaf := ca.issue(b, &x509.Certificate{Subject: pkix.Name{CommonName: "ann"}, ExtKeyUsage: clientUsage}).cert
	certificates := newTestCertificates(func() *x509.CertPool { return pool }, &now)
	file, err := NewTokenFile(tokenFile(b, "token1,ann,1\n"))
	servetest.Must(b, "token file", err)
	jwts := func(remember int) Authenticator {
		return BearerToken(newTestJWT(b, JWTOptions{Keys: func() *KeySet { return keys }, Remember: remember}))
	}
	withToken := func(token string) *Exchange {
		return &Exchange{Request: request("GET", "/", "Authorization: Bearer "+token)}
	}
	es256 := withToken(sign(b, jwt.SigningMethodES256, i.ec, nil, claims()))
	rs256 := withToken(sign(b, jwt.SigningMethodRS256, i.rsa, nil, claims()))
	for _, c := range []struct {
		name string
		a    Authenticator
		x    *Exchange
	}{
		{"certificate", certificates, exchangeOver(nil, leaf)},
		{"token file", BearerToken(file), withToken("token1")},
		{"JWT remembered", jwts(0), es256},
		{"JWT ES256", jwts(-1), es256},
		{"JWT RS256", jwts(-1), rs256},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok, err := c.a.Authenticate(c.x); !ok || err != nil {
					b.Fatal(ok, err)
				}
			}
		})
	}
}
