package handler

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// The names of a user who has shown nothing, as kube-apiserver has them: rules may name them.
const (
	AnonymousUser  = "system:anonymous"
	AnonymousGroup = "system:unauthenticated"
)

// An Authenticator finds out who asks. ok: u is the user. Not ok and no error: the
// request carries nothing that the authenticator understands. An error: it does,
// and that is not valid. u may be shared by many requests: nobody may change it.
// It is called by many goroutines at once and must not keep x.
type Authenticator interface {
	Authenticate(x *Exchange) (u *User, ok bool, err error)
}

// AuthenticatorFunc is a function as an Authenticator.
type AuthenticatorFunc func(x *Exchange) (*User, bool, error)

// Authenticate calls f.
func (f AuthenticatorFunc) Authenticate(x *Exchange) (*User, bool, error) { return f(x) }

// UnionAuthenticator asks one after the other, until one knows the user. If none
// does, the errors are joined.
func UnionAuthenticator(as ...Authenticator) Authenticator { return authenticators(as) }

type authenticators []Authenticator

func (as authenticators) Authenticate(x *Exchange) (*User, bool, error) {
	var errs []error
	for _, a := range as {
		u, ok, err := a.Authenticate(x)
		if err == nil && ok {
			return u, true, nil
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return nil, false, errors.Join(errs...)
}

// AuthenticationOptions shapes the stage. With the zero value nobody passes.
type AuthenticationOptions struct {
	// Authenticator finds out who asks. If nil, nobody is known.
	Authenticator Authenticator
	// Anonymous picks the requests that may pass without credentials, as the user
	// AnonymousUser; invalid credentials are refused all the same. If nil, none.
	Anonymous Predicate
	// Challenge is the field WWW-Authenticate of 401. If empty, Bearer with the
	// realm "penstock", and error="invalid_token" where it applies (RFC 6750 §3).
	Challenge string
	// KeepConnections lets HTTP/2 and HTTP/3 connections live on after 401, or when
	// the user is anonymous. Else they end with that answer, so that those who show
	// nothing cannot use what makes these versions cheap to abuse (CVE-2023-44487).
	// A site that most visitors read without credentials wants true.
	KeepConnections bool
	// Refused is told of each 401 before it is sent: Audit.Refused for instance. It
	// must not block. err may quote the client. If nil, nobody.
	Refused func(x *Exchange, status int, reason string, err error)
}

// Authentication finds out who asks, for the stages and the handler behind it
// (Exchange.User), or answers 401.
//
// What passes has lost its Authorization, and every X-Remote-… field (the letter
// case and "_" for "-" make no difference, rule P-1): nothing behind this stage
// can take a client's word for who it is, nor leak a token. It changes the
// request's header map in place. It allocates nothing of its own.
type Authentication struct {
	authenticator    Authenticator
	anonymous        Predicate
	missing, invalid []string // WWW-Authenticate
	keep             bool
	refused          func(*Exchange, int, string, error)
}

// NewAuthentication makes the stage.
func NewAuthentication(o AuthenticationOptions) (*Authentication, error) {
	a := &Authentication{
		authenticator: o.Authenticator, anonymous: o.Anonymous, keep: o.KeepConnections, refused: o.Refused,
		missing: []string{`Bearer realm="penstock"`},
		invalid: []string{`Bearer realm="penstock", error="invalid_token"`},
	}
	if a.authenticator == nil {
		a.authenticator = authenticators(nil)
	}
	if a.anonymous == nil {
		a.anonymous = func(*Exchange) bool { return false }
	}
	if a.refused == nil {
		a.refused = func(*Exchange, int, string, error) {}
	}
	if o.Challenge != "" {
		if !semantics.ValidFieldValue([]byte(o.Challenge)) {
			return nil, fmt.Errorf("challenge %q: not the value of a field", o.Challenge)
		}
		a.missing = []string{o.Challenge}
		a.invalid = a.missing
	}
	return a, nil
}

// Begin sets x.User, or answers.
func (a *Authentication) Begin(x *Exchange) bool {
	u, ok, err := a.authenticator.Authenticate(x)
	switch {
	case err == nil && ok && u != nil:
	case err == nil && !ok && a.anonymous(x):
		u = anonymous
	default:
		a.refuse(x, err)
		return false
	}
	x.User = u
	stripCredentials(x.Request.Header)
	if u.Anonymous() {
		a.closeAfter(x)
	}
	return true
}

func (a *Authentication) refuse(x *Exchange, err error) {
	// RFC 9110 §15.5.2: the server MUST send WWW-Authenticate.
	challenge := a.missing
	if err != nil {
		challenge = a.invalid
	}
	x.Writer().Header()["Www-Authenticate"] = challenge
	a.closeAfter(x)
	a.refused(x, http.StatusUnauthorized, "", err)
	sendPlain(x, http.StatusUnauthorized, "401 unauthorized\n")
}

// closeAfter lets a connection that carries many requests end with this answer.
func (a *Authentication) closeAfter(x *Exchange) {
	if !a.keep && x.Request.ProtoMajor >= 2 {
		x.Writer().Header()["Connection"] = closeConn
	}
}

// anonymous is who has shown nothing.
var anonymous = &User{Name: AnonymousUser, Groups: []string{AnonymousGroup}}

// Anonymous tells whether u has shown nothing, or is named like one who has not.
func (u *User) Anonymous() bool {
	return u == anonymous || u.Name == AnonymousUser || slices.Contains(u.Groups, AnonymousGroup)
}

// stripCredentials removes what tells, or claims, who asks.
func stripCredentials(h http.Header) {
	for name := range h { // also for Authorization: a lookup costs more than this comparison
		if name == "Authorization" || isRemoteName(name) {
			delete(h, name)
		}
	}
}

const remotePrefix = "x-remote-"

// isRemoteName tells whether name is one of a front proxy's that names a user, in
// any letter case, also with "_" for "-".
func isRemoteName(name string) bool {
	if len(name) < len(remotePrefix) || name[0]|0x20 != 'x' {
		return false
	}
	if strings.EqualFold(name[:len(remotePrefix)], remotePrefix) {
		return true
	}
	for i := range len(remotePrefix) {
		c := name[i]
		if c == '_' {
			c = '-'
		}
		if c != remotePrefix[i] && c|0x20 != remotePrefix[i] {
			return false
		}
	}
	return true
}
