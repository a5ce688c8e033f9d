package app

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// benchTLS are the flags of TLS to a target.
type benchTLS struct {
	insecure         bool
	caCert           string
	cert, key        string
	serverName       string
	minimum, maximum string
	curves           string
}

func (o *benchTLS) addFlags(fs *pflag.FlagSet) {
	fs.BoolVar(&o.insecure, "insecure", false, "take any certificate of the server")
	fs.StringVar(&o.caCert, "cacert", "", "PEM `FILE` of authorities to trust (without it: the system's)")
	fs.StringVar(&o.cert, "cert", "", "PEM `FILE` of a client certificate")
	fs.StringVar(&o.key, "key", "", "PEM `FILE` with the key of --cert")
	fs.StringVar(&o.serverName, "servername", "", "`NAME` to ask for in the handshake and to find in the certificate (without it: the URL's host)")
	fs.StringVar(&o.minimum, "tls-min", "", "least `VERSION`: 1.2 or 1.3")
	fs.StringVar(&o.maximum, "tls-max", "", "highest `VERSION`: 1.2 or 1.3")
	fs.StringVar(&o.curves, "tls-curves", "", "`NAMES` of the key exchanges to offer, parted by commas, such as X25519 (without it: Go's)")
}

func (o *benchTLS) validate(urls []*url.URL) (errs []error) {
	if (o.cert == "") != (o.key == "") {
		given, missing := "--cert", "--key"
		if o.cert == "" {
			given, missing = missing, given
		}
		errs = append(errs, fmt.Errorf("%s needs %s beside it", given, missing))
	}
	if o.insecure && o.caCert != "" {
		errs = append(errs, errors.New("--insecure takes any certificate, --cacert none but its own; drop one of them"))
	}
	if len(urls) > 0 && urls[0].Scheme == "http" {
		if given := o.given(); len(given) > 0 {
			errs = append(errs, fmt.Errorf("%s: no effect with an URL of http; write https", strings.Join(given, ", ")))
		}
	}
	return errs
}

// given are the flags that were; the environment's are as good.
func (o *benchTLS) given() (flags []string) {
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"--insecure", o.insecure},
		{"--cacert", o.caCert != ""},
		{"--cert", o.cert != ""},
		{"--key", o.key != ""},
		{"--servername", o.serverName != ""},
		{"--tls-min", o.minimum != ""},
		{"--tls-max", o.maximum != ""},
		{"--tls-curves", o.curves != ""},
	} {
		if f.given {
			flags = append(flags, f.name)
		}
	}
	return flags
}

// config reads the files.
func (o *benchTLS) config() (*tls.Config, error) {
	c := &tls.Config{ServerName: o.serverName, InsecureSkipVerify: o.insecure}
	var errs []error
	var err error
	if o.caCert != "" {
		c.RootCAs, err = readPool(o.caCert)
		errs = append(errs, err)
	}
	if o.cert != "" && o.key != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			errs = append(errs, fmt.Errorf("--cert %s, --key %s: %w", o.cert, o.key, innermost(err)))
		}
		c.Certificates = []tls.Certificate{pair}
	}
	c.MinVersion, err = clientVersion("--tls-min", o.minimum)
	errs = append(errs, err)
	c.MaxVersion, err = clientVersion("--tls-max", o.maximum)
	errs = append(errs, err)
	if c.MaxVersion != 0 && c.MinVersion > c.MaxVersion {
		errs = append(errs, fmt.Errorf("--tls-min %s: is above --tls-max %s", o.minimum, o.maximum))
	}
	c.CurvePreferences, err = benchCurves(o.curves)
	errs = append(errs, err)
	return c, errors.Join(errs...)
}

// curveNames are what --tls-curves takes, by the names that results have.
var curveNames = []tls.CurveID{tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521}

// benchCurves reads names, or the numbers that serve takes; nil without any.
func benchCurves(list string) (curves []tls.CurveID, err error) {
	if list == "" {
		return nil, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		i := slices.IndexFunc(curveNames, func(c tls.CurveID) bool {
			return strings.EqualFold(name, c.String()) || strings.EqualFold("Curve"+name, c.String()) || name == strconv.Itoa(int(c))
		})
		if i < 0 {
			return nil, fmt.Errorf("--tls-curves %q: must be of X25519MLKEM768, X25519, P256, P384, P521", name)
		}
		curves = append(curves, curveNames[i])
	}
	return curves, nil
}

func readPool(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("--cacert %s: %w", file, innermost(err))
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("--cacert %s: has no certificate in PEM", file)
	}
	return pool, nil
}

// clientVersion is the version of 1.2, 1.3, or as serve writes them; 0 without one.
func clientVersion(flag, text string) (uint16, error) {
	switch text {
	case "":
		return 0, nil
	case "1.2", "VersionTLS12":
		return tls.VersionTLS12, nil
	case "1.3", "VersionTLS13":
		return tls.VersionTLS13, nil
	}
	return 0, fmt.Errorf("%s %q: must be 1.2 or 1.3", flag, text)
}
