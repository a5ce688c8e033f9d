// Package upstream decides which upstream gets a request, and how often one may be
// asked again. It sends no requests: the proxy asks it, and tells it what came of
// that. Only the checks of health have a small client of their own, which can be
// replaced.
//
// A Group is a named service of the configuration. Its Targets are addresses, or
// names that stand for several; an Endpoint is one such address, with its health,
// its latency and the proxy's own connections (Endpoint.Pool).
// Update takes a new configuration without touching what is the same in it.
//
// # The way of a request
//
//	e, err := group.Pick(now, key, nil)
//	if errors.Is(err, upstream.ErrFull) {
//		e, err = group.Wait(waiter, now, key)
//	}
//	if err != nil {
//		// 503 with Retry-After
//	}
//	defer e.End(time.Now())
//	// ... send; when the head is here or the attempt has failed:
//	e.Observe(now, upstream.Outcome{Kind: upstream.KindOf(status), Latency: latency})
//
// A retry adds e to a Tried, gives its place back, asks TryRetry, and picks again
// with that; a hedge asks Hedge, and the first place is held meanwhile. Both stop at
// any error. Of two attempts that loses which was not waited for: its outcome is
// Abandoned, and its latency counts only where it is a peak.
//
// # What may be picked
//
// Everything that seldom changes is in the view: an immutable list of the endpoints
// that may be picked now, swapped atomically. Health, ejection, look-ups and reloads
// make a new one under the group's lock. So Pick takes no lock and looks at no
// endpoint that is down; what it reads and writes are atomic counters of the
// endpoints, which lie on lines of their own.
//
//	           active check            passive check              configuration
//	up      ── fails Fall times ──▶ down
//	        ── fails 5 times in a row ──▶ down (ejected for 30 s × count)
//	        ── weight below zero, or address gone ───────────────▶ draining
//
// An ejected endpoint still serves when otherwise nobody would; one that its active
// check has seen down does not. An endpoint that is new or comes back begins with
// the median latency of the others and a tenth of its part, for slow start.
//
// # Files
//
//   - options.go, validate.go, target.go: what is configured; one table of defaults.
//   - group.go, groups.go: life of a group, reload. view.go: who may be picked.
//   - pick.go, balance.go: the policies. latency.go: what they compare. random.go.
//   - endpoint.go: places and outcomes. queue.go: waiting for a place.
//   - health.go, prober.go: active checks. eject.go: passive ones.
//   - discovery.go, resolve.go: names. budget.go: retries. status.go: snapshots.
//
// # Locks
//
// Group.change is held while endpoints change, hooks of the proxy included; then
// Group.mu for the view and the queue. A request takes mu only when it waits, when
// somebody waits as it ends, when it fails for the fifth time in a row, and once a
// second, if it is free, for the median.
//
// # Limitations
//
//   - Go's resolver does not tell the TTL: names are looked up every Resolve.Interval.
//     A Discovery that knows it is followed within 1 s and 60 s.
//   - A name with IPv4 and IPv6 addresses has an endpoint for each: where one kind
//     cannot be reached, set Resolve.Network.
//   - HashKey and LeastRequest look at every endpoint of a priority: 10 to 20 ns each.
//   - Weights under P2C hold for load, not for numbers of requests: with hardly any
//     in flight the heavier of two equally fast endpoints gets nearly all.
//   - A single failure is a sample of HeadTimeout. Under P2C and the default of 60 s
//     it keeps nearly all requests from an endpoint of 10 ms for one to two minutes,
//     unless the others are full: longer than the first ejection.
//   - A place is a request, not a connection: idle connections of a pool are not
//     counted by MaxConns.
//   - Each front has its own view of health, load and budget.
package upstream
