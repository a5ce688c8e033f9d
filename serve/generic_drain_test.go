package serve_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

type packetGroup = *listener.PacketGroup

// testGroup is a filter that counts, in the least form.
type testGroup struct {
	mu      sync.Mutex
	n       int
	refuses bool
	empty   chan struct{} // closed when refuses and n == 0
	told    chan struct{} // closed by Wait
	cancels map[*context.CancelFunc]bool
}

func newTestGroup() *testGroup {
	return &testGroup{empty: make(chan struct{}), told: make(chan struct{}), cancels: map[*context.CancelFunc]bool{}}
}

// serve counts a request, or answers it 503.
func (g *testGroup) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	g.mu.Lock()
	if g.refuses {
		g.mu.Unlock()
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	g.n++
	g.cancels[&cancel] = true
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.n--
		delete(g.cancels, &cancel)
		if g.refuses && g.n == 0 {
			close(g.empty)
		}
	}()
	next.ServeHTTP(w, r.WithContext(ctx))
}

func (g *testGroup) Wait(ctx context.Context) error {
	g.mu.Lock()
	g.refuses = true
	close(g.told)
	if g.n == 0 {
		close(g.empty)
	}
	g.mu.Unlock()
	select {
	case <-g.empty:
		return nil
	case <-ctx.Done():
		g.mu.Lock()
		defer g.mu.Unlock()
		for cancel := range g.cancels {
			(*cancel)()
		}
		return ctx.Err()
	}
}

func (g *testGroup) len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}

// testAudit notes when it is started and stopped.
type testAudit struct {
	order *order
	err   error
}

func (a *testAudit) Shutdown(context.Context) error {
	a.order.note("audit stopped")
	return a.err
}

// graceful is a server with filters that count, whose stop goes by hand.
type graceful struct {
	*genericServer
	order          *order
	requests, long *testGroup
	release        chan struct{} // ends /slow
	hook           chan struct{} // ends the pre-shutdown hook
	hookSaw        got           // of a request by the hook
}

func startGraceful(t *testing.T, cfg serve.Config) *graceful {
	t.Helper()
	g := &graceful{order: new(order), requests: newTestGroup(), long: newTestGroup(), release: make(chan struct{}), hook: make(chan struct{})}
	cfg.Requests, cfg.LongRunning, cfg.Audit = g.requests, g.long, &testAudit{order: g.order}
	cfg.OnSignal, cfg.BuildHandlerChain, cfg.PublicHealth = g.order.note, g.filters, true
	cfg.InFlight = func() handler.InFlight { return handler.InFlight{Running: g.requests.len() + g.long.len()} }
	cfg.PreShutdownHooks = []serve.NamedPreShutdownHook{{Name: "hook", Run: func(c serve.HookContext) error {
		<-g.hook
		g.hookSaw = get(c.Client, "http://self/")
		return nil
	}}}
	cfg, addr := serveAll(t, cfg)
	s := newGeneric(t, cfg)
	servetest.Must(t, "/", s.Mux.Handle("/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.RemoteAddr) })))
	servetest.Must(t, "/slow", s.Mux.Handle("/slow", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-g.release
		io.WriteString(w, "finished")
	})))
	servetest.Must(t, "/watch", s.Mux.Handle("/watch", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "watched ")
		http.NewResponseController(w).Flush()
		select {
		case <-g.long.told:
			io.WriteString(w, "to the end")
		case <-r.Context().Done():
		}
	})))
	g.genericServer = runGeneric(t, s)
	g.addr = addr
	within(t, "ready", s.Signals().HasBeenReady.Signaled())
	within(t, "complete", s.Signals().MuxAndDiscoveryComplete.Signaled())
	return g
}

