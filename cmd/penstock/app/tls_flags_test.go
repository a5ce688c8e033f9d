package app

import (
	"crypto/tls"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func TestSNICertKey(t *testing.T) {
	a := newAuthority(t)
	defaultCert, defaultKey := a.put("default", a.issue("default", "edge.example"))
	byName, byNameKey := a.put("own", a.issue("own", "own.example"))
	named, namedKey := a.put("named", a.issue("named", "other.example"))
	p := start(
		t, nil, "respond", "--tls-listen", anyPort, "--tls-cert-file", defaultCert, "--tls-private-key-file", defaultKey,
		"--tls-sni-cert-key", byName+","+byNameKey, "--tls-sni-cert-key", named+","+namedKey+":*.named.example,exact.example",
	)
	for name, want := range map[string]string{
		"edge.example": "default", "none.example": "default", "own.example": "own", "a.named.example": "named", "exact.example": "named",
	} {
		servetest.Want(t, "certificate for "+name, served(t, p.urls[0], name).Subject.CommonName, want)
	}
}

func TestSNICertKeyFromTheEnvironment(t *testing.T) {
	a := newAuthority(t)
	first, firstKey := a.put("first", a.issue("first", "first.example"))
	second, secondKey := a.put("second", a.issue("second", "second.example"))
	env := "PENSTOCK_TLS_SNI_CERT_KEY=" + first + "," + firstKey + "\n" + second + "," + secondKey
	p := start(t, []string{env}, "respond", "--tls-listen", anyPort)
	servetest.Want(t, "the first pair is the default", served(t, p.urls[0], "none.example").Subject.CommonName, "first")
	servetest.Want(t, "the second by its name", served(t, p.urls[0], "second.example").Subject.CommonName, "second")
}

func TestClientCertificateRequired(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	p := start(t, nil, "respond", "--tls-listen", anyPort, "--listen", anyPort, "--client-ca-file", a.file, "--body", "hi")
	secure, plain := p.urls[0], p.urls[1]
	for name, client := range map[string]*http.Client{
		"no certificate": newClient(t), "another authority's": certClient(t, stranger.issue("eve")),
	} {
		if resp, err := client.Get(secure); err == nil {
			_ = resp.Body.Close()
			t.Errorf("%s: answered %s", name, resp.Status)
		}
	}
	for _, c := range []tls.Certificate{a.issue("ann"), a.issue("")} {
		if status, body := fetch(t, certClient(t, c), secure); status != http.StatusOK || body != "hi" {
			t.Errorf("with a certificate of %q: %d %q", c.Leaf.Subject.CommonName, status, body)
		}
	}
	if status, _ := fetch(t, newClient(t), plain); status != http.StatusUnauthorized {
		t.Errorf("without TLS: %d", status)
	}
}

func TestClientCertificateRequested(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	p := start(t, nil, "respond", "--tls-listen", anyPort, "--client-ca-file", a.file, "--client-auth", "request", "--body", "hi")
	for name, test := range map[string]struct {
		client *http.Client
		status int
	}{
		"no certificate":      {newClient(t), http.StatusOK},
		"a certificate":       {certClient(t, a.issue("ann")), http.StatusOK},
		"another authority's": {certClient(t, stranger.issue("eve")), http.StatusUnauthorized},
	} {
		if status, _ := fetch(t, test.client, p.urls[0]); status != test.status {
			t.Errorf("%s: %d, want %d", name, status, test.status)
		}
	}
}

func TestTLSVersionSuitesAndCurves(t *testing.T) {
	const suite = tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
	tests := []struct {
		name   string
		args   []string
		client *tls.Config
		ok     bool
	}{
		{"TLS 1.2 by default", nil, &tls.Config{MaxVersion: tls.VersionTLS12}, true},
		{"TLS 1.2 below the minimum", []string{"--tls-min-version", "VersionTLS13"}, &tls.Config{MaxVersion: tls.VersionTLS12}, false},
		{"TLS 1.3 at the minimum", []string{"--tls-min-version", "VersionTLS13"}, &tls.Config{}, true},
		{"the suite", []string{"--tls-cipher-suites", tls.CipherSuiteName(suite)}, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}}, true},
		{
			"another suite",
			[]string{"--tls-cipher-suites", tls.CipherSuiteName(suite)},
			&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}},
			false,
		},
		{"the curve", []string{"--tls-curve-preferences", "4588"}, &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519MLKEM768}}, true},
		{"another curve", []string{"--tls-curve-preferences", "4588"}, &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519}}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := start(t, nil, append([]string{"respond", "--tls-listen", anyPort}, test.args...)...)
			test.client.InsecureSkipVerify = true
			conn, err := tls.Dial("tcp", strings.TrimPrefix(p.urls[0], "https://"), test.client)
			if (err == nil) != test.ok {
				t.Errorf("handshake: %v", err)
			}
			if err == nil {
				_ = conn.Close()
			}
		})
	}
}

// A restart shows the same certificate.
func TestCertDirIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certificates")
	var serials []string
	for range 2 {
		p := start(t, nil, "respond", "--tls-listen", anyPort, "--cert-dir", dir)
		serials = append(serials, served(t, p.urls[0], "localhost").SerialNumber.String())
		p.signal(syscall.SIGTERM)
		code, stderr := p.wait()
		servetest.Want(t, "exit code: "+stderr, code, ExitClean)
	}
	servetest.Want(t, "the second start's serial number", serials[1], serials[0])
}

func TestHangupReloadsCertificates(t *testing.T) {
	a := newAuthority(t)
	certFile, keyFile := a.put("pair", a.issue("old", "edge.example"))
	p := start(t, nil, "respond", "--tls-listen", anyPort, "--tls-cert-file", certFile, "--tls-private-key-file", keyFile)
	servetest.Want(t, "at the start", served(t, p.urls[0], "edge.example").Subject.CommonName, "old")
	a.put("pair", a.issue("new", "edge.example"))
	p.signal(syscall.SIGHUP)
	servetest.WantSoon(t, "the new certificate is served", func() bool {
		return served(t, p.urls[0], "edge.example").Subject.CommonName == "new"
	})
	a.write("pair.crt", "CERTIFICATE", []byte("broken"))
	p.signal(syscall.SIGHUP)
	servetest.Want(t, "broken files change nothing", served(t, p.urls[0], "edge.example").Subject.CommonName, "new")
	p.signal(syscall.SIGTERM)
	code, stderr := p.wait()
	servetest.Want(t, "exit code: "+stderr, code, ExitClean)
}
