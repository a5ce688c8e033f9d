package debug

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/trace"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Why there is no dump.
var (
	ErrFlightOff   = errors.New("the flight recorder is off")
	ErrFlightNoDir = errors.New("the flight recorder has no directory to dump to")
	ErrFlightSoon  = errors.New("the flight recorder has dumped a short time ago")
)

// FlightOptions shapes a FlightRecorder. The zero value records, and dumps nothing
// to files.
type FlightOptions struct {
	// MinAge is how far back a recording reaches at least, while it is below
	// MaxBytes. Twice the longest objective is a good choice. If zero, 10 s.
	MinAge time.Duration
	// MaxBytes is about how much memory the recording takes; it goes before
	// MinAge. If zero, 10 MiB.
	MaxBytes int64

	// Dir is where dumps go; it is made, for this user alone, if it is not there.
	// If empty, there are none.
	Dir string
	// MaxFiles is how many dumps are kept in Dir; the oldest go first. If zero, 16.
	MaxFiles int
	// MaxDirBytes is how large they may be together; while one is written, twice
	// that. One recording may be as large, also one that is fetched. If zero, 256 MiB.
	MaxDirBytes int64
	// Every is the least time from one dump to the next. If zero, a minute. If
	// negative, none.
	Every time.Duration

	// Log is told of each dump that LatencyObjective has caused. If nil, nobody is.
	Log *slog.Logger
}

// withDefaults is o with what zero stands for.
func (o FlightOptions) withDefaults() FlightOptions {
	o.MinAge = cmp.Or(o.MinAge, defaultFlightAge)
	o.MaxBytes = cmp.Or(o.MaxBytes, defaultFlightBytes)
	o.MaxFiles = cmp.Or(o.MaxFiles, defaultFlightFiles)
	o.MaxDirBytes = cmp.Or(o.MaxDirBytes, defaultFlightDirBytes)
	o.Every = cmp.Or(o.Every, defaultFlightEvery)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func (o FlightOptions) validate() error {
	var errs []error
	for _, v := range []struct {
		field string
		value int64
	}{{"MinAge", int64(o.MinAge)}, {"MaxBytes", o.MaxBytes}, {"MaxFiles", int64(o.MaxFiles)}, {"MaxDirBytes", o.MaxDirBytes}} {
		if v.value < 0 {
			errs = append(errs, fmt.Errorf("flight recorder: %s is %d, and must not be negative", v.field, v.value))
		}
	}
	return errors.Join(errs...)
}

// A FlightRecorder keeps the execution trace of the last seconds, so that what a
// server did when it was slow can be seen afterwards, with go tool trace. A
// process can have one that is on. Any goroutine may use it.
type FlightRecorder struct {
	// Immutable.
	opts   FlightOptions
	dir    flightDir
	base   time.Time
	broken chan slowRequest // room for one

	// Atomic.
	on   atomic.Bool
	next atomic.Int64 // no dump before it, in ns since base

	sending sync.Mutex // one client at a time

	// reading guards the use of source, which knows no concurrency.
	reading sync.Mutex
	source  flightSource

	// life guards the following, and keeps Start and Stop apart.
	life sync.Mutex
	stop chan struct{}
	task sync.WaitGroup
}

// flightSource is what of trace.FlightRecorder is used: tests of time cannot use
// the runtime's.
type flightSource interface {
	Start() error
	Stop()
	WriteTo(w io.Writer) (int64, error)
}

// slowRequest is one that has caused a dump.
type slowRequest struct {
	route string
	took  time.Duration
}

// NewFlightRecorder makes one that is off.
func NewFlightRecorder(opts FlightOptions) (*FlightRecorder, error) {
	if err := opts.validate(); err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	return &FlightRecorder{
		opts: opts, base: time.Now(), broken: make(chan slowRequest, 1),
		dir:    flightDir{opts.Dir, opts.MaxFiles, opts.MaxDirBytes},
		source: trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: opts.MinAge, MaxBytes: uint64(opts.MaxBytes)}),
	}, nil
}

// Start switches it on. That it is on, or another of this process, is an error, and
// so is a directory that cannot be used.
func (f *FlightRecorder) Start() error {
	f.life.Lock()
	defer f.life.Unlock()
	if f.on.Load() {
		return errors.New("start flight recorder: it is on already")
	}
	if err := f.dir.prepare(time.Now()); err != nil {
		return fmt.Errorf("start flight recorder: %w", err)
	}
	f.reading.Lock()
	defer f.reading.Unlock()
	if err := f.source.Start(); err != nil {
		return fmt.Errorf("start flight recorder: %w", err)
	}
	select {
	case <-f.broken: // of the time before a Stop
	default:
	}
	stop := make(chan struct{})
	f.stop = stop
	f.on.Store(true)
	f.task.Go(func() { f.dumpBroken(stop) })
	return nil
}

// Stop switches it off and forgets the recording, when a dump that runs has ended.
func (f *FlightRecorder) Stop() {
	f.life.Lock()
	defer f.life.Unlock()
	if !f.on.Load() {
		return
	}
	close(f.stop)
	f.task.Wait()
	f.reading.Lock()
	defer f.reading.Unlock()
	f.on.Store(false)
	f.source.Stop()
}

// Enabled tells whether it is on.
func (f *FlightRecorder) Enabled() bool { return f.on.Load() }

// LatencyObjective has a dump made for a request that broke its route's objective,
// unless there was one within FlightOptions.Every. It does not block: handlers may
// call it for each request, see handler.LatencyObjectiveOptions. The trace has a
// log event "latency objective" with the route at this point.
func (f *FlightRecorder) LatencyObjective(route string, took time.Duration) {
	if !f.on.Load() || f.opts.Dir == "" || !f.claim() {
		return
	}
	trace.Log(context.Background(), "latency objective", route)
	select {
	case f.broken <- slowRequest{strings.Clone(route), took}: // it may be a piece of a request
	default: // the dump before takes longer than Every
	}
}

// Dump writes the recording to a new file in the directory. It counts for
// FlightOptions.Every, and obeys it.
func (f *FlightRecorder) Dump() (path string, err error) {
	switch {
	case !f.on.Load():
		return "", ErrFlightOff
	case f.opts.Dir == "":
		return "", ErrFlightNoDir
	case !f.claim():
		return "", ErrFlightSoon
	}
	return f.dir.write(time.Now(), f.snapshot)
}

// claim takes the one dump that is allowed now. A dump that fails has been it: a
// full disk is not to be tried by each request.
func (f *FlightRecorder) claim() bool {
	now, next := int64(time.Since(f.base)), f.next.Load()
	return now >= next && f.next.CompareAndSwap(next, now+max(0, int64(f.opts.Every)))
}

// dumpBroken writes the dumps that requests have caused.
func (f *FlightRecorder) dumpBroken(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case b := <-f.broken:
			log := f.opts.Log.With(slog.String("route", b.route), slog.Duration("took", b.took))
			if path, err := f.dir.write(time.Now(), f.snapshot); err != nil {
				log.Error("latency objective broken; the flight recording is lost", slog.Any("error", err))
			} else {
				log.Warn("latency objective broken; see the flight recording", slog.String("file", path))
			}
		}
	}
}

// snapshot writes the recording to w.
func (f *FlightRecorder) snapshot(w io.Writer) error {
	f.reading.Lock()
	defer f.reading.Unlock()
	if !f.on.Load() {
		return ErrFlightOff
	}
	_, err := f.source.WriteTo(w)
	return err
}