// filters are the two of the drain, in the least form.
func (g *graceful) filters(routes http.Handler, s *serve.GenericServer) (http.Handler, error) {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/readyz" || r.URL.Path == "/livez" || r.URL.Path == "/healthz":
			routes.ServeHTTP(w, r)
		case isSignaled(s.Signals().NotAcceptingNewRequest) && !isSignaled(s.Signals().HTTPServerStoppedListening):
			w.Header().Set("Retry-After", "5")
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusTooManyRequests)
		case r.URL.Path == "/watch":
			g.long.serve(w, r, routes)
		default:
			g.requests.serve(w, r, routes)
		}
	}), nil
}

func (g *graceful) url(path string) string { return "https://" + g.addr + path }

// background begins a request.
func (g *graceful) background(c *http.Client, path string) chan got {
	answer := make(chan got, 1)
	go func() { answer <- get(c, g.url(path)) }()
	return answer
}

// underWay begins one request of each kind and waits for them to be counted.
func (g *graceful) underWay(t *testing.T, kind string) (slow, watch chan got) {
	t.Helper()
	slow, watch = g.background(clientOf(t, kind), "/slow"), g.background(clientOf(t, kind), "/watch")
	servetest.WantSoon(t, "both are under way", func() bool { return g.requests.len() == 1 && g.long.len() == 1 })
	return slow, watch
}

// wantDelay asks during the delay: all is served, readyz says no.
func (g *graceful) wantDelay(t *testing.T, kind string, reused *http.Client, before got) {
	t.Helper()
	within(t, "the stop has begun", g.Signals().ShutdownInitiated.Signaled())
	fresh := clientOf(t, kind)
	wantStatus(t, "readyz", get(fresh, g.url("/readyz")), http.StatusInternalServerError)
	wantStatus(t, "livez", get(fresh, g.url("/livez")), http.StatusOK)
	wantStatus(t, "healthz", get(fresh, g.url("/healthz")), http.StatusOK)
	again := get(reused, g.url("/"))
	wantStatus(t, "on a kept connection", again, http.StatusOK)
	servetest.Want(t, "it is the same connection", again.body, before.body)
	servetest.Want(t, "HTTP/3 was told of", before.altSvc != "", kind != "h3")
	servetest.Want(t, "and is told of no more", again.altSvc, "")
	other := get(clientOf(t, kind), g.url("/"))
	wantStatus(t, "on a new connection", other, http.StatusOK)
	if other.body == before.body {
		t.Error("it is the same connection")
	}
	status := g.DrainStatus()
	servetest.Want(t, "phase", status.Phase, "ShutdownInitiated")
	servetest.Want(t, "in flight", status.InFlight, 2)
	if status.Left <= 0 {
		t.Error("no time is left")
	}
	if n := status.Connections[kind]; n < 3 {
		t.Errorf("connections by protocol: %v", status.Connections)
	}
}

// endDelay ends the hook and then the delay.
func (g *graceful) endDelay(t *testing.T) {
	t.Helper()
	close(g.hook)
	within(t, "the hook is over", g.Signals().PreShutdownHooksStopped.Signaled())
	wantStatus(t, "the hook's own request", g.hookSaw, http.StatusOK)
	servetest.Want(t, "it came without a connection", g.hookSaw.body, "in-process")
	servetest.Want(t, "the delay goes on", isSignaled(g.Signals().AfterShutdownDelayDuration), false)
	g.RequestShutdown()
	within(t, "nothing new", g.Signals().NotAcceptingNewRequest.Signaled())
}

const delayOrder = "MuxAndDiscoveryComplete HasBeenReady ShutdownInitiated PreShutdownHooksStopped AfterShutdownDelayDuration NotAcceptingNewRequest "

// wantOrder compares, with the two signals of the start in one order.
func (g *graceful) wantOrder(t *testing.T, stop string) {
	t.Helper()
	got := strings.Replace(g.order.String(), "HasBeenReady MuxAndDiscoveryComplete", "MuxAndDiscoveryComplete HasBeenReady", 1)
	servetest.Want(t, "order", got, delayOrder+stop)
}

