package app

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"
)

const (
	defaultShutdownTimeout = 30 * time.Second
	// maxListeners bounds the shards: one octet tells them apart wherever a
	// shard is written down.
	maxListeners = 256
	adminOff     = "off"
	// maxStreams bounds what one connection may keep running: each stream is a
	// handler and up to 64 KiB in either direction.
	maxStreams = 10_000
)

// ServingOptions are the flags that all serving commands have.
type ServingOptions struct {
	Listen            []string
	TLSListen         []string
	Listeners         int
	PermitPortSharing bool
	EventLoop         OnOff
	DisableHTTP1      bool
	DisableHTTP2      bool
	HTTP3             bool
	MaxStreams        int
	MaxBody           Size // 0: any
	Admin             string

	TLSOptions
	AddressOptions
	ProxyProtocolOptions
	AdminOptions
	LimitOptions
	AccessOptions
	RequestOptions
	StopOptions
	DebugOptions

	defaults servingDefaults
	file     *configFile // nil: there are flags alone
}

// servingDefaults is in what the commands differ when no flag is given.
type servingDefaults struct {
	listen, tlsListen []string
	admin             string
	// The default chain is served; without it only the stages that flags ask for.
	chain                   bool
	requestTimeout          time.Duration
	maxReading, maxMutating int
	// Handlers wait for upstreams, and run as tasks of the event loop.
	tasks bool
	// Request bodies have no limit unless a flag gives one.
	anyBody bool
}

func newServingOptions(defaults servingDefaults) *ServingOptions {
	o := &ServingOptions{EventLoop: true, Admin: defaults.admin, MaxBody: maxBody, defaults: defaults}
	o.ShutdownTimeout, o.DebugOptions = defaultShutdownTimeout, defaultDebug()
	o.LimitOptions, o.SecurePort = defaultLimits(), portNotGiven
	o.RequestTimeout, o.MaxReading, o.MaxMutating = defaults.requestTimeout, defaults.maxReading, defaults.maxMutating
	o.AccessLog = logOff
	if defaults.anyBody {
		o.MaxBody = 0
	}
	return o
}

// AddFlags defines the flags.
func (o *ServingOptions) AddFlags(fs *pflag.FlagSet) {
	repeatable(fs, &o.Listen, "listen", ",", "`ADDR` for plain HTTP: HOST:PORT, :PORT, unix:PATH, or fd:NAME for sockets of the service manager; repeatable"+o.defaults.note(o.defaults.listen))
	repeatable(fs, &o.TLSListen, "tls-listen", ",", "`ADDR` for HTTPS; repeatable"+o.defaults.note(o.defaults.tlsListen))
	o.AddressOptions.addFlags(fs)
	o.ProxyProtocolOptions.addFlags(fs)
	o.TLSOptions.addFlags(fs)
	fs.IntVar(&o.Listeners, "listeners", 0, "`N` sockets and accept loops for each address (0: one for each CPU in use)")
	fs.BoolVar(&o.PermitPortSharing, "permit-port-sharing", false, "share the ports with other processes of this user that allow it too (SO_REUSEPORT)")
	fs.Var(&o.EventLoop, "event-loop", "`on|off`; off serves each connection by a goroutine of its own, for debugging")
	fs.BoolVar(&o.DisableHTTP1, "disable-http1-serving", false, "HTTP/2 alone: no http/1.1 in ALPN, and clear connections begin with HTTP/2's preface")
	fs.BoolVar(&o.DisableHTTP2, "disable-http2-serving", false, "HTTP/1.1 alone: no h2 in ALPN, and no HTTP/2 on clear connections")
	fs.BoolVar(&o.HTTP3, "http3", false, "HTTP/3 too, on the UDP ports of --tls-listen; answers over TCP tell of it (Alt-Svc)")
	fs.IntVar(&o.MaxStreams, "http2-max-streams-per-connection", 0, "`N` streams at one time on an HTTP/2 or HTTP/3 connection (0: 100)")
	fs.Var(&o.MaxBody, "max-request-body", "`SIZE` of the largest request body, such as 512KiB; a larger one is answered 413 (0: any)")
	o.LimitOptions.addFlags(fs)
	o.RequestOptions.addFlags(fs)
	o.AccessOptions.addFlags(fs)
	o.StopOptions.addFlags(fs)
	fs.StringVar(&o.Admin, "admin", o.Admin, "loopback `ADDR`, unix:PATH or fd:NAME for health, metrics and profiles, or off")
	o.AdminOptions.addFlags(fs)
	o.DebugOptions.addFlags(fs)
}

