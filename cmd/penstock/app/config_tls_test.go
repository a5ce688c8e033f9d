package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// askHTTP3 asks addr for a.test over a connection of its own.
func askHTTP3(t *testing.T, addr string) string {
	t.Helper()
	return askHTTP3As(t, addr, "a.test", insecure("a.test"))
}

func askHTTP3As(t *testing.T, addr, host string, cfg *tls.Config) string {
	t.Helper()
	tr := &http3.Transport{TLSClientConfig: cfg, Dial: func(ctx context.Context, _ string, c *tls.Config, q *quic.Config) (*quic.Conn, error) {
		c.ServerName = cfg.ServerName
		return quic.DialAddr(ctx, addr, c, q)
	}}
	defer tr.Close()
	return answerOf(t, tr, host)
}

// answerOf is the content, or the status if it is not 200, or the error.
func answerOf(t *testing.T, tr http.RoundTripper, host string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/", http.NoBody)
	servetest.Must(t, "request", err)
	res, err := tr.RoundTrip(r)
	if err != nil {
		return "error: " + err.Error()
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	servetest.Must(t, "read", err)
	if res.StatusCode != http.StatusOK {
		return fmt.Sprint(res.StatusCode)
	}
	return string(b)
}

// authority issues certificates.
type testAuthority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newTestAuthority(t *testing.T, dir, name string) *testAuthority {
	t.Helper()
	a := &testAuthority{t: t, file: filepath.Join(dir, name+".pem")}
	var err error
	a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	servetest.Must(t, "key", err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &a.key.PublicKey, a.key)
	servetest.Must(t, "certificate", err)
	a.cert, err = x509.ParseCertificate(der)
	servetest.Must(t, "parse", err)
	servetest.Must(t, "write", os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return a
}

// issue writes DIR/name.pem and DIR/name.key for the host names.
func (a *testAuthority) issue(dir, name string, hosts ...string) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	servetest.Must(a.t, "key", err)
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: hosts,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	servetest.Must(a.t, "certificate", err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	servetest.Must(a.t, "key", err)
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	servetest.Must(a.t, "write", os.WriteFile(filepath.Join(dir, name+".pem"), certPEM, 0o600))
	servetest.Must(a.t, "write", os.WriteFile(filepath.Join(dir, name+".key"), keyPEM, 0o600))
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	servetest.Must(a.t, "pair", err)
	return pair
}

// shake shows the certificate that addr has for a name, or the error.
func shake(addr string, cfg *tls.Config) string {
	c, err := tls.Dial("tcp", addr, cfg)
	if err != nil {
		return "error: " + err.Error()
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// TestConfiguredTLS: listeners with different certificates, versions and client
// authentication; T-5 on h1, h2 and h3; all of it changes by a reload.
func TestConfiguredTLS(t *testing.T) {
	dir := t.TempDir()
	ca, partners := newTestAuthority(t, dir, "ca"), newTestAuthority(t, dir, "partners")
	ca.issue(dir, "www", "www.test")
	ca.issue(dir, "api", "api.test")
	ca.issue(dir, "new", "www.test")
	partner := partners.issue(dir, "partner")
	plain := strings.NewReplacer("CERTS", dir, "PUBLIC", freeAddress(t), "PRIVATE", freeAddress(t)).Replace(`
certificates:
  www: {cert_file: CERTS/www.pem, key_file: CERTS/www.key}
  api: {cert_file: CERTS/api.pem, key_file: CERTS/api.key, client_ca_file: CERTS/partners.pem, client_auth: require}
listeners:
  public: {address: "PUBLIC", http3: true, tls: {unknown_sni: reject, certificates: [www, api]}}
  private: {address: "PRIVATE", tls: {min_version: "1.3", certificates: [api]}}
hosts:
  - {names: [www.test], routes: [{id: r, match: {prefix: /}, respond: {body: www}}]}
  - {names: [api.test], routes: [{id: r, match: {prefix: /}, respond: {body: api}}]}
`)
	e := startEdge(t, plain)
	_, private, _ := strings.Cut(e.urls[0], "://")
	_, public, _ := strings.Cut(e.urls[1], "://")
	with := func(name string, change func(*tls.Config)) *tls.Config {
		c := insecure(name)
		if change != nil {
			change(c)
		}
		return c
	}
	asPartner := func(c *tls.Config) { c.Certificates = []tls.Certificate{partner} }
	old := func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }
	shakes := func(why, addr string, cfg *tls.Config, want string) {
		t.Helper()
		if got := shake(addr, cfg); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", why, got, want)
		}
	}
	shakes("www", public, with("www.test", nil), "www")
	shakes("www over TLS 1.2", public, with("www.test", old), "www")
	shakes("unknown name", public, with("other.test", nil), "unrecognized name")
	shakes("the other listener's default", private, with("other.test", asPartner), "api")
	shakes("its version", private, with("api.test", old), "protocol version")

	// Every version of HTTP: who has made a connection for www may not ask for api.
	ask := func(proto, addr, sni, host string, change func(*tls.Config)) string {
		t.Helper()
		cfg := with(sni, change)
		if proto == "h3" {
			return askHTTP3As(t, addr, host, cfg)
		}
		tr := &http.Transport{TLSClientConfig: cfg, ForceAttemptHTTP2: proto == "h2", DialContext: dialOnly(addr)}
		defer tr.CloseIdleConnections()
		return answerOf(t, tr, host)
	}
	for _, proto := range []string{"h1", "h2", "h3"} {
		for _, c := range []struct {
			sni, host string
			change    func(*tls.Config)
			want      string
		}{
			{"www.test", "www.test", nil, "www"},
			{"www.test", "api.test", nil, "421"},
			{"www.test", "api.test", asPartner, "421"},
			{"api.test", "api.test", asPartner, "api"},
			{"api.test", "www.test", asPartner, "421"},
			{"api.test", "api.test", nil, "error"},
		} {
			if got := ask(proto, public, c.sni, c.host, c.change); !strings.HasPrefix(got, c.want) {
				t.Errorf("%s: %s by a connection for %s: %s, want %s", proto, c.host, c.sni, got, c.want)
			}
		}
	}

	// Another certificate for one name; connections live on, sessions too, and the
	// other name has what it had.
	tr := &http.Transport{TLSClientConfig: with("www.test", nil), DialContext: dialOnly(public)}
	defer tr.CloseIdleConnections()
	sessions := with("www.test", func(c *tls.Config) { c.ClientSessionCache = tls.NewLRUClientSessionCache(4) })
	resumes := func() bool {
		t.Helper()
		c, err := tls.Dial("tcp", public, sessions)
		servetest.Must(t, "handshake", err)
		defer c.Close()
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: www.test\r\nConnection: close\r\n\r\n")
		_, err = io.ReadAll(c) // the ticket comes before it
		servetest.Must(t, "answer", err)
		return c.ConnectionState().DidResume
	}
	servetest.Want(t, "the first session", resumes(), false)
	servetest.Want(t, "before", answerOf(t, tr, "www.test"), "www")
	e.reload(strings.Replace(strings.Replace(plain, "www.pem", "new.pem", 1), "www.key", "new.key", 1))
	shakes("the new certificate", public, with("www.test", nil), "new")
	servetest.Want(t, "the session goes on (T-9)", resumes(), true)
	servetest.Want(t, "the connection goes on", answerOf(t, tr, "www.test"), "www")
	servetest.Want(t, "the other name", ask("h2", public, "api.test", "api.test", asPartner), "api")

	// No client certificates any more, and no unknown name refused.
	e.reload(strings.NewReplacer(", client_ca_file: "+dir+"/partners.pem, client_auth: require", "", "unknown_sni: reject, ", "").Replace(plain))
	for _, proto := range []string{"h1", "h2", "h3"} {
		servetest.Want(t, proto+": api without a certificate", ask(proto, public, "api.test", "api.test", nil), "api")
	}
	shakes("unknown name", public, with("other.test", nil), "www")
	// And back: what a former session proves is nothing.
	e.reload(plain)
	if got := ask("h2", public, "api.test", "api.test", nil); !strings.HasPrefix(got, "error") {
		t.Errorf("api without a certificate: %s", got)
	}
	e.refused(strings.Replace(plain, "partners.pem", "none.pem", 1), "client_ca_file", "no such file")
	servetest.Want(t, "a missing CA opens nothing (T-7)", strings.HasPrefix(ask("h2", public, "api.test", "api.test", nil), "error"), true)
	e.end()
}