// wantRefused tells that no new connection is taken.
func (g *graceful) wantRefused(t *testing.T, kind string) {
	t.Helper()
	if kind == "h3" && !isSignaled(g.Signals().InFlightRequestsDrained) {
		if _, err := quicDial(t, g.addr, nil); err == nil {
			t.Error("connected after the listener had stopped")
		}
		return
	}
	if kind == "h3" { // nobody is there to refuse
		c, err := net.ListenPacket("udp", g.addr)
		servetest.Must(t, "the port is free", err)
		c.Close()
		return
	}
	if c, err := net.DialTimeout("tcp", g.addr, time.Second); err == nil {
		c.Close()
		t.Error("connected after the listener had stopped")
	}
}

// TestGracefulTerminationWithKeepListeningDuringGracefulTerminationDisabled is
// the default order of the stop:
//
//	ShutdownInitiated, delay and hooks, NotAcceptingNewRequest,
//	HTTPServerStoppedListening, InFlightRequestsDrained
func TestGracefulTerminationWithKeepListeningDuringGracefulTerminationDisabled(t *testing.T) {
	for _, kind := range clientKinds {
		t.Run(kind, func(t *testing.T) {
			servetest.CheckLeaks(t)
			g := startGraceful(t, serve.Config{ShutdownDelayDuration: 50 * time.Second, LongRunningGrace: patience})
			reused := clientOf(t, kind)
			before := get(reused, g.url("/"))
			wantStatus(t, "before the stop", before, http.StatusOK)
			slow, watch := g.underWay(t, kind)
			close(g.stop)
			g.wantDelay(t, kind, reused, before)
			g.endDelay(t)
			within(t, "the listener stops", g.Signals().HTTPServerStoppedListening.Signaled())
			g.wantRefused(t, kind)
			wantStatus(t, "the watch, which was told", within(t, "watch", watch), http.StatusOK)
			servetest.Want(t, "with a request under way", isSignaled(g.Signals().InFlightRequestsDrained), false)
			wantNotYet(t, "Run returned with a request under way", g.ended)
			late := get(g.Client(), "http://self/") // as on a connection that is open still
			wantStatus(t, "a request behind the wait", late, http.StatusServiceUnavailable)
			servetest.Want(t, "Retry-After", late.retryAfter, "1")
			close(g.release)
			a := within(t, "slow", slow)
			wantStatus(t, "the request under way", a, http.StatusOK)
			servetest.Want(t, "its body", a.body, "finished")
			servetest.Must(t, "Run", within(t, "Run returns", g.ended))
			g.wantOrder(t, "HTTPServerStoppedListening InFlightRequestsDrained audit stopped")
		})
	}
}

// TestGracefulTerminationWithKeepListeningDuringGracefulTerminationEnabled is
// the order with ShutdownSendRetryAfter:
//
//	ShutdownInitiated, delay and hooks, NotAcceptingNewRequest,
//	InFlightRequestsDrained, HTTPServerStoppedListening
func TestGracefulTerminationWithKeepListeningDuringGracefulTerminationEnabled(t *testing.T) {
	for _, kind := range clientKinds {
		t.Run(kind, func(t *testing.T) {
			servetest.CheckLeaks(t)
			g := startGraceful(t, serve.Config{ShutdownDelayDuration: 50 * time.Second, LongRunningGrace: patience, ShutdownSendRetryAfter: true})
			reused := clientOf(t, kind)
			before := get(reused, g.url("/"))
			wantStatus(t, "before the stop", before, http.StatusOK)
			slow, watch := g.underWay(t, kind)
			close(g.stop)
			g.wantDelay(t, kind, reused, before)
			g.endDelay(t)
			for why, c := range map[string]*http.Client{"on a kept connection": reused, "on a new connection": clientOf(t, kind)} {
				a := get(c, g.url("/"))
				wantStatus(t, why, a, http.StatusTooManyRequests)
				servetest.Want(t, "Retry-After", a.retryAfter, "5")
			}
			wantStatus(t, "health", get(clientOf(t, kind), g.url("/livez")), http.StatusOK)
			wantStatus(t, "the watch, which was told", within(t, "watch", watch), http.StatusOK)
			servetest.Want(t, "with a request under way", isSignaled(g.Signals().InFlightRequestsDrained), false)
			servetest.Want(t, "listening", isSignaled(g.Signals().HTTPServerStoppedListening), false)
			close(g.release)
			wantStatus(t, "the request under way", within(t, "slow", slow), http.StatusOK)
			servetest.Must(t, "Run", within(t, "Run returns", g.ended))
			g.wantRefused(t, kind)
			g.wantOrder(t, "InFlightRequestsDrained audit stopped HTTPServerStoppedListening")
		})
	}
}

