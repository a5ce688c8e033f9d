package handler

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"

	"github.com/golang-jwt/jwt/v5"
)

// Bounds of a key set. TestParseJWKS crosses them.
const (
	maxJWKS     = 1 << 20
	maxJWKSKeys = 100
	// maxCandidates bounds the signatures that are computed for one token.
	maxCandidates = 8
	minRSA        = 2048 // bits, RFC 7518 §3.3
	maxRSA        = 8192 // what one check may cost
)

// A KeySet holds the public keys of an issuer (RFC 7517). It is never changed.
type KeySet struct{ keys []issuerKey }

type issuerKey struct {
	id, algorithm string // empty: not said
	kind          keyKind
	public        crypto.PublicKey
}

// keyKind is what an algorithm demands of its key: an RSA key never checks an
// ECDSA signature, whatever a token says.
type keyKind string

const (
	kindRSA     keyKind = "RSA"
	kindP256    keyKind = "P-256"
	kindP384    keyKind = "P-384"
	kindP521    keyKind = "P-521"
	kindEd25519 keyKind = "Ed25519"
)

var algorithmKeys = map[string]keyKind{
	"RS256": kindRSA, "RS384": kindRSA, "RS512": kindRSA, "PS256": kindRSA, "PS384": kindRSA, "PS512": kindRSA,
	"ES256": kindP256, "ES384": kindP384, "ES512": kindP521, "EdDSA": kindEd25519,
}

// NewKeySet makes a set of keys that have no id: *rsa.PublicKey, *ecdsa.PublicKey,
// ed25519.PublicKey.
func NewKeySet(keys ...crypto.PublicKey) (*KeySet, error) {
	s := &KeySet{}
	for i, k := range keys {
		kind, err := kindOf(k)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
		s.keys = append(s.keys, issuerKey{kind: kind, public: k})
	}
	return s, nil
}

func kindOf(k crypto.PublicKey) (keyKind, error) {
	switch k := k.(type) {
	case *rsa.PublicKey:
		if bits := k.N.BitLen(); bits < minRSA || bits > maxRSA {
			return "", fmt.Errorf("RSA with %d bits: from %d to %d are accepted", bits, minRSA, maxRSA)
		}
		if k.E < 3 || k.E&1 == 0 {
			return "", errors.New("RSA with an exponent that is even or below 3")
		}
		return kindRSA, nil
	case *ecdsa.PublicKey:
		if kind := keyKind(k.Params().Name); curves[string(kind)] != nil {
			return kind, nil
		}
		return "", errors.New("ECDSA on another curve than P-256, P-384, P-521")
	case ed25519.PublicKey:
		if len(k) == ed25519.PublicKeySize {
			return kindEd25519, nil
		}
	}
	return "", fmt.Errorf("%T: not a public key that is accepted", k)
}

// jwk has the members of a key that matter here.
type jwk struct {
	Kty, Use, Alg, Kid, Crv string
	N, E, X, Y              string
}

// ParseJWKS reads a JWK Set. As RFC 7517 §5 wants it, keys that are of no use here
// are left out: for encryption, symmetric, of unknown kinds; broken ones are an
// error, and so is a set of which nothing remains.
func ParseJWKS(b []byte) (*KeySet, error) {
	if len(b) > maxJWKS {
		return nil, fmt.Errorf("JWKS: more than %d bytes", maxJWKS)
	}
	var doc struct{ Keys []jwk }
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, fmt.Errorf("JWKS: %w", err)
	}
	if len(doc.Keys) > maxJWKSKeys {
		return nil, fmt.Errorf("JWKS: more than %d keys", maxJWKSKeys)
	}
	s := &KeySet{}
	for i, k := range doc.Keys {
		if k.Use != "" && k.Use != "sig" {
			continue
		}
		public, err := k.public()
		if err != nil {
			return nil, fmt.Errorf("JWKS: key %d: %w", i, err)
		}
		if public == nil {
			continue
		}
		kind, err := kindOf(public)
		if err != nil {
			return nil, fmt.Errorf("JWKS: key %d: %w", i, err)
		}
		s.keys = append(s.keys, issuerKey{k.Kid, k.Alg, kind, public})
	}
	if len(s.keys) == 0 {
		return nil, errors.New("JWKS: no key that can verify")
	}
	return s, nil
}

// public is the key, or nil if it is of no use here.
func (k jwk) public() (crypto.PublicKey, error) {
	switch {
	case k.Kty == "RSA":
		n, errN := base64.RawURLEncoding.DecodeString(k.N)
		e, errE := base64.RawURLEncoding.DecodeString(k.E)
		exponent := new(big.Int).SetBytes(e)
		if errN != nil || errE != nil || exponent.BitLen() > 31 {
			return nil, errors.New("malformed RSA")
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent.Int64())}, nil
	case k.Kty == "EC" && curves[k.Crv] != nil:
		x, errX := base64.RawURLEncoding.DecodeString(k.X)
		y, errY := base64.RawURLEncoding.DecodeString(k.Y)
		// RFC 7518 §6.2.1.2: both as long as the curve's field.
		size := (curves[k.Crv].Params().BitSize + 7) / 8
		if errX != nil || errY != nil || len(x) != size || len(y) != size {
			return nil, errors.New("malformed EC")
		}
		public, err := ecdsa.ParseUncompressedPublicKey(curves[k.Crv], append(append([]byte{4}, x...), y...))
		if err != nil {
			return nil, fmt.Errorf("malformed EC: %w", err)
		}
		return public, nil
	case k.Kty == "OKP" && k.Crv == string(kindEd25519):
		x, err := base64.RawURLEncoding.DecodeString(k.X)
		if err != nil {
			return nil, errors.New("malformed OKP")
		}
		return ed25519.PublicKey(x), nil
	}
	return nil, nil
}

var curves = map[string]elliptic.Curve{
	string(kindP256): elliptic.P256(), string(kindP384): elliptic.P384(), string(kindP521): elliptic.P521(),
}

// candidates are the keys that may have made a signature of the algorithm. A token
// that names its key is checked with that one alone.
func (s *KeySet) candidates(algorithm, kid string) (jwt.VerificationKeySet, error) {
	var found jwt.VerificationKeySet
	for _, k := range s.keys {
		if k.kind != algorithmKeys[algorithm] || k.algorithm != "" && k.algorithm != algorithm {
			continue
		}
		if kid != "" && k.id != "" && k.id != kid {
			continue
		}
		if found.Keys = append(found.Keys, k.public); len(found.Keys) == maxCandidates {
			break
		}
	}
	if len(found.Keys) == 0 {
		return found, errors.New("no such key of the issuer")
	}
	return found, nil
}
