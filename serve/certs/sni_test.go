package certs

import (
	"crypto/tls"
	"fmt"
	"net"
	"reflect"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// TestServerRunWithSNI is the API server's table by what it asks: which
// certificate is shown, the default (-1) or one of the SNI pairs.
func TestServerRunWithSNI(t *testing.T) {
	type spec struct {
		sans     []string
		patterns []string
	}
	for _, test := range []struct {
		name       string
		fallback   []string // sans of the default; nil: there is none
		sni        []spec
		serverName string
		bind       string // 127.0.0.1 if empty
		want       int
	}{
		{"only one certificate", []string{"localhost", "127.0.0.1"}, nil, "localhost", "", -1},
		{"default with more names", []string{"localhost", "test.com", "127.0.0.1"}, nil, "test.com", "", -1},
		{"pair and default with the same name", []string{"localhost"}, []spec{{sans: []string{"localhost"}}}, "localhost", "", 0},
		{"name of a pair", []string{"localhost"}, []spec{{sans: []string{"test.com"}}}, "test.com", "", 0},
		{"address in pair and default", []string{"localhost", "127.0.0.1"}, []spec{{sans: []string{"test.com", "127.0.0.1"}}}, "", "", -1},
		{"wildcard", []string{"localhost"}, []spec{{sans: []string{"test.com", "*.test.com"}}}, "www.test.com", "", 0},
		{"wildcard is one label", []string{"localhost"}, []spec{{sans: []string{"*.test.com"}}}, "a.b.test.com", "", -1},
		{"name of nobody", []string{"localhost"}, []spec{{sans: []string{"test.com"}}}, "other.com", "", -1},
		{"no default: the first pair", nil, []spec{{sans: []string{"a.com"}}, {sans: []string{"b.com"}}}, "other.com", "", 0},
		{"no default, no name: the first pair", nil, []spec{{sans: []string{"a.com"}}, {sans: []string{"b.com"}}}, "", "", 0},
		// Precedence.
		{"exact beats wildcard", []string{"localhost"}, []spec{{sans: []string{"*.test.com"}}, {sans: []string{"www.test.com"}}}, "www.test.com", "", 1},
		{"earlier beats later", []string{"localhost"}, []spec{{sans: []string{"test.com"}}, {sans: []string{"test.com"}}}, "test.com", "", 0},
		{"pattern beats certificate", []string{"localhost"}, []spec{{sans: []string{"test.com"}}, {sans: []string{"x"}, patterns: []string{"test.com"}}}, "test.com", "", 1},
		{"exact of a certificate beats wildcard pattern", []string{"localhost"}, []spec{{patterns: []string{"*.test.com"}}, {sans: []string{"www.test.com"}}}, "www.test.com", "", 1},
		{"patterns hide the certificate's names", []string{"localhost"}, []spec{{sans: []string{"test.com"}, patterns: []string{"else.com"}}}, "test.com", "", -1},
		{"case and wildcard case", []string{"localhost"}, []spec{{patterns: []string{"*.TEST.com"}}}, "Www.Test.Com", "", 0},
		// Clients that name nobody.
		{"pattern for an address", []string{"localhost", "127.0.0.1"}, []spec{{sans: []string{"x"}, patterns: []string{"127.0.0.1"}}}, "", "", 0},
		{"pattern for another address", []string{"localhost"}, []spec{{sans: []string{"x"}, patterns: []string{"127.0.0.2"}}}, "", "", -1},
		{"address of a pair that the default lacks", []string{"localhost"}, []spec{{sans: []string{"x", "127.0.0.1"}}}, "", "", 0},
		{"IPv6", []string{"localhost"}, []spec{{sans: []string{"x"}, patterns: []string{"::1"}}}, "", "::1", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, ca := newPairDir(t), newAuthority(t, "ca")
			cfg := Config{Log: quiet()}
			if test.fallback != nil {
				cfg.CertFile, cfg.KeyFile = dir.put("default", ca.issue(t, "no.-1", test.fallback...))
			}
			for i, s := range test.sni {
				var p NamedPair
				p.CertFile, p.KeyFile = dir.put(fmt.Sprint(i), ca.issue(t, fmt.Sprint("no.", i), s.sans...))
				p.Patterns = s.patterns
				cfg.SNI = append(cfg.SNI, p)
			}
			d, err := NewDynamic(cfg)
			servetest.Must(t, "NewDynamic", err)
			defer d.Close()
			bind := test.bind
			if bind == "" {
				bind = "127.0.0.1"
			}
			if l, err := net.Listen("tcp", net.JoinHostPort(bind, "0")); err != nil {
				t.Skipf("SKIPPED: no %s here: %v", bind, err)
			} else {
				l.Close()
			}
			s := serveTLS(t, net.JoinHostPort(bind, "0"), d.TLSConfig())
			servetest.Want(t, "certificate", s.shown(test.serverName), fmt.Sprint("no.", test.want))
		})
	}
}