// TestPreShutdownHooks: a hook that outlasts the delay can call the server over
// the network, in both modes.
func TestPreShutdownHooks(t *testing.T) {
	for _, retryAfter := range []bool{false, true} {
		t.Run(fmt.Sprint("retry-after=", retryAfter), func(t *testing.T) {
			servetest.CheckLeaks(t)
			cfg, addr := serveAll(t, serve.Config{ShutdownDelayDuration: time.Millisecond, ShutdownSendRetryAfter: retryAfter})
			s := newGeneric(t, cfg)
			servetest.Must(t, "a path", s.Mux.Handle("/", ok("served")))
			var calls []got
			servetest.Must(t, "hook", s.AddPreShutdownHook("five calls", func(c serve.HookContext) error {
				select {
				case <-s.Signals().AfterShutdownDelayDuration.Signaled():
				case <-c.Done():
					return c.Err()
				}
				for i := range 5 {
					calls = append(calls, get(clientOf(t, clientKinds[i%3]), "https://"+addr))
				}
				return nil
			}))
			g := runGeneric(t, s)
			within(t, "ready", s.Signals().HasBeenReady.Signaled())
			close(g.stop)
			servetest.Must(t, "Run", within(t, "Run returns", g.ended))
			servetest.Want(t, "calls", len(calls), 5)
			for i, a := range calls {
				wantStatus(t, fmt.Sprint("call ", i), a, http.StatusOK)
			}
		})
	}
}

// TestHookErrorDrains: a pre-shutdown hook that fails or panics keeps nothing
// from draining, nor other hooks from running; Run returns the errors.
func TestHookErrorDrains(t *testing.T) {
	servetest.CheckLeaks(t)
	g := &graceful{order: new(order), requests: newTestGroup(), release: make(chan struct{})}
	cfg, addr := serveAll(t, serve.Config{Requests: g.requests, OnSignal: g.order.note})
	s := newGeneric(t, cfg)
	failed := errors.New("a hook failed")
	ran := false
	servetest.Must(t, "a path", s.Mux.Handle("/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.requests.serve(w, r, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-g.release }))
	})))
	servetest.Must(t, "failing", s.AddPreShutdownHook("failing", func(serve.HookContext) error { return failed }))
	servetest.Must(t, "panicking", s.AddPreShutdownHook("panicking", func(serve.HookContext) error { panic("a hook panicked") }))
	servetest.Must(t, "good", s.AddPreShutdownHook("good", func(serve.HookContext) error { ran = true; return nil }))
	g.genericServer = runGeneric(t, s)
	g.addr = addr
	within(t, "ready", s.Signals().HasBeenReady.Signaled())
	slow := g.background(clientOf(t, "h2"), "/")
	servetest.WantSoon(t, "a request is under way", func() bool { return g.requests.len() == 1 })
	close(g.stop)
	within(t, "the listener stops", s.Signals().HTTPServerStoppedListening.Signaled())
	wantNotYet(t, "Run returned with a request under way", g.ended)
	close(g.release)
	wantStatus(t, "the request under way", within(t, "slow", slow), http.StatusOK)
	err := within(t, "Run returns", g.ended)
	servetest.WantErr(t, "Run", err, failed)
	servetest.Want(t, "nothing was cut", s.DrainStatus().Cut == nil, true)
	if err == nil || !strings.Contains(err.Error(), `"panicking": panic: a hook panicked`) {
		t.Errorf("Run lacks the panic: %v", err)
	}
	servetest.Want(t, "the other hook ran", ran, true)
	if cut, is := errors.AsType[*serve.CutError](err); is {
		t.Errorf("something was cut: %v", cut)
	}
}