// note tells a default that only holds while no address at all is given.
func (d servingDefaults) note(addrs []string) string {
	if len(addrs) == 0 {
		return ""
	}
	return fmt.Sprintf(" (without any address: %s)", addrs[0])
}

// CompletedOptions can only be made by Complete.
type CompletedOptions struct{ *completedOptions }

type completedOptions struct{ ServingOptions }

// Complete fills in what follows from other flags.
func (o *ServingOptions) Complete() CompletedOptions {
	if len(o.TLSListen) == 0 {
		o.TLSListen = o.addresses()
	}
	if len(o.Listen)+len(o.TLSListen) == 0 && !o.file.listens() {
		o.Listen = o.defaults.listen
		if o.SecurePort != 0 {
			o.TLSListen = o.defaults.tlsListen
		}
	}
	if o.ClientCAFile != "" && o.ClientAuth == "" {
		o.ClientAuth = clientAuthRequire
	}
	return CompletedOptions{&completedOptions{*o}}
}

// Validate reports all errors together.
func (c CompletedOptions) Validate() error {
	errs := c.AddressOptions.validate(c.TLSListen)
	errs = append(errs, c.validateAddresses()...)
	_, err := c.ProxyProtocolOptions.config()
	errs = append(errs, explode(err)...)
	errs = append(errs, c.TLSOptions.validate(len(c.TLSListen) > 0 || c.file.hasTLS())...)
	if c.Listeners < 0 || c.Listeners > maxListeners {
		errs = append(errs, fmt.Errorf("--listeners %d: give 1 to %d, or 0 for one a CPU", c.Listeners, maxListeners))
	}
	if c.DisableHTTP1 && c.DisableHTTP2 {
		errs = append(errs, errors.New("--disable-http1-serving and --disable-http2-serving leave no protocol; drop one of them"))
	}
	if c.HTTP3 && !c.hasPacketEndpoint() {
		errs = append(errs, errors.New("--http3 needs a --tls-listen HOST:PORT, whose UDP port it takes; add --tls-listen :8443"))
	}
	if c.MaxStreams < 0 || c.MaxStreams > maxStreams {
		errs = append(errs, fmt.Errorf("--http2-max-streams-per-connection %d: give 1 to %d, or 0 for 100", c.MaxStreams, maxStreams))
	}
	errs = append(errs, c.LimitOptions.validate()...)
	errs = append(errs, c.RequestOptions.validate()...)
	errs = append(errs, c.AccessOptions.validate()...)
	errs = append(errs, c.StopOptions.validate()...)
	errs = append(errs, c.AdminOptions.validate()...)
	errs = append(errs, c.DebugOptions.validate(c.Admin)...)
	return errors.Join(errs...)
}

// StopOptions are the flags of start and stop.
type StopOptions struct {
	ShutdownTimeout time.Duration
	ShutdownDelay   time.Duration
	SendRetryAfter  bool
	WatchGrace      time.Duration
	LivezGrace      time.Duration
}

func (o *StopOptions) addFlags(fs *pflag.FlagSet) {
	fs.DurationVar(&o.ShutdownTimeout, "shutdown-timeout", o.ShutdownTimeout, "limit of the whole stop; at its end connections are cut")
	fs.DurationVar(&o.ShutdownDelay, "shutdown-delay-duration", 0, "go on serving so long after the stop signal, while /readyz fails already")
	fs.BoolVar(&o.SendRetryAfter, "shutdown-send-retry-after", false, "while requests finish, go on listening and answer new ones 429 with Retry-After")
	fs.DurationVar(&o.WatchGrace, "shutdown-watch-termination-grace-period", 0, "what long-running requests have to end, once they are told to (0: they are not waited for)")
	fs.DurationVar(&o.LivezGrace, "livez-grace-period", 0, "/livez takes checks of the start as well for so long")
}

func (o *StopOptions) validate() (errs []error) {
	if o.ShutdownTimeout <= 0 {
		errs = append(errs, fmt.Errorf("--shutdown-timeout %v: must be above 0", o.ShutdownTimeout))
	}
	within := func(flag string, d time.Duration) {
		switch {
		case d < 0:
			errs = append(errs, fmt.Errorf("%s %v: must not be negative", flag, d))
		case d >= o.ShutdownTimeout && o.ShutdownTimeout > 0:
			errs = append(errs, fmt.Errorf("%s %v: must be less than --shutdown-timeout (%v), which includes it", flag, d, o.ShutdownTimeout))
		}
	}
	within("--shutdown-delay-duration", o.ShutdownDelay)
	within("--shutdown-watch-termination-grace-period", o.WatchGrace)
	if o.LivezGrace < 0 {
		errs = append(errs, fmt.Errorf("--livez-grace-period %v: must not be negative", o.LivezGrace))
	}
	return errs
}
