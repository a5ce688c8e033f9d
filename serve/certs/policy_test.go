package certs

import (
	"crypto/tls"
	"errors"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func TestSamePolicy(t *testing.T) {
	secret := Policy{ClientAuth: ClientAuthRequire, ClientCAFile: "ca"}
	p, err := newPolicies(Policy{}, []NamedPolicy{
		{Patterns: []string{"secret.com", "*.secret.com"}, Policy: secret},
		{Patterns: []string{"twin.com"}, Policy: secret},
		{Patterns: []string{"new.com"}, Policy: Policy{MinVersion: tls.VersionTLS13}},
		{Patterns: []string{"free.secret.com", "old.com"}, Policy: Policy{MinVersion: tls.VersionTLS12}},
	}, tls.VersionTLS12)
	servetest.Must(t, "newPolicies", err)
	for _, test := range []struct {
		sni, host string
		want      bool
	}{
		{"open.com", "open.com", true},
		{"open.com", "other.com", true},
		{"open.com", "old.com:8443", true},
		{"", "open.com", true},
		{"", "[::1]:8443", true},
		{"", "127.0.0.1:8443", true},
		{"open.com", "", true},
		{"open.com", "secret.com", false},
		{"open.com", "SECRET.com.:443", false},
		{"open.com", "a.b.secret.com", false},
		{"", "secret.com", false},
		{"secret.com", "open.com", false},
		{"secret.com", "", false},
		{"secret.com", "127.0.0.1", false},
		{"secret.com", "Secret.com:443", true},
		{"secret.com", "www.secret.com", true},
		{"secret.com", "twin.com", true},
		{"secret.com", "free.secret.com", false},
		{"open.com", "free.secret.com", true},
		{"open.com", "new.com", false},
		{"new.com", "open.com", false},
		// What is no name may be anything for a router.
		{"open.com", "secret..com", false},
		{"open.com", "secret com", false},
		{"open.com", "[secret.com]", false},
		{"open.com", strings.Repeat("a", 254), false},
	} {
		if got := p.same(test.sni, test.host); got != test.want {
			t.Errorf("under %q for %q: %v, want %v", test.sni, test.host, got, test.want)
		}
	}
	alone, err := newPolicies(secret, nil, tls.VersionTLS12)
	servetest.Must(t, "newPolicies", err)
	servetest.Want(t, "with one policy all are the same", alone.same("a", "b c"), true)
}

// TestPolicyThatCannotBe: none is laxer than it says (rules T-4, T-7).
func TestPolicyThatCannotBe(t *testing.T) {
	for _, test := range []struct {
		name  string
		first Policy
		named []NamedPolicy
		want  error
	}{
		{"require without CA", Policy{ClientAuth: ClientAuthRequire}, nil, errNoClientCA},
		{"CA without asking", Policy{ClientCAFile: "f"}, nil, errUnusedCA},
		{"TLS 1.1", Policy{MinVersion: tls.VersionTLS11}, nil, errVersion},
		{"TLS 1.4", Policy{MinVersion: tls.VersionTLS13 + 1}, nil, errVersion},
		{"named, without CA", Policy{}, []NamedPolicy{{[]string{"a"}, Policy{ClientAuth: ClientAuthRequire}}}, errNoClientCA},
		{"no names", Policy{}, []NamedPolicy{{nil, Policy{}}}, errPolicyNames},
		{"an address", Policy{}, []NamedPolicy{{[]string{"10.0.0.1"}, Policy{}}}, errPolicyNames},
		{"no name", Policy{}, []NamedPolicy{{[]string{"a b"}, Policy{}}}, errPolicyNames},
	} {
		if _, err := newPolicies(test.first, test.named, tls.VersionTLS12); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
	if _, err := newPolicies(Policy{ClientAuth: 7}, nil, tls.VersionTLS12); err == nil {
		t.Error("an unknown mode passed")
	}
}

func TestParseClientAuth(t *testing.T) {
	for _, a := range []ClientAuth{ClientAuthNone, ClientAuthRequest, ClientAuthRequire} {
		got, err := ParseClientAuth(a.String())
		servetest.Must(t, a.String(), err)
		servetest.Want(t, "read back", got, a)
	}
	if _, err := ParseClientAuth("maybe"); err == nil {
		t.Error("took an unknown word")
	}
}
