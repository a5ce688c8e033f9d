package bench

import (
	"crypto/tls"
	"time"
)

// result is what the run found, once all workers have ended.
func (c *collector) result(first probed, env Environment) *Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, r := c.run.plan, &Result{Schema: Schema, Environment: env, Series: c.series}
	c.total.fill(r)
	begins := c.run.begins.Load()
	if begins == never || c.end < begins { // interrupted before anything was measured
		begins = c.end
	}
	r.Started = p.base.Add(time.Duration(begins))
	r.Seconds = time.Duration(c.end - begins).Seconds()
	r.Interrupted = c.run.stopped.Load()
	if r.Seconds > 0 {
		r.Rate = float64(r.Completed) / r.Seconds
	}
	r.Target = p.describe(first)
	r.Target.Resumed, r.Target.ServerName = c.total.resumed, c.name
	r.Load = p.load()
	r.Generator = c.generator(r)
	return r
}

func (p *plan) describe(first probed) Target {
	t := Target{
		URL: p.URLs[0].String(), URLs: len(p.URLs), Method: p.Method, Address: first.address, Protocol: first.protocol,
	}
	if s := first.tls; s != nil {
		t.TLSVersion, t.CipherSuite, t.KeyExchange = tls.VersionName(s.Version), tls.CipherSuiteName(s.CipherSuite), s.CurveID.String()
	}
	return t
}

func (p *plan) load() Load {
	l := Load{
		Mode: ClosedLoop, Connections: p.Connections, Streams: p.Streams, Workers: p.Workers, Rate: p.Rate, Duration: p.Duration.Seconds(),
		RequestLimit: p.Requests, Warmup: p.Warmup.Seconds(), BodyBytes: len(p.Body), ConnectPerRequest: p.ConnectPerRequest, NoKeepAlive: p.NoKeepAlive,
	}
	if p.Rate > 0 {
		l.Mode = OpenLoop
	}
	return l
}
