package certs

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func TestCipherSuites(t *testing.T) {
	for _, test := range []struct {
		names   string
		want    []uint16
		any     string // error of CipherSuites
		serving string // error of ServingCipherSuites
	}{
		{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}, "", ""},
		{
			"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305 TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
			[]uint16{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256},
			"", "",
		},
		{"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305 TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", []uint16{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256}, "", ""},
		{"TLS_AES_128_GCM_SHA256", []uint16{tls.TLS_AES_128_GCM_SHA256}, "", ""},
		{"TLS_RSA_WITH_AES_128_GCM_SHA256", []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}, "", "forward secrecy"},
		{"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}, "", "forward secrecy"},
		{"TLS_RSA_WITH_RC4_128_SHA", []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}, "", "forward secrecy"},
		{"TLS_NULL", nil, `"TLS_NULL" is not known`, "not known"},
		{"tls_aes_128_gcm_sha256", nil, "not known", "not known"},
	} {
		names := strings.Fields(test.names)
		got, err := CipherSuites(names)
		wantError(t, test.names, err, test.any)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got %x, want %x", test.names, got, test.want)
		}
		_, err = ServingCipherSuites(names)
		wantError(t, "serving "+test.names, err, test.serving)
	}
	all, err := ServingCipherSuites(nil)
	servetest.Must(t, "without names", err)
	servetest.Want(t, "suites that pass", len(all), 6)
	again, err := ServingCipherSuites(ServingCipherSuiteNames())
	servetest.Must(t, "the names of the help text", err)
	servetest.Want(t, "they are all", slices.Equal(again, all), true)
}

// wantError fails the test unless err has text; empty: unless there is none.
func wantError(t *testing.T, why string, err error, text string) {
	t.Helper()
	if (err == nil) != (text == "") || err != nil && !strings.Contains(err.Error(), text) {
		t.Errorf("%s: got error %v, want %q", why, err, text)
	}
}

func TestCurves(t *testing.T) {
	got, err := Curves([]int{4588, 29, 23})
	servetest.Must(t, "known", err)
	servetest.Want(t, "curves", slices.Equal(got, []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256}), true)
	for numbers, want := range map[[2]int]string{
		{1, 29}: "curve 1 is not known", {29, 29}: "stands twice", {-1, 29}: "not known", {65536 + 29, 23}: "not known", {0, 29}: "not known",
	} {
		_, err := Curves(numbers[:])
		wantError(t, fmt.Sprint(numbers), err, want)
	}
}

func TestTLSVersion(t *testing.T) {
	for name, want := range map[string]uint16{"": tls.VersionTLS12, "VersionTLS12": tls.VersionTLS12, "VersionTLS13": tls.VersionTLS13} {
		got, err := TLSVersion(name)
		servetest.Must(t, name, err)
		servetest.Want(t, "version of "+name, got, want)
	}
	for name, want := range map[string]string{
		"VersionTLS11": "not served any more", "VersionTLS10": "not served any more", "VersionSSL30": "not known", "1.3": "not known",
	} {
		_, err := TLSVersion(name)
		wantError(t, name, err, want)
	}
}

// TestSettingsOfHandshakes: suites, curves, versions and ALPN names of a Config
// hold in handshakes, with and without what clients offer otherwise.
func TestSettingsOfHandshakes(t *testing.T) {
	dir, ca := newPairDir(t), newAuthority(t, "ca")
	cfg := Config{Log: quiet()}
	cfg.CertFile, cfg.KeyFile = dir.put("default", ca.issue(t, "default", "a.com"))
	client := func() *tls.Config { return &tls.Config{ServerName: "a.com", RootCAs: ca.pool()} }
	serve := func(c Config) *tlsServer {
		d, err := NewDynamic(c)
		servetest.Must(t, "NewDynamic", err)
		return serveTLS(t, "127.0.0.1:0", d.TLSConfig())
	}

	c := client()
	c.NextProtos = []string{"spdy/3", "http/1.1", "h2"}
	state, err := serve(cfg).shake(c)
	servetest.Must(t, "defaults", err)
	servetest.Want(t, "key exchange", state.CurveID, tls.X25519MLKEM768)
	servetest.Want(t, "version", state.Version, tls.VersionTLS13)
	servetest.Want(t, "ALPN", state.NegotiatedProtocol, "h2")
	c.NextProtos = []string{"h3"}
	_, err = serve(cfg).shake(c)
	wantAlert(t, "h3 over TCP", err, "no application protocol")
	c = client()
	c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
	_, err = serve(cfg).shake(c)
	wantAlert(t, "a suite without AEAD", err, "handshake failure")

	with := cfg
	with.CipherSuites, with.Curves, with.NextProtos = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384}, []tls.CurveID{tls.CurveP384}, []string{"http/1.1"}
	c = client()
	c.MaxVersion, c.NextProtos = tls.VersionTLS12, []string{"h2", "http/1.1"}
	state, err = serve(with).shake(c)
	servetest.Must(t, "with settings", err)
	servetest.Want(t, "suite", state.CipherSuite, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384)
	servetest.Want(t, "key exchange", state.CurveID, tls.CurveP384)
	servetest.Want(t, "ALPN", state.NegotiatedProtocol, "http/1.1")

	with.MinVersion = tls.VersionTLS13
	_, err = serve(with).shake(c)
	wantAlert(t, "TLS 1.2 where 1.3 is asked for", err, "protocol version")
	with.MinVersion = tls.VersionTLS11
	_, err = NewDynamic(with)
	servetest.WantErr(t, "TLS 1.1", err, errVersion)
}