// TestStopWithStuckHandler: one deadline bounds the stop; what is left is cut,
// and Run tells so.
func TestStopWithStuckHandler(t *testing.T) {
	for _, kind := range clientKinds {
		for _, retryAfter := range []bool{false, true} {
			t.Run(fmt.Sprint(kind, "/retry-after=", retryAfter), func(t *testing.T) {
				servetest.CheckLeaks(t)
				g := startGraceful(t, serve.Config{ShutdownTimeout: 400 * time.Millisecond, ShutdownSendRetryAfter: retryAfter})
				defer close(g.release)
				close(g.hook)
				stuck := g.background(clientOf(t, kind), "/slow")
				servetest.WantSoon(t, "it is under way", func() bool { return g.requests.len() == 1 })
				close(g.stop)
				err := within(t, "Run returns", g.ended)
				cut, is := errors.AsType[*serve.CutError](err)
				if !is {
					t.Fatalf("Run: %v", err)
				}
				servetest.Want(t, "cut", cut.Cut, 1)
				left := g.DrainStatus().Cut
				if left == nil {
					t.Fatal("the last status does not tell what was cut")
				}
				servetest.Want(t, "requests that were cut", left.InFlight, 1)
				for protocol, n := range left.Connections {
					want := 0
					if protocol == kind {
						want = 1
					}
					servetest.Want(t, "connections that were cut, of "+protocol, n, want)
				}
				if a := within(t, "the request that was cut", stuck); a.err == nil {
					t.Errorf("it was answered: %d %q", a.status, a.body)
				}
				servetest.Want(t, "the end of the stop's order", strings.HasSuffix(g.order.String(), "HTTPServerStoppedListening"), retryAfter)
			})
		}
	}
}

// TestLongRunningWithoutGrace: a watch is cancelled, not waited for.
func TestLongRunningWithoutGrace(t *testing.T) {
	for _, kind := range clientKinds {
		t.Run(kind, func(t *testing.T) {
			servetest.CheckLeaks(t)
			g := startGraceful(t, serve.Config{})
			close(g.hook)
			g.long.told = make(chan struct{}, 1) // nobody hears it
			watch := g.background(clientOf(t, kind), "/watch")
			servetest.WantSoon(t, "it is under way", func() bool { return g.long.len() == 1 })
			close(g.stop)
			servetest.Must(t, "Run", within(t, "Run returns", g.ended))
			within(t, "the watch has ended", watch)
		})
	}
}

// silentListener accepts nothing, and needs no network.
type silentListener struct {
	closed chan struct{}
	once   sync.Once
}

func newSilent() *silentListener { return &silentListener{closed: make(chan struct{})} }

func (l *silentListener) Accept() (net.Conn, error) {
	<-l.closed
	return nil, net.ErrClosed
}

func (l *silentListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}
func (l *silentListener) Addr() net.Addr { return &net.TCPAddr{} }

// stopTook runs a server without a network and returns how long its stop took.
func stopTook(t *testing.T, cfg serve.Config, during func(*serve.GenericServer)) (time.Duration, error) {
	t.Helper()
	cfg.Plain = []net.Listener{newSilent()}
	s := newGeneric(t, cfg)
	g := runGeneric(t, s)
	<-s.Signals().HasBeenReady.Signaled()
	synctest.Wait()
	begin := time.Now()
	close(g.stop)
	if during != nil {
		<-s.Signals().ShutdownInitiated.Signaled()
		during(s)
	}
	err := <-g.ended
	return time.Since(begin), err
}

