package handler

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// issuer signs tokens.
type issuer struct {
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
	ed  ed25519.PrivateKey
}

func newIssuer(tb testing.TB) *issuer {
	tb.Helper()
	r, err := rsa.GenerateKey(rand.Reader, minRSA)
	servetest.Must(tb, "RSA", err)
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	servetest.Must(tb, "EC", err)
	_, d, err := ed25519.GenerateKey(rand.Reader)
	servetest.Must(tb, "Ed25519", err)
	return &issuer{r, e, d}
}

func (i *issuer) keys(tb testing.TB) *KeySet {
	tb.Helper()
	s, err := NewKeySet(&i.rsa.PublicKey, &i.ec.PublicKey, i.ed.Public())
	servetest.Must(tb, "keys", err)
	return s
}

func sign(tb testing.TB, m jwt.SigningMethod, key any, header map[string]any, claims jwt.Claims) string {
	tb.Helper()
	t := jwt.NewWithClaims(m, claims)
	maps.Copy(t.Header, header)
	s, err := t.SignedString(key)
	servetest.Must(tb, "sign", err)
	return s
}

// claims are valid ones, changed by pairs of name and value; nil takes one away.
func claims(change ...any) jwt.MapClaims {
	c := jwt.MapClaims{
		"iss": "https://issuer", "aud": "penstock", "sub": "ann", "exp": benchTime.Add(time.Hour).Unix(), "groups": []string{"users"}, "jti": "id1",
	}
	for i := 0; i < len(change); i += 2 {
		c[change[i].(string)] = change[i+1]
		if change[i+1] == nil {
			delete(c, change[i].(string))
		}
	}
	return c
}

func newTestJWT(tb testing.TB, o JWTOptions) *JWT {
	tb.Helper()
	o.Issuer, o.Audiences = "https://issuer", []string{"other", "penstock"}
	if o.Now == nil {
		o.Now = func() time.Time { return benchTime }
	}
	j, err := NewJWT(o)
	servetest.Must(tb, "options", err)
	return j
}

func TestJWTClaims(t *testing.T) {
	i := newIssuer(t)
	keys := i.keys(t)
	at := func(d time.Duration) int64 { return benchTime.Add(d).Unix() }
	for _, c := range []struct {
		name   string
		claims jwt.MapClaims
		o      JWTOptions
		want   string // name, UID, groups; empty: refused
	}{
		{"valid", claims(), JWTOptions{}, "ann/ann/users"},
		{"another issuer", claims("iss", "https://issuer/"), JWTOptions{}, ""},
		{"no issuer", claims("iss", nil), JWTOptions{}, ""},
		{"another audience", claims("aud", "else"), JWTOptions{}, ""},
		{"one of several audiences", claims("aud", []string{"else", "other"}), JWTOptions{}, "ann/ann/users"},
		{"no audience", claims("aud", nil), JWTOptions{}, ""},
		{"empty audience", claims("aud", ""), JWTOptions{}, ""},
		{"no expiry", claims("exp", nil), JWTOptions{}, ""},
		{"expiry is text", claims("exp", "never"), JWTOptions{}, ""},
		{"expired within the skew", claims("exp", at(-29*time.Second)), JWTOptions{}, "ann/ann/users"},
		{"expired", claims("exp", at(-31*time.Second)), JWTOptions{}, ""},
		{"expired, no skew", claims("exp", at(-time.Second)), JWTOptions{Skew: -1}, ""},
		{"expired within a wide skew", claims("exp", at(-59*time.Second)), JWTOptions{Skew: time.Minute}, "ann/ann/users"},
		{"not yet", claims("nbf", at(31*time.Second)), JWTOptions{}, ""},
		{"not yet, within the skew", claims("nbf", at(29*time.Second)), JWTOptions{}, "ann/ann/users"},
		{"no name", claims("sub", nil), JWTOptions{}, ""},
		{"empty name", claims("sub", ""), JWTOptions{}, ""},
		{"name is a number", claims("name", 7), JWTOptions{NameClaim: "name"}, ""},
		{"another claim", claims("name", "Ann"), JWTOptions{NameClaim: "name"}, "Ann/ann/users"},
		{"email", claims("email", "a@b"), JWTOptions{NameClaim: "email"}, "a@b/ann/users"},
		{"verified email", claims("email", "a@b", "email_verified", true), JWTOptions{NameClaim: "email"}, "a@b/ann/users"},
		{"unverified email", claims("email", "a@b", "email_verified", false), JWTOptions{NameClaim: "email"}, ""},
		{"email verified by text", claims("email", "a@b", "email_verified", "true"), JWTOptions{NameClaim: "email"}, ""},
		{"no groups", claims("groups", nil), JWTOptions{}, "ann/ann/"},
		{"one group", claims("groups", "users"), JWTOptions{}, "ann/ann/users"},
		{"groups of numbers", claims("groups", []int{1}), JWTOptions{}, ""},
		{"groups are an object", claims("groups", map[string]string{}), JWTOptions{}, ""},
		{"prefixes", claims("roles", []string{"a", "b"}), JWTOptions{NamePrefix: "oidc:", GroupPrefix: "g:", GroupsClaim: "roles"}, "oidc:ann/ann/g:a,g:b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Keys = func() *KeySet { return keys }
			j := newTestJWT(t, c.o)
			token := sign(t, jwt.SigningMethodES256, i.ec, nil, c.claims)
			for range 2 { // the second time it is remembered
				u, ok, err := j.AuthenticateToken(nil, token)
				servetest.Want(t, fmt.Sprint("ok: ", err), ok, c.want != "")
				servetest.Want(t, "error", err != nil, c.want == "")
				if ok {
					servetest.Want(t, "user", u.Name+"/"+u.UID+"/"+strings.Join(u.Groups, ","), c.want)
					servetest.Want(t, "credential", u.Extra[credentialID][0], "JTI=id1")
				}
			}
		})
	}
}

