package handler

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func knows(name string, err error) Authenticator {
	return AuthenticatorFunc(func(*Exchange) (*User, bool, error) {
		if name == "" {
			return nil, false, err
		}
		return &User{Name: name}, true, err
	})
}

func newTestAuthentication(t *testing.T, o AuthenticationOptions) *Authentication {
	t.Helper()
	a, err := NewAuthentication(o)
	servetest.Must(t, "options", err)
	return a
}

// whoami answers with the user's name.
var whoami = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write([]byte(ExchangeOf(w).User.Name))
})

func TestAuthentication(t *testing.T) {
	bad := errors.New("bad: secret")
	const missing, invalid = `Bearer realm="penstock"`, `Bearer realm="penstock", error="invalid_token"`
	for _, c := range []struct {
		name          string
		authenticator Authenticator
		anonymous     Predicate
		status        int
		want          string // the user, or the challenge
	}{
		{"known", knows("ann", nil), nil, 200, "ann"},
		{"unknown", knows("", nil), nil, 401, missing},
		{"invalid", knows("", bad), nil, 401, invalid},
		{"known with an error", knows("ann", bad), nil, 401, invalid},
		{"nobody is asked", nil, nil, 401, missing},
		{"anonymous", knows("", nil), AllRequests, 200, "system:anonymous"},
		{"anonymous elsewhere", knows("", nil), ExactPaths("/livez"), 401, missing},
		{"invalid is not anonymous", knows("", bad), AllRequests, 401, invalid},
		{"ok without a user", AuthenticatorFunc(func(*Exchange) (*User, bool, error) { return nil, true, nil }), AllRequests, 401, missing},
		{"union: first that knows", UnionAuthenticator(knows("", nil), knows("ann", nil), knows("bob", nil)), nil, 200, "ann"},
		{"union: an error does not end it", UnionAuthenticator(knows("", bad), knows("bob", nil)), nil, 200, "bob"},
		{"union: none knows", UnionAuthenticator(knows("", nil), knows("", nil)), AllRequests, 200, "system:anonymous"},
		{"union: errors stay", UnionAuthenticator(knows("", bad), knows("", nil)), AllRequests, 401, invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			told := 0
			w := through(whoami, request("GET", "/"), newTestAuthentication(t, AuthenticationOptions{
				Authenticator: c.authenticator, Anonymous: c.anonymous,
				Refused: func(_ *Exchange, status int, _ string, _ error) { told = status },
			}))
			servetest.Want(t, "status", w.Code, c.status)
			if c.status == 200 {
				servetest.Want(t, "user", w.Body.String(), c.want)
				servetest.Want(t, "the hook is told", told, 0)
				return
			}
			wantField(t, w, "WWW-Authenticate", c.want)
			servetest.Want(t, "body", w.Body.String(), "401 unauthorized\n")
			servetest.Want(t, "the hook is told", told, 401)
		})
	}
}

func TestAuthenticationConnection(t *testing.T) {
	for _, c := range []struct {
		name          string
		major         int
		authenticator Authenticator
		keep          bool
		want          string
	}{
		{"401 on h1", 1, knows("", errors.New("bad")), false, ""},
		{"401 on h2", 2, knows("", errors.New("bad")), false, "close"},
		{"401 on h3", 3, knows("", errors.New("bad")), false, "close"},
		{"401 on h2, kept", 2, knows("", errors.New("bad")), true, ""},
		{"anonymous on h1", 1, nil, false, ""},
		{"anonymous on h2", 2, nil, false, "close"},
		{"anonymous on h3", 3, nil, false, "close"},
		{"anonymous on h2, kept", 2, nil, true, ""},
		{"one who calls himself so", 2, knows(AnonymousUser, nil), false, "close"},
		{"known on h2", 2, knows("ann", nil), false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request("GET", "/")
			r.ProtoMajor = c.major
			w := through(whoami, r, newTestAuthentication(t, AuthenticationOptions{
				Authenticator: c.authenticator, Anonymous: AllRequests, KeepConnections: c.keep,
			}))
			wantField(t, w, "Connection", c.want)
		})
	}
}

func TestAuthenticationStrips(t *testing.T) {
	fields := []string{
		"Authorization: Bearer a", "Authorization: Basic b", "X-Remote-User: root", "X-Remote-Group: system:masters", "X-Remote-Uid: 0",
		"X-Remote-Extra-Scopes: all", "Accept: */*", "X-Remotely: no", "X-Remot: no",
	}
	for _, anonymous := range []bool{false, true} {
		r := request("GET", "/", fields...)
		for _, alias := range []string{"X_REMOTE_USER", "x-remote_group", "X-REMOTE-USER", "x_Remote_Extra_a"} {
			r.Header[alias] = []string{"root"}
		}
		o := AuthenticationOptions{Authenticator: knows("ann", nil)}
		if anonymous {
			o = AuthenticationOptions{Anonymous: AllRequests}
		}
		through(whoami, r, newTestAuthentication(t, o))
		names := make([]string, 0, len(r.Header))
		for name := range r.Header {
			names = append(names, name)
		}
		slices.Sort(names)
		servetest.Want(t, "what is left", strings.Join(names, " "), "Accept X-Remot X-Remotely")
	}
}

func TestAuthenticationChallenge(t *testing.T) {
	a := newTestAuthentication(t, AuthenticationOptions{Challenge: `Negotiate`, Authenticator: knows("", errors.New("bad"))})
	wantField(t, through(whoami, request("GET", "/"), a), "WWW-Authenticate", "Negotiate")
	_, err := NewAuthentication(AuthenticationOptions{Challenge: "a\r\nb"})
	servetest.Want(t, "no field value", err != nil, true)
}

func TestRecentBounded(t *testing.T) {
	const size = 8
	c := newRecent[int](size)
	now := benchTime
	u, by := &User{}, new(int)
	for i := range 1000 {
		c.add(i, verified{u, by, now.Add(1)})
		_, ok := c.get(0, by, now)
		servetest.Want(t, "what is used stays", ok, true)
		servetest.Want(t, "bounded", len(c.now)+len(c.old) <= size, true)
	}
	_, ok := c.get(999, by, now)
	servetest.Want(t, "the last", ok, true)
	_, ok = c.get(5, by, now)
	servetest.Want(t, "an old one", ok, false)
	_, ok = c.get(999, new(int), now)
	servetest.Want(t, "by another authority", ok, false)
	c.add(1, verified{u, by, now.Add(1)})
	_, ok = c.get(1, by, now.Add(1))
	servetest.Want(t, "at its end", ok, false)

	none := newRecent[int](0)
	none.add(1, verified{u, by, now.Add(1)})
	_, ok = none.get(1, by, now)
	servetest.Want(t, "of size 0", ok, false)
}
