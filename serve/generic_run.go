package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/penstock-edge/penstock/listener"
)

// genericRun is the one run of a GenericServer.
type genericRun struct {
	s     *GenericServer
	http  *Server
	tasks sync.WaitGroup // hooks, sources, accept loops, and what waits for them

	// Post-start hooks end when the server stops serving, sources when it is over.
	serving, living        context.Context
	endServing, endSources context.CancelFunc

	// opening is held while an endpoint is opened, and guards the following.
	opening sync.Mutex
	ended   bool // no further one
}

// begin claims the one run.
func (s *GenericServer) begin(ctx context.Context) (*genericRun, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrServerClosed
	}
	base := context.WithoutCancel(ctx) // requests outlive the call to stop
	opts := s.config.Options
	if opts.BaseContext == nil {
		opts.BaseContext = func(net.Listener) context.Context { return base }
	}
	r := &genericRun{s: s, http: &Server{Handler: s, TLSConfig: s.config.TLSConfig, Options: opts}}
	if len(s.config.Secure) == 1 && len(s.config.Packets) == 1 {
		r.http.packetPort = portOf(s.config.Packets[0])
	}
	r.living, r.endSources = context.WithCancel(base)
	r.serving, r.endServing = context.WithCancel(r.living)
	if !s.run.CompareAndSwap(nil, r) {
		r.endServing()
		r.endSources()
		return nil, fmt.Errorf("server %s: %w", s.name, errRunTwice)
	}
	return r, nil
}

// start listens, and then runs all that needs a server that does. With an error
// nothing is left behind.
func (r *genericRun) start() error {
	s := r.s
	s.freezeSignals("the server runs")
	if err := r.listen(); err != nil {
		r.abandon()
		return fmt.Errorf("server %s: %w", s.name, err)
	}
	r.tasks.Go(r.completeMux)
	r.tasks.Go(func() { s.logged.run(r.living, s.log) })
	r.startSources(r.living)
	r.startPostStartHooks(r.serving)
	r.tasks.Go(r.watchReadiness)
	return nil
}

// listen is the last step that can fail.
func (r *genericRun) listen() error {
	c := r.s.config
	for _, l := range append(append([]net.Listener(nil), c.Plain...), c.Secure...) {
		if g, ok := l.(*listener.Group); ok {
			if err := g.Listen(); err != nil {
				return err
			}
		}
	}
	for _, e := range c.Endpoints {
		if g, ok := e.cfg.Listener.(*listener.Group); ok {
			if err := g.Listen(); err != nil {
				return err
			}
		}
		if err := r.open(e); err != nil {
			return err
		}
	}
	for _, g := range c.Packets {
		q, err := r.http.attachHTTP3(g, "", "")
		if err != nil {
			return err
		}
		r.watch(q.done, func() error { return q.err }, g.Addr())
	}
	for _, l := range c.Secure {
		svc, err := r.http.attachTLS(l, "", "")
		if err != nil {
			return err
		}
		r.accept(svc)
	}
	for _, l := range c.Plain {
		svc, err := r.http.attach(l, nil)
		if err != nil {
			return err
		}
		r.accept(svc)
	}
	return nil
}

// accept serves a listener that was attached.
func (r *genericRun) accept(svc *service) {
	if svc.group == nil {
		r.tasks.Go(svc.acceptPortable)
	}
	r.watch(svc.done, func() error { return svc.err }, svc.listener.Addr())
}

// watch makes the end of a listener that nobody asked for fatal.
func (r *genericRun) watch(done <-chan struct{}, err func() error, addr net.Addr) {
	r.tasks.Go(func() {
		<-done
		if err := err(); err != nil && !errors.Is(err, ErrServerClosed) {
			r.s.endDelay() // nobody new can come
			r.s.fail(fmt.Errorf("stopped listening on %v: %w", addr, err))
			if info := r.s.config.SecureServing; info != nil && info.Failed != nil {
				info.Failed(err)
			}
		}
	})
}

// completeMux fires MuxAndDiscoveryComplete when all parts of the chain have.
func (r *genericRun) completeMux() {
	for _, installed := range r.s.MuxAndDiscoveryCompleteSignals() {
		select {
		case <-installed:
		case <-r.living.Done():
			return
		}
	}
	r.s.signals.MuxAndDiscoveryComplete.Signal()
}

// abandon undoes a start that has failed.
func (r *genericRun) abandon() {
	r.cut()
	r.endServing()
	r.endSources()
	r.tasks.Wait()
}

// cut closes all connections and listeners, those not attached included.
func (r *genericRun) cut() {
	_ = r.http.Close() // it has no error
	c := r.s.config
	for _, l := range append(append([]net.Listener(nil), c.Plain...), c.Secure...) {
		_ = l.Close() // closing twice is no matter
	}
	for _, g := range c.Packets {
		_ = g.Close()
	}
	for _, e := range c.Endpoints {
		e.close()
	}
}
