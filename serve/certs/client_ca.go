package certs

import (
	"crypto/x509"
	"fmt"
	"time"
)

// ClientCA is a PEM bundle of the authorities that client certificates are
// checked with. A file that is missing at the start is an error; later the last
// good bundle stays (rule T-7).
type ClientCA struct {
	source fileSource[x509.CertPool]
}

// NewClientCA reads the bundle for the first time. An error is a *PairError that
// names the file and the fix.
func NewClientCA(file string) (*ClientCA, error) {
	c := &ClientCA{}
	c.source.name = "client CA"
	c.source.files = []string{file}
	c.source.parse = func(data [][]byte) (*x509.CertPool, error) { return parseBundle(file, data[0]) }
	return c, c.source.load(time.Now())
}

// Pool is the bundle in use. It is never written to; a change is another one.
func (c *ClientCA) Pool() *x509.CertPool { return c.source.current.Load() }

// Files is the bundle's name.
func (c *ClientCA) Files() []string { return c.source.files }

// Reload reads the bundle anew and tells whether another one is in use now. An
// error leaves the old one.
func (c *ClientCA) Reload() (changed bool, err error) { return c.source.reload(time.Now()) }

// Status tells of the last Reload.
func (c *ClientCA) Status() Status { return c.source.status() }

// parseBundle takes all certificates or none: with a part of them some clients
// would be refused that were let in before.
func parseBundle(file string, data []byte) (*x509.CertPool, error) {
	c := survey(data)
	switch {
	case len(c.certificates) == 0:
		return nil, explainMissing(file, "certificate", "x509", c)
	case c.cut:
		return nil, explainCut(file)
	}
	pool := x509.NewCertPool()
	for i, der := range c.certificates {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, &PairError{
				File: file, Problem: fmt.Sprintf("certificate %d is damaged (%v)", i+1, err),
				Fix: "export it again", Err: err,
			}
		}
		pool.AddCert(cert)
	}
	return pool, nil
}
