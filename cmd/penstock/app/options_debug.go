package app

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/pflag"
)

// DebugOptions are the flags of what one looks at the process with.
type DebugOptions struct {
	Profiling           bool
	ContentionProfiling bool
	DebugSocket         string // empty: none
	Objective           time.Duration
	FlightDir           string
	LogLevel            string
	PIDFile             string
}

func defaultDebug() DebugOptions { return DebugOptions{Profiling: true, LogLevel: "info"} }

func (o *DebugOptions) addFlags(fs *pflag.FlagSet) {
	fs.BoolVar(&o.Profiling, "profiling", o.Profiling, "profiles at --admin, below /debug/pprof/")
	fs.BoolVar(&o.ContentionProfiling, "contention-profiling", false, "profiles of blocking and of contended locks too")
	fs.StringVar(&o.DebugSocket, "debug-socket-path", "", "`PATH` of a unix socket for profiles, which this user alone may open")
	fs.DurationVar(&o.Objective, "latency-objective", 0, "time in which requests should be answered: one that takes longer has the flight recorder write what ran (0: none)")
	fs.StringVar(&o.FlightDir, "flight-recorder-dir", "", "`DIR` for recordings of the last seconds (go tool trace), at most one a minute and 16 in all")
	fs.StringVar(&o.LogLevel, "log-level", o.LogLevel, "debug, info, warn or error: the least `LEVEL` of the log on standard error")
	fs.StringVar(&o.PIDFile, "pid-file", "", "`FILE` for the number of this process, from when it is ready until it ends")
}

func (o *DebugOptions) validate(admin string) (errs []error) {
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	nobodyLooks := admin == adminOff && o.DebugSocket == ""
	switch {
	case !o.ContentionProfiling:
	case !o.Profiling:
		errs = append(errs, errors.New("--contention-profiling has no effect with --profiling=false; drop one of them"))
	case nobodyLooks:
		errs = append(errs, errors.New("--contention-profiling has no effect with --admin off; add --admin 127.0.0.1:9901"))
	}
	fault(o.DebugSocket != "" && !o.Profiling, "--debug-socket-path has no effect with --profiling=false; drop one of them")
	fault(o.Objective < 0, "--latency-objective %v: must not be negative", o.Objective)
	fault(o.Objective > 0 && o.FlightDir == "", "--latency-objective %v has no effect without a place for recordings; add --flight-recorder-dir /var/tmp/penstock", o.Objective)
	fault(o.FlightDir != "" && o.Objective == 0, "--flight-recorder-dir %s: nothing says when to write there; add --latency-objective 250ms", o.FlightDir)
	_, err := o.level()
	fault(err != nil, "--log-level %q: must be debug, info, warn or error", o.LogLevel)
	return errs
}

func (o *DebugOptions) level() (l slog.Level, err error) {
	err = l.UnmarshalText([]byte(o.LogLevel))
	return l, err
}
