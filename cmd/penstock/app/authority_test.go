package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// authority issues certificates for servers and clients.
type authority struct {
	t    *testing.T
	dir  string
	file string // its own certificate
	root *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	root := a.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.root, a.key = root.Leaf, root.PrivateKey.(*ecdsa.PrivateKey)
	a.file = a.write("ca.pem", "CERTIFICATE", root.Certificate[0])
	return a
}

// issue makes a certificate with a common name, and for servers of the names.
func (a *authority) issue(commonName string, names ...string) tls.Certificate {
	a.t.Helper()
	return a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: commonName}, DNSNames: names,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
}

func (a *authority) sign(template *x509.Certificate) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	servetest.Must(a.t, "key", err)
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	servetest.Must(a.t, "serial number", err)
	template.SerialNumber = serial
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.root, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	servetest.Must(a.t, "sign", err)
	leaf, err := x509.ParseCertificate(der)
	servetest.Must(a.t, "parse", err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// put writes a pair's files.
func (a *authority) put(name string, c tls.Certificate) (certFile, keyFile string) {
	a.t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	servetest.Must(a.t, "encode the key", err)
	return a.write(name+".crt", "CERTIFICATE", c.Certificate[0]), a.write(name+".key", "PRIVATE KEY", key)
}

func (a *authority) write(name, kind string, der []byte) string {
	a.t.Helper()
	path := filepath.Join(a.dir, name)
	servetest.Must(a.t, "write "+name, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return path
}

// served is the certificate that url shows for a server name.
func served(t *testing.T, url, serverName string) *x509.Certificate {
	t.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{ServerName: serverName, InsecureSkipVerify: true})
	servetest.Must(t, "handshake for "+serverName, err)
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

// certClient is a client with a certificate.
func certClient(t *testing.T, c tls.Certificate) *http.Client {
	t.Helper()
	client := newClient(t)
	client.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{c}
	return client
}
