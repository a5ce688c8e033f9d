package front

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"os"

	"github.com/penstock-edge/penstock/cmd/penstock/config"
	"github.com/penstock-edge/penstock/handler/proxy"
	"github.com/penstock-edge/penstock/handler/proxy/upstream"
)

// serviceOptions are those of an upstream of the file.
func serviceOptions(u *config.Upstream) (proxy.ServiceOptions, error) {
	o := proxy.ServiceOptions{
		Options: upstream.Options{
			Balance: upstream.Balance(u.Balance),
			Hash:    upstream.Hash{By: u.Hash.By, Name: u.Hash.Name},
			Eject:   upstream.Eject{After: u.Eject.After.Value(), For: u.Eject.For.Value(), Max: u.Eject.Max.Value(), MaxPercent: u.Eject.MaxPercent.Value()},
			Retry: upstream.Retry{
				Attempts: u.Retry.Attempts.Value(), BudgetPercent: u.Retry.BudgetPercent.Value(),
				PerSecond: u.Retry.PerSecond.Value(), Methods: u.Retry.Methods,
			},
			Hedge:          upstream.Hedge{After: max(0, u.Hedge.After.Value())},
			Limits:         upstream.Limits{MaxConns: u.Pool.Max.Value(), MaxRequests: u.Pool.MaxRequests.Value(), Queue: u.Pool.Queue.Value()},
			SlowStart:      u.SlowStart.Value(),
			Resolve:        upstream.Resolve{Interval: u.Resolve.Interval.Value(), Network: u.Resolve.Network},
			ConnectTimeout: u.Timeouts.Connect.Value(),
			HeadTimeout:    u.Timeouts.ResponseHead.Value(),
		},
		Protocol:         proxy.Protocol(u.Protocol),
		HandshakeTimeout: u.Timeouts.TLS.Value(),
		IdleTimeout:      u.Timeouts.Idle.Value(),
		MaxIdle:          u.Pool.Idle.Value(), KeepAlive: u.Pool.IdleTimeout.Value(), MaxAge: u.Pool.MaxAge.Value(),
	}
	for _, t := range u.Targets {
		o.Targets = append(o.Targets, upstream.Target{URL: t.URL, Weight: t.Weight.Value(), SRV: isTrue(t.SRV, false)})
	}
	if h := u.Health; h != nil {
		o.Health = upstream.Health{
			Path: h.Path, Host: h.Host, Interval: h.Interval.Value(), Timeout: h.Timeout.Value(),
			Fall: h.Fall.Value(), Rise: h.Rise.Value(), Expect: h.Expect,
		}
	}
	var err error
	o.TLS, o.TLSName, err = upstreamTLS(&u.TLS)
	return o, err
}

// upstreamTLS reads the files. name is of what is in them, so that a reload with
// other authorities makes other connections.
func upstreamTLS(t *config.UpstreamTLS) (cfg *tls.Config, name string, err error) {
	if *t == (config.UpstreamTLS{}) {
		return nil, "", nil
	}
	sum := sha256.New()
	cfg = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	fmt.Fprintf(sum, "%q", t.ServerName)
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, "", fmt.Errorf("tls.ca_file: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, "", fmt.Errorf("tls.ca_file %s: no certificate of an authority in it", t.CAFile)
		}
		sum.Write(pem)
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, "", fmt.Errorf("tls.cert_file: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
		for _, der := range pair.Certificate {
			sum.Write(der)
		}
	}
	return cfg, hex.EncodeToString(sum.Sum(nil)[:16]), nil
}
