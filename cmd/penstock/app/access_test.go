package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// tokenIssuer signs tokens of https://id.example.
type tokenIssuer struct{ key *ecdsa.PrivateKey }

func newTokenIssuer(t *testing.T) *tokenIssuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	servetest.Must(t, "key", err)
	return &tokenIssuer{key}
}

func (i *tokenIssuer) writeJWKS(t *testing.T, file string) {
	t.Helper()
	point, err := i.key.PublicKey.Bytes()
	servetest.Must(t, "point", err)
	b64 := base64.RawURLEncoding.EncodeToString
	text, err := json.Marshal(map[string]any{"keys": []any{map[string]any{
		"kty": "EC", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:]),
	}}})
	servetest.Must(t, "JWKS", err)
	servetest.Must(t, "write JWKS", replaceFile(file, text))
}

func (i *tokenIssuer) token(t *testing.T, user string, groups ...string) string {
	t.Helper()
	claims, err := json.Marshal(map[string]any{
		"iss": "https://id.example", "aud": "penstock", "sub": user, "groups": groups, "exp": time.Now().Add(time.Hour).Unix(),
	})
	servetest.Must(t, "claims", err)
	b64 := base64.RawURLEncoding.EncodeToString
	token := b64([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + b64(claims)
	sum := sha256.Sum256([]byte(token))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, sum[:])
	servetest.Must(t, "sign", err)
	signature := make([]byte, 64) // RFC 7518 §3.4
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return "Bearer " + token + "." + b64(signature)
}

func TestJWTAndPolicy(t *testing.T) {
	dir := t.TempDir()
	keys, policy := filepath.Join(dir, "jwks"), filepath.Join(dir, "policy")
	issuer := newTokenIssuer(t)
	issuer.writeJWKS(t, keys)
	write := func(text string) { servetest.Must(t, "write policy", replaceFile(policy, []byte(text))) }
	write(`{"user": "id:ann", "path": "/echo"}` + "\n" + `{"group": "readers", "path": "/*", "readonly": true}`)
	p := start(
		t, nil, "serve", "--listen", anyPort, "--admin", "off", "--jwt-issuer", "https://id.example", "--jwt-audience", "penstock",
		"--jwt-jwks-file", keys, "--jwt-username-prefix", "id:", "--authorization-policy-file", policy,
	)
	status := func(method, path, token string) int {
		resp, _ := ask(t, newClient(t), method, p.urls[0]+path, "Authorization", token)
		return resp.StatusCode
	}
	ann, rob := issuer.token(t, "ann"), issuer.token(t, "rob", "readers")
	servetest.Want(t, "no token", status("GET", "/version", ""), http.StatusUnauthorized)
	servetest.Want(t, "a token of somebody else's", status("GET", "/version", newTokenIssuer(t).token(t, "ann")), http.StatusUnauthorized)
	servetest.Want(t, "probes need none", status("GET", "/readyz", ""), http.StatusOK)
	servetest.Want(t, "allowed by name", status("POST", "/echo", ann), http.StatusOK)
	servetest.Want(t, "another path", status("GET", "/version", ann), http.StatusForbidden)
	servetest.Want(t, "allowed by group", status("GET", "/version", rob), http.StatusOK)
	servetest.Want(t, "to read alone", status("POST", "/echo", rob), http.StatusForbidden)

	write(`{"user": "id:ann", "path": "/version"}`)
	servetest.WantSoon(t, "the new policy counts without a signal", func() bool { return status("GET", "/version", ann) == http.StatusOK })
	servetest.Want(t, "and the old one no more", status("POST", "/echo", ann), http.StatusForbidden)
	write(`{"user": `)
	p.signal(syscall.SIGHUP)
	servetest.WantSoon(t, "it is told", func() bool { return strings.Contains(p.stderr.String(), "policy file") })
	servetest.Want(t, "half a policy leaves the last", status("GET", "/version", ann), http.StatusOK)
	newTokenIssuer(t).writeJWKS(t, keys)
	servetest.WantSoon(t, "with other keys its tokens are worth nothing", func() bool { return status("GET", "/version", ann) == http.StatusUnauthorized })
	wantExit(t, p, ExitClean)
}

func TestRateLimitFlag(t *testing.T) {
	p := start(t, nil, "respond", "--listen", anyPort, "--rate-limit", "0.001", "--rate-limit-burst", "3")
	client := newClient(t)
	for n := range 4 {
		resp, _ := ask(t, client, http.MethodGet, p.urls[0])
		want := http.StatusOK
		if n == 3 {
			want = http.StatusTooManyRequests
		}
		servetest.Want(t, "status", resp.StatusCode, want)
	}
}

// A level without seats to spare refuses; another is not touched by that.
func TestPriorityLevelFlag(t *testing.T) {
	p := start(
		t, nil, "respond", "--listen", anyPort, "--delay", "10m", "--shutdown-timeout", "500ms", "--max-requests-inflight", "2",
		"--priority-level", "slow,queues=0,path=/slow/", "--priority-level", "rest,queues=0",
	)
	inFlight(t, p.urls[0]+"/slow/1")
	resp, _ := ask(t, newClient(t), http.MethodGet, p.urls[0]+"/slow/2")
	servetest.Want(t, "its share is one seat", resp.StatusCode, http.StatusTooManyRequests)
	inFlight(t, p.urls[0]+"/other") // has come to the handler, or it would fail
	wantExit(t, p, ExitCut)
}

func TestParseLevels(t *testing.T) {
	o := AccessOptions{PriorityLevels: []string{
		"system,exempt,group=system:masters", "batch,shares=2,queues=8,queue-length=20,user=nightly,path=/jobs/,method=POST", "rest",
	}}
	rules, err := o.levels()
	servetest.Must(t, "levels", err)
	for _, c := range []struct {
		name, method, path string
		user               *handler.User
		want               int
	}{
		{"by group", "GET", "/", &handler.User{Name: "x", Groups: []string{"system:masters"}}, 0},
		{"by all of its keys", "POST", "/jobs/1", &handler.User{Name: "nightly"}, 1},
		{"another method", "GET", "/jobs/1", &handler.User{Name: "nightly"}, 2},
		{"another user", "POST", "/jobs/1", &handler.User{Name: "ann"}, 2},
		{"nobody", "POST", "/jobs/1", nil, 2},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, "http://h"+c.path, nil)
		servetest.Must(t, "request", err)
		r.RemoteAddr = "[2001:db8::1]:99"
		level, flow := rules.classify(&handler.Exchange{Request: r, User: c.user})
		servetest.Want(t, c.name, level, c.want)
		if c.user == nil {
			servetest.Want(t, "flow of an address", flow, " \x01\r\xb8\x00\x00\x00\x00")
		} else {
			servetest.Want(t, "flow of a user", flow, c.user.Name)
		}
	}
	servetest.Want(t, "shares", rules[1].Shares, 2)
	servetest.Want(t, "queues", rules[1].Queues, 8)
}