// TestDelayEnds: by its time, on request, and when nothing is connected.
func TestDelayEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took, err := stopTook(t, serve.Config{ShutdownDelayDuration: 700 * time.Millisecond}, nil)
		servetest.Must(t, "Run", err)
		servetest.Want(t, "the whole delay", took, 700*time.Millisecond)
		took, err = stopTook(t, serve.Config{ShutdownDelayDuration: 30 * time.Second}, nil)
		servetest.Must(t, "Run", err)
		servetest.Want(t, "nothing is connected for a second", took, time.Second)
		took, err = stopTook(t, serve.Config{ShutdownDelayDuration: 30 * time.Second}, func(s *serve.GenericServer) {
			time.Sleep(300 * time.Millisecond)
			s.RequestShutdown()
			s.RequestShutdown()
		})
		servetest.Must(t, "Run", err)
		servetest.Want(t, "on request", took, 300*time.Millisecond)
	})
}

// stuckGroup never gets empty.
type stuckGroup struct{}

func (stuckGroup) Wait(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestOneDeadline: hooks, requests and long-running ones share one deadline, and
// hooks leave time for the rest.
func TestOneDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took, err := stopTook(t, serve.Config{Requests: stuckGroup{}}, nil)
		servetest.Must(t, "Run, with no connection to cut", err)
		servetest.Want(t, "requests that never end", took, time.Minute)
		took, err = stopTook(t, serve.Config{LongRunning: stuckGroup{}, LongRunningGrace: 5 * time.Second}, nil)
		servetest.Must(t, "Run", err)
		servetest.Want(t, "long-running ones have a grace of their own", took, 5*time.Second)

		release := make(chan struct{})
		hook := func(c serve.HookContext) error { // heeds nothing
			<-release
			return nil
		}
		took, err = stopTook(t, serve.Config{PreShutdownHooks: []serve.NamedPreShutdownHook{
			{Name: "stuck", Run: hook}, {Name: "behind it", Run: hook},
		}}, func(*serve.GenericServer) {
			time.AfterFunc(50*time.Second+time.Millisecond, func() { close(release) })
		})
		servetest.WantErr(t, "Run", err, context.DeadlineExceeded)
		if err == nil || !strings.Contains(err.Error(), `"stuck": it has not returned`) || !strings.Contains(err.Error(), `"behind it": it was not run`) {
			t.Errorf("Run: %v", err)
		}
		servetest.Want(t, "a hook that does not return", took.Round(time.Second), 50*time.Second)
	})
}

// pipeListener hands out the connections it is given, which need no network.
type pipeListener struct {
	*silentListener
	conns chan net.Conn
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// TestSlipIn: a request that was half sent when the listeners stopped is served
// if the rest follows within a second; behind that it is refused, not cut.
func TestSlipIn(t *testing.T) {
	for after, want := range map[time.Duration]string{
		slipIn - time.Millisecond: "HTTP/1.1 200 OK", slipIn + time.Millisecond: "HTTP/1.1 503 Service Unavailable",
	} {
		synctest.Test(t, func(t *testing.T) {
			requests := newTestGroup()
			l := &pipeListener{newSilent(), make(chan net.Conn, 1)}
			s := newGeneric(t, serve.Config{Plain: []net.Listener{l}, Requests: requests, BuildHandlerChain: func(h http.Handler, _ *serve.GenericServer) (http.Handler, error) {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { requests.serve(w, r, h) }), nil
			}})
			servetest.Must(t, "a path", s.Mux.Handle("/", ok("served")))
			g := runGeneric(t, s)
			client, server := net.Pipe()
			defer client.Close()
			l.conns <- server
			io.WriteString(client, getSlash[:10])
			synctest.Wait()
			close(g.stop)
			<-s.Signals().HTTPServerStoppedListening.Signaled()
			time.Sleep(after)
			io.WriteString(client, getSlash[10:])
			b, err := io.ReadAll(client)
			servetest.Must(t, "the answer", err)
			line, _, _ := strings.Cut(string(b), "\r\n")
			servetest.Want(t, fmt.Sprint("the rest after ", after), line, want)
			servetest.Must(t, "Run", <-g.ended)
		})
	}
}

