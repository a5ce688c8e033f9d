package certs

import (
	"crypto/tls"
	"sync/atomic"
)

// Swap answers the handshakes of a listener with a Dynamic that another one may
// take the place of, in one step, while handshakes go on. Set it once before it is
// used.
type Swap struct{ current atomic.Pointer[Dynamic] }

// Set makes d answer from now on. Handshakes that run end on the former one, which
// it returns; the caller closes it. nil: there was none.
func (s *Swap) Set(d *Dynamic) (former *Dynamic) { return s.current.Swap(d) }

// Get is the one that answers now.
func (s *Swap) Get() *Dynamic { return s.current.Load() }

// TLSConfig is the configuration for listeners over TCP and for QUIC, which follows
// every Set.
func (s *Swap) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			return s.current.Load().configForClient(hello)
		},
	}
}

// SamePolicy is that of the present Dynamic: a connection that was made under the
// former one is judged by what is asked now.
func (s *Swap) SamePolicy(sni, host string) bool { return s.current.Load().SamePolicy(sni, host) }
