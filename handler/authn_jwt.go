package handler

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const defaultSkew = 30 * time.Second

// JWTOptions says which JSON Web Tokens (RFC 7519) are believed.
type JWTOptions struct {
	// Issuer must be the claim iss. Required.
	Issuer string
	// Audiences: the claim aud must hold one of them, so that a token for another
	// service does not open this one. Required.
	Audiences []string
	// Algorithms are those accepted; only signatures by a private key, because who
	// can check any other can make it too. If empty, RS256, PS256, ES256, EdDSA.
	Algorithms []string
	// Keys is asked for the issuer's keys at each token that is not remembered. It
	// should return the same set as long as nothing has changed; another one ends
	// what the former has vouched for. nil: no token is valid now. Required.
	Keys func() *KeySet
	// Skew is how far the issuer's clock may differ. If zero, 30 s. If negative, none.
	Skew time.Duration
	// NameClaim and GroupsClaim are where name and groups are found. If empty, sub
	// and groups. An email counts unless email_verified says no.
	NameClaim, GroupsClaim string
	// NamePrefix and GroupPrefix stand before them. If empty, none: then the issuer
	// decides about all names, also of those who have none from it (system:masters).
	NamePrefix, GroupPrefix string
	// Remember is how many verified tokens are remembered, until they expire. If
	// zero, 1024. If negative, none.
	Remember int
	// Now is for tests. If nil, time.Now.
	Now func() time.Time
}

// JWT knows users by signed tokens. A token must expire. What is no JWT is no
// opinion; the UID is the claim sub.
type JWT struct {
	o      JWTOptions
	parser *jwt.Parser
	hash   *secretHash
	users  *recent[[32]byte]
}

// NewJWT checks the options and makes the authenticator.
func NewJWT(o JWTOptions) (*JWT, error) {
	if o.Issuer == "" || len(o.Audiences) == 0 || slices.Contains(o.Audiences, "") || o.Keys == nil {
		return nil, errors.New("JWT: issuer, audiences and keys are required")
	}
	if len(o.Algorithms) == 0 {
		o.Algorithms = []string{"RS256", "PS256", "ES256", "EdDSA"}
	}
	for _, a := range o.Algorithms {
		if _, ok := algorithmKeys[a]; !ok {
			return nil, fmt.Errorf("JWT: algorithm %q: accepted may be RS, PS and ES with 256, 384 and 512, and EdDSA", a)
		}
	}
	o.Skew = durationOr(o.Skew, defaultSkew)
	switch {
	case o.Remember == 0:
		o.Remember = defaultRememberedUsers
	case o.Remember < 0:
		o.Remember = 0
	}
	if o.NameClaim == "" {
		o.NameClaim = "sub"
	}
	if o.GroupsClaim == "" {
		o.GroupsClaim = "groups"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &JWT{o, jwt.NewParser(
		jwt.WithValidMethods(o.Algorithms), jwt.WithIssuer(o.Issuer), jwt.WithAudience(o.Audiences...), jwt.WithLeeway(o.Skew),
		jwt.WithExpirationRequired(), jwt.WithTimeFunc(o.Now), jwt.WithStrictDecoding(),
	), newSecretHash(), newRecent[[32]byte](o.Remember)}, nil
}

// durationOr is the contract of options: zero is the default, negative none.
func durationOr(d, fallback time.Duration) time.Duration {
	switch {
	case d == 0:
		return fallback
	case d < 0:
		return 0
	}
	return d
}

// AuthenticateToken verifies the token, or remembers that it has.
func (j *JWT) AuthenticateToken(_ *Exchange, token string) (*User, bool, error) {
	if strings.Count(token, ".") != 2 {
		return nil, false, nil
	}
	keys := j.o.Keys()
	if keys == nil {
		return nil, false, errors.New("JWT: there are no keys of the issuer")
	}
	digest := j.hash.sum(token)
	if u, ok := j.users.get(digest, keys, j.o.Now()); ok {
		return u, true, nil
	}
	claims := jwt.MapClaims{}
	_, err := j.parser.ParseWithClaims(token, claims, func(t *jwt.Token) (any, error) {
		// RFC 7515 §4.1.11: extensions that are not understood MUST be refused.
		if _, ok := t.Header["crit"]; ok {
			return nil, errors.New("critical extensions")
		}
		kid, _ := t.Header["kid"].(string)
		return keys.candidates(t.Method.Alg(), kid)
	})
	if err != nil {
		return nil, false, fmt.Errorf("JWT: %w", err)
	}
	u, err := j.user(claims)
	if err != nil {
		return nil, false, fmt.Errorf("JWT: %w", err)
	}
	expiry, err := claims.GetExpirationTime()
	if err != nil || expiry == nil {
		return nil, false, errors.New("JWT: no expiry")
	}
	j.users.add(digest, verified{u, keys, expiry.Time})
	return u, true, nil
}

// user reads the claims of a valid token.
func (j *JWT) user(claims jwt.MapClaims) (*User, error) {
	name, _ := claims[j.o.NameClaim].(string)
	if name == "" {
		return nil, fmt.Errorf("claim %s: not a string, or empty", j.o.NameClaim)
	}
	if state, given := claims["email_verified"]; j.o.NameClaim == "email" && given && state != true {
		return nil, errors.New("the email is not verified")
	}
	u := &User{Name: j.o.NamePrefix + name}
	u.UID, _ = claims["sub"].(string)
	if id, _ := claims["jti"].(string); id != "" {
		u.Extra = map[string][]string{credentialID: {"JTI=" + id}}
	}
	switch groups := claims[j.o.GroupsClaim].(type) {
	case nil:
	case string:
		u.Groups = []string{j.o.GroupPrefix + groups}
	case []any:
		for _, g := range groups {
			s, ok := g.(string)
			if !ok {
				return nil, fmt.Errorf("claim %s: not a list of strings", j.o.GroupsClaim)
			}
			u.Groups = append(u.Groups, j.o.GroupPrefix+s)
		}
	default:
		return nil, fmt.Errorf("claim %s: not a list of strings", j.o.GroupsClaim)
	}
	return u, nil
}
