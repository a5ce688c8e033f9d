package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// legacySuites are names that Go has renamed, and that flags still take.
var legacySuites = [...]struct {
	name string
	id   uint16
}{
	{"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256},
	{"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256},
}

// CipherSuites are the suites of Go's names, insecure ones among them; a name
// that nobody knows is an error. Those of TLS 1.3 are taken and have no effect.
func CipherSuites(names []string) ([]uint16, error) {
	ids := make([]uint16, 0, len(names))
	for _, name := range names {
		id, ok := suiteByName(strings.TrimSpace(name))
		if !ok {
			return nil, fmt.Errorf("cipher suite %q is not known", name)
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// ServingCipherSuites is CipherSuites for a server at the edge: what is not
// forward secret (ECDHE) with authenticated encryption (AEAD) is an error (rule
// T-4). Without names, all that pass.
func ServingCipherSuites(names []string) ([]uint16, error) {
	if len(names) == 0 {
		return servingSuites(), nil
	}
	ids, err := CipherSuites(names)
	if err != nil {
		return nil, err
	}
	good := servingSuites()
	for _, id := range ids {
		if !slices.Contains(good, id) && !isTLS13(id) {
			return nil, fmt.Errorf("cipher suite %s is not served: it lacks forward secrecy (ECDHE) or authenticated encryption (AEAD)", tls.CipherSuiteName(id))
		}
	}
	return ids, nil
}

// ServingCipherSuiteNames are the names that ServingCipherSuites takes, for the
// help text of a flag.
func ServingCipherSuiteNames() []string {
	var names []string
	for _, id := range servingSuites() {
		names = append(names, tls.CipherSuiteName(id))
	}
	return names
}

func suiteByName(name string) (id uint16, ok bool) {
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if s.Name == name {
			return s.ID, true
		}
	}
	for _, s := range legacySuites {
		if s.name == name {
			return s.id, true
		}
	}
	return 0, false
}

// servingSuites are those of TLS 1.2 that RFC 9325 §4.2 recommends.
func servingSuites() []uint16 {
	var ids []uint16
	for _, s := range tls.CipherSuites() {
		ecdhe := strings.HasPrefix(s.Name, "TLS_ECDHE_")
		aead := strings.Contains(s.Name, "_GCM_") || strings.Contains(s.Name, "_CHACHA20_POLY1305_")
		if ecdhe && aead && slices.Contains(s.SupportedVersions, tls.VersionTLS12) {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

func isTLS13(id uint16) bool {
	return slices.ContainsFunc(tls.CipherSuites(), func(s *tls.CipherSuite) bool {
		return s.ID == id && slices.Equal(s.SupportedVersions, []uint16{tls.VersionTLS13})
	})
}

// curves are the key exchanges that a flag may name by number.
var curves = [...]tls.CurveID{
	tls.CurveP256, tls.CurveP384, tls.CurveP521, tls.X25519,
	tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024,
}

// Curves are key exchanges by their numbers (IANA's "TLS Supported Groups"; 4588
// is X25519MLKEM768). Their order has no effect in Go. An unknown number is an
// error, and so is one that stands twice.
func Curves(numbers []int) ([]tls.CurveID, error) {
	ids := make([]tls.CurveID, 0, len(numbers))
	for _, n := range numbers {
		id := tls.CurveID(n) // cut, when too large: compared below
		switch {
		case int(id) != n || !slices.Contains(curves[:], id):
			return nil, fmt.Errorf("curve %d is not known: want %s", n, knownCurves())
		case slices.Contains(ids, id):
			return nil, fmt.Errorf("curve %d stands twice", n)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func knownCurves() string {
	var list []string
	for _, id := range curves {
		list = append(list, fmt.Sprintf("%d (%v)", uint16(id), id))
	}
	return strings.Join(list, ", ")
}

var errVersion = errors.New("want VersionTLS12 or VersionTLS13")

// TLSVersion is the version of one of the names VersionTLS12 and VersionTLS13.
// Former ones are an error (rule T-4). An empty name is VersionTLS12.
func TLSVersion(name string) (uint16, error) {
	switch name {
	case "", "VersionTLS12":
		return tls.VersionTLS12, nil
	case "VersionTLS13":
		return tls.VersionTLS13, nil
	case "VersionTLS10", "VersionTLS11":
		return 0, fmt.Errorf("%s is not served any more: %w", name, errVersion)
	}
	return 0, fmt.Errorf("TLS version %q is not known: %w", name, errVersion)
}

// checkVersion refuses what TLSVersion would not have given, but for zero.
func checkVersion(v uint16) error {
	if v != 0 && v != tls.VersionTLS12 && v != tls.VersionTLS13 {
		return fmt.Errorf("%s as minimum: %w", tls.VersionName(v), errVersion)
	}
	return nil
}