// slipIn is the server's.
const slipIn = time.Second

// TestDrainStatus: as JSON, before, while and after the server runs.
func TestDrainStatus(t *testing.T) {
	servetest.CheckLeaks(t)
	s := newGeneric(t, serve.Config{InFlight: func() handler.InFlight {
		return handler.InFlight{Running: 2, ByProtocol: map[string]int{"h1": 2}, Stragglers: []handler.Straggler{{Path: "/slow", Count: 2, Oldest: time.Second}}}
	}})
	const rest = `"connections":{"h1":0,"h2":0,"h3":0,"handshake":0},"inFlight":2,"inFlightByProtocol":{"h1":2},"stragglers":[{"path":"/slow","count":2,"oldestSeconds":1}]}` + "\n"
	status := func() string { return local(handler.NewDrainz(s.DrainStatus), "/drainz").Body.String() }
	servetest.Want(t, "before", status(), `{"phase":"Starting",`+rest)
	g := runGeneric(t, s)
	within(t, "ready", s.Signals().HasBeenReady.Signaled())
	servetest.Want(t, "while it runs", status(), `{"phase":"Serving",`+rest)
	close(g.stop)
	servetest.Must(t, "Run", within(t, "Run returns", g.ended))
	servetest.Want(t, "after", status(), `{"phase":"Stopped",`+rest)
}

// TestStopBeforeRun: a stop that was asked for before the start still closes
// what was to be listened on.
func TestStopBeforeRun(t *testing.T) {
	servetest.CheckLeaks(t)
	cfg, addr := serveAll(t, serve.Config{ShutdownDelayDuration: 50 * time.Second})
	s := newGeneric(t, cfg)
	s.RequestShutdown()
	g := runGeneric(t, s)
	servetest.Must(t, "Run", within(t, "Run returns", g.ended))
	l, err := net.Listen("tcp", addr)
	servetest.Must(t, "the port is free", err)
	l.Close()
}

// TestAuditFails: an audit that does not stop is told.
func TestAuditFails(t *testing.T) {
	servetest.CheckLeaks(t)
	failed := errors.New("disk full")
	s := newGeneric(t, serve.Config{Audit: &testAudit{order: new(order), err: failed}})
	s.RequestShutdown()
	servetest.WantErr(t, "Run", prepare(t, s).RunWithContext(t.Context()), failed)
}

// TestGenericRequestShutdown: the server stops by itself.
func TestGenericRequestShutdown(t *testing.T) {
	servetest.CheckLeaks(t)
	s := newGeneric(t, serve.Config{})
	g := runGeneric(t, s)
	within(t, "ready", s.Signals().HasBeenReady.Signaled())
	s.RequestShutdown()
	s.RequestShutdown()
	servetest.Must(t, "Run", within(t, "Run returns", g.ended))
}

// TestSignalOnce: a lifecycle signal fires once, and its observer is ahead of it.
func TestSignalOnce(t *testing.T) {
	servetest.CheckLeaks(t)
	var s *serve.GenericServer
	count := 0
	ahead := false
	s = newGeneric(t, serve.Config{OnSignal: func(name string) {
		count++
		ahead = !isSignaled(s.Signals().ShutdownInitiated)
		if name != "ShutdownInitiated" {
			t.Errorf("name %q", name)
		}
	}})
	sig := s.Signals().ShutdownInitiated
	var all sync.WaitGroup
	for range 4 {
		all.Go(sig.Signal)
	}
	all.Wait()
	within(t, "fired", sig.Signaled())
	servetest.Want(t, "observed", count, 1)
	servetest.Want(t, "before it fired", ahead, true)
	servetest.Want(t, "name", sig.Name(), "ShutdownInitiated")
}

// What the chain of package handler has is what the server asks for.
var (
	_ serve.RequestGroup = (*handler.WaitGroup)(nil)
	_ serve.AuditBackend = (*handler.Audit)(nil)
)

// classify is a stage that tells kinds of requests apart.
type classify struct{}

