package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"
)

// DynamicCert is a certificate and its key in two PEM files that may change.
// What is in use is a pair that was read and matched as a whole: half-written
// files, and a key that does not fit yet, leave the old pair in use.
type DynamicCert struct {
	source fileSource[tls.Certificate]
}

// NewDynamicCert reads the pair for the first time. An error is a *PairError, as
// of LoadPair.
func NewDynamicCert(certFile, keyFile string) (*DynamicCert, error) {
	d := &DynamicCert{}
	d.source.name = "certificate"
	d.source.files = []string{certFile, keyFile}
	d.source.parse = func(data [][]byte) (*tls.Certificate, error) {
		pair, err := parsePair(certFile, keyFile, data[0], data[1])
		if err != nil {
			return nil, err
		}
		if pair.Leaf == nil { // GODEBUG=x509keypairleaf=0
			if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
				return nil, fmt.Errorf("parse certificate in %s: %w", certFile, err)
			}
		}
		return &pair, nil
	}
	return d, d.source.load(time.Now())
}

// Certificate is the pair in use. It is never written to; a change is another one.
func (d *DynamicCert) Certificate() *tls.Certificate { return d.source.current.Load() }

// Files are the two files' names, certificate first.
func (d *DynamicCert) Files() []string { return d.source.files }

// Reload reads the files anew and tells whether another pair is in use now. An
// error leaves the old one. For Watcher.Watch.
func (d *DynamicCert) Reload() (changed bool, err error) { return d.source.reload(time.Now()) }

// Status tells of the last Reload.
func (d *DynamicCert) Status() Status {
	s := d.source.status()
	if pair := d.Certificate(); pair != nil {
		s.NotAfter = pair.Leaf.NotAfter
	}
	return s
}
