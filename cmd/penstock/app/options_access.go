package app

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/penstock-edge/penstock/handler"
)

// AccessOptions are the flags of who may ask what, and how often.
type AccessOptions struct {
	TokenFile string

	JWTIssuer      string
	JWTAudiences   []string
	JWTKeyFile     string
	JWTAlgorithms  []string
	JWTNameClaim   string
	JWTGroupsClaim string
	JWTNamePrefix  string
	JWTGroupPrefix string

	PolicyFile string

	RateLimit float64
	RateBurst int

	PriorityLevels []string
}

func (o *AccessOptions) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.TokenFile, "token-auth-file", "", "CSV `FILE` of token,user,uid[,\"group,...\"]; who shows none of the tokens is answered 401")
	fs.StringVar(&o.JWTIssuer, "jwt-issuer", "", "`ISSUER` (iss) of JSON Web Tokens that are believed; who shows none is answered 401")
	repeatable(fs, &o.JWTAudiences, "jwt-audience", ",", "`AUDIENCE` (aud) that such a token must be for; repeatable")
	fs.StringVar(&o.JWTKeyFile, "jwt-jwks-file", "", "`FILE` with the issuer's public keys, a JWK Set; it may be replaced at any time")
	fs.StringSliceVar(&o.JWTAlgorithms, "jwt-signing-algs", nil, "`NAMES` of the signatures that are taken, parted by commas (without it: RS256,PS256,ES256,EdDSA)")
	fs.StringVar(&o.JWTNameClaim, "jwt-username-claim", "sub", "`CLAIM` with the user's name")
	fs.StringVar(&o.JWTGroupsClaim, "jwt-groups-claim", "groups", "`CLAIM` with the user's groups")
	fs.StringVar(&o.JWTNamePrefix, "jwt-username-prefix", "", "`TEXT` before all names of the issuer, so that they are nobody else's")
	fs.StringVar(&o.JWTGroupPrefix, "jwt-groups-prefix", "", "`TEXT` before all groups of the issuer")
	fs.StringVar(&o.PolicyFile, "authorization-policy-file", "", "`FILE` with one JSON object a line: {\"user\"|\"group\": NAME, \"path\": \"/x/*\", \"readonly\": true}; what no line allows is answered 403")
	fs.Float64Var(&o.RateLimit, "rate-limit", 0, "`N` requests a second of one client, by IPv4 address or IPv6 /64; more are answered 429 (0: any)")
	fs.IntVar(&o.RateBurst, "rate-limit-burst", 0, "`N` requests that a client has at once after a pause (0: those of a second)")
	repeatable(fs, &o.PriorityLevels, "priority-level", "\n", priorityUsage)
}

func (o *AccessOptions) validate() (errs []error) {
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	fault(!(o.RateLimit >= 0 && o.RateLimit <= 1e9), "--rate-limit %v: must be from 0 to 1e9", o.RateLimit)
	fault(o.RateBurst < 0, "--rate-limit-burst %d: must not be negative", o.RateBurst)
	fault(o.RateBurst > 0 && o.RateLimit == 0, "--rate-limit-burst %d has no effect without --rate-limit; add --rate-limit 50", o.RateBurst)
	errs = append(errs, o.validateJWT()...)
	_, err := o.levels()
	errs = append(errs, explode(err)...)
	return errs
}

func (o *AccessOptions) validateJWT() (errs []error) {
	given := 0
	for _, f := range []struct {
		flag  string
		given bool
	}{
		{"--jwt-issuer", o.JWTIssuer != ""},
		{"--jwt-audience", len(o.JWTAudiences) > 0},
		{"--jwt-jwks-file", o.JWTKeyFile != ""},
	} {
		if f.given {
			given++
			continue
		}
		errs = append(errs, fmt.Errorf("%s is missing: of tokens it must be known who made them, for whom, and how that is seen", f.flag))
	}
	if given == 0 {
		errs = nil
		if len(o.JWTAlgorithms) > 0 {
			errs = append(errs, errors.New("--jwt-signing-algs has no effect without --jwt-issuer"))
		}
		return errs
	}
	if len(errs) > 0 {
		return errs
	}
	if _, err := handler.NewJWT(o.jwt(func() *handler.KeySet { return nil })); err != nil {
		errs = append(errs, fmt.Errorf("--jwt-issuer %s: %w", o.JWTIssuer, err))
	}
	return errs
}

// jwt are the options of the authenticator.
func (o *AccessOptions) jwt(keys func() *handler.KeySet) handler.JWTOptions {
	return handler.JWTOptions{
		Issuer: o.JWTIssuer, Audiences: o.JWTAudiences, Algorithms: o.JWTAlgorithms, Keys: keys,
		NameClaim: o.JWTNameClaim, GroupsClaim: o.JWTGroupsClaim, NamePrefix: o.JWTNamePrefix, GroupPrefix: o.JWTGroupPrefix,
	}
}

// asksForStages tells whether any of the flags needs a stage.
func (o *AccessOptions) asksForStages() bool {
	return o.TokenFile != "" || o.JWTIssuer != "" || o.PolicyFile != "" || o.RateLimit > 0 || len(o.PriorityLevels) > 0
}

// priority shares seats between the levels of the flags; no levels: none.
func (o *AccessOptions) priority(seats int, timeout time.Duration) (handler.PriorityOptions, error) {
	levels, err := o.levels()
	if err != nil || len(levels) == 0 {
		return handler.PriorityOptions{}, err
	}
	p := handler.PriorityOptions{Seats: seats, Classify: levels.classify, RequestTimeout: max(0, timeout)}
	for _, l := range levels {
		p.Levels = append(p.Levels, l.PriorityLevel)
	}
	return p, nil
}
