package app

import (
	"crypto/tls"
	"net/http"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// An admin address that other machines reach lets in who has a certificate.
func TestAdminTLS(t *testing.T) {
	a := newAuthority(t)
	cert, key := a.put("admin", a.issue("admin", "admin.example"))
	p := start(
		t, nil, "respond", "--listen", anyPort, "--admin", "0.0.0.0:0", "--admin-client-ca-file", a.file,
		"--admin-tls-cert-file", cert, "--admin-tls-private-key-file", key,
	)
	_, port, _ := strings.Cut(strings.TrimPrefix(p.urls[1], "https://"), ":")
	url := "https://127.0.0.1:" + port + "/readyz"
	client := func(certificates ...tls.Certificate) *http.Client {
		c := newClient(t)
		c.Transport.(*http.Transport).TLSClientConfig = &tls.Config{InsecureSkipVerify: true, Certificates: certificates}
		return c
	}
	known := client(a.issue("ops"))
	resp, _ := ask(t, known, http.MethodGet, url)
	servetest.Want(t, "with a certificate", resp.StatusCode, http.StatusOK)
	for name, c := range map[string]*http.Client{"without": client(), "with one of somebody else's": client(newAuthority(t).issue("ops"))} {
		if resp, err := c.Get(url); err == nil {
			_ = resp.Body.Close()
			t.Errorf("%s: answered %d", name, resp.StatusCode)
		}
	}
	for host, want := range map[string]int{"admin.example": http.StatusOK, "other.example": http.StatusMisdirectedRequest} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		servetest.Must(t, "request", err)
		r.Host = host
		resp, err := known.Do(r)
		servetest.Must(t, host, err)
		_ = resp.Body.Close()
		servetest.Want(t, host, resp.StatusCode, want)
	}
	wantExit(t, p, ExitClean)
}
