package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"sync"
	"testing"
	"time"
)

func TestSelfSigned(t *testing.T) {
	cert, err := SelfSigned([]string{"Edge.Example.org.", "192.0.2.7", "2001:db8::1"})
	if err != nil {
		t.Fatal(err)
	}
	leaf := cert.Leaf
	key, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		t.Errorf("public key is %T, want ECDSA P-256", leaf.PublicKey)
	}
	for _, host := range []string{"edge.example.org", "192.0.2.7", "2001:db8::1"} {
		if err := leaf.VerifyHostname(host); err != nil {
			t.Errorf("VerifyHostname(%s): %v", host, err)
		}
	}
	if err := leaf.VerifyHostname("localhost"); err == nil {
		t.Error("valid for localhost, which was not asked for")
	}
	if got, want := leaf.NotAfter.Sub(leaf.NotBefore), selfSignedLifetime+selfSignedBackdate; got != want {
		t.Errorf("valid for %v, want %v", got, want)
	}
	if behind := time.Now().Add(-59 * time.Minute); behind.Before(leaf.NotBefore) {
		t.Error("a client 59 minutes behind refuses it")
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	if _, err := leaf.Verify(x509.VerifyOptions{DNSName: "edge.example.org", Roots: roots}); err != nil {
		t.Errorf("a client that trusts it refuses it: %v", err)
	}
}

func TestSelfSignedDefaultHosts(t *testing.T) {
	cert, err := SelfSigned(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "127.0.0.1", "::1"} {
		if err := cert.Leaf.VerifyHostname(host); err != nil {
			t.Errorf("VerifyHostname(%s): %v", host, err)
		}
	}
}

func TestSelfSignedRefusesWhatIsNoHost(t *testing.T) {
	for _, host := range []string{"", ".", "a b", "localhost:8443", "https://x"} {
		if _, err := SelfSigned([]string{host}); err == nil {
			t.Errorf("SelfSigned(%q) succeeded", host)
		}
	}
}

func TestSelfSignedSourceRenews(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := start
	source, err := newSelfSignedSource(nil, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	first := source.Certificate()
	tests := []struct {
		name    string
		now     time.Time
		renewed bool
	}{
		{"at once", start, false},
		{"31 days before the end", start.Add(selfSignedLifetime - 31*24*time.Hour), false},
		{"29 days before the end", start.Add(selfSignedLifetime - 29*24*time.Hour), true},
		{"after the end", start.Add(2 * selfSignedLifetime), true},
		{"clock set back behind its start", start.Add(-2 * time.Hour), true},
	}
	for _, test := range tests {
		source.current.Store(first)
		now = test.now
		got, err := source.GetCertificate(nil)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if (got != first) != test.renewed {
			t.Errorf("%s: renewed %v, want %v", test.name, got != first, test.renewed)
		}
		if now.Before(got.Leaf.NotBefore) || now.After(got.Leaf.NotAfter) {
			t.Errorf("%s: not valid now", test.name)
		}
	}
}

func TestSelfSignedSourceRenewsOnceForManyHandshakes(t *testing.T) {
	source, err := newSelfSignedSource(nil, func() time.Time { return time.Now().Add(selfSignedLifetime) })
	if err != nil {
		t.Fatal(err)
	}
	old, err := selfSignedAt(nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	source.current.Store(&old)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if cert, err := source.GetCertificate(nil); err != nil || cert == nil {
				t.Errorf("GetCertificate = %v, %v", cert, err)
			}
		})
	}
	wg.Wait()
	fresh := source.Certificate()
	if fresh == &old {
		t.Fatal("not renewed")
	}
	if cert, _ := source.GetCertificate(nil); cert != fresh {
		t.Error("renewed again although the fresh one is good")
	}
}
