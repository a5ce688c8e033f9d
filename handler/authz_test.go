package handler

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func decides(d Decision, reason string, err error) Authorizer {
	return AuthorizerFunc(func(*Exchange) (Decision, string, error) { return d, reason, err })
}

func TestAuthorization(t *testing.T) {
	boom := errors.New("boom: secret")
	for _, c := range []struct {
		name       string
		authorizer Authorizer
		path       string
		status     int
		body       string
	}{
		{"allowed", decides(DecisionAllow, "", nil), "/", 200, "ok"},
		{"allowed in spite of an error", decides(DecisionAllow, "", boom), "/", 200, "ok"},
		{"denied", decides(DecisionDeny, "not today", nil), "/", 403, "403 forbidden: not today\n"},
		{"no opinion", decides(DecisionNoOpinion, "", nil), "/", 403, "403 forbidden\n"},
		{"unknown decision", decides(77, "", nil), "/", 403, "403 forbidden\n"},
		{"error", decides(DecisionNoOpinion, "x", boom), "/", 500, "500 internal server error\n"},
		{"denied with an error", decides(DecisionDeny, "x", boom), "/", 500, "500 internal server error\n"},
		{"nobody decides", nil, "/", 403, "403 forbidden\n"},
		{"open path", nil, "/livez", 200, "ok"},
		{"not quite it", nil, "/livez/", 403, "403 forbidden\n"},
		{"nor this", nil, "/livezfoo", 403, "403 forbidden\n"},
		{"first opinion", UnionAuthorizer(decides(0, "a", nil), decides(DecisionAllow, "", nil), decides(DecisionDeny, "", nil)), "/", 200, "ok"},
		{"deny is final", UnionAuthorizer(decides(DecisionDeny, "b", nil), decides(DecisionAllow, "", nil)), "/", 403, "403 forbidden: b\n"},
		{"reasons joined", UnionAuthorizer(decides(0, "a", nil), decides(0, "", nil), decides(0, "b", nil)), "/", 403, "403 forbidden: a; b\n"},
		{"errors joined", UnionAuthorizer(decides(0, "a", boom), decides(0, "b", nil)), "/", 500, "500 internal server error\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			told := 0
			w := through(plainOK, request("GET", c.path), NewAuthorization(AuthorizationOptions{
				Authorizer: c.authorizer, AllowPaths: []string{"/livez"},
				Refused: func(_ *Exchange, status int, _ string, _ error) { told = status },
			}))
			servetest.Want(t, "status", w.Code, c.status)
			servetest.Want(t, "body", w.Body.String(), c.body)
			if c.status == 200 {
				c.status = 0
			}
			servetest.Want(t, "the hook is told", told, c.status)
		})
	}
}

func TestAuthorizationReason(t *testing.T) {
	for _, c := range []struct{ reason, want string }{
		{"plain", "plain"},
		{"a\r\nb\x00\x1b[31m\u0085c", "a  b  [31m c"},
		{"bad \xff utf-8", "bad \uFFFD utf-8"},
		{strings.Repeat("é", maxReason), strings.Repeat("é", maxReason/2)},
		{"a" + strings.Repeat("é", maxReason), "a" + strings.Repeat("é", maxReason/2-1)},
		{" \n ", ""},
	} {
		servetest.Want(t, "reason", plainText(c.reason, maxReason), c.want)
	}
	w := through(plainOK, request("HEAD", "/"), NewAuthorization(AuthorizationOptions{}))
	servetest.Want(t, "HEAD", w.Code, http.StatusForbidden)
	servetest.Want(t, "has no body", w.Body.Len(), 0)
	wantField(t, w, "Content-Length", "14")
	wantField(t, w, "Cache-Control", "no-cache, private")
	wantField(t, w, "Content-Type", "text/plain; charset=utf-8")
}
