package app

import (
	"net/http"

	"github.com/spf13/cobra"

	"github.com/penstock-edge/penstock/handler"
)

// serveDefaults is what serve does without any address.
var serveDefaults = servingDefaults{
	listen: []string{":8080"}, tlsListen: []string{":8443"}, admin: "127.0.0.1:9901",
}

func newServeCommand(stopCh <-chan struct{}) *cobra.Command {
	serving := newServingOptions(serveDefaults)
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server. Without configuration it shows a small embedded site (index,
/version, /healthz, /livez, /readyz) on http://localhost:8080 and, with a
self-signed certificate, on https://localhost:8443. Health with the reasons of
failures and profiles (/debug/pprof/) are on http://127.0.0.1:9901.`,
		Example: `  penstock serve
  penstock serve --tls-listen :443 --tls-cert-file cert.pem --tls-private-key-file key.pem
  penstock serve --listen 127.0.0.1:8080 --listen unix:/run/penstock.sock --admin off
  PENSTOCK_SHUTDOWN_DELAY_DURATION=5s penstock serve`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runCommand(cmd, stopCh, serving, newSite)
		},
	}
	cmd.Flags().SortFlags = false
	serving.AddFlags(cmd.Flags())
	return cmd
}

// newSite makes the embedded site.
func newSite(life *lifecycle) (http.Handler, error) {
	groups, err := life.healthGroups(handler.HealthOptions{})
	if err != nil {
		return nil, err
	}
	return handler.NewSite(handler.NewVersion(handler.BuildVersion()), groups...), nil
}
