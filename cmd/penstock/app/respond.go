package app

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/penstock-edge/penstock/handler"
)

// oneLinerDefaults is where respond and file-server listen without an address.
var oneLinerDefaults = servingDefaults{listen: []string{"127.0.0.1:8080"}, admin: adminOff}

type respondOptions struct {
	status   int
	body     string
	bodySize Size
	headers  []string
	delay    time.Duration
}

func newRespondCommand(stopCh <-chan struct{}) *cobra.Command {
	serving, own := newServingOptions(oneLinerDefaults), &respondOptions{}
	cmd := &cobra.Command{
		Use:   "respond",
		Short: "Give every request the same answer",
		Long: `Give every request, whatever its method and path, the same answer. The whole
request body is read first. Useful as an origin in tests and benchmarks.`,
		Example: `  penstock respond --body hello
  penstock respond --status 503 --header "Retry-After: 5" --delay 200ms
  penstock respond --listen :8080 --tls-listen :8443 --body-size 64KiB`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runCommand(cmd, stopCh, serving, func() (serverFactory, error) {
				h, err := own.handler()
				return newSingle(h), err
			})
		},
	}
	own.addFlags(cmd.Flags())
	serving.AddFlags(cmd.Flags())
	return cmd
}

func (o *respondOptions) addFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.IntVar(&o.status, "status", http.StatusOK, "status `CODE`, 200 to 599")
	fs.StringVar(&o.body, "body", "", "`TEXT` of the body")
	fs.Var(&o.bodySize, "body-size", "a generated body of this `SIZE`, such as 512, 64KiB or 10MB")
	repeatable(fs, &o.headers, "header", "\n", "a further field, `\"K: V\"`; repeatable")
	fs.DurationVar(&o.delay, "delay", 0, "wait so long before the answer")
}

func (o *respondOptions) handler() (http.Handler, error) {
	header := make(http.Header)
	var errs []error
	for _, line := range o.headers {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			errs = append(errs, fmt.Errorf("--header %q: write \"Name: value\"", line))
			continue
		}
		name = http.CanonicalHeaderKey(strings.TrimSpace(name))
		header[name] = append(header[name], strings.TrimSpace(value))
	}
	h, err := handler.NewRespond(handler.RespondOptions{
		Status: o.status, Body: []byte(o.body), BodySize: int64(o.bodySize), Header: header, Delay: o.delay,
	})
	if err != nil {
		errs = append(errs, fmt.Errorf("respond: %w", err))
	}
	if o.status == 0 { // for the handler zero means 200, here it was typed
		errs = append(errs, errors.New("respond: status 0: a final status is between 200 and 599"))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return h, nil
}
