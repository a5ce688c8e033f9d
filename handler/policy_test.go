package handler

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// through sends one request through stages to h.
func through(h http.Handler, r *http.Request, stages ...Stage) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	NewChain(h, stages...).ServeHTTP(w, r)
	return w
}

// request makes one; fields are "Name: value".
func request(method, target string, fields ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Add(name, value)
	}
	return r
}

var plainOK = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })

// setting is a handler that sets one field.
func setting(name string, values ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header()[name] = values })
}

func wantField(t *testing.T, w *httptest.ResponseRecorder, name, want string) {
	t.Helper()
	servetest.Want(t, name, strings.Join(w.Header().Values(name), " | "), want)
}

func TestExactPaths(t *testing.T) {
	pick := ExactPaths("/readyz", "/version")
	for path, want := range map[string]bool{
		"/readyz": true, "/version": true, "/": false, "/readyzfoo": false, "/readyz/": false, "/readyz/ping": false, "/READYZ": false,
	} {
		servetest.Want(t, path, pick(&Exchange{Request: request("GET", path)}), want)
	}
	servetest.Want(t, "of none", ExactPaths()(&Exchange{Request: request("GET", "/")}), false)
}

// policyStages is each stage for a request that passes it.
func policyStages(tb testing.TB) map[string]Stage {
	tb.Helper()
	security, err := NewSecurityHeaders(SecurityHeadersOptions{
		HSTS: []string{"max-age=31536000", "includeSubDomains"}, NoSniff: true, FrameOptions: "DENY", ReferrerPolicy: "same-origin",
	})
	servetest.Must(tb, "security headers", err)
	cors, err := NewCORS(CORSOptions{AllowedOrigins: []string{`^https://example\.com$`}, AllowCredentials: true})
	servetest.Must(tb, "CORS", err)
	known := &User{Name: "ann", Groups: []string{"users"}}
	authn, err := NewAuthentication(AuthenticationOptions{
		Authenticator: AuthenticatorFunc(func(*Exchange) (*User, bool, error) { return known, true, nil }),
	})
	servetest.Must(tb, "authentication", err)
	open, err := NewAuthentication(AuthenticationOptions{Anonymous: AllRequests})
	servetest.Must(tb, "anonymous", err)
	allow := AuthorizerFunc(func(*Exchange) (Decision, string, error) { return DecisionAllow, "", nil })
	audit := NewAudit(AuditOptions{Sink: io.Discard})
	tb.Cleanup(func() { servetest.Must(tb, "audit", audit.Shutdown(context.WithoutCancel(tb.Context()))) })
	return map[string]Stage{
		"security headers": security,
		"cache control":    NewCacheControl(AllRequests),
		"CORS":             cors,
		"authentication":   authn,
		"anonymous":        open,
		"authorization":    NewAuthorization(AuthorizationOptions{Authorizer: allow}),
		"allowed path":     NewAuthorization(AuthorizationOptions{AllowPaths: []string{"/"}}),
		"audit":            audit,
	}
}

// benchRequest is a plain GET, as a page of an allowed origin sends it over TLS.
func benchRequest() *http.Request {
	return request("GET", "https://server.example/", "Origin: https://example.com", "User-Agent: bench/1", "Accept: */*")
}

func TestPolicyStagesAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for name, s := range policyStages(t) {
		servetest.Want(t, name+": allocations", allocations(NewChain(NotFound{}, s), benchRequest()), 0)
	}
}
