package certs

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// CertDir keeps a self-signed pair in a folder, so that restarts show the same
// certificate: <PairName>.crt and <PairName>.key. They are reused when both are
// there, even when somebody else has put them there; made when neither is.
type CertDir struct {
	// Dir is the folder; it is made if need be.
	Dir string
	// PairName is the files' name without ending. If empty, penstock.
	PairName string
	// Hosts are what a new certificate is for, as of SelfSigned.
	Hosts []string
}

const (
	storedPairName = "penstock"
	// Processes that start together may mix their files.
	storeTries = 5
	storePause = 50 * time.Millisecond
)

// Files are the names of the pair.
func (c *CertDir) Files() (certFile, keyFile string) {
	name := c.PairName
	if name == "" {
		name = storedPairName
	}
	base := filepath.Join(c.Dir, name)
	return base + ".crt", base + ".key"
}

// Ensure makes sure that there is a pair, and that one of our own making is not
// near its end. One file without the other is an error: overwriting it could
// destroy a key.
func (c *CertDir) Ensure() (certFile, keyFile string, err error) { return c.ensure(time.Now()) }

func (c *CertDir) ensure(now time.Time) (certFile, keyFile string, err error) {
	certFile, keyFile = c.Files()
	for try := 0; ; try++ {
		due, err := c.due(certFile, keyFile, now)
		if err != nil || !due {
			return certFile, keyFile, err
		}
		if try == storeTries {
			return certFile, keyFile, fmt.Errorf("keep a certificate in %s: other processes write it too", c.Dir)
		}
		if err := c.store(certFile, keyFile, now); err != nil {
			return certFile, keyFile, err
		}
		// Another process that has started at the same time may be half-way.
		time.Sleep(rand.N(storePause))
	}
}

// due tells whether the pair is to be made: there is none, or it is of our own
// making and near its end, or left by a process that ended between two files.
func (c *CertDir) due(certFile, keyFile string, now time.Time) (bool, error) {
	certPEM, certErr := readPEM(certFile)
	keyPEM, keyErr := readPEM(keyFile)
	noCert, noKey := errors.Is(certErr, os.ErrNotExist), errors.Is(keyErr, os.ErrNotExist)
	switch {
	case noCert && noKey:
		return true, nil
	case noCert:
		return false, &PairError{File: certFile, Problem: "is missing, and its key is there", Fix: "restore it, or remove " + keyFile}
	case noKey && ownLeaf(certPEM) != nil:
		return true, nil
	case noKey:
		return false, &PairError{File: keyFile, Problem: "is missing, and its certificate is there", Fix: "restore it, or remove " + certFile}
	case certErr != nil:
		return false, certErr
	case keyErr != nil:
		return false, keyErr
	}
	leaf := ownLeaf(certPEM)
	if _, err := parsePair(certFile, keyFile, certPEM, keyPEM); err != nil {
		if leaf != nil {
			return true, nil
		}
		return false, err
	}
	return leaf != nil && renewalDue(leaf, now), nil
}

// ownLeaf is the certificate in data if SelfSigned has made it, else nil.
func ownLeaf(data []byte) *x509.Certificate {
	c := survey(data)
	if len(c.certificates) != 1 {
		return nil
	}
	leaf, err := x509.ParseCertificate(c.certificates[0])
	if err != nil || !strings.HasPrefix(leaf.Subject.CommonName, selfSignedName) ||
		leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) != nil {
		return nil
	}
	return leaf
}

// store makes a pair and puts it in its place, certificate first: it can be told
// to be ours if the key is never written. Who reads in between finds a key that
// does not fit, and waits.
func (c *CertDir) store(certFile, keyFile string, now time.Time) error {
	pair, err := selfSignedAt(c.Hosts, now)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		return fmt.Errorf("self-signed certificate: encode key: %w", err)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return fmt.Errorf("keep a self-signed certificate: %w", err)
	}
	if err := writeWhole(certFile, pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: pair.Certificate[0]})); err != nil {
		return err
	}
	return writeWhole(keyFile, pem.EncodeToMemory(&pem.Block{Type: pemKeySuffix, Bytes: keyDER}))
}

// writeWhole puts a file that only we may read in place in one step.
func writeWhole(name string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*") // 0600
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the first error says more
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
