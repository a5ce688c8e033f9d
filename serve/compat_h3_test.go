package serve_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve"
)

// inHTTP3 says in HTTP/3's words what was said in HTTP/2's: the messages are the
// same, but for the names of versions, clients and errors (RFC 9114 §4, §8.1).
var inHTTP3 = strings.NewReplacer(
	"HTTP/2.0 2.0", "HTTP/3.0 3.0",
	"HTTP/2.0", "HTTP/3.0",
	"Go-http-client/2.0", "quic-go HTTP/3",
	"PROTOCOL_ERROR", "H3_MESSAGE_ERROR", // as the suite meets it: of one stream
	"INTERNAL_ERROR", "H3_INTERNAL_ERROR",
)

// transportH3 is quic-go's client.
func transportH3(t *testing.T) *http3.Transport {
	c := &http3.Transport{DisableCompression: true, TLSClientConfig: clientTLS()}
	t.Cleanup(func() { c.Close() })
	return c
}

// reusedH3 is what quic-go's client should say of the connection it has used:
// it connects anew behind an error, and takes for reused what was quick to come.
func (x *compat) reusedH3(said bool) bool {
	erred := x.erred
	x.erred = false
	return x.asks > 1 && (said || erred)
}

// bindPackets binds UDP sockets, one for each core.
func bindPackets(t *testing.T, address string) *listener.PacketGroup {
	t.Helper()
	g, err := listener.BindPackets(t.Context(), listener.PacketConfig{Address: address, ErrorLog: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// startHTTP3 serves s over HTTP/3 alone, until the test ends.
func startHTTP3(t *testing.T, s *serve.Server) (addr string) {
	t.Helper()
	g := bindPackets(t, "127.0.0.1:0")
	ended := make(chan error, 1)
	go func() { ended <- s.ServeHTTP3(g, "", "") }()
	t.Cleanup(func() {
		s.Close()
		if err := within(t, "ServeHTTP3 returns", ended); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("ServeHTTP3: %v", err)
		}
	})
	return g.Addr().String()
}

// quicDial connects, and offers HTTP/3. cfg nil: clientTLS.
func quicDial(t *testing.T, addr string, cfg *tls.Config) (*quic.Conn, error) {
	t.Helper()
	if cfg == nil {
		cfg = clientTLS()
	}
	cfg.NextProtos = []string{http3.NextProtoH3}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	q, err := quic.DialAddr(ctx, addr, cfg, &quic.Config{MaxIdleTimeout: 2 * patience})
	if err == nil {
		t.Cleanup(func() { q.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "") })
	}
	return q, err
}
