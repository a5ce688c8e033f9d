package certs

import (
	"crypto/tls"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// TestSwap: other certificates take the place of the former ones while handshakes
// go on; sessions live on where the policy is the same in content, and nowhere else
// (rules T-6, T-8, T-9).
func TestSwap(t *testing.T) {
	dir, server, clients := newPairDir(t), newAuthority(t, "server CA"), newAuthority(t, "client CA")
	var swap Swap
	next := func(name string, policies ...NamedPolicy) {
		t.Helper()
		cfg := Config{Log: quiet(), Policies: policies, Former: swap.Get()}
		cfg.CertFile, cfg.KeyFile = dir.put(name, server.issue(t, name, "open.com", "secret.com"))
		d, err := NewDynamic(cfg)
		servetest.Must(t, name, err)
		if former := swap.Set(d); former != nil {
			former.Close()
		}
	}
	require := func(file string) NamedPolicy {
		return NamedPolicy{Patterns: []string{"secret.com"}, Policy: Policy{ClientAuth: ClientAuthRequire, ClientCAFile: file}}
	}
	next("first", require(dir.write("ca.pem", clients.pem)))
	s := serveTLS(t, "127.0.0.1:0", swap.TLSConfig())
	good := clients.issue(t, "good")
	open, secret := clientOf(server, "open.com", nil), clientOf(server, "secret.com", &good)
	want := func(why string, c *tls.Config, resumed bool, by string) {
		t.Helper()
		state, err := s.shake(c)
		servetest.Must(t, why, err)
		servetest.Want(t, why+": resumed", state.DidResume, resumed)
		if !resumed {
			servetest.Want(t, why+": certificate", state.PeerCertificates[0].Subject.CommonName, by)
		}
	}
	want("open", open, false, "first")
	want("secret", secret, false, "first")
	next("second", require(dir.write("same.pem", clients.pem)))
	want("open, another certificate", open, true, "")
	want("secret, the same authorities in another file", secret, true, "")
	want("a new client", clientOf(server, "open.com", nil), false, "second")
	next("third", require(dir.write("other.pem", newAuthority(t, "other CA").pem)))
	want("open, still", open, true, "")
	_, err := s.shake(secret)
	wantAlert(t, "secret, other authorities", err, "unknown certificate authority")
	servetest.Want(t, "another policy", swap.SamePolicy("open.com", "secret.com"), false)
	next("fourth")
	servetest.Want(t, "no policy any more", swap.SamePolicy("open.com", "secret.com"), true)
	want("secret, open now: no session of before counts", secret, false, "fourth")
}
