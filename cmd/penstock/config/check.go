package config

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"

	"github.com/penstock-edge/penstock/serve/certs"
)

// Check looks at what the file names: certificates and their keys, authorities,
// directories. It binds nothing and sends nothing. All problems are reported.
func (f *File) Check(ctx context.Context) error {
	s := &problems{}
	c := f.Config
	for _, name := range slices.Sorted(maps.Keys(c.Certificates)) {
		cert, path := c.Certificates[name], "certificates."+name
		if _, err := certs.LoadPair(cert.CertFile, cert.KeyFile); err != nil {
			f.fault(s, path+pairKey(err, cert.KeyFile), "%v", err)
		}
		f.authorities(s, path+".client_ca_file", cert.ClientCAFile)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Upstreams)) {
		u, path := c.Upstreams[name], "upstreams."+name+".tls"
		f.authorities(s, path+".ca_file", u.TLS.CAFile)
		if u.TLS.CertFile != "" {
			if _, err := tls.LoadX509KeyPair(u.TLS.CertFile, u.TLS.KeyFile); err != nil {
				f.fault(s, path+".cert_file", "%v", err)
			}
		}
	}
	for i, h := range c.Hosts {
		for j, r := range h.Routes {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if r.Files != nil {
				f.directory(s, "hosts["+strconv.Itoa(i)+"].routes["+strconv.Itoa(j)+"].files.root", r.Files.Root)
			}
		}
	}
	return s.err()
}

// pairKey is the key of the file that an error is about.
func pairKey(err error, keyFile string) string {
	if e, ok := errors.AsType[*certs.PairError](err); ok && e.File == keyFile {
		return ".key_file"
	}
	return ".cert_file"
}

func (f *File) authorities(s *problems, path, file string) {
	if file == "" {
		return
	}
	pem, err := os.ReadFile(file)
	if err == nil && !x509.NewCertPool().AppendCertsFromPEM(pem) {
		err = fmt.Errorf("%s: no certificate of an authority in it", file)
	}
	if err != nil {
		f.fault(s, path, "%v", err)
	}
}

func (f *File) directory(s *problems, path, dir string) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		f.fault(s, path, "%v", err)
		return
	}
	_ = root.Close() // it was only looked at
}