func (classify) Begin(x *handler.Exchange) bool {
	x.Info.LongRunning = x.Request.URL.Path == "/watch"
	return true
}

// TestDrainWithStages stops a server behind the stages of package handler.
func TestDrainWithStages(t *testing.T) {
	for _, kind := range clientKinds {
		for _, retryAfter := range []bool{false, true} {
			t.Run(fmt.Sprint(kind, "/retry-after=", retryAfter), func(t *testing.T) {
				servetest.CheckLeaks(t)
				testDrainWithStages(t, kind, retryAfter)
			})
		}
	}
}

// wantDrainStatus wants n requests of a protocol under way, on connections of that
// protocol, and their paths.
func wantDrainStatus(t *testing.T, got handler.DrainStatus, protocol string, n int, paths ...string) {
	t.Helper()
	servetest.Want(t, "in flight", got.InFlight, n)
	for p, running := range got.InFlightByProtocol {
		want := 0
		if p == protocol {
			want = n
		}
		servetest.Want(t, "in flight by "+p, running, want)
	}
	if got.Connections[protocol] == 0 {
		t.Errorf("connections by protocol: %v", got.Connections)
	}
	var stragglers []string
	for _, s := range got.Stragglers {
		stragglers = append(stragglers, s.Path)
	}
	slices.Sort(stragglers)
	servetest.Want(t, "stragglers", strings.Join(stragglers, " "), strings.Join(paths, " "))
}

func testDrainWithStages(t *testing.T, kind string, retryAfter bool) {
	registry := handler.NewRegistry()
	group := handler.NewWaitGroup(registry, handler.WaitGroupOptions{LongRunningGrace: patience})
	cfg, addr := serveAll(t, serve.Config{
		ShutdownSendRetryAfter: retryAfter, Requests: group, InFlight: registry.InFlight,
		BuildHandlerChain: func(routes http.Handler, s *serve.GenericServer) (http.Handler, error) {
			stages := []handler.Stage{classify{}, group}
			if retryAfter {
				draining := s.Signals().NotAcceptingNewRequest.HasSignaled
				stages = []handler.Stage{classify{}, handler.NewRetryAfter(draining, handler.RetryOptions{}), group}
			}
			return handler.NewChain(routes, stages...), nil
		},
	})
	s := newGeneric(t, cfg)
	release := make(chan struct{})
	servetest.Must(t, "/slow", s.Mux.Handle("/slow", http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release })))
	servetest.Must(t, "/watch", s.Mux.Handle("/watch", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })))
	g := &graceful{genericServer: runGeneric(t, s)}
	g.addr = addr
	within(t, "ready", s.Signals().HasBeenReady.Signaled())
	slow, watch := g.background(clientOf(t, kind), "/slow"), g.background(clientOf(t, kind), "/watch")
	servetest.WantSoon(t, "both are under way", func() bool { c := registry.Counts(); return c.Read == 1 && c.LongRunning == 1 })
	wantDrainStatus(t, s.DrainStatus(), kind, 2, "/slow", "/watch")
	close(g.stop)
	wantStatus(t, "the watch, which was told", within(t, "watch", watch), http.StatusOK)
	late, status, after := got{}, http.StatusServiceUnavailable, "1"
	if retryAfter {
		late, status, after = get(clientOf(t, kind), g.url("/slow")), http.StatusTooManyRequests, "5"
	} else {
		late = get(s.Client(), "http://self/slow")
	}
	wantStatus(t, "a late request", late, status)
	servetest.Want(t, "Retry-After", late.retryAfter, after)
	servetest.Want(t, "drained", isSignaled(s.Signals().InFlightRequestsDrained), false)
	wantDrainStatus(t, s.DrainStatus(), kind, 1, "/slow")
	close(release)
	wantStatus(t, "the request under way", within(t, "slow", slow), http.StatusOK)
	servetest.Must(t, "Run", within(t, "Run returns", g.ended))
	servetest.Want(t, "drained", isSignaled(s.Signals().InFlightRequestsDrained), true)
}
