package serve_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/certs"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// childEnv makes the test binary be the child that it names: tests of signals
// and of resource limits need a process of their own.
const childEnv = "TEST_BINARY_IS_CHILD"

// patience bounds every wait; reaching it fails the test.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	if name := os.Getenv(childEnv); name != "" {
		os.Exit(runChild(name))
	}
	servetest.Main(m)
}

func runChild(name string) int {
	switch name {
	case "signals":
		return childSignals()
	case "descriptors":
		return childDescriptors()
	}
	return 99
}

// quiet is a log that nobody reads.
func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// testCert is one certificate for localhost and 127.0.0.1, for all tests.
var testCert = sync.OnceValues(func() (tls.Certificate, *x509.CertPool) {
	cert, err := certs.SelfSigned(nil)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		panic(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return cert, pool
})

// serverTLS and clientTLS trust each other.
func serverTLS() *tls.Config {
	cert, _ := testCert()
	return &tls.Config{Certificates: []tls.Certificate{cert}}
}

func clientTLS() *tls.Config {
	_, pool := testCert()
	return &tls.Config{RootCAs: pool, ServerName: "localhost"}
}

func listenTCP(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// within fails the test unless ch closes or delivers in time.
func within[T any](t *testing.T, why string, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		t.Fatalf("%s: not within %v", why, patience)
	}
	return v
}
