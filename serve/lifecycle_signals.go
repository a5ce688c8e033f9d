package serve

import "sync"

// A LifecycleSignal is one phase of a GenericServer's life: it fires once, and
// has fired for ever. Its methods may be called by any goroutine.
type LifecycleSignal struct {
	name   string
	before func(name string) // may be nil
	once   sync.Once
	fired  chan struct{}
}

func newLifecycleSignal(name string, before func(string)) *LifecycleSignal {
	return &LifecycleSignal{name: name, before: before, fired: make(chan struct{})}
}

// Signal fires it. The second call does nothing, but returns behind the first.
func (s *LifecycleSignal) Signal() {
	s.once.Do(func() {
		if s.before != nil {
			s.before(s.name)
		}
		close(s.fired)
	})
}

// Signaled is closed when the signal has fired.
func (s *LifecycleSignal) Signaled() <-chan struct{} { return s.fired }

// HasSignaled tells whether the signal has fired.
func (s *LifecycleSignal) HasSignaled() bool {
	select {
	case <-s.fired:
		return true
	default:
		return false
	}
}

// Name is the signal's name, that of its field in LifecycleSignals.
func (s *LifecycleSignal) Name() string { return s.name }

// LifecycleSignals are the phases of a GenericServer. generic_drain.go draws
// the order of those of the stop.
type LifecycleSignals struct {
	// MuxAndDiscoveryComplete: all paths of the chain are installed; 404 takes
	// the place of 503.
	MuxAndDiscoveryComplete *LifecycleSignal
	// HasBeenReady: readyz has passed for the first time.
	HasBeenReady *LifecycleSignal

	// ShutdownInitiated: the stop has begun. readyz fails, all is still served.
	ShutdownInitiated *LifecycleSignal
	// AfterShutdownDelayDuration: the delay is over.
	AfterShutdownDelayDuration *LifecycleSignal
	// PreShutdownHooksStopped: the hooks, which run beside the delay, are over.
	PreShutdownHooksStopped *LifecycleSignal
	// NotAcceptingNewRequest: both of the two above.
	NotAcceptingNewRequest *LifecycleSignal
	// InFlightRequestsDrained: no request is under way, long-running ones past
	// their grace apart.
	InFlightRequestsDrained *LifecycleSignal
	// HTTPServerStoppedListening: no connection is accepted any more.
	HTTPServerStoppedListening *LifecycleSignal
}

// newLifecycleSignals makes them; before is called ahead of each firing.
func newLifecycleSignals(before func(name string)) *LifecycleSignals {
	signal := func(name string) *LifecycleSignal { return newLifecycleSignal(name, before) }
	return &LifecycleSignals{
		MuxAndDiscoveryComplete:    signal("MuxAndDiscoveryComplete"),
		HasBeenReady:               signal("HasBeenReady"),
		ShutdownInitiated:          signal("ShutdownInitiated"),
		AfterShutdownDelayDuration: signal("AfterShutdownDelayDuration"),
		PreShutdownHooksStopped:    signal("PreShutdownHooksStopped"),
		NotAcceptingNewRequest:     signal("NotAcceptingNewRequest"),
		InFlightRequestsDrained:    signal("InFlightRequestsDrained"),
		HTTPServerStoppedListening: signal("HTTPServerStoppedListening"),
	}
}
