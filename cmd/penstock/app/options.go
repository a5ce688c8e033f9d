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
	Listen          []string
	TLSListen       []string
	CertFile        string
	KeyFile         string
	Listeners       int
	EventLoop       OnOff
	DisableHTTP1    bool
	DisableHTTP2    bool
	HTTP3           bool
	MaxStreams      int
	ShutdownTimeout time.Duration
	ShutdownDelay   time.Duration
	Admin           string

	defaults servingDefaults
}

// servingDefaults is in what the commands differ when no flag is given.
type servingDefaults struct {
	listen, tlsListen []string
	admin             string
}

func newServingOptions(defaults servingDefaults) *ServingOptions {
	return &ServingOptions{
		EventLoop: true, ShutdownTimeout: defaultShutdownTimeout,
		Admin: defaults.admin, defaults: defaults,
	}
}

// AddFlags defines the flags.
func (o *ServingOptions) AddFlags(fs *pflag.FlagSet) {
	repeatable(fs, &o.Listen, "listen", ",", "`ADDR` for plain HTTP: HOST:PORT, :PORT or unix:PATH; repeatable"+o.defaults.note(o.defaults.listen))
	repeatable(fs, &o.TLSListen, "tls-listen", ",", "`ADDR` for HTTPS; repeatable"+o.defaults.note(o.defaults.tlsListen))
	fs.StringVar(&o.CertFile, "tls-cert-file", "", "PEM `FILE` with the certificate chain, the server's own first (without it: self-signed)")
	fs.StringVar(&o.KeyFile, "tls-private-key-file", "", "PEM `FILE` with the key of --tls-cert-file")
	fs.IntVar(&o.Listeners, "listeners", 0, "`N` sockets and accept loops for each address (0: one for each CPU in use)")
	fs.Var(&o.EventLoop, "event-loop", "`on|off`; off serves each connection by a goroutine of its own, for debugging")
	fs.BoolVar(&o.DisableHTTP1, "disable-http1-serving", false, "HTTP/2 alone: no http/1.1 in ALPN, and clear connections begin with HTTP/2's preface")
	fs.BoolVar(&o.DisableHTTP2, "disable-http2-serving", false, "HTTP/1.1 alone: no h2 in ALPN, and no HTTP/2 on clear connections")
	fs.BoolVar(&o.HTTP3, "http3", false, "HTTP/3 too, on the UDP ports of --tls-listen; answers over TCP tell of it (Alt-Svc)")
	fs.IntVar(&o.MaxStreams, "http2-max-streams-per-connection", 0, "`N` streams at one time on an HTTP/2 or HTTP/3 connection (0: 100)")
	fs.DurationVar(&o.ShutdownTimeout, "shutdown-timeout", o.ShutdownTimeout, "limit of the whole stop; at its end connections are cut")
	fs.DurationVar(&o.ShutdownDelay, "shutdown-delay-duration", 0, "go on serving so long after the stop signal, while /readyz fails already")
	fs.StringVar(&o.Admin, "admin", o.Admin, "loopback `ADDR` or unix:PATH for health and profiles, or off")
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
	if len(o.Listen)+len(o.TLSListen) == 0 {
		o.Listen, o.TLSListen = o.defaults.listen, o.defaults.tlsListen
	}
	return CompletedOptions{&completedOptions{*o}}
}

// Validate reports all errors together.
func (c CompletedOptions) Validate() error {
	errs := c.validateAddresses()
	switch {
	case (c.CertFile == "") != (c.KeyFile == ""):
		given, missing := "--tls-cert-file", "--tls-private-key-file"
		if c.CertFile == "" {
			given, missing = missing, given
		}
		errs = append(errs, fmt.Errorf("%s needs %s beside it", given, missing))
	case c.CertFile != "" && len(c.TLSListen) == 0:
		errs = append(errs, errors.New("--tls-cert-file has no effect without --tls-listen; add --tls-listen :8443"))
	}
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
	if c.ShutdownTimeout <= 0 {
		errs = append(errs, fmt.Errorf("--shutdown-timeout %v: must be above 0", c.ShutdownTimeout))
	}
	switch {
	case c.ShutdownDelay < 0:
		errs = append(errs, fmt.Errorf("--shutdown-delay-duration %v: must not be negative", c.ShutdownDelay))
	case c.ShutdownDelay >= c.ShutdownTimeout && c.ShutdownTimeout > 0:
		errs = append(errs, fmt.Errorf("--shutdown-delay-duration %v: must be less than --shutdown-timeout (%v), which includes it", c.ShutdownDelay, c.ShutdownTimeout))
	}
	return errors.Join(errs...)
}

// OnOff is a flag's value: on or off.
type OnOff bool

// String is "on" or "off".
func (v *OnOff) String() string {
	if *v {
		return "on"
	}
	return "off"
}

// Set takes "on" or "off".
func (v *OnOff) Set(s string) error {
	switch s {
	case "on":
		*v = true
	case "off":
		*v = false
	default:
		return errors.New("must be on or off")
	}
	return nil
}

// Type is the name of the value in help texts.
func (v *OnOff) Type() string { return "on|off" }
