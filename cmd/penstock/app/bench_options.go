package app

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/penstock-edge/penstock/bench"
)

const (
	defaultBenchDuration = 10 * time.Second
	// A search has a dozen steps or two: each is shorter than a run by itself.
	defaultStepDuration = 5 * time.Second
	defaultStepWarmup   = time.Second

	maxBenchConnections = 1_000_000
	maxBenchStreams     = 100_000
	defaultObjective    = "p99=50ms"
)

// benchOptions are the flags of bench.
type benchOptions struct {
	connections, streams, workers int
	duration, warmup, timeout     time.Duration
	requests                      int64
	protocol                      string
	rate                          float64
	connectPerRequest, noKeep     bool
	method                        string
	headers                       []string
	body, data                    string
	urls                          string
	expectStatus                  string
	findMax                       bool
	objective                     string
	json, html                    string
	quiet                         bool
	serverAdmin                   string
	tls                           benchTLS
}

func newBenchOptions() *benchOptions {
	return &benchOptions{
		connections: 50, streams: 1, duration: defaultBenchDuration, timeout: 30 * time.Second,
		protocol: string(bench.Auto), objective: defaultObjective,
	}
}

func (o *benchOptions) addFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	fs.IntVarP(&o.connections, "connections", "c", o.connections, "`N` connections at one time")
	fs.IntVarP(&o.streams, "streams", "m", o.streams, "`N` requests in flight on each connection (HTTP/2 and HTTP/3)")
	fs.DurationVarP(&o.duration, "duration", "d", o.duration, "measure so long (with --requests: no limit; a step of --find-max: 5s)")
	fs.Int64VarP(&o.requests, "requests", "n", 0, "end after `N` requests, or --duration, whichever is first")
	fs.Float64Var(&o.rate, "rate", 0, "`R` requests a second at even intervals, latency from the intended start (0: as fast as answers come; with --find-max: the first step)")
	fs.DurationVar(&o.warmup, "warmup", 0, "load so long before, without counting (a step of --find-max: 1s)")
	fs.StringVar(&o.protocol, "protocol", o.protocol, "`h1|h2|h3|auto`; auto is what ALPN gives, and h1 without TLS")
	fs.BoolVar(&o.connectPerRequest, "connect-per-request", false, "a new connection for each request")
	fs.BoolVar(&o.noKeep, "disable-keepalive", false, "ask the server to close after each answer (HTTP/1.1)")
	fs.IntVar(&o.workers, "workers", 0, "`N` event loops (0: one for each CPU in use)")
	fs.DurationVar(&o.timeout, "timeout", o.timeout, "limit of a request, and of a connection with its handshake")
	fs.StringVar(&o.method, "method", "", "`METHOD` (without it: GET, or POST with a body)")
	repeatableP(fs, &o.headers, "header", "H", "\n", "a field, `\"K: V\"`; repeatable")
	fs.StringVar(&o.body, "body", "", "send the content of `FILE` with each request, - is standard input")
	fs.StringVar(&o.data, "data", "", "send this `TEXT` with each request")
	fs.StringVar(&o.urls, "urls", "", "`FILE` of URLs, one a line, asked in turn; with an URL beside it lines may be paths")
	fs.StringVar(&o.expectStatus, "expect-status", "", "`LIST` of statuses that are good, such as 200,3xx; any other is a failure (without it: 5xx is one)")
	fs.BoolVar(&o.findMax, "find-max", false, "search the highest rate at which --objective holds")
	fs.StringVar(&o.objective, "objective", o.objective, "with --find-max `LIST` of bounds: p50, p99, p99.9, … and max as durations, errors as a share")
	fs.StringVar(&o.json, "json", "", "write the result to `FILE`, - is standard output")
	fs.StringVar(&o.html, "html", "", "write a page with charts to `FILE`")
	fs.BoolVarP(&o.quiet, "quiet", "q", false, "show no progress")
	fs.StringVar(&o.serverAdmin, "server-admin", "", "`URL` or unix:PATH of the target's --admin, whose own latency and CPU stand beside; or off (without it: tried at 127.0.0.1:9901 for targets on this machine)")
	o.tls.addFlags(fs)
}

// repeatableP is repeatable with a letter.
func repeatableP(fs *pflag.FlagSet, p *[]string, name, letter, separator, usage string) {
	fs.StringArrayVarP(p, name, letter, nil, usage)
	_ = fs.SetAnnotation(name, envSeparator, []string{separator}) // fails for unknown names only
}

// A benchPlan is what the flags ask for, checked.
type benchPlan struct {
	options        bench.Options
	search         bench.FindMaxOptions
	findMax, quiet bool
	expects        bool // --expect-status judges answers
	json, html     string
	admin          string
}

// plan checks all flags and reads the files they name. All that is wrong is told
// together.
func (o *benchOptions) plan(cmd *cobra.Command, args []string) (*benchPlan, error) {
	p := &benchPlan{findMax: o.findMax, quiet: o.quiet, json: o.json, html: o.html, admin: o.serverAdmin}
	changed := cmd.Flags().Changed
	o.followOthers(changed)
	urls, errs := o.targets(args)
	errs = append(errs, o.validate(changed)...)
	errs = append(errs, o.tls.validate(urls)...)
	header, err := benchFields(o.headers)
	errs = append(errs, flat(err)...)
	body, err := o.content(cmd.InOrStdin())
	errs = append(errs, flat(err)...)
	check, err := statusCheck(o.expectStatus)
	errs = append(errs, flat(err)...)
	config, err := o.tls.config()
	errs = append(errs, flat(err)...)
	p.expects = check != nil
	p.search.Objectives, err = bench.ParseObjectives(o.objective)
	for _, e := range flat(err) {
		errs = append(errs, fmt.Errorf("--objective %w", e))
	}
	p.search.Start = o.rate
	errs = append(errs, o.outputs()...)
	p.options = bench.Options{
		URLs: urls, Method: o.method, Header: header, Body: body, Protocol: bench.Protocol(o.protocol),
		Connections: o.connections, Streams: o.streams, Workers: o.workers,
		Duration: o.duration, Requests: o.requests, Warmup: o.warmup, Rate: o.rate, Timeout: o.timeout,
		ConnectPerRequest: o.connectPerRequest, NoKeepAlive: o.noKeep, TLS: config, Check: check,
		Interval: benchInterval(o.duration),
	}
	return p, errors.Join(errs...)
}

