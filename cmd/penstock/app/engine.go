package app

import (
	"crypto/tls"
	"log/slog"
	"net/http"

	"github.com/penstock-edge/penstock/serve"
)

// maxBody is the largest request body that the commands take: their handlers
// have no use for more, and an upload has an owner who knows its size.
const maxBody = 3 << 20

// newEngine makes the server of a run from its options.
func newEngine(h http.Handler, tlsConfig *tls.Config, c CompletedOptions, log *slog.Logger) *serve.Server {
	o := serve.ServerOptions{Shards: c.Listeners, MaxBodyBytes: maxBody, ErrorLog: log}
	o.DisableHTTP1, o.DisableHTTP2, o.MaxStreams = c.DisableHTTP1, c.DisableHTTP2, c.MaxStreams
	if !c.EventLoop {
		o.EventLoop = serve.EventLoopOff
	}
	return &serve.Server{Handler: h, TLSConfig: tlsConfig, Options: o}
}