func TestJWTAlgorithms(t *testing.T) {
	i, stranger := newIssuer(t), newIssuer(t)
	keys := i.keys(t)
	spki, err := x509.MarshalPKIXPublicKey(&i.rsa.PublicKey)
	servetest.Must(t, "public key", err)
	asSecret := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})
	valid := sign(t, jwt.SigningMethodES256, i.ec, nil, claims())
	parts := strings.Split(valid, ".")
	forge := func(header string) string {
		return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + parts[1] + "." + parts[2]
	}
	for _, c := range []struct {
		name, token string
		algorithms  []string
		want        bool
	}{
		{"ES256", valid, nil, true},
		{"RS256", sign(t, jwt.SigningMethodRS256, i.rsa, nil, claims()), nil, true},
		{"PS256", sign(t, jwt.SigningMethodPS256, i.rsa, nil, claims()), nil, true},
		{"EdDSA", sign(t, jwt.SigningMethodEdDSA, i.ed, nil, claims()), nil, true},
		{"not among those accepted", sign(t, jwt.SigningMethodRS512, i.rsa, nil, claims()), nil, false},
		{"wanted", sign(t, jwt.SigningMethodRS512, i.rsa, nil, claims()), []string{"RS512"}, true},
		{"no longer wanted", valid, []string{"RS512"}, false},
		{"a stranger's", sign(t, jwt.SigningMethodES256, stranger.ec, nil, claims()), nil, false},
		{"none", sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil, claims()), nil, false},
		{"public key as secret", sign(t, jwt.SigningMethodHS256, asSecret, nil, claims()), nil, false},
		{"header says none", forge(`{"alg":"none"}`), nil, false},
		{"header says HS256", forge(`{"alg":"HS256"}`), nil, false},
		{"header says RS256", forge(`{"alg":"RS256"}`), nil, false},
		{"header says nOnE", forge(`{"alg":"nOnE"}`), nil, false},
		{"header is no object", forge(`[]`), nil, false},
		{"header has no algorithm", forge(`{}`), nil, false},
		{"critical extension", sign(t, jwt.SigningMethodES256, i.ec, map[string]any{"crit": []string{"b64"}, "b64": false}, claims()), nil, false},
		{"key of its own", sign(t, jwt.SigningMethodES256, stranger.ec, map[string]any{"jwk": map[string]string{"kty": "EC"}}, claims()), nil, false},
		{"kid of a key that has none", sign(t, jwt.SigningMethodES256, i.ec, map[string]any{"kid": "../../k"}, claims()), nil, true},
		{"kid is a number", sign(t, jwt.SigningMethodES256, i.ec, map[string]any{"kid": 7}, claims()), nil, true},
		{"signature cut", valid[:len(valid)-1], nil, false},
		{"no signature", parts[0] + "." + parts[1] + ".", nil, false},
		{"claims changed", parts[0] + "." + parts[1] + "x." + parts[2], nil, false},
		{"padding", valid + "==", nil, false},
		{"empty parts", "..", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := newTestJWT(t, JWTOptions{Algorithms: c.algorithms, Keys: func() *KeySet { return keys }})
			_, ok, err := j.AuthenticateToken(nil, c.token)
			servetest.Want(t, fmt.Sprint("ok: ", err), ok, c.want)
			servetest.Want(t, "error", err != nil, !c.want)
		})
	}
	j := newTestJWT(t, JWTOptions{Keys: func() *KeySet { return keys }})
	for _, token := range []string{"opaque", "a.b", "a.b.c.d"} {
		_, ok, err := j.AuthenticateToken(nil, token)
		servetest.Want(t, "no JWT is no opinion", ok || err != nil, false)
	}
}