// followOthers sets defaults that depend on other flags.
func (o *benchOptions) followOthers(changed func(string) bool) {
	if changed("requests") && !changed("duration") {
		o.duration = 0
	}
	if o.findMax && !changed("duration") {
		o.duration = defaultStepDuration
	}
	if o.findMax && !changed("warmup") {
		o.warmup = defaultStepWarmup
	}
}

// benchInterval is that of the series: short runs have twenty points too, so that
// compare has something to tell noise by. How long a number of requests takes,
// nobody knows.
func benchInterval(d time.Duration) time.Duration {
	if d <= 0 {
		return 250 * time.Millisecond
	}
	return min(max(d/20, 50*time.Millisecond), time.Second)
}

func (o *benchOptions) validate(changed func(string) bool) (errs []error) {
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	fault(o.connections < 1 || o.connections > maxBenchConnections, "--connections %d: give 1 to %d", o.connections, maxBenchConnections)
	fault(o.streams < 1 || o.streams > maxBenchStreams, "--streams %d: give 1 to %d", o.streams, maxBenchStreams)
	fault(o.workers < 0 || o.workers > maxListeners, "--workers %d: give 1 to %d, or 0 for one a CPU", o.workers, maxListeners)
	fault(changed("requests") && o.requests < 1, "--requests %d: must be above 0", o.requests)
	fault(o.duration < 0 || o.duration == 0 && o.requests < 1, "--duration %v: must be above 0", o.duration)
	fault(o.warmup < 0, "--warmup %v: must not be negative", o.warmup)
	fault(o.timeout <= 0, "--timeout %v: must be above 0", o.timeout)
	fault(!(o.rate >= 0 && o.rate <= 1e9), "--rate %v: give up to 1e9 requests a second, or 0 for a closed loop", o.rate)
	known := slices.Contains([]bench.Protocol{bench.Auto, bench.H1, bench.H2, bench.H3}, bench.Protocol(o.protocol))
	fault(!known, "--protocol %q: must be h1, h2, h3 or auto", o.protocol)
	fault(o.protocol == string(bench.H1) && o.streams > 1, "--streams %d: HTTP/1.1 has one request in flight on a connection; raise --connections", o.streams)
	fault(o.noKeep && (o.protocol == string(bench.H2) || o.protocol == string(bench.H3)), "--disable-keepalive is HTTP/1.1's; use --connect-per-request")
	fault(o.method != "" && !isToken(o.method), "--method %q: is no method", o.method)
	fault(!o.findMax && changed("objective"), "--objective has no effect without --find-max")
	fault(o.findMax && o.requests > 0, "--requests has no effect with --find-max, whose steps are by time; use --duration")
	return errs
}

// benchFields reads fields as they were typed.
func benchFields(lines []string) ([]bench.Field, error) {
	var fields []bench.Field
	var errs []error
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case !ok || !isToken(name):
			errs = append(errs, fmt.Errorf("--header %q: write \"Name: value\"", line))
		case strings.ContainsAny(value, "\r\n\x00"):
			errs = append(errs, fmt.Errorf("--header %q: a value is one line", line))
		case slices.Contains([]string{"content-length", "transfer-encoding", "connection", "upgrade", "keep-alive"}, strings.ToLower(name)):
			errs = append(errs, fmt.Errorf("--header %q: %s is the generator's own", line, name))
		default:
			fields = append(fields, bench.Field{Name: name, Value: value})
		}
	}
	return fields, errors.Join(errs...)
}

// isToken tells whether s is a token of RFC 9110 §5.6.2.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}

// statusCheck fails answers whose status is not in the list; nil without one.
func statusCheck(list string) (func(int, []byte) error, error) {
	if list == "" {
		return nil, nil
	}
	var good [1000]bool
	var errs []error
	for part := range strings.SplitSeq(list, ",") {
		low, high, ok := statusRange(strings.TrimSpace(part))
		if !ok {
			errs = append(errs, fmt.Errorf("--expect-status %q: write a status such as 200, a class such as 2xx, or a range such as 200-204", part))
			continue
		}
		for status := low; status <= high; status++ {
			good[status] = true
		}
	}
	return func(status int, _ []byte) error {
		if status < 0 || status >= len(good) || !good[status] {
			return fmt.Errorf("status %d", status)
		}
		return nil
	}, errors.Join(errs...)
}

func statusRange(text string) (low, high int, ok bool) {
	if class, isClass := strings.CutSuffix(text, "xx"); isClass {
		n, err := strconv.Atoi(class)
		return n * 100, n*100 + 99, err == nil && n >= 1 && n <= 5
	}
	from, to, isRange := strings.Cut(text, "-")
	low, err := strconv.Atoi(from)
	high = low
	if err == nil && isRange {
		high, err = strconv.Atoi(to)
	}
	return low, high, err == nil && low >= 100 && high <= 599 && low <= high
}
