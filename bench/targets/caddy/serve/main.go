// Command serve is Caddy with its standard modules as a peer of the suite, which
// writes its configuration: `serve run --config FILE`. A handler that sleeps is
// added, as Caddy has none.
package main

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

func main() {
	caddy.RegisterModule(sleep{})
	caddycmd.Main()
}

// sleep is the handler suite_sleep: what comes behind it does so 50 ms late.
type sleep struct{}

func (sleep) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.suite_sleep", New: func() caddy.Module { return new(sleep) }}
}

func (sleep) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	time.Sleep(50 * time.Millisecond)
	return next.ServeHTTP(w, r)
}
