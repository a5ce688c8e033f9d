package certs

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// maxPEMFileBytes bounds what is read of one file: a chain of a dozen
// certificates takes 30 KiB.
const maxPEMFileBytes = 1 << 20

const (
	pemCertificate = "CERTIFICATE"
	pemEncrypted   = "ENCRYPTED PRIVATE KEY"
	pemKeySuffix   = "PRIVATE KEY"
)

// LoadPair reads a PEM certificate chain (the server's own first) and its
// unencrypted PEM private key, and checks that they belong together. Leaf is
// set in the result. An error is a *PairError that names the file and the fix.
// Dates are not checked: an expired certificate is the caller's to judge.
func LoadPair(certFile, keyFile string) (tls.Certificate, error) {
	certPEM, err := readPEM(certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	keyPEM, err := readPEM(keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	return parsePair(certFile, keyFile, certPEM, keyPEM)
}

// parsePair is LoadPair of what has been read.
func parsePair(certFile, keyFile string, certPEM, keyPEM []byte) (tls.Certificate, error) {
	certs, keys := survey(certPEM), survey(keyPEM)
	if err := checkContents(certFile, keyFile, certs, keys); err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return tls.Certificate{}, explainPair(certFile, keyFile, certs, keyPEM, err)
	}
	return pair, nil
}

func readPEM(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, explainOpen(name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPEMFileBytes+1))
	if err != nil {
		return nil, explainOpen(name, err)
	}
	if len(b) > maxPEMFileBytes {
		return nil, &PairError{
			File: name, Problem: fmt.Sprintf("larger than %d KiB", maxPEMFileBytes>>10),
			Fix: "give a PEM file with only the certificate chain or the key",
		}
	}
	return b, nil
}

func explainOpen(name string, err error) error {
	e := &PairError{File: name, Err: err}
	switch {
	case name == "":
		e.File, e.Problem, e.Fix = "certificate or key", "no file name", "give both files"
	case errors.Is(err, fs.ErrNotExist):
		e.Problem, e.Fix = "no such file", "check the path"
	case errors.Is(err, fs.ErrPermission):
		e.Problem = "permission denied"
		e.Fix = fmt.Sprintf("let user id %d read it, for example with chown or a group", os.Geteuid())
	case errors.Is(err, syscall.EISDIR):
		e.Problem, e.Fix = "is a directory", "name the file in it"
	default:
		e.Problem, e.Fix = "cannot be read ("+cause(err)+")", "check the file and its disk"
	}
	return e
}

// cause is the innermost error's text: the file name is already told.
func cause(err error) string {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

// contents is what a PEM file was found to hold.
type contents struct {
	certificates [][]byte // DER
	hasKey       bool
	encryptedKey bool
	derLooking   bool // no PEM block, first byte of a DER SEQUENCE
	empty        bool
	cut          bool // a block begins and has no end: half written, as a rule
}

func survey(data []byte) contents {
	c := contents{
		empty:      len(bytes.TrimSpace(data)) == 0,
		derLooking: len(data) > 2 && data[0] == 0x30,
	}
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			c.cut = bytes.Contains(data, []byte("-----BEGIN "))
			return c
		}
		c.derLooking = false
		switch {
		case block.Type == pemCertificate:
			c.certificates = append(c.certificates, block.Bytes)
		case block.Type == pemEncrypted, strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			c.hasKey, c.encryptedKey = true, true
		case strings.HasSuffix(block.Type, pemKeySuffix):
			c.hasKey = true
		}
	}
}

func checkContents(certFile, keyFile string, certs, keys contents) error {
	switch {
	case len(certs.certificates) == 0 && certs.hasKey && !keys.hasKey && len(keys.certificates) > 0:
		return &PairError{File: certFile, Problem: "holds the private key, and " + keyFile + " the certificate", Fix: "swap the two files"}
	case len(certs.certificates) == 0:
		return explainMissing(certFile, "certificate", "x509", certs)
	case !keys.hasKey:
		return explainMissing(keyFile, "private key", "pkey", keys)
	case keys.encryptedKey:
		return &PairError{
			File: keyFile, Problem: "the private key is encrypted",
			Fix: fmt.Sprintf("decrypt it first: openssl pkey -in %s -out key.pem", keyFile),
		}
	case certs.cut: // the chain's end would be missing, and clients would not trust the rest
		return explainCut(certFile)
	}
	return nil
}

func explainCut(file string) error {
	return &PairError{File: file, Problem: "ends within a PEM block", Fix: "write the whole file, best under another name that is then renamed"}
}

func explainMissing(file, wanted, tool string, c contents) error {
	e := &PairError{File: file}
	switch {
	case c.empty:
		e.Problem, e.Fix = "is empty", "give a PEM file with the "+wanted
	case c.hasKey:
		e.Problem, e.Fix = "holds a private key, but no certificate", "give the certificate chain's PEM file here"
	case len(c.certificates) > 0:
		e.Problem, e.Fix = "holds a certificate, but no private key", "give the key's PEM file here"
	case c.derLooking:
		e.Problem = "is not PEM but looks like DER"
		e.Fix = fmt.Sprintf("convert it: openssl %s -inform der -in %s -out %s.pem", tool, file, file)
	default:
		e.Problem, e.Fix = "holds no PEM "+wanted, "give a PEM file with the "+wanted
	}
	return e
}

// explainPair finds out why X509KeyPair refused: both files hold what they should.
func explainPair(certFile, keyFile string, certs contents, keyPEM []byte, err error) error {
	for i, der := range certs.certificates {
		if _, perr := x509.ParseCertificate(der); perr != nil {
			return &PairError{
				File: certFile, Problem: fmt.Sprintf("certificate %d is damaged (%v)", i+1, perr),
				Fix: "export it again", Err: err,
			}
		}
	}
	for i, der := range certs.certificates[1:] {
		if keyFits(der, keyPEM) {
			return &PairError{
				File: certFile, Problem: fmt.Sprintf("the chain is out of order, the key belongs to certificate %d", i+2),
				Fix: "put the server's own certificate first", Err: err,
			}
		}
	}
	if strings.Contains(err.Error(), "does not match") {
		return &PairError{
			File: keyFile, Problem: "the key does not belong to the certificate in " + certFile,
			Fix: "give the key the certificate was issued for", Err: err,
		}
	}
	return &PairError{
		File: keyFile, Problem: "the private key cannot be used (" + strings.TrimPrefix(err.Error(), "tls: ") + ")",
		Fix: "use an unencrypted PEM key: ECDSA, Ed25519 or RSA", Err: err,
	}
}

func keyFits(der, keyPEM []byte) bool {
	pair, err := tls.X509KeyPair(pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: der}), keyPEM)
	if err != nil {
		return false
	}
	_, signs := pair.PrivateKey.(crypto.Signer)
	return signs
}
