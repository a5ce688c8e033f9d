package h3

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/quic-go/quic-go"
)

// transport is QUIC on one socket. Its connections stay with it, since their
// IDs name the socket (cid.go).
type transport struct {
	srv  *Server
	quic *quic.Transport
	ln   quicListener
	done chan struct{} // closed when nothing more is accepted
}

// quicListener is a quic.Listener, or with 0-RTT a quic.EarlyListener.
type quicListener interface {
	Accept(ctx context.Context) (*quic.Conn, error)
	Close() error
}

// listen starts QUIC on socket, the index-th of n of the server.
func (s *Server) listen(socket net.PacketConn, index, n int, tlsConf *tls.Config) (*transport, error) {
	reset, token := quic.StatelessResetKey(s.cfg.ResetKey), quic.TokenGeneratorKey(s.cfg.TokenKey)
	t := &transport{srv: s, done: make(chan struct{})}
	issued := newIssuedIDs()
	t.quic = &quic.Transport{
		Conn:                  guarded(socket, issued),
		ConnectionIDGenerator: &cidGenerator{index: index, sockets: n, issued: issued},
		StatelessResetKey:     &reset,
		TokenGeneratorKey:     &token,
		VerifySourceAddress:   s.admission.mustProve,
		ConnContext: func(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
			return s.admission.begin(ctx, info.RemoteAddr)
		},
	}
	var err error
	if s.cfg.Early {
		t.ln, err = t.quic.ListenEarly(tlsConf, s.cfg.quic())
	} else {
		t.ln, err = t.quic.Listen(tlsConf, s.cfg.quic())
	}
	if err != nil {
		t.quic.Close()
		return nil, err
	}
	return t, nil
}

// quic is the transport's configuration.
func (cfg *Config) quic() *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout:           cfg.HandshakeTimeout,
		MaxIdleTimeout:                 cfg.QUICIdleTimeout,
		InitialStreamReceiveWindow:     uint64(cfg.StreamWindow),
		MaxStreamReceiveWindow:         uint64(cfg.MaxStreamWindow),
		InitialConnectionReceiveWindow: uint64(min(cfg.ConnWindow, cfg.MaxStreamWindow)),
		MaxConnectionReceiveWindow:     uint64(cfg.ConnWindow),
		MaxIncomingStreams:             int64(cfg.MaxStreams) + 2*creditBatch,
		MaxIncomingUniStreams:          maxUniStreams,
		RequireStreamCreditRelease:     true, // credit.go
		Allow0RTT:                      cfg.Early,
	}
}

// accept takes connections until the listener is closed.
func (t *transport) accept() {
	defer close(t.done)
	for {
		q, err := t.ln.Accept(context.Background())
		if err != nil {
			return
		}
		t.srv.open(q)
	}
}
