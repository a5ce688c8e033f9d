package app

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/spf13/pflag"

	"github.com/penstock-edge/penstock/serve/certs"
)

// AdminOptions are the flags of an admin address that other machines reach: there
// profiles show what is in memory to whoever has a certificate, and to nobody else.
type AdminOptions struct {
	AdminCertFile string
	AdminKeyFile  string
	AdminCAFile   string
}

func (o *AdminOptions) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&o.AdminCAFile, "admin-client-ca-file", "", "PEM `FILE` with the authorities of certificates without which nobody is let in at --admin; it need not be loopback then")
	fs.StringVar(&o.AdminCertFile, "admin-tls-cert-file", "", "PEM `FILE` with the certificate chain of --admin, with --admin-client-ca-file")
	fs.StringVar(&o.AdminKeyFile, "admin-tls-private-key-file", "", "PEM `FILE` with its key")
}

// adminTLS tells whether --admin is served over TLS.
func (o *AdminOptions) adminTLS() bool { return o.AdminCAFile != "" }

func (o *AdminOptions) validate() (errs []error) {
	given := 0
	for _, f := range []struct{ flag, value string }{
		{"--admin-client-ca-file", o.AdminCAFile}, {"--admin-tls-cert-file", o.AdminCertFile}, {"--admin-tls-private-key-file", o.AdminKeyFile},
	} {
		if f.value != "" {
			given++
			continue
		}
		errs = append(errs, fmt.Errorf("%s is missing: TLS at --admin needs certificate, key and the authorities of clients", f.flag))
	}
	if given == 0 {
		return nil
	}
	return errs
}

// adminCertificates are those of --admin.
type adminCertificates struct {
	dynamic *certs.Dynamic
	names   []string // that clients may call it by
}

func (o *AdminOptions) openAdminTLS(log *slog.Logger, w *certs.Watcher) (*adminCertificates, error) {
	if !o.adminTLS() {
		return nil, nil
	}
	pair, err := certs.LoadPair(o.AdminCertFile, o.AdminKeyFile)
	if err != nil {
		return nil, fmt.Errorf("--admin-tls-cert-file: %w", err)
	}
	dynamic, err := certs.NewDynamic(certs.Config{
		CertFile: o.AdminCertFile, KeyFile: o.AdminKeyFile, NextProtos: []string{"http/1.1"}, Watcher: w, Log: log,
		Policy: certs.Policy{ClientAuth: certs.ClientAuthRequire, ClientCAFile: o.AdminCAFile},
	})
	if err != nil {
		return nil, fmt.Errorf("--admin-client-ca-file: %w", err)
	}
	return &adminCertificates{dynamic, pair.Leaf.DNSNames}, nil
}

// reload and close: nil has nothing to do.
func (a *adminCertificates) reload() error {
	if a == nil {
		return nil
	}
	return a.dynamic.Reload()
}

func (a *adminCertificates) close() {
	if a != nil {
		a.dynamic.Close()
	}
}

// listener is l, over TLS if there is any.
func (a *adminCertificates) listener(l net.Listener) net.Listener {
	if a == nil {
		return l
	}
	return tls.NewListener(l, a.dynamic.TLSConfig())
}

// hosts are the names that debug.Guard lets pass.
func (a *adminCertificates) hosts() []string {
	if a == nil {
		return nil
	}
	return a.names
}

var errAdminPlace = errors.New("only loopback (127.0.0.1:PORT, [::1]:PORT) or unix:PATH, because profiles show what is in memory; or give --admin-client-ca-file, --admin-tls-cert-file and --admin-tls-private-key-file")
