package serve_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/quic-go/quic-go/http3"

	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/certs"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// roundTrippers are clients of each version that open a connection a call.
var roundTrippers = []struct {
	proto string
	open  func(*tls.Config) (http.RoundTripper, func())
}{
	{"HTTP/1.1", func(c *tls.Config) (http.RoundTripper, func()) {
		t := &http.Transport{TLSClientConfig: c}
		return t, t.CloseIdleConnections
	}},
	{"HTTP/2.0", func(c *tls.Config) (http.RoundTripper, func()) {
		t := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
		return t, t.CloseIdleConnections
	}},
	{"HTTP/3.0", func(c *tls.Config) (http.RoundTripper, func()) {
		t := &http3.Transport{TLSClientConfig: c}
		return t, func() { t.Close() }
	}},
}

// askFor asks for host on a new connection under cfg's server name, and returns
// status and content, or the error's text.
func askFor(t *testing.T, proto, addr, host string, cfg *tls.Config) string {
	t.Helper()
	for _, rt := range roundTrippers {
		if rt.proto != proto {
			continue
		}
		transport, end := rt.open(cfg.Clone())
		defer end()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+addr+"/", http.NoBody)
		servetest.Must(t, "request", err)
		req.Host = host
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		servetest.Must(t, "read", err)
		servetest.Want(t, "version", resp.Proto, proto)
		return fmt.Sprint(resp.StatusCode, " ", string(body))
	}
	panic("BUG: no client of " + proto)
}

// TestMisdirected: a request for a name whose clients are asked for more, or
// less, than those of the connection's is answered 421, over every version, in a
// new session and a resumed one (rule T-5); nothing of it reaches the handler.
func TestMisdirected(t *testing.T) {
	servetest.CheckLeaks(t)
	files := newTLSFiles(t)
	cfg := certs.Config{
		Log: quiet(), Policies: []certs.NamedPolicy{
			{Patterns: []string{"secret.com", "*.secret.com", "twin.com"}, Policy: certs.Policy{ClientAuth: certs.ClientAuthRequire, ClientCAFile: files.ca}},
			{Patterns: []string{"new.com"}, Policy: certs.Policy{MinVersion: tls.VersionTLS13}},
		},
	}
	cfg.CertFile, cfg.KeyFile = files.put("server", files.issue("open.com", "other.com", "secret.com", "www.secret.com", "twin.com", "new.com"))
	d, r := startDynamic(t, cfg, serve.ServerOptions{})
	for _, rt := range roundTrippers {
		for _, test := range []struct {
			sni, host string
			misled    bool
		}{
			{"open.com", "open.com", false},
			{"open.com", "other.com:8443", false},
			{"open.com", "secret.com", true},
			{"open.com", "SECRET.com.:443", true},
			{"open.com", "a.b.secret.com", true},
			{"open.com", "new.com", true},
			{"secret.com", "open.com", true},
			{"secret.com", "Secret.Com", false},
			{"secret.com", "www.secret.com:1", false},
			{"secret.com", "twin.com", false},
			{"new.com", "open.com", true},
			{"", "open.com", false},
			{"", "secret.com", true},
			{"", "127.0.0.1", false},
		} {
			client := files.client(test.sni)
			if test.sni == "" { // an address as name is not sent
				client.ServerName, client.InsecureSkipVerify = "127.0.0.1", true
			}
			for _, session := range []string{"new", "resumed"} {
				want := fmt.Sprintf("200 %s %s", test.sni, session)
				if test.misled {
					want = "421 this connection was made for another host\n"
				}
				got := askFor(t, rt.proto, r.addr, test.host, client)
				servetest.Want(t, fmt.Sprintf("%s, %s, under %q for %q", rt.proto, session, test.sni, test.host), got, want)
			}
		}
	}
	r.stop(t)
	d.Close()
}
