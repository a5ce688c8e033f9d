package certs

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pairFiles are good and bad PEM files by name.
type pairFiles struct{ dir string }

func (f pairFiles) path(name string) string { return filepath.Join(f.dir, name) }

func (f pairFiles) write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(f.path(name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func newPairFiles(t *testing.T) pairFiles {
	t.Helper()
	f := pairFiles{t.TempDir()}
	certPEM, keyPEM, certDER := pemPair(t)
	otherCert, otherKey, _ := pemPair(t)
	f.write(t, "cert", certPEM)
	f.write(t, "key", keyPEM)
	f.write(t, "other-key", otherKey)
	f.write(t, "chain-reversed", append(append([]byte(nil), otherCert...), certPEM...))
	f.write(t, "both", append(append([]byte(nil), keyPEM...), certPEM...))
	f.write(t, "der", certDER)
	f.write(t, "empty", []byte("\n"))
	f.write(t, "text", []byte("hello"))
	f.write(t, "huge", make([]byte, maxPEMFileBytes+1))
	f.write(t, "encrypted", pem.EncodeToMemory(&pem.Block{Type: pemEncrypted, Bytes: []byte{1}}))
	f.write(t, "encrypted-legacy", pem.EncodeToMemory(&pem.Block{
		Type: "EC PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: []byte{1},
	}))
	f.write(t, "damaged-cert", pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: certDER[:40]}))
	f.write(t, "damaged-key", pem.EncodeToMemory(&pem.Block{Type: pemKeySuffix, Bytes: []byte{1, 2, 3}}))
	return f
}

func pemPair(t *testing.T) (certPEM, keyPEM, certDER []byte) {
	t.Helper()
	cert, err := SelfSigned(nil)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	certDER = cert.Certificate[0]
	return pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: certDER}),
		pem.EncodeToMemory(&pem.Block{Type: pemKeySuffix, Bytes: keyDER}), certDER
}

func TestLoadPair(t *testing.T) {
	f := newPairFiles(t)
	for _, names := range [][2]string{{"cert", "key"}, {"both", "both"}, {"both", "key"}} {
		pair, err := LoadPair(f.path(names[0]), f.path(names[1]))
		if err != nil {
			t.Errorf("%v: %v", names, err)
			continue
		}
		if pair.Leaf == nil || len(pair.Certificate) != 1 {
			t.Errorf("%v: leaf %v, %d certificates", names, pair.Leaf, len(pair.Certificate))
		}
	}
}

func TestLoadPairNamesFileAndFix(t *testing.T) {
	f := newPairFiles(t)
	tests := []struct {
		name, cert, key string
		file            string // which is blamed
		problem, fix    string
	}{
		{"missing certificate", "none", "key", "none", "no such file", "check the path"},
		{"missing key", "cert", "none", "none", "no such file", "check the path"},
		{"directory", ".", "key", ".", "is a directory", "name the file in it"},
		{"swapped", "key", "cert", "key", "holds the private key", "swap the two files"},
		{"key given twice", "key", "key", "key", "no certificate", "chain"},
		{"certificate given twice", "cert", "cert", "cert", "no private key", "give the key"},
		{"DER certificate", "der", "key", "der", "looks like DER", "openssl x509 -inform der"},
		{"DER key", "cert", "der", "der", "looks like DER", "openssl pkey -inform der"},
		{"empty", "empty", "key", "empty", "is empty", "PEM file with the certificate"},
		{"text", "cert", "text", "text", "holds no PEM private key", "PEM file with the private key"},
		{"huge", "huge", "key", "huge", "larger than 1024 KiB", "only the certificate chain"},
		{"encrypted key", "cert", "encrypted", "encrypted", "is encrypted", "openssl pkey"},
		{"encrypted legacy key", "cert", "encrypted-legacy", "encrypted-legacy", "is encrypted", "openssl pkey"},
		{"damaged certificate", "damaged-cert", "key", "damaged-cert", "certificate 1 is damaged", "export it again"},
		{"damaged key", "cert", "damaged-key", "damaged-key", "cannot be used", "unencrypted PEM key"},
		{"key of another certificate", "cert", "other-key", "other-key", "does not belong to the certificate in", "issued for"},
		{"chain out of order", "chain-reversed", "key", "chain-reversed", "belongs to certificate 2", "own certificate first"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := LoadPair(f.path(test.cert), f.path(test.key))
			var pe *PairError
			if !errors.As(err, &pe) {
				t.Fatalf("error is %v, want a *PairError", err)
			}
			if pe.File != f.path(test.file) || !strings.Contains(pe.Problem, test.problem) || !strings.Contains(pe.Fix, test.fix) {
				t.Errorf("got %q, want file %s, problem %q, fix %q", err, test.file, test.problem, test.fix)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
		})
	}
	t.Run("no name", func(t *testing.T) {
		if _, err := LoadPair("", ""); err == nil || !strings.Contains(err.Error(), "no file name") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("unreadable", func(t *testing.T) {
		if os.Geteuid() == 0 {
			t.Skip("root may read everything")
		}
		if err := os.Chmod(f.path("key"), 0); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadPair(f.path("cert"), f.path("key")); err == nil || !strings.Contains(err.Error(), "permission denied") {
			t.Errorf("got %v", err)
		}
	})
}

func TestLoadPairTakesEd25519(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template, err := selfSignedTemplate(nil, pairTestNow)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	f := pairFiles{t.TempDir()}
	f.write(t, "cert", pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: der}))
	f.write(t, "key", pem.EncodeToMemory(&pem.Block{Type: pemKeySuffix, Bytes: keyDER}))
	var pair tls.Certificate
	if pair, err = LoadPair(f.path("cert"), f.path("key")); err != nil || pair.Leaf == nil {
		t.Errorf("LoadPair: %v", err)
	}
}
