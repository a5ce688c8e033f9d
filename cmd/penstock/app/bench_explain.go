package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

// explain turns an error of a run into one line that names the fix.
func (b *benchRun) explain(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return errors.New("bench: ended before anything was measured")
	}
	u := b.plan.options.URLs[0]
	text := explainTLS(err)
	if text == "" {
		text = explainConnect(err)
	}
	if text == "" {
		text = strings.TrimPrefix(err.Error(), "bench: ")
	}
	return &benchError{"bench " + u.Host + ": " + text, err}
}

// benchError is a run that could not begin.
type benchError struct {
	text string
	err  error
}

func (e *benchError) Error() string { return e.text }
func (e *benchError) Unwrap() error { return e.err }

// explainConnect is for what happens before TLS; empty: it is something else.
func explainConnect(err error) string {
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &dns):
		return fmt.Sprintf("there is no address of %q; check the name", dns.Name)
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused; start the server, or check host and port"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no route to it; check the address, and the network"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "too few open files are allowed; raise them (ulimit -n), or give fewer --connections"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "no local port is free; give fewer --connections, or allow more (sysctl net.ipv4.ip_local_port_range)"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "no connection within --timeout; check that it can be reached, or raise --timeout"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the server closed the connection at once; check the port, and the scheme of the URL"
	}
	return ""
}

// explainTLS is for handshakes; empty: it is something else.
func explainTLS(err error) string {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &authority):
		return "its certificate is of an authority that is not trusted here; give that with --cacert FILE, or take any with --insecure"
	case errors.As(err, &name):
		return fmt.Sprintf("its certificate is not for %q; give one of its names with --servername, or take any with --insecure", name.Host)
	case errors.As(err, &invalid):
		return "its certificate is not valid (" + innermost(invalid).Error() + "); renew it, or take any with --insecure"
	case errors.As(err, &record):
		return "it does not speak TLS; write http:// or give its port of HTTPS"
	case alertOf(err) != "":
		return explainAlert(alertOf(err))
	case strings.Contains(err.Error(), "server selected unsupported protocol version"):
		return "it does not speak a version of TLS between --tls-min and --tls-max"
	}
	return ""
}

// alertOf is the alert that the server sent, in the words of crypto/tls, which has no
// type for it over TCP; empty: it sent none.
func alertOf(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return strings.TrimPrefix(op.Err.Error(), "tls: ")
	}
	if alert, ok := errors.AsType[tls.AlertError](err); ok { // over QUIC
		return strings.TrimPrefix(alert.Error(), "tls: ")
	}
	return ""
}

// explainAlert is for what the server said at the end of a handshake (RFC 8446 §6).
func explainAlert(alert string) string {
	why := "it refused the handshake (" + alert + "); "
	switch alert {
	case "protocol version not supported":
		return why + "allow other versions of TLS with --tls-min and --tls-max"
	case "unrecognized name":
		return why + "give a name it knows with --servername"
	case "bad certificate", "certificate required", "unknown certificate", "unknown certificate authority", "expired certificate", "revoked certificate":
		return why + "give a client certificate it trusts with --cert and --key"
	case "no application protocol":
		return why + "it does not speak the --protocol asked for"
	}
	return why + "check --cert and --key, --servername, and the versions of TLS"
}
