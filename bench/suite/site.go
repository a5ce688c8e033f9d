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

// mixURLs is how many URLs a mix asks in turn; the last is slowPath.
const mixURLs = 100

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
	if err := s.writeFiles(); err != nil {
		return nil, err
	}
	var err error
	s.originPort, err = freePort()
	return s, err
}

func (s *site) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

// write makes files of the site, readable for workers that run as other users.
func (s *site) write(files ...file) error {
	for _, f := range files {
		if err := os.MkdirAll(filepath.Dir(s.path(f.name)), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(s.path(f.name), []byte(f.text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (s *site) writeFiles() error {
	random := make([]byte, 1<<20)
	if _, err := rand.Read(random); err != nil {
		return err
	}
	files := []file{
		{"www/hello", helloText},
		{"www/1k.txt", strings.Repeat("0123456789abcdef", 64)},
		{"www/100k.bin", string(random[:100_000])},
		{"www/1m.bin", string(random)},
		{"mix.urls", strings.Repeat(helloPath+"\n", mixURLs-1) + slowPath + "\n"},
	}
	for _, b := range bodySizes {
		files = append(files, file{"www/" + b.file, strings.Repeat("x", b.size)})
	}
	for _, size := range []int{1 << 10, 16 << 10, 64 << 10} {
		files = append(files, file{postFile(size), strings.Repeat("x", size)})
	}
	return s.write(files...)
}

// postFile has the body of requests.
func postFile(size int) string { return fmt.Sprintf("post-%d.bin", size) }

// writeCertificate makes one pair for all: ECDSA P-256, as cert.pem, key.pem and
// both.pem (HAProxy). The key is readable for all: it is worth nothing.
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
	cert := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	secret := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	return s.write(file{"cert.pem", cert}, file{"key.pem", secret}, file{"both.pem", cert + secret})
}
