package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// patience bounds every wait of a test; reaching it fails.
const patience = 20 * time.Second

// authority issues certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

// issued is a certificate as files hold it.
type issued struct {
	cert, key []byte
	pair      tls.Certificate
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	a := &authority{}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	made := sign(t, template, nil)
	a.cert, a.key, a.pem = made.pair.Leaf, made.pair.PrivateKey.(*ecdsa.PrivateKey), made.cert
	return a
}

// issue makes a certificate for client and server: cn and the names and
// addresses of sans.
func (a *authority) issue(t testing.TB, cn string, sans ...string) issued {
	t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: cn}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, san := range sans {
		if ip := net.ParseIP(san); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, san)
		}
	}
	return sign(t, template, a)
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

func sign(t testing.TB, template *x509.Certificate, by *authority) issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	servetest.Must(t, "make a key", err)
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	servetest.Must(t, "make a serial number", err)
	template.SerialNumber, template.NotBefore, template.NotAfter = serial, time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	servetest.Must(t, "sign", err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	servetest.Must(t, "encode the key", err)
	i := issued{
		cert: pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: der}),
		key:  pem.EncodeToMemory(&pem.Block{Type: pemKeySuffix, Bytes: keyDER}),
	}
	i.pair, err = tls.X509KeyPair(i.cert, i.key)
	servetest.Must(t, "read the pair back", err)
	return i
}

// pairDir is a folder with files named after what they are for.
type pairDir struct {
	t   testing.TB
	dir string
}

func newPairDir(t testing.TB) pairDir { return pairDir{t, t.TempDir()} }

func (d pairDir) path(name string) string { return filepath.Join(d.dir, name) }

// write rewrites a file in place.
func (d pairDir) write(name string, data []byte) string {
	d.t.Helper()
	servetest.Must(d.t, "write "+name, os.WriteFile(d.path(name), data, 0o600))
	return d.path(name)
}

// put writes name.crt and name.key.
func (d pairDir) put(name string, i issued) (certFile, keyFile string) {
	d.t.Helper()
	return d.write(name+".crt", i.cert), d.write(name+".key", i.key)
}

// tlsServer answers handshakes, and one byte on each connection.
type tlsServer struct {
	net.Listener
	config *tls.Config
	conns  sync.WaitGroup
}

// serveTLS serves on address until the test ends.
func serveTLS(t testing.TB, address string, config *tls.Config) *tlsServer {
	t.Helper()
	l, err := net.Listen("tcp", address)
	servetest.Must(t, "listen", err)
	s := &tlsServer{Listener: l, config: config}
	s.conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.conns.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(patience))
				secure := tls.Server(c, config)
				if secure.Handshake() == nil {
					secure.Write([]byte("x")) // behind it a client has its ticket
					io.Copy(io.Discard, secure)
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		s.conns.Wait()
	})
	return s
}

// shake connects once, reads the byte, and tells what was agreed on.
func (s *tlsServer) shake(config *tls.Config) (tls.ConnectionState, error) {
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	secure := tls.Client(c, config)
	if err := secure.Handshake(); err != nil {
		return tls.ConnectionState{}, err
	}
	_, err = io.ReadFull(secure, make([]byte, 1))
	return secure.ConnectionState(), err
}

// shown is the common name of the certificate that a client sees under a server
// name, or its error.
func (s *tlsServer) shown(serverName string) string {
	state, err := s.shake(&tls.Config{ServerName: serverName, InsecureSkipVerify: true})
	if err != nil {
		return err.Error()
	}
	return state.PeerCertificates[0].Subject.CommonName
}

// wantAlert fails the test unless err is that alert of the server's.
func wantAlert(t testing.TB, why string, err error, alert string) {
	t.Helper()
	var op *net.OpError
	if !errors.As(err, &op) || !strings.Contains(err.Error(), alert) {
		t.Errorf("%s: got %v, want the alert %q", why, err, alert)
	}
}
