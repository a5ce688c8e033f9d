package certs

import (
	"bytes"
	"crypto/tls"
	"os"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// clientOf is a client configuration with a certificate, which may be nil, that
// keeps its sessions.
func clientOf(server *authority, name string, cert *issued) *tls.Config {
	c := &tls.Config{ServerName: name, RootCAs: server.pool(), ClientSessionCache: tls.NewLRUClientSessionCache(8)}
	if cert != nil {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert.pair, nil }
	}
	return c
}

// mtls is a server with an open name, one that asks and two that require.
func mtls(t *testing.T, dir pairDir, server, clients *authority) *Dynamic {
	t.Helper()
	cfg := Config{Log: quiet()}
	cfg.CertFile, cfg.KeyFile = dir.put("server", server.issue(t, "server", "open.com", "asks.com", "secret.com", "twin.com"))
	bundle := dir.write("ca.pem", clients.pem)
	cfg.Policies = []NamedPolicy{
		{Patterns: []string{"asks.com"}, Policy: Policy{ClientAuth: ClientAuthRequest}},
		{Patterns: []string{"secret.com", "twin.com"}, Policy: Policy{ClientAuth: ClientAuthRequire, ClientCAFile: bundle}},
	}
	d, err := NewDynamic(cfg)
	servetest.Must(t, "NewDynamic", err)
	return d
}

// TestClientAuth: none, request and require, by server name.
func TestClientAuth(t *testing.T) {
	dir, server, clients := newPairDir(t), newAuthority(t, "server CA"), newAuthority(t, "client CA")
	d := mtls(t, dir, server, clients)
	s := serveTLS(t, "127.0.0.1:0", d.TLSConfig())
	good, foreign := clients.issue(t, "good"), newAuthority(t, "foreign CA").issue(t, "foreign")
	for version, missing := range map[uint16]string{tls.VersionTLS12: "handshake failure", tls.VersionTLS13: "certificate required"} {
		for _, test := range []struct {
			name  string
			cert  *issued
			alert string // empty: accepted
		}{
			{"open.com", nil, ""},
			{"open.com", &foreign, ""},
			{"asks.com", nil, ""},
			{"asks.com", &foreign, ""},
			{"secret.com", &good, ""},
			{"SECRET.com", &good, ""},
			{"secret.com", &foreign, "unknown certificate authority"},
			{"secret.com", nil, missing},
			{"twin.com", nil, missing},
		} {
			c := clientOf(server, test.name, test.cert)
			c.MaxVersion = version
			_, err := s.shake(c)
			if test.alert == "" {
				servetest.WantErr(t, test.name, err, nil)
			} else {
				wantAlert(t, test.name, err, test.alert)
			}
		}
	}
}

// TestSessionsStayWithTheirPolicy: a session goes on at another name, server and
// listener of the same policy, and at none of another (rule T-6).
func TestSessionsStayWithTheirPolicy(t *testing.T) {
	dir, server, clients := newPairDir(t), newAuthority(t, "server CA"), newAuthority(t, "client CA")
	d := mtls(t, dir, server, clients)
	s, other := serveTLS(t, "127.0.0.1:0", d.TLSConfig()), serveTLS(t, "127.0.0.1:0", d.TLSConfig().Clone())
	good := clients.issue(t, "good")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, test := range []struct {
			first, then string
			want        bool
		}{
			{"open.com", "open.com", true},
			{"secret.com", "secret.com", true},
			{"secret.com", "twin.com", true},
			{"open.com", "secret.com", false},
			{"asks.com", "secret.com", false},
			{"secret.com", "open.com", false},
			{"secret.com", "asks.com", false},
		} {
			c := clientOf(server, test.first, &good)
			c.MaxVersion = version
			cache := &oneSession{}
			c.ClientSessionCache = cache
			state, err := s.shake(c)
			servetest.Must(t, test.first, err)
			servetest.Want(t, "the first is new", state.DidResume, false)
			c.ServerName = test.then
			state, err = other.shake(c)
			servetest.Must(t, test.first+" then "+test.then, err)
			servetest.Want(t, test.first+" resumed as "+test.then, state.DidResume, test.want)
		}
	}
}

