package servetest

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultTimeout  = 10 * time.Second
	defaultDuration = 10 * time.Second
	// maxSamples bounds the latencies kept of all connections together; beyond
	// it each connection keeps a uniform random sample.
	maxSamples = 1 << 18
	// redialPause keeps a client whose dial failed from spinning.
	redialPause = 5 * time.Millisecond
)

// Load is a closed-loop HTTP/1.1 client: each connection sends its next
// request when the answer to the last one is complete. It is bounded in number
// and in time, and cheap: one goroutine a connection, the same bytes again and
// again, no header map. The zero value of every field but Addr is usable.
type Load struct {
	// Network and Addr are dialled. If Network is empty, "tcp".
	Network, Addr string
	// TLS, if set, is used on every connection; name the server in it.
	TLS *tls.Config
	// Request is sent as it is. If nil, "GET / HTTP/1.1" for host localhost.
	Request []byte
	// NoBody says that answers end after their head (a HEAD request).
	NoBody bool

	// Conns is the number of connections. If zero, 1.
	Conns int
	// Requests ends the run after that many in all. If zero, only Duration does.
	Requests int
	// Duration ends the run. If zero, 10 s.
	Duration time.Duration
	// Timeout bounds each dial and each exchange. If zero, 10 s.
	Timeout time.Duration
	// Interval, if set, makes each connection begin a request at fixed times
	// (open loop as long as it keeps up): its latency counts from the
	// intended beginning, so that a stall is seen in full.
	Interval time.Duration
	// ConnectPerRequest closes after each answer. Request should say
	// "Connection: close" then, or the client closes first.
	ConnectPerRequest bool
	// Check, if set, judges a complete answer. body is valid during the call and
	// holds at most its first 64 KiB. It is called from many goroutines.
	Check func(status int, body []byte) error
}

var defaultRequest = []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")

// Run loads the server until a bound is reached or ctx ends, then waits for
// the exchanges in flight and for every connection to be closed.
func (l Load) Run(ctx context.Context) *Outcome {
	l = l.withDefaults()
	run := loadRun{Load: l, start: time.Now()}
	run.end = run.start.Add(l.Duration)
	run.left.Store(int64(l.Requests))
	out := &Outcome{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range l.Conns {
		group.Go(func() {
			w := worker{run: &run, random: rand.New(rand.NewPCG(1, uint64(i)))}
			w.serve(ctx)
			mu.Lock()
			defer mu.Unlock()
			out.add(&w.out)
		})
	}
	group.Wait()
	out.finish(time.Since(run.start))
	return out
}

func (l Load) withDefaults() Load {
	if l.Network == "" {
		l.Network = "tcp"
	}
	if l.Request == nil {
		l.Request = defaultRequest
	}
	l.Conns = max(l.Conns, 1)
	if l.Duration <= 0 {
		l.Duration = defaultDuration
	}
	if l.Timeout <= 0 {
		l.Timeout = defaultTimeout
	}
	return l
}

// loadRun is what the workers of one run share.
type loadRun struct {
	Load
	start, end time.Time
	left       atomic.Int64 // requests not yet begun, when Requests bounds the run
}

// next tells whether one more request may begin.
func (r *loadRun) next(ctx context.Context) bool {
	if ctx.Err() != nil || !time.Now().Before(r.end) {
		return false
	}
	return r.Requests <= 0 || r.left.Add(-1) >= 0
}

// A worker is one connection's goroutine and all that belongs to it.
type worker struct {
	run    *loadRun
	client *client // nil: not connected
	random *rand.Rand
	out    Outcome
}

func (w *worker) serve(ctx context.Context) {
	defer w.hangUp()
	for n := 0; w.run.next(ctx); n++ {
		begin := time.Now()
		if step := w.run.Interval; step > 0 {
			intended := w.run.start.Add(time.Duration(n) * step)
			if !sleepUntil(ctx, intended) {
				return
			}
			begin = intended
		}
		w.exchange(ctx, begin)
	}
}

// exchange sends one request and counts what came of it.
func (w *worker) exchange(ctx context.Context, begin time.Time) {
	if w.client == nil && !w.connect(ctx) {
		return
	}
	c := w.client
	a, err := c.exchange(w.run.Request, w.run.NoBody, time.Now().Add(w.run.Timeout))
	if err != nil {
		w.fail(err)
		w.hangUp()
		return
	}
	w.out.Answered++
	w.out.count(a.status)
	w.sample(time.Since(begin))
	if w.run.Check != nil {
		if err := w.run.Check(a.status, a.body); err != nil {
			w.out.WrongAnswers++
			w.out.note(err)
		}
	}
	if a.close || w.run.ConnectPerRequest {
		w.hangUp()
	}
}

// fail counts an exchange without a complete answer, in the kinds of Outcome.
func (w *worker) fail(err error) {
	if errors.Is(err, errIdleClosed) {
		w.out.IdleClosed++ // a race that keep-alive has by design (RFC 9112 §9.5)
		return
	}
	w.out.Failed++
	w.out.note(err)
}

func (w *worker) connect(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, w.run.Timeout)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, w.run.Network, w.run.Addr)
	if err == nil && w.run.TLS != nil {
		conn, err = handshake(ctx, conn, w.run.TLS)
	}
	if err != nil {
		w.out.NotConnected++
		w.out.note(err)
		sleepUntil(ctx, time.Now().Add(redialPause))
		return false
	}
	w.out.Connections++
	w.client = newClient(conn)
	return true
}

func handshake(ctx context.Context, conn net.Conn, cfg *tls.Config) (net.Conn, error) {
	t := tls.Client(conn, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return t, nil
}

func (w *worker) hangUp() {
	if w.client != nil {
		w.client.conn.Close()
		w.client = nil
	}
}

// sample keeps a latency: all of them up to the bound, then a uniform choice.
func (w *worker) sample(d time.Duration) {
	w.out.Slowest = max(w.out.Slowest, d)
	bound := max(maxSamples/w.run.Conns, 1)
	if len(w.out.latencies) < bound {
		w.out.latencies = append(w.out.latencies, d)
	} else if i := w.random.IntN(w.out.Answered); i < bound {
		w.out.latencies[i] = d
	}
}

// sleepUntil waits until t. False: ctx ended first.
func sleepUntil(ctx context.Context, t time.Time) bool {
	d := time.Until(t)
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