func TestJWTRemembers(t *testing.T) {
	i := newIssuer(t)
	keys, now, asked := i.keys(t), benchTime, 0
	j := newTestJWT(t, JWTOptions{Keys: func() *KeySet { asked++; return keys }, Now: func() time.Time { return now }})
	token := sign(t, jwt.SigningMethodES256, i.ec, nil, claims())
	known := func() bool { _, ok, _ := j.AuthenticateToken(nil, token); return ok }
	first, _, _ := j.AuthenticateToken(nil, token)
	again, _, _ := j.AuthenticateToken(nil, token)
	servetest.Want(t, "the same user", first == again, true)
	now = now.Add(time.Hour)
	servetest.Want(t, "within the skew", known(), true)
	now = now.Add(time.Minute)
	servetest.Want(t, "expired", known(), false)
	now = benchTime
	servetest.Want(t, "the clock jumps back", known(), true)
	keys = newIssuer(t).keys(t)
	servetest.Want(t, "the key has gone", known(), false)
	keys = nil
	servetest.Want(t, "no keys", known(), false)
	servetest.Want(t, "the keys are asked for each time", asked, 7)
}

func TestJWTOptions(t *testing.T) {
	keys := func() *KeySet { return nil }
	for name, o := range map[string]JWTOptions{
		"no issuer":      {Audiences: []string{"a"}, Keys: keys},
		"no audience":    {Issuer: "i", Keys: keys},
		"empty audience": {Issuer: "i", Audiences: []string{""}, Keys: keys},
		"no keys":        {Issuer: "i", Audiences: []string{"a"}},
		"HS256":          {Issuer: "i", Audiences: []string{"a"}, Keys: keys, Algorithms: []string{"RS256", "HS256"}},
		"none":           {Issuer: "i", Audiences: []string{"a"}, Keys: keys, Algorithms: []string{"none"}},
		"of no name":     {Issuer: "i", Audiences: []string{"a"}, Keys: keys, Algorithms: []string{""}},
	} {
		_, err := NewJWT(o)
		servetest.Want(t, name+": refused", err != nil, true)
	}
}

func TestNewKeySet(t *testing.T) {
	small := &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537}
	even := &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 2047), E: 2}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	servetest.Must(t, "P-224", err)
	for name, key := range map[string]crypto.PublicKey{
		"a small RSA": small, "an even exponent": even, "P-224": &p224.PublicKey, "a private key": p224, "short": ed25519.PublicKey("x"),
		"a secret": []byte("secret"), "nothing": nil,
	} {
		_, err := NewKeySet(key)
		servetest.Want(t, name+": refused", err != nil, true)
	}
}

