package front

import (
	"fmt"
	"net/http"

	"github.com/penstock-edge/penstock/cmd/penstock/config"
	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/handler/proxy"
	"github.com/penstock-edge/penstock/handler/static"
)

// defaultMaxBody is of routes whose handler reads bodies itself; who passes them on
// leaves that to the upstream (front.md section 2).
const defaultMaxBody = 3 << 20

// handlerOf makes the handler of a route, and what is around it: from the inside
// out compression, edits of fields, bounds.
func (c *Change) handlerOf(h *config.Host, r *config.Route) (*built, error) {
	b, err := c.core(r)
	if err != nil {
		return nil, err
	}
	compress := h.Compress
	if r.Compress != nil {
		compress = r.Compress
	}
	if isTrue(compress, false) {
		if err := c.front.compression(); err != nil {
			return nil, err
		}
		b.handler = c.front.compress.Wrap(b.handler)
	}
	b.handler = withAnswerEdits(b.handler, &h.Headers, &r.Headers)
	b.handler = withRequestEdits(b.handler, &r.Request)
	return b, c.bounds(b, h, r)
}

// compression makes the one that all routes share: its encoders are counted
// together. mu is held, or nobody else knows f.
func (f *Front) compression() (err error) {
	if f.compress == nil {
		f.compress, err = handler.NewCompress(handler.CompressOptions{})
	}
	return err
}

// core is who answers.
func (c *Change) core(r *config.Route) (*built, error) {
	switch {
	case r.Proxy != nil:
		h, err := c.proxy(r)
		return &built{handler: h}, err
	case r.Files != nil:
		return files(r.Files)
	case r.Redirect != nil:
		return &built{handler: newRedirect(r.Redirect)}, nil
	}
	header := make(http.Header)
	for name, v := range r.Respond.Headers {
		header.Set(name, v)
	}
	h, err := handler.NewRespond(handler.RespondOptions{
		Status: r.Respond.Status, Body: []byte(r.Respond.Body), Header: header, Delay: max(0, r.Respond.Delay.Value()),
	})
	return &built{handler: h}, err
}

func (c *Change) proxy(r *config.Route) (http.Handler, error) {
	p := r.Proxy
	request := r.Timeouts.Request.Value()
	if request == 0 {
		request = c.cfg.Timeouts.Request.Value()
	}
	return proxy.New(proxy.Options{
		Service: c.services[p.To].Service, Route: r.ID, HostUpstream: p.Host == "upstream",
		Rewrite:   proxy.Rewrite{StripPrefix: r.Rewrite.StripPrefix, AddPrefix: r.Rewrite.AddPrefix, Path: r.Rewrite.Path},
		Forwarded: proxy.Forwarded{Trust: config.Prefixes(c.cfg.Forwarded.Trust), Standard: isTrue(c.cfg.Forwarded.Standard, false)},
		NoVia:     !isTrue(p.Via, true), Upgrades: p.Upgrades,
		RequestTimeout: request, HeadTimeout: p.Timeouts.ResponseHead.Value(), IdleTimeout: p.Timeouts.Idle.Value(),
		TunnelIdleTimeout: p.Timeouts.TunnelIdle.Value(), BufferRequest: p.Buffer.Value(), ErrorLog: c.front.log,
	})
}

func files(f *config.Files) (*built, error) {
	h, err := static.New(f.Root, static.Options{
		Prefix: f.StripPrefix, Index: f.Index, NotFound: f.NotFound, CacheControl: f.CacheControl,
		Precompressed: f.Precompressed, Browse: isTrue(f.Browse, false), Revalidate: f.Cache.Value(),
	})
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	return &built{handler: h, close: func() { _ = h.Close() }}, nil
}

// bounds puts the limits of a route, or its host, around it.
func (c *Change) bounds(b *built, h *config.Host, r *config.Route) error {
	limits := r.Limits
	if limits.MaxBody == 0 {
		limits.MaxBody = h.Limits.MaxBody
	}
	if limits.MaxBody == 0 {
		limits.MaxBody = c.cfg.Limits.MaxBody
	}
	if limits.MaxBody == 0 && r.Proxy == nil {
		limits.MaxBody = defaultMaxBody
	}
	if limits.Rate == nil {
		limits.Rate = h.Limits.Rate
	}
	if limits.InFlight == 0 {
		limits.InFlight = h.Limits.InFlight
	}
	if limits.MaxBody > 0 {
		b.handler = &maxBody{b.handler, int64(limits.MaxBody)}
	}
	var stages []handler.Stage
	if limits.Rate != nil {
		forwarded := proxy.Forwarded{Trust: config.Prefixes(c.cfg.Forwarded.Trust)}
		stage, err := handler.NewRateLimit(handler.RateLimitOptions{
			Rate: limits.Rate.PerSecond, Burst: max(0, limits.Rate.Burst.Value()),
			Key: func(r *http.Request) string { return clientKey(&forwarded, r) },
		})
		if err != nil {
			return err
		}
		stages = append(stages, stage)
	}
	if n := limits.InFlight.Value(); n > 0 {
		stages = append(stages, handler.NewMaxInFlight(n, n, handler.MaxInFlightOptions{}))
	}
	request := r.Timeouts.Request.Value()
	if request == 0 {
		request = c.cfg.Timeouts.Request.Value()
	}
	if request > 0 && r.Proxy == nil { // who passes requests on knows the limit
		stages = append(stages,
			handler.NewDeadline(handler.DeadlineOptions{RequestTimeout: request, IgnoreQuery: true}),
			handler.NewTimeout(handler.NewRegistry(), handler.TimeoutOptions{}))
	}
	if len(stages) > 0 {
		b.handler = handler.NewChain(b.handler, stages...)
	}
	if !recycles(b.handler) {
		return fmt.Errorf("BUG: %T keeps requests", b.handler)
	}
	return nil
}

// clientKey is what a client's bucket goes by: its address, of IPv6 the /64, which
// is what it cannot choose.
func clientKey(f *proxy.Forwarded, r *http.Request) string {
	addr := f.Client(r)
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			addr = p.Addr()
		}
	}
	return addr.String()
}

// maxBody refuses requests whose body is too long: at once where they tell its
// length, and else as far as it comes.
type maxBody struct {
	next http.Handler
	most int64
}

// RecycleRequests is the promise of who answers.
func (m *maxBody) RecycleRequests() bool { return recycles(m.next) }

func (m *maxBody) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength > m.most {
		w.Header().Set("Connection", "close") // the body is not worth reading
		http.Error(w, "413 the request's content is too large", http.StatusRequestEntityTooLarge)
		return
	}
	if r.ContentLength < 0 && r.Body != nil && r.Body != http.NoBody {
		r.Body = http.MaxBytesReader(w, r.Body, m.most)
	}
	m.next.ServeHTTP(w, r)
}

func recycles(h http.Handler) bool {
	r, ok := h.(interface{ RecycleRequests() bool })
	return ok && r.RecycleRequests()
}
