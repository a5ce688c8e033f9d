package handler

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// maxReason bounds what a client is told of a refusal. TestAuthorizationReason
// crosses it.
const maxReason = 256

// A Decision is an Authorizer's answer. The zero value has no opinion.
type Decision uint8

const (
	DecisionNoOpinion Decision = iota // another authorizer may know; if none does, the request is refused
	DecisionAllow
	DecisionDeny // final: no other authorizer is asked
)

// An Authorizer decides whether x.User (nil: nobody was asked) may do what the
// request wants. reason is told to the client when the request is refused. It is
// called by many goroutines at once and must not keep x.
type Authorizer interface {
	Authorize(x *Exchange) (d Decision, reason string, err error)
}

// AuthorizerFunc is a function as an Authorizer.
type AuthorizerFunc func(x *Exchange) (Decision, string, error)

// Authorize calls f.
func (f AuthorizerFunc) Authorize(x *Exchange) (Decision, string, error) { return f(x) }

// UnionAuthorizer asks one after the other, until one has an opinion. The reasons
// and errors of those that had none are joined.
func UnionAuthorizer(as ...Authorizer) Authorizer { return authorizers(as) }

type authorizers []Authorizer

func (as authorizers) Authorize(x *Exchange) (Decision, string, error) {
	var reasons []string
	var errs []error
	for _, a := range as {
		d, reason, err := a.Authorize(x)
		if d != DecisionNoOpinion {
			return d, reason, err
		}
		if reason != "" {
			reasons = append(reasons, reason)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return DecisionNoOpinion, strings.Join(reasons, "; "), errors.Join(errs...)
}

// AuthorizationOptions shapes the stage.
type AuthorizationOptions struct {
	// Authorizer decides. If nil, all but AllowPaths is refused.
	Authorizer Authorizer
	// AllowPaths are open to everybody, by their whole path: health for instance.
	// If empty, none.
	AllowPaths []string
	// Refused is told of each request that is refused (403) or that could not be
	// decided (500), before the answer is sent: Audit.Refused for instance. It must
	// not block. If nil, nobody.
	Refused func(x *Exchange, status int, reason string, err error)
}

// Authorization lets a request pass that its Authorizer allows. One that is
// denied, or that nobody has an opinion about, gets 403 and the reason in plain
// text; an error without an allowance 500. It allocates nothing for what passes.
type Authorization struct {
	authorizer Authorizer
	open       Predicate
	refused    func(*Exchange, int, string, error)
}

// NewAuthorization makes the stage. It belongs behind Authentication.
func NewAuthorization(o AuthorizationOptions) *Authorization {
	a := &Authorization{authorizer: o.Authorizer, open: ExactPaths(o.AllowPaths...), refused: o.Refused}
	if a.authorizer == nil {
		a.authorizer = authorizers(nil)
	}
	if a.refused == nil {
		a.refused = func(*Exchange, int, string, error) {}
	}
	return a
}

// Begin decides.
func (a *Authorization) Begin(x *Exchange) bool {
	if a.open(x) {
		return true
	}
	d, reason, err := a.authorizer.Authorize(x)
	switch {
	case d == DecisionAllow: // an error beside it is one of a part that was not needed
		return true
	case err != nil:
		a.refused(x, http.StatusInternalServerError, reason, err)
		sendPlain(x, http.StatusInternalServerError, "500 internal server error\n")
	default:
		a.refused(x, http.StatusForbidden, reason, err)
		text := "403 forbidden\n"
		if reason = plainText(reason, maxReason); reason != "" {
			text = "403 forbidden: " + reason + "\n"
		}
		sendPlain(x, http.StatusForbidden, text)
	}
	return false
}

// sendPlain is an answer of a stage, in plain text, that no cache keeps.
func sendPlain(x *Exchange, status int, text string) {
	w := x.Writer()
	h := w.Header()
	h["Content-Type"] = textPlain
	h["Content-Length"] = []string{strconv.Itoa(len(text))}
	h["Cache-Control"] = noCache
	h["X-Content-Type-Options"] = nosniff
	w.WriteHeader(status)
	if x.Request.Method != http.MethodHead {
		_, _ = w.Write([]byte(text)) // a client that left is the engine's to notice
	}
}

// plainText is s without control characters, valid, and of limit bytes at most: a
// reason may quote what a client has sent.
func plainText(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "")
	}
	return strings.TrimSpace(s)
}
