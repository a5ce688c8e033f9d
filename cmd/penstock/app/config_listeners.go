package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/penstock-edge/penstock/cmd/penstock/config"
	"github.com/penstock-edge/penstock/cmd/penstock/front"
	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/certs"
)

// fileListener is one listener of the file as it is served. A reload keeps it while
// its address stays, whatever else changes.
type fileListener struct {
	// Immutable once it is opened.
	key     string
	tcp     bound
	certs   *certs.Swap // nil: clear
	proxies *listener.Proxies
	ctx     context.Context
	open    chan struct{} // closed when what it belongs to is served

	// Guarded by Reload's lock.
	name     string // in the file
	tlsHash  string // of the certificates that certs has
	udp      *boundPackets
	endpoint *serve.Endpoint
	packets  *serve.Endpoint // nil: no HTTP/3

	redirect atomic.Pointer[redirectAll] // nil: the routes answer
}

// abandonWait bounds the wait for requests on addresses that were served too early.
const abandonWait = 5 * time.Second

// redirectAll answers every request of a listener.
type redirectAll struct{ http.Handler }

type fileListenerKey struct{}

// listenerKey tells which listener of before one is: addresses tell, and where the
// system picks the port the name does.
func listenerKey(name string, l *config.Listener) string {
	if strings.HasSuffix(string(l.Address), ":0") {
		return name + " " + string(l.Address)
	}
	return string(l.Address)
}

// listenerChange is the way from the listeners of now to those of another file.
// Nothing that is served is touched before commit.
type listenerChange struct {
	p      *Prepared
	f      *configFile
	cfg    *config.Config
	next   map[string]*fileListener
	fresh  []*fileListener
	http3  map[*fileListener]*boundPackets // fresh UDP sockets; nil: HTTP/3 goes
	certs  map[*fileListener]*certs.Dynamic
	hashes map[*fileListener]string // of certs
	// opened are those that are served already, though nothing is committed.
	opened  []*serve.Endpoint
	waiting int32 // listeners that count as special until then
}

// changeListeners binds and reads all that cfg needs. After an error nothing is left
// of it.
func (f *configFile) changeListeners(ctx context.Context, p *Prepared, cfg *config.Config) (*listenerChange, error) {
	c := &listenerChange{
		p: p, f: f, cfg: cfg, next: make(map[string]*fileListener),
		http3: make(map[*fileListener]*boundPackets), certs: make(map[*fileListener]*certs.Dynamic), hashes: make(map[*fileListener]string),
	}
	hashes := config.HashesOf(cfg)
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(cfg.Listeners)) {
		if err := c.listener(ctx, name, tlsHash(cfg, name, hashes.TLS[name])); err != nil {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		c.abandon()
		return nil, err
	}
	return c, nil
}

// listener keeps or makes one.
func (c *listenerChange) listener(ctx context.Context, name, hash string) error {
	spec := c.cfg.Listeners[name]
	key := listenerKey(name, spec)
	l := c.f.live[key]
	if l != nil && (l.certs != nil) != (spec.TLS != nil) {
		return fmt.Errorf("listeners.%s.tls: an open address cannot change between clear and TLS; restart, or take another address", name)
	}
	if l == nil {
		var err error
		if l, err = c.bind(ctx, name, spec); err != nil {
			return err
		}
		c.fresh = append(c.fresh, l)
	}
	c.next[key] = l
	if spec.TLS != nil && l.tlsHash != hash {
		certCfg, err := c.f.certsConfig(name, c.cfg, c.p.opts, c.p.life.log)
		if err != nil {
			return err
		}
		certCfg.Watcher, certCfg.Former = c.p.own.watcher, l.certs.Get()
		d, err := certs.NewDynamic(certCfg)
		if err != nil {
			return fmt.Errorf("listeners.%s.tls: %w", name, err)
		}
		c.certs[l], c.hashes[l] = d, hash
	}
	switch wanted := spec.HTTP3 != nil && *spec.HTTP3; {
	case wanted && l.udp == nil:
		packets, err := c.p.packetsFor(ctx, &l.tcp)
		if err != nil {
			return err
		}
		c.http3[l] = &packets
	case !wanted && l.udp != nil:
		c.http3[l] = nil
	}
	return nil
}

// bind takes the address of a new one.
func (c *listenerChange) bind(ctx context.Context, name string, spec *config.Listener) (*fileListener, error) {
	e, err := parseEndpoint("listeners."+name+".address", string(spec.Address))
	if err != nil {
		return nil, err
	}
	b, err := c.p.take(ctx, e, c.p.listenConfig())
	if err != nil {
		return nil, err
	}
	l := &fileListener{
		key: listenerKey(name, spec), tcp: b, open: make(chan struct{}),
		proxies: listener.NewProxies(proxiesOf(spec)),
	}
	if spec.TLS != nil {
		l.certs = new(certs.Swap)
	}
	l.ctx = context.WithValue(context.Background(), fileListenerKey{}, l)
	return l, nil
}

// listen begins to listen on what is fresh; the kernel queues connections.
func (c *listenerChange) listen() error {
	for _, l := range c.fresh {
		if err := l.tcp.group.Listen(); err != nil {
			return l.tcp.explain(err)
		}
	}
	return nil
}

