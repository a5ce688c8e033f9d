package app

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/penstock-edge/penstock/handler"
)

const (
	logOff    = "off"
	logStdout = "-"
)

// RequestOptions are the flags of what happens to requests on their way to the
// handler.
type RequestOptions struct {
	RequestTimeout time.Duration
	MinLongRunning time.Duration
	MaxReading     int
	MaxMutating    int
	GoawayChance   float64
	HSTS           []string
	CORSOrigins    []string
	AccessLog      string
	AuditLog       string
}

func (o *RequestOptions) addFlags(fs *pflag.FlagSet) {
	fs.DurationVar(&o.RequestTimeout, "request-timeout", o.RequestTimeout, "an answer that is not complete by then is 504, or cut (0: no limit)")
	fs.DurationVar(&o.MinLongRunning, "min-request-timeout", 0, "long-running requests (streams, watches, tunnels) are ended after a random time from this to twice this (0: never)")
	fs.IntVar(&o.MaxReading, "max-requests-inflight", o.MaxReading, "`N` requests that read at one time, more are answered 429 (0: no limit)")
	fs.IntVar(&o.MaxMutating, "max-mutating-requests-inflight", o.MaxMutating, "`N` requests that change something at one time, more are answered 429 (0: no limit)")
	fs.Float64Var(&o.GoawayChance, "goaway-chance", 0, "`CHANCE` that a request ends its HTTP/2 or HTTP/3 connection, up to 0.02")
	fs.StringSliceVar(&o.HSTS, "strict-transport-security-directives", nil, "`DIRECTIVES` of HSTS, parted by commas: max-age=SECONDS, includeSubDomains, preload")
	repeatable(fs, &o.CORSOrigins, "cors-allowed-origins", "\n", "`REGEXP` of origins whose pages may read answers, such as ^https://app\\.example$; repeatable")
	fs.StringVar(&o.AccessLog, "access-log", o.AccessLog, "`FILE` for one JSON line a request, - for standard output, or off")
	fs.StringVar(&o.AuditLog, "audit-log-path", "", "`FILE` for events of who did what, one JSON line each, or - for standard output")
}

func (o *RequestOptions) validate() (errs []error) {
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	fault(o.RequestTimeout < 0, "--request-timeout %v: must not be negative", o.RequestTimeout)
	fault(o.MinLongRunning < 0, "--min-request-timeout %v: must not be negative", o.MinLongRunning)
	fault(o.MaxReading < 0, "--max-requests-inflight %d: must not be negative", o.MaxReading)
	fault(o.MaxMutating < 0, "--max-mutating-requests-inflight %d: must not be negative", o.MaxMutating)
	fault(!(o.GoawayChance >= 0 && o.GoawayChance <= 0.02), "--goaway-chance %v: must be from 0 to 0.02", o.GoawayChance)
	_, err := handler.NewSecurityHeaders(handler.SecurityHeadersOptions{HSTS: o.HSTS})
	fault(err != nil, "--strict-transport-security-directives %s: %w", strings.Join(o.HSTS, ","), err)
	_, err = handler.NewCORS(handler.CORSOptions{AllowedOrigins: o.CORSOrigins})
	fault(err != nil, "--cors-allowed-origins: %w", err)
	if o.AccessLog == "" {
		errs = append(errs, errors.New(`--access-log "": give a file, - for standard output, or off`))
	}
	return errs
}

// logs tells whether requests are to be found again in a log, by their id.
func (o *RequestOptions) logs() bool { return o.AccessLog != logOff || o.AuditLog != "" }

// asksForStages tells whether any of the flags needs a stage, for commands that
// have none by default.
func (c CompletedOptions) asksForStages() bool {
	return c.RequestTimeout > 0 || c.MinLongRunning > 0 || c.MaxReading > 0 || c.MaxMutating > 0 || c.GoawayChance > 0 ||
		len(c.HSTS) > 0 || len(c.CORSOrigins) > 0 || c.ClientCAFile != "" || c.AccessOptions.asksForStages() || c.logs() ||
		c.SendRetryAfter || c.WatchGrace > 0 || c.Objective > 0
}
