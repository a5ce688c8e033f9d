package suite

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// helloText is what all servers answer, in 13 bytes.
const helloText = "Hello, World!"

// site is what the servers of a run share, in a folder of its own.
type site struct {
	dir        string
	originPort int
}

func newSite(dir string) (*site, error) {
	s := &site{dir: dir}
	if err := os.Chmod(dir, 0o755); err != nil { // workers of nginx run as another user
		return nil, err
	}
	if err := s.writeCertificate(); err != nil {
		return nil, err
	}
	random := make([]byte, 1<<20)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	if err := os.Mkdir(s.path("www"), 0o755); err != nil {
		return nil, err
	}
	for name, content := range map[string][]byte{
		"www/hello": []byte(helloText), "www/1k.txt": []byte(strings.Repeat("0123456789abcdef", 64)), "www/100k.bin": random[:100_000], "www/1m.bin": random,
	} {
		if err := os.WriteFile(s.path(name), content, 0o644); err != nil {
			return nil, err
		}
	}
	var err error
	s.originPort, err = freePort()
	return s, err
}

func (s *site) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

// conf writes a configuration, and answers its path.
func (s *site) conf(name, text string) (string, error) {
	path := s.path(name)
	return path, os.WriteFile(path, []byte(text), 0o644)
}

// writeCertificate makes one pair for all: ECDSA P-256, as cert.pem, key.pem and
// both.pem (HAProxy).
func (s *site) writeCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour),
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	secret := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	for name, content := range map[string][]byte{"cert.pem": cert, "key.pem": secret, "both.pem": append(append([]byte{}, cert...), secret...)} {
		// Readable for all: it is worth nothing, and workers run as other users.
		if err := os.WriteFile(s.path(name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// originConf is the origin that proxies pass requests on to.
func (s *site) originConf() (string, error) {
	return s.conf("origin.conf", fmt.Sprintf(`worker_processes 1; daemon off; pid %[1]s/origin.pid; error_log %[1]s/origin.err;
events { worker_connections 8000; }
http { access_log off; keepalive_requests 100000000; keepalive_timeout 300;
 server { listen 127.0.0.1:%[2]d; location = /hello { default_type text/plain; return 200 "%[3]s"; } } }
`, s.dir, s.originPort, helloText))
}

// freePort is one that nobody has at this moment.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
