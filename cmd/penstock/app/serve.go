package app

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-edge/penstock/handler"
)

// serveDefaults is what serve does without any address.
var serveDefaults = servingDefaults{
	listen: []string{":8080"}, tlsListen: []string{":8443"}, admin: "127.0.0.1:9901",
	chain: true, requestTimeout: time.Minute, maxReading: handler.DefaultMaxInFlight, maxMutating: handler.DefaultMaxMutatingInFlight,
}

func newServeCommand(stopCh <-chan struct{}) *cobra.Command {
	serving := newServingOptions(serveDefaults)
	var public []string
	var file string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server. Without configuration it shows a small embedded site (index,
/version, /openapi/v3, /echo, /healthz, /livez, /readyz) on http://localhost:8080
and, with a self-signed certificate, on https://localhost:8443. Health with the
reasons of failures, counters (/status), the progress of a stop (/drainz) and
profiles (/debug/pprof/) are on http://127.0.0.1:9901.`,
		Example: `  penstock serve
  penstock serve -c /etc/penstock/penstock.yaml
  penstock serve --tls-listen :443 --tls-cert-file cert.pem --tls-private-key-file key.pem
  penstock serve --listen 127.0.0.1:8080 --listen unix:/run/penstock.sock --admin off
  PENSTOCK_SHUTDOWN_DELAY_DURATION=5s penstock serve`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file != "" {
				return runConfigured(cmd, stopCh, serving, file)
			}
			return runCommand(cmd, stopCh, serving, func() (serverFactory, error) {
				core, err := parseEndpoints(public)
				return newChain(core), err
			})
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVarP(&file, "config", "c", "", "serve what this `FILE` says (YAML); without it the built-in site")
	cmd.Flags().StringSliceVar(&public, "public-endpoints", allEndpoints(), "`NAMES` of the built-in endpoints on public addresses, parted by commas, or none")
	serving.AddFlags(cmd.Flags())
	return cmd
}

// parseEndpoints reads --public-endpoints.
func parseEndpoints(names []string) (CoreConfig, error) {
	if len(names) == 1 && names[0] == "none" {
		return CoreConfig{Endpoints: []string{}}, nil
	}
	for _, name := range names {
		if !slices.Contains(allEndpoints(), name) {
			return CoreConfig{}, fmt.Errorf("--public-endpoints %q: give some of %s, or none", name, strings.Join(allEndpoints(), ", "))
		}
	}
	return CoreConfig{Endpoints: names}, nil
}
