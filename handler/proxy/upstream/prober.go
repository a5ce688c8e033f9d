package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// HTTPProber checks with net/http: a GET on a connection of its own, which ends
// with the check. A redirect is an answer like others.
type HTTPProber struct {
	// TLS is for targets of https. If nil, the system's roots. The server name, if
	// it has none, is the host of Health.Host or the target.
	TLS *tls.Config
}

// probeHeadBytes bounds the head of an answer, as the proxy does (rule U-2).
const probeHeadBytes = 64 << 10

// Probe makes a check.
func (p HTTPProber) Probe(ctx context.Context, e *Endpoint, h Health) error {
	transport := p.transport(e, h)
	defer transport.CloseIdleConnections()
	scheme := "http"
	if e.Scheme == "https" {
		scheme = "https"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+e.Authority+h.Path, nil)
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	r.Host = h.Host // empty: of the URL
	r.Header.Set("User-Agent", "penstock-health")
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if !h.expects(answer.StatusCode) {
		return fmt.Errorf("status %d", answer.StatusCode)
	}
	if _, err := io.CopyN(io.Discard, answer.Body, max(0, h.BodyBytes)); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the answer: %w", err)
	}
	return nil
}

// transport is for one check: connections of one do not tell about the next.
func (p HTTPProber) transport(e *Endpoint, h Health) *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(e.Scheme != "h2c")
	protocols.SetHTTP2(e.Scheme == "https")
	protocols.SetUnencryptedHTTP2(e.Scheme == "h2c")
	t := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, e.Network, e.Address)
		},
		Protocols:              &protocols,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: probeHeadBytes,
	}
	if e.Scheme == "https" {
		t.TLSClientConfig = p.TLS.Clone()
		if t.TLSClientConfig == nil {
			t.TLSClientConfig = &tls.Config{}
		}
		if t.TLSClientConfig.ServerName == "" && h.Host != "" {
			host, _, err := splitHostPort(h.Host)
			if err == nil {
				t.TLSClientConfig.ServerName = host
			}
		}
	}
	return t
}
