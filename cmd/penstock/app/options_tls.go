package app

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/penstock-edge/penstock/serve/certs"
)

const (
	clientAuthRequest = "request"
	clientAuthRequire = "require"
)

// TLSOptions are the flags of HTTPS.
type TLSOptions struct {
	CertFile     string
	KeyFile      string
	CertDir      string
	SNICertKeys  []string
	MinVersion   string
	CipherSuites []string
	Curves       []int
	ClientCAFile string
	ClientAuth   string // empty: none
}

func (o *TLSOptions) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.CertFile, "tls-cert-file", "", "PEM `FILE` with the certificate chain, the server's own first (without it: self-signed)")
	fs.StringVar(&o.KeyFile, "tls-private-key-file", "", "PEM `FILE` with the key of --tls-cert-file")
	fs.StringVar(&o.CertDir, "cert-dir", "", "`DIR` that keeps the self-signed certificate over restarts (without it: in memory)")
	repeatable(fs, &o.SNICertKeys, "tls-sni-cert-key", "\n", "`CERT,KEY[:NAME,...]`: a pair for these server names, or for those in the certificate; the earlier counts; repeatable")
	fs.StringVar(&o.MinVersion, "tls-min-version", "", "VersionTLS12 or VersionTLS13: the least `VERSION` (without it: VersionTLS12)")
	fs.StringSliceVar(&o.CipherSuites, "tls-cipher-suites", nil, "`NAMES` of the cipher suites of TLS 1.2, parted by commas (without it: all that are safe)")
	fs.IntSliceVar(&o.Curves, "tls-curve-preferences", nil, "`NUMBERS` of key exchanges, parted by commas, such as 4588 (X25519MLKEM768); their order has no effect")
	fs.StringVar(&o.ClientCAFile, "client-ca-file", "", "PEM `FILE` with the authorities of client certificates")
	fs.StringVar(&o.ClientAuth, "client-auth", "", "with --client-ca-file `request|require`: who has no certificate is anonymous, or refused (without it: require)")
}

// validate tells all that is wrong with the values; the files are read later.
func (o *TLSOptions) validate(listens bool) (errs []error) {
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	switch {
	case (o.CertFile == "") != (o.KeyFile == ""):
		given, missing := "--tls-cert-file", "--tls-private-key-file"
		if o.CertFile == "" {
			given, missing = missing, given
		}
		fault(true, "%s needs %s beside it", given, missing)
	case !listens:
		for _, flag := range o.given() {
			fault(true, "%s has no effect without --tls-listen; add --tls-listen :8443", flag)
		}
	}
	fault(o.CertDir != "" && o.CertFile != "", "--cert-dir %s: is for the certificate that --tls-cert-file replaces; drop one of them", o.CertDir)
	_, err := o.pairs()
	errs = append(errs, explode(err)...)
	_, err = certs.TLSVersion(o.MinVersion)
	fault(err != nil, "--tls-min-version %s: %w", o.MinVersion, err)
	_, err = certs.ServingCipherSuites(o.CipherSuites)
	fault(err != nil, "--tls-cipher-suites %s: %w; give some of %s", strings.Join(o.CipherSuites, ","), err, strings.Join(certs.ServingCipherSuiteNames(), ", "))
	_, err = certs.Curves(o.Curves)
	fault(err != nil, "--tls-curve-preferences: %w", err)
	switch {
	case o.ClientAuth != "" && o.ClientAuth != clientAuthRequest && o.ClientAuth != clientAuthRequire:
		fault(true, "--client-auth %q: must be request or require", o.ClientAuth)
	case o.ClientAuth != "" && o.ClientCAFile == "":
		fault(true, "--client-auth %s needs --client-ca-file beside it", o.ClientAuth)
	}
	return errs
}

// given are the flags that are for HTTPS alone and were given.
func (o *TLSOptions) given() (flags []string) {
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"--tls-cert-file", o.CertFile != ""},
		{"--cert-dir", o.CertDir != ""},
		{"--tls-sni-cert-key", len(o.SNICertKeys) > 0},
		{"--tls-min-version", o.MinVersion != ""},
		{"--tls-cipher-suites", len(o.CipherSuites) > 0},
		{"--tls-curve-preferences", len(o.Curves) > 0},
		{"--client-ca-file", o.ClientCAFile != ""},
	} {
		if f.given {
			flags = append(flags, f.name)
		}
	}
	return flags
}

// pairs are those of --tls-sni-cert-key.
func (o *TLSOptions) pairs() ([]certs.NamedPair, error) {
	var pairs []certs.NamedPair
	var errs []error
	for _, value := range o.SNICertKeys {
		pair, err := certs.ParseNamedPair(value)
		if err != nil {
			errs = append(errs, fmt.Errorf("--tls-sni-cert-key %w", err))
			continue
		}
		pairs = append(pairs, pair)
	}
	return pairs, errors.Join(errs...)
}

// explode are the errors that Join has joined.
func explode(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return nil
}