// oneSession gives its one session to every name, as an attacker would.
type oneSession struct{ s *tls.ClientSessionState }

func (o *oneSession) Get(string) (*tls.ClientSessionState, bool) { return o.s, o.s != nil }
func (o *oneSession) Put(_ string, s *tls.ClientSessionState)    { o.s = s }

// TestCAChangeEndsSessions: what a former CA has let in is let in no more, not by
// a ticket either (CVE-2025-68121); other policies' sessions go on, and so they do
// over a change of the server's certificate (rule T-9).
func TestCAChangeEndsSessions(t *testing.T) {
	dir, server, clients := newPairDir(t), newAuthority(t, "server CA"), newAuthority(t, "client CA")
	d := mtls(t, dir, server, clients)
	s := serveTLS(t, "127.0.0.1:0", d.TLSConfig())
	good := clients.issue(t, "good")
	open, secret := clientOf(server, "open.com", nil), clientOf(server, "secret.com", &good)
	want := func(why string, c *tls.Config, resumed bool) {
		t.Helper()
		state, err := s.shake(c)
		servetest.Must(t, why, err)
		servetest.Want(t, why+": resumed", state.DidResume, resumed)
	}
	want("open, first", open, false)
	want("secret, first", secret, false)
	want("secret, again", secret, true)
	dir.put("server", server.issue(t, "server", "open.com", "secret.com"))
	servetest.Must(t, "Reload", d.Reload())
	want("open, after a new certificate", open, true)
	want("secret, after a new certificate", secret, true)

	dir.write("ca.pem", append(bytes.Clone(clients.pem), newAuthority(t, "one more").pem...))
	servetest.Must(t, "Reload", d.Reload())
	want("open, after a new client CA", open, true)
	want("secret, after a new client CA", secret, false)
	want("secret, again after it", secret, true)

	dir.write("ca.pem", newAuthority(t, "another").pem)
	servetest.Must(t, "Reload", d.Reload())
	_, err := s.shake(secret)
	wantAlert(t, "secret, after its CA has gone", err, "unknown certificate authority")
	want("open, still", open, true)
}

// TestClientCAFile: missing at the start is an error; later the last good one stays.
func TestClientCAFile(t *testing.T) {
	dir, clients := newPairDir(t), newAuthority(t, "client CA")
	_, err := NewClientCA(dir.path("none"))
	servetest.WantErr(t, "missing at the start", err, os.ErrNotExist)
	file := dir.write("ca.pem", clients.pem)
	ca, err := NewClientCA(file)
	servetest.Must(t, "NewClientCA", err)
	first := ca.Pool()
	for text, data := range map[string][]byte{
		"no such file": nil, "is empty": {}, "holds no PEM": []byte("hello"),
		"ends within":         append(bytes.Clone(clients.pem), clients.pem[:100]...),
		"damaged":             bytes.Replace(clients.pem, []byte("\nMII"), []byte("\nNII"), 1),
		"private key, but no": clients.issue(t, "x").key,
		"larger than":         make([]byte, maxPEMFileBytes+1),
	} {
		if data == nil {
			servetest.Must(t, "remove", os.Remove(file))
		} else {
			dir.write("ca.pem", data)
		}
		changed, err := ca.Reload()
		if changed || err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, %v, want an error with %q", changed, err, text)
		}
		servetest.Want(t, text+": the last good one stays", ca.Pool(), first)
		servetest.WantErr(t, text+": status", ca.Status().Err, err)
	}
	dir.write("ca.pem", clients.pem)
	changed, err := ca.Reload()
	servetest.Must(t, "the same again", err)
	servetest.Want(t, "the same again", changed, false)
	servetest.WantErr(t, "status", ca.Status().Err, nil)
}
