package serve_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/certs"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// tlsFiles is an authority for servers and clients, and a folder for what it has
// issued.
type tlsFiles struct {
	t    *testing.T
	dir  string
	ca   string // its own certificate's file
	pool *x509.CertPool
	root *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newTLSFiles(t *testing.T) *tlsFiles {
	t.Helper()
	f := &tlsFiles{t: t, dir: t.TempDir(), pool: x509.NewCertPool()}
	f.ca = filepath.Join(f.dir, "ca.pem")
	root := f.sign(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	f.root, f.key = root.Leaf, root.PrivateKey.(*ecdsa.PrivateKey)
	f.pool.AddCert(f.root)
	f.write("ca.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate[0]}))
	return f
}

// issue makes a certificate for servers, of those names, and clients.
func (f *tlsFiles) issue(names ...string) tls.Certificate {
	f.t.Helper()
	return f.sign(&x509.Certificate{
		DNSNames: names, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
}

func (f *tlsFiles) sign(template *x509.Certificate) tls.Certificate {
	f.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	servetest.Must(f.t, "key", err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	servetest.Must(f.t, "serial number", err)
	template.SerialNumber, template.Subject = serial, pkix.Name{CommonName: fmt.Sprint(serial)}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := f.root, f.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	servetest.Must(f.t, "sign", err)
	leaf, err := x509.ParseCertificate(der)
	servetest.Must(f.t, "parse", err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (f *tlsFiles) write(name string, data []byte) string {
	f.t.Helper()
	path := filepath.Join(f.dir, name)
	servetest.Must(f.t, "write "+name, os.WriteFile(path, data, 0o600))
	return path
}

// put writes a pair's files.
func (f *tlsFiles) put(name string, c tls.Certificate) (certFile, keyFile string) {
	f.t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	servetest.Must(f.t, "encode the key", err)
	return f.write(name+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]})),
		f.write(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
}

// client is a client with a certificate, that keeps its sessions.
func (f *tlsFiles) client(serverName string) *tls.Config {
	f.t.Helper()
	return &tls.Config{
		ServerName: serverName, RootCAs: f.pool, Certificates: []tls.Certificate{f.issue()}, ClientSessionCache: tls.NewLRUClientSessionCache(4),
	}
}

// startDynamic serves over TLS and HTTP/3 by cfg. Answers tell the server name,
// and whether the session is a new one.
func startDynamic(t *testing.T, cfg certs.Config, opts serve.ServerOptions) (*certs.Dynamic, *runningH3) {
	t.Helper()
	d, err := certs.NewDynamic(cfg)
	servetest.Must(t, "NewDynamic", err)
	group, packets := bindBoth(t)
	opts.ErrorLog, opts.TLSPolicy = quiet(), d
	s := &serve.Server{TLSConfig: d.TLSConfig(), Options: opts, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session := map[bool]string{false: "new", true: "resumed"}[r.TLS.DidResume]
		fmt.Fprintf(w, "%s %s", r.TLS.ServerName, session)
	})}
	r := &runningH3{&running{Server: s, addr: group.Addr().String(), secure: true, ended: make(chan error, 1)}, make(chan error, 1)}
	go func() { r.ended <- s.ServeTLS(group, "", "") }()
	go func() { r.endedH3 <- s.ServeHTTP3(packets, "", "") }()
	t.Cleanup(func() { s.Close() })
	return d, r
}

// shakeHands connects over TCP or QUIC and returns the certificate shown.
func shakeHands(addr string, overQUIC bool, cfg *tls.Config) (*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cfg = cfg.Clone()
	if overQUIC {
		cfg.NextProtos = []string{http3.NextProtoH3}
		q, err := quic.DialAddr(ctx, addr, cfg, nil)
		if err != nil {
			return nil, err
		}
		defer q.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
		return q.ConnectionState().TLS.PeerCertificates[0], nil
	}
	c, err := (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// TestReloadUnderHandshakes: 1,000 reloads while clients connect over TCP and
// QUIC, and none of them fails (rule T-8); then the last pair is shown to both.
func TestReloadUnderHandshakes(t *testing.T) {
	servetest.CheckLeaks(t)
	files := newTLSFiles(t)
	pairs := []tls.Certificate{files.issue("a.com"), files.issue("a.com")}
	cfg := certs.Config{Log: quiet()}
	cfg.CertFile, cfg.KeyFile = files.put("pair", pairs[1])
	d, r := startDynamic(t, cfg, serve.ServerOptions{})
	client := &tls.Config{ServerName: "a.com", RootCAs: files.pool}
	var over atomic.Bool
	var clients sync.WaitGroup
	var shakes [2]atomic.Int64
	for i, overQUIC := range []bool{false, true} {
		clients.Go(func() {
			for !over.Load() {
				if _, err := shakeHands(r.addr, overQUIC, client); err != nil {
					t.Errorf("over QUIC %v, handshake %d: %v", overQUIC, shakes[i].Load(), err)
					return
				}
				shakes[i].Add(1)
			}
		})
	}
	for i := range 1000 {
		files.put("pair", pairs[i%2])
		servetest.Must(t, "Reload", d.Reload())
	}
	servetest.WantSoon(t, "clients had a chance", func() bool { return shakes[0].Load() > 50 && shakes[1].Load() > 50 })
	over.Store(true)
	clients.Wait()
	for _, overQUIC := range []bool{false, true} {
		shown, err := shakeHands(r.addr, overQUIC, client)
		servetest.Must(t, "handshake at the end", err)
		servetest.Want(t, "the last pair is shown", shown.Equal(pairs[1].Leaf), true)
	}
	t.Logf("%d handshakes over TCP, %d over QUIC", shakes[0].Load(), shakes[1].Load())
	r.stop(t)
}

// TestReloadIsNoticed: files that change are served soon, over TCP and QUIC.
func TestReloadIsNoticed(t *testing.T) {
	servetest.CheckLeaks(t)
	files := newTLSFiles(t)
	w := certs.NewWatcher(certs.WatcherOptions{Recheck: -1, Log: quiet()})
	cfg := certs.Config{Log: quiet(), Watcher: w}
	cfg.CertFile, cfg.KeyFile = files.put("pair", files.issue("a.com"))
	_, r := startDynamic(t, cfg, serve.ServerOptions{})
	client := &tls.Config{ServerName: "a.com", RootCAs: files.pool}
	for range 3 {
		next := files.issue("a.com")
		files.put("pair", next)
		for _, overQUIC := range []bool{true, false} {
			servetest.WantSoon(t, "the new pair is served", func() bool {
				shown, err := shakeHands(r.addr, overQUIC, client)
				servetest.Must(t, "handshake", err)
				return shown.Equal(next.Leaf)
			})
		}
	}
	r.stop(t)
	servetest.Must(t, "Close", w.Close())
}

// TestClientCAOverEveryVersion: whom a CA lets in, and that its change ends old
// sessions, holds over TCP and QUIC (rule T-7); a change of the server's pair ends
// none (rule T-9).
func TestClientCAOverEveryVersion(t *testing.T) {
	for _, rt := range roundTrippers {
		t.Run(rt.proto, func(t *testing.T) {
			servetest.CheckLeaks(t)
			files := newTLSFiles(t)
			cfg := certs.Config{Log: quiet(), Policy: certs.Policy{ClientAuth: certs.ClientAuthRequire, ClientCAFile: files.ca}}
			cfg.CertFile, cfg.KeyFile = files.put("server", files.issue("a.com"))
			d, r := startDynamic(t, cfg, serve.ServerOptions{})
			good, none := files.client("a.com"), &tls.Config{ServerName: "a.com", RootCAs: files.pool}
			ask := func(c *tls.Config) string { return askFor(t, rt.proto, r.addr, "a.com", c) }
			servetest.Want(t, "first", ask(good), "200 a.com new")
			servetest.Want(t, "second", ask(good), "200 a.com resumed")
			wantRefused(t, "without a certificate", ask(none))
			files.put("server", files.issue("a.com"))
			servetest.Must(t, "Reload", d.Reload())
			servetest.Want(t, "after a new pair", ask(good), "200 a.com resumed")

			root, err := os.ReadFile(files.ca)
			servetest.Must(t, "read the CA", err)
			other, err := os.ReadFile(newTLSFiles(t).ca)
			servetest.Must(t, "read another CA", err)
			files.write("ca.pem", append(bytes.Clone(root), other...))
			servetest.Must(t, "Reload", d.Reload())
			servetest.Want(t, "after a new CA beside the old", ask(good), "200 a.com new")
			files.write("ca.pem", other)
			servetest.Must(t, "Reload", d.Reload())
			wantRefused(t, "after the CA has gone", ask(good))
			r.stop(t)
		})
	}
}

// wantRefused fails the test if the request was answered. Over TLS 1.3 a client
// learns of it after its own handshake, each at what it does then.
func wantRefused(t *testing.T, why, got string) {
	t.Helper()
	if got[0] >= '0' && got[0] <= '9' {
		t.Errorf("%s: answered %q", why, got)
	}
}
