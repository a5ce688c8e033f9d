package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/penstock-edge/penstock/cmd/penstock/config"
)

const (
	// adminPatience bounds the wait for a running server.
	adminPatience = 10 * time.Second
	// maxShown bounds what it shows: a file has 1 MiB, and with origins more.
	maxShown = 8 << 20
)

// compareWith tells what a reload of the server at admin to the file would change.
func compareWith(cmd *cobra.Command, name, admin string) error {
	next, err := config.Load(name, config.Options{})
	if err != nil {
		return err
	}
	now, err := runningConfig(cmd.Context(), admin)
	if err != nil {
		return fmt.Errorf("--against %s: %w", admin, err)
	}
	changes := config.Diff(now.Config, next.Config)
	for _, c := range changes {
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), c); err != nil {
			return err
		}
	}
	f := &configFile{name: name}
	f.current.Store(now)
	// Whether that server has a limit of memory is not known here.
	if err := f.fixed(changes, true); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is good; a reload changes %d values\n", name, len(changes))
	return err
}

// runningConfig is what the server at admin serves by.
func runningConfig(ctx context.Context, admin string) (*config.File, error) {
	e, err := parseEndpoint("--against", admin)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, adminPatience)
	defer cancel()
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, e.network, e.address)
	}}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/config?given", http.NoBody)
	if err != nil {
		return nil, err
	}
	res, err := tr.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Header.Get("Content-Type"), "application/yaml") {
		return nil, fmt.Errorf("it has no configuration to show (%s); is it penstock serve -c, and its admin address?", res.Status)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, maxShown))
	if err != nil {
		return nil, err
	}
	// It was expanded there.
	none := func(string) (string, bool) { return "", false }
	file, err := config.Decode("the running configuration", text, config.Options{Lookup: none})
	if err != nil {
		return nil, errors.Join(errors.New("it shows what this version does not understand"), err)
	}
	return file, nil
}