func TestParseNamedPair(t *testing.T) {
	for _, test := range []struct {
		value string
		want  NamedPair
		err   string
	}{
		{"foo.crt,foo.key", NamedPair{"foo.crt", "foo.key", nil}, ""},
		{" foo.crt , foo.key ", NamedPair{"foo.crt", "foo.key", nil}, ""},
		{"foo.crt,foo.key:test.com", NamedPair{"foo.crt", "foo.key", []string{"test.com"}}, ""},
		{"foo.crt,foo.key:*.test.com, test.com", NamedPair{"foo.crt", "foo.key", []string{"*.test.com", "test.com"}}, ""},
		{"foo.crt,foo.key:10.0.0.1,::1", NamedPair{"foo.crt", "foo.key", []string{"10.0.0.1", "::1"}}, ""},
		{"", NamedPair{}, "want a certificate file"},
		{"foo.crt", NamedPair{}, "want a certificate file"},
		{",foo.key", NamedPair{}, "want a certificate file"},
		{"foo.crt,", NamedPair{}, "want a certificate file"},
		{"foo.crt,foo.key,more", NamedPair{}, "want a certificate file"},
		{"foo.crt:test.com", NamedPair{}, "want a certificate file"},
		{"foo.crt,foo.key:", NamedPair{}, "empty name"},
		{"foo.crt,foo.key:a.com,", NamedPair{}, "empty name"},
		{"foo.crt,foo.key:a b", NamedPair{}, "neither a host name"},
		{"foo.crt,foo.key:www.*.com", NamedPair{}, "neither a host name"},
		{"foo.crt,foo.key:https://a.com", NamedPair{}, "neither a host name"},
	} {
		got, err := ParseNamedPair(test.value)
		switch {
		case test.err != "":
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%q: got error %v, want one with %q", test.value, err, test.err)
			}
		case err != nil || !reflect.DeepEqual(got, test.want):
			t.Errorf("%q: got %+v, %v, want %+v", test.value, got, err, test.want)
		default:
			again, err := ParseNamedPair(got.String())
			if err != nil || !reflect.DeepEqual(again, got) {
				t.Errorf("%q: String gives %q, which reads as %+v, %v", test.value, got, again, err)
			}
		}
	}
}

func TestNormalName(t *testing.T) {
	long := strings.Repeat("a", 63) + "."
	for name, want := range map[string]string{
		"example.com": "example.com", "EXAMPLE.com.": "example.com", "a_b-c.1": "a_b-c.1", "xn--mller-kva.de": "xn--mller-kva.de",
		strings.Repeat(long, 3) + strings.Repeat("a", 61): strings.Repeat(long, 3) + strings.Repeat("a", 61),
		strings.Repeat(long, 3) + strings.Repeat("a", 62): "",
		"": "", ".": "", "a..b": "", ".a": "", "a..": "", "a b": "", "a\x00b": "", "*.a": "", "müller.de": "", "::1": "", "a/b": "", "a:1": "",
	} {
		var buf [maxNameBytes]byte
		got, ok := normalName(&buf, name)
		if string(got) != want || ok != (want != "") {
			t.Errorf("%q: got %q, %v, want %q", name, got, ok, want)
		}
	}
}

// TestServerNamesThatAreNone: what is no host name is refused (rule T-3), and
// with RejectUnknown so are names that no certificate is for.
func TestServerNamesThatAreNone(t *testing.T) {
	dir, ca := newPairDir(t), newAuthority(t, "ca")
	cfg := Config{Log: quiet(), RejectUnknown: true}
	cfg.CertFile, cfg.KeyFile = dir.put("default", ca.issue(t, "default", "known.com", "*.known.com"))
	d, err := NewDynamic(cfg)
	servetest.Must(t, "NewDynamic", err)
	s := serveTLS(t, "127.0.0.1:0", d.TLSConfig())
	for _, name := range []string{"", "known.com", "www.known.com", "KNOWN.com"} {
		servetest.Want(t, "certificate for "+name, s.shown(name), "default")
	}
	for _, name := range []string{"unknown.com", "a.b.known.com", "a b", "a\x01b", "ä.com", "known..com"} {
		_, err := s.shake(&tls.Config{ServerName: name, InsecureSkipVerify: true})
		wantAlert(t, fmt.Sprintf("%q", name), err, "unrecognized name")
	}
}

// TestLookUpAllocatesNothing: a handshake is given what was made before.
func TestLookUpAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	dir, ca := newPairDir(t), newAuthority(t, "ca")
	cfg := Config{Log: quiet()}
	cfg.CertFile, cfg.KeyFile = dir.put("default", ca.issue(t, "default", "known.com"))
	cert, key := dir.put("pair", ca.issue(t, "pair", "other.com", "*.other.com"))
	cfg.SNI = []NamedPair{{CertFile: cert, KeyFile: key}}
	cfg.Policies = []NamedPolicy{{Patterns: []string{"*.other.com"}, Policy: Policy{ClientAuth: ClientAuthRequest}}}
	d, err := NewDynamic(cfg)
	servetest.Must(t, "NewDynamic", err)
	for _, name := range []string{"known.com", "other.com", "WWW.Other.com", "unknown.com", "a b", ""} {
		hello := &tls.ClientHelloInfo{ServerName: name}
		allocs := testing.AllocsPerRun(100, func() { _, _ = d.configForClient(hello) })
		servetest.Want(t, "allocations of a look-up for "+name, allocs, 0)
		allocs = testing.AllocsPerRun(100, func() { d.SamePolicy(name, "www.OTHER.com:443") })
		servetest.Want(t, "allocations of SamePolicy from "+name, allocs, 0)
	}
}

func BenchmarkLookUp(b *testing.B) {
	dir, ca := newPairDir(b), newAuthority(b, "ca")
	cfg := Config{Log: quiet()}
	cfg.CertFile, cfg.KeyFile = dir.put("default", ca.issue(b, "default", "known.com"))
	cert, key := dir.put("pair", ca.issue(b, "pair", "*.other.com"))
	cfg.SNI = []NamedPair{{CertFile: cert, KeyFile: key}}
	d, err := NewDynamic(cfg)
	servetest.Must(b, "NewDynamic", err)
	hello := &tls.ClientHelloInfo{ServerName: "www.other.com"}
	b.ReportAllocs()
	for b.Loop() {
		if c, _ := d.configForClient(hello); len(c.Certificates) != 1 {
			b.Fatal("no certificate")
		}
	}
}