// jwks renders keys as an issuer does.
func jwks(tb testing.TB, keys ...map[string]any) []byte {
	tb.Helper()
	b, err := json.Marshal(map[string]any{"keys": keys})
	servetest.Must(tb, "JWKS", err)
	return b
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func (i *issuer) jwk(kind, kid string) map[string]any {
	switch kind {
	case "RSA":
		return map[string]any{"kty": kind, "kid": kid, "n": b64(i.rsa.N.Bytes()), "e": "AQAB"}
	case "EC":
		point, _ := i.ec.PublicKey.Bytes()
		return map[string]any{"kty": kind, "kid": kid, "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:])}
	}
	return map[string]any{"kty": "OKP", "kid": kid, "crv": "Ed25519", "x": b64(i.ed.Public().(ed25519.PublicKey))}
}

func with(k map[string]any, name string, value any) map[string]any {
	k[name] = value
	return k
}

// A file that became wrong leaves the keys as they were.
func TestKeySetFile(t *testing.T) {
	i := newIssuer(t)
	name := filepath.Join(t.TempDir(), "jwks")
	write := func(b []byte) { servetest.Must(t, "write", os.WriteFile(name, b, 0o600)) }
	if _, err := NewKeySetFile(name); err == nil {
		t.Error("no file was taken")
	}
	write(jwks(t, i.jwk("EC", "a")))
	f, err := NewKeySetFile(name)
	servetest.Must(t, "key set", err)
	first := f.Keys()
	for _, bad := range [][]byte{nil, []byte("{"), jwks(t), append(jwks(t, i.jwk("EC", "")), make([]byte, maxJWKS)...)} {
		write(bad)
		if err := f.Reload(); err == nil {
			t.Errorf("taken: %.20q", bad)
		}
		servetest.Want(t, "the keys stay", f.Keys(), first)
	}
	write(jwks(t, i.jwk("EC", "b")))
	servetest.Must(t, "reload", f.Reload())
	servetest.Want(t, "other keys", f.Keys() != first, true)
}

func TestParseJWKS(t *testing.T) {
	i := newIssuer(t)
	many := make([]map[string]any, maxJWKSKeys+1)
	for n := range many {
		many[n] = i.jwk("OKP", "")
	}
	for _, c := range []struct {
		name string
		doc  []byte
		want int // keys; 0: refused
	}{
		{"all kinds", jwks(t, i.jwk("RSA", "a"), i.jwk("EC", "b"), i.jwk("OKP", "c")), 3},
		{"for encryption", jwks(t, with(i.jwk("RSA", "a"), "use", "enc"), i.jwk("EC", "b")), 1},
		{"for signatures", jwks(t, with(i.jwk("RSA", "a"), "use", "sig")), 1},
		{"symmetric", jwks(t, map[string]any{"kty": "oct", "k": "c2VjcmV0"}), 0},
		{"of unknown kind", jwks(t, map[string]any{"kty": "ML-DSA"}, i.jwk("OKP", "")), 1},
		{"of unknown curve", jwks(t, with(i.jwk("EC", ""), "crv", "secp256k1"), i.jwk("OKP", "")), 1},
		{"as many as may be", jwks(t, many[1:]...), maxJWKSKeys},
		{"too many", jwks(t, many...), 0},
		{"too large", append(jwks(t, i.jwk("OKP", "")), make([]byte, maxJWKS)...), 0},
		{"point not on the curve", jwks(t, with(i.jwk("EC", ""), "y", b64(make([]byte, 32)))), 0},
		{"short coordinate", jwks(t, with(i.jwk("EC", ""), "x", b64(make([]byte, 31)))), 0},
		{"modulus of 512 bits", jwks(t, with(i.jwk("RSA", ""), "n", b64(i.rsa.N.Bytes()[:64]))), 0},
		{"exponent of 1", jwks(t, with(i.jwk("RSA", ""), "e", "AQ")), 0},
		{"exponent of 40 bits", jwks(t, with(i.jwk("RSA", ""), "e", "AQAAAAE")), 0},
		{"not base64url", jwks(t, with(i.jwk("RSA", ""), "n", "+/=")), 0},
		{"short Ed25519", jwks(t, with(i.jwk("OKP", ""), "x", "AQAB")), 0},
		{"no keys", []byte(`{"keys":[]}`), 0},
		{"no set", []byte(`{}`), 0},
		{"null", []byte(`null`), 0},
		{"a list", []byte(`[]`), 0},
		{"empty", nil, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := ParseJWKS(c.doc)
			servetest.Want(t, fmt.Sprint("refused: ", err), err != nil, c.want == 0)
			if err == nil {
				servetest.Want(t, "keys", len(s.keys), c.want)
			}
		})
	}
}

func TestJWKSCandidates(t *testing.T) {
	i, former := newIssuer(t), newIssuer(t)
	set, err := ParseJWKS(jwks(t, former.jwk("EC", "old"), i.jwk("EC", "new"), with(i.jwk("RSA", "r"), "alg", "RS256")))
	servetest.Must(t, "JWKS", err)
	j := newTestJWT(t, JWTOptions{Keys: func() *KeySet { return set }})
	ok := func(m jwt.SigningMethod, key any, kid string) bool {
		header := map[string]any{}
		if kid != "" {
			header["kid"] = kid
		}
		_, ok, _ := j.AuthenticateToken(nil, sign(t, m, key, header, claims()))
		return ok
	}
	servetest.Want(t, "named", ok(jwt.SigningMethodES256, i.ec, "new"), true)
	servetest.Want(t, "not named", ok(jwt.SigningMethodES256, i.ec, ""), true)
	servetest.Want(t, "named after another", ok(jwt.SigningMethodES256, i.ec, "old"), false)
	servetest.Want(t, "unknown name", ok(jwt.SigningMethodES256, i.ec, "nope"), false)
	servetest.Want(t, "RSA", ok(jwt.SigningMethodRS256, i.rsa, "r"), true)
	servetest.Want(t, "RSA for another algorithm", ok(jwt.SigningMethodPS256, i.rsa, "r"), false)
	servetest.Want(t, "an EC key's name for RSA", ok(jwt.SigningMethodRS256, i.rsa, "new"), false)

	same := make([]map[string]any, 3*maxCandidates)
	for n := range same {
		same[n] = i.jwk("EC", "")
	}
	set, err = ParseJWKS(jwks(t, same...))
	servetest.Must(t, "JWKS", err)
	found, err := set.candidates("ES256", "")
	servetest.Must(t, "candidates", err)
	servetest.Want(t, "signatures computed for one token", len(found.Keys), maxCandidates)
}

// Nothing makes the parser panic, and each key that it takes can be used.
func FuzzParseJWKS(f *testing.F) {
	i := newIssuer(f)
	f.Add(jwks(f, i.jwk("RSA", "a"), i.jwk("EC", "b"), i.jwk("OKP", "c")))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"","e":""}]}`))
	j := newTestJWT(f, JWTOptions{Keys: func() *KeySet { return nil }})
	signed := []string{
		sign(f, jwt.SigningMethodRS256, i.rsa, nil, claims()), sign(f, jwt.SigningMethodES256, i.ec, nil, claims()),
		sign(f, jwt.SigningMethodEdDSA, i.ed, nil, claims()),
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		s, err := ParseJWKS(doc)
		if err != nil {
			return
		}
		if len(s.keys) == 0 {
			t.Fatal("an empty set")
		}
		j.o.Keys = func() *KeySet { return s }
		for _, token := range signed {
			_, _, _ = j.AuthenticateToken(nil, token)
		}
	})
}

// Nothing but what was signed is believed.
func FuzzJWT(f *testing.F) {
	i := newIssuer(f)
	keys := i.keys(f)
	valid := sign(f, jwt.SigningMethodES256, i.ec, nil, claims())
	f.Add(valid[1:])
	f.Add("e30.e30.")
	f.Add(`eyJhbGciOiJub25lIn0.e30.`)
	j := newTestJWT(f, JWTOptions{Keys: func() *KeySet { return keys }})
	f.Fuzz(func(t *testing.T, token string) {
		if _, ok, _ := j.AuthenticateToken(nil, token); ok && token != valid {
			t.Fatalf("%q is believed", token)
		}
	})
}

func TestJWTAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	i := newIssuer(t)
	keys := i.keys(t)
	j := newTestJWT(t, JWTOptions{Keys: func() *KeySet { return keys }})
	token := sign(t, jwt.SigningMethodRS256, i.rsa, nil, claims())
	servetest.Want(t, "a remembered token: allocations", testing.AllocsPerRun(200, func() {
		if _, ok, err := j.AuthenticateToken(nil, token); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}), 0)
}