// prepare makes the endpoints of what is fresh. A listener without former
// certificates gets its own: nobody sees them yet.
func (c *listenerChange) prepare() (all []*serve.Endpoint, err error) {
	add := func(cfg serve.EndpointConfig, l *fileListener) *serve.Endpoint {
		cfg.Context = l.ctx
		if l.certs != nil {
			cfg.TLSConfig, cfg.TLSPolicy = l.certs.TLSConfig(), l.certs
		}
		e, addErr := serve.NewEndpoint(cfg)
		err = errors.Join(err, addErr)
		all = append(all, e)
		return e
	}
	for _, l := range c.fresh {
		if d := c.certs[l]; d != nil {
			l.certs.Set(d)
		}
		l.endpoint = add(serve.EndpointConfig{Listener: l.tcp.group, Proxies: l.proxies}, l)
	}
	for l, udp := range c.http3 {
		if udp != nil {
			l.packets = add(serve.EndpointConfig{Packets: udp.group}, l)
		}
	}
	return all, err
}

// open serves what is fresh. Its requests wait until commit.
func (c *listenerChange) open(s *serve.GenericServer) error {
	c.waiting = int32(len(c.fresh))
	c.f.special.Add(c.waiting)
	all, err := c.prepare()
	if err != nil {
		return err
	}
	for _, e := range all {
		if err := s.Open(e); err != nil {
			return fmt.Errorf("listen %v: %w", e.Addr(), err)
		}
		c.opened = append(c.opened, e)
	}
	return nil
}

// abandon undoes all. What was opened ends at once: nobody was told of it.
func (c *listenerChange) abandon() {
	over, cancel := context.WithCancel(context.Background())
	cancel()
	for _, l := range c.fresh {
		close(l.open) // who waits there is answered by the file of before
	}
	c.f.special.Add(-c.waiting)
	for _, e := range c.opened {
		e.Drain(over)
		select {
		case <-e.Drained(): // its sockets are closed
		case <-time.After(abandonWait): // a handler has not seen the cut yet
		}
	}
	for _, d := range c.certs {
		d.Close()
	}
	for _, l := range c.fresh {
		_ = l.tcp.group.Close() // nothing was accepted
	}
	for l, udp := range c.http3 {
		if udp != nil {
			_ = udp.group.Close()
			l.packets = nil
		}
	}
}

// commit makes the listeners those of the file. gone are to be drained.
func (c *listenerChange) commit(fr *front.Front) (gone []*serve.Endpoint) {
	special := int32(0)
	for _, name := range slices.Sorted(maps.Keys(c.cfg.Listeners)) {
		spec := c.cfg.Listeners[name]
		l := c.next[listenerKey(name, spec)]
		l.name = name
		l.proxies.Set(proxiesOf(spec))
		if d := c.certs[l]; d != nil {
			l.tlsHash = c.hashes[l]
			if former := l.certs.Set(d); former != nil && former != d {
				former.Close()
			}
		}
		if udp, changes := c.http3[l]; changes {
			if udp == nil {
				gone, l.packets = append(gone, l.packets), nil
			}
			l.udp = udp
		}
		l.redirect.Store(nil)
		if spec.Redirect != nil {
			l.redirect.Store(&redirectAll{fr.OnlyRedirect(spec.Redirect)})
			special++
		}
	}
	c.f.special.Store(special)
	for key, l := range c.f.live {
		if c.next[key] == l {
			continue
		}
		gone = append(gone, l.endpoint)
		if l.packets != nil {
			gone = append(gone, l.packets)
		}
		if l.certs != nil {
			l.certs.Get().Close() // its handshakes go on with what is loaded
		}
	}
	c.f.mu.Lock()
	c.f.live = c.next
	c.f.mu.Unlock()
	for _, l := range c.fresh {
		close(l.open)
	}
	return gone
}

// resolve is the router's question, but for listeners that send everybody elsewhere,
// and those that are served before the file they belong to is.
func (f *configFile) resolve(r *http.Request) handler.Info {
	if f.special.Load() > 0 {
		if l, ok := r.Context().Value(fileListenerKey{}).(*fileListener); ok {
			<-l.open // not long: all that can fail is over by then
			if to := l.redirect.Load(); to != nil {
				return handler.Info{Route: "redirect", Class: handler.ClassOf(r.Method), Target: to}
			}
		}
	}
	return f.front.Router.Resolve(r)
}

// routes answers by what resolve has found.
type routes struct{ *front.Front }

// RecycleRequests: nothing is kept.
func (h *routes) RecycleRequests() bool { return h.Router.RecycleRequests() }

func (h *routes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if x := handler.ExchangeOf(w); x != nil {
		if to, ok := x.Info.Target.(*redirectAll); ok {
			to.ServeHTTP(w, r)
			return
		}
	}
	h.Router.ServeHTTP(w, r)
}

// drainGone ends the endpoints that a reload has taken away; their connections have
// the grace of the file.
func (f *configFile) drainGone(gone []*serve.Endpoint, cfg *config.Config) {
	grace := front.Grace(cfg)
	for _, e := range gone {
		e.Retire() // here, so that the next reload finds the address free
		f.draining.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), grace)
			defer cancel()
			cut := e.Drain(ctx)
			f.log.Info("a removed address is drained", slog.String("address", e.Addr().String()), slog.Int64("cut", cut))
		})
	}
}
