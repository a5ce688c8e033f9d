package serve_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// A stop over HTTP/3 (RFC 9114 §5.2): the timeline of drain_test.go, and on each
// connection
//
//	Shutdown ──┬─ GOAWAY 2^62-4: requests that are on their way are served
//	           ├─ a round trip later GOAWAY with the last of them
//	           ├─ requests finish, and what was sent arrives
//	           └─ CONNECTION_CLOSE, whether or not the client has closed

// farewellH3 begins the farewell of every connection: the highest stream.
const farewellH3 = "4611686018427387900; "

// runningH3 is a server of all protocols, over TLS, on one port.
type runningH3 struct {
	*running
	endedH3 chan error // ServeHTTP3's answer
}

// startAll starts one.
func startAll(t *testing.T, h http.HandlerFunc, opts serve.ServerOptions) *runningH3 {
	t.Helper()
	group, packets := bindBoth(t)
	opts.ErrorLog = quiet()
	s := &serve.Server{Handler: h, TLSConfig: serverTLS(), Options: opts}
	r := &runningH3{&running{Server: s, addr: group.Addr().String(), secure: true, ended: make(chan error, 1)}, make(chan error, 1)}
	go func() { r.ended <- s.ServeTLS(group, "", "") }()
	go func() { r.endedH3 <- s.ServeHTTP3(packets, "", "") }()
	t.Cleanup(func() { s.Close() })
	return r
}

// bindBoth binds one port for TCP and UDP; a stranger may have one of them.
func bindBoth(t *testing.T) (*listener.Group, *listener.PacketGroup) {
	t.Helper()
	var last error
	for range 10 {
		group, err := listener.Listen(t.Context(), listener.Config{Network: "tcp", Address: "127.0.0.1:0"})
		servetest.Must(t, "TCP", err)
		packets, err := listener.BindPackets(t.Context(), listener.PacketConfig{Address: group.Addr().String(), ErrorLog: quiet()})
		if err == nil {
			return group, packets
		}
		last = err
		group.Close()
	}
	t.Fatalf("no port is free for TCP and UDP: %v", last)
	return nil, nil
}

// stop shuts down within patience.
func (r *runningH3) stop(t *testing.T) {
	t.Helper()
	r.running.stop(t)
	servetest.WantErr(t, "ServeHTTP3 tells why it ended", within(t, "ServeHTTP3 returns", r.endedH3), http.ErrServerClosed)
}

// shutdown begins to shut down.
func (r *runningH3) shutdown() (stopped chan error) {
	stopped = make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		stopped <- r.Shutdown(ctx)
	}()
	return stopped
}

// wantCounted waits until n requests are counted: a client may have its answer
// before, and the stop must not take it for one of its own.
func (r *running) wantCounted(t *testing.T, n uint64) {
	t.Helper()
	servetest.WantSoon(t, "what was answered is counted", func() bool { return r.Stats().Requests == n })
}

func wantNotYet[T any](t *testing.T, why string, ch <-chan T) {
	t.Helper()
	select {
	case <-ch:
		t.Fatal(why)
	default:
	}
}

// TestDrainUnderLoadH3 stops a server under quic-go's clients: some share a
// connection between all their requests, others connect for each. What reached
// a handler is answered, all of it; nothing else than being turned away happens
// to the others.
func TestDrainUnderLoadH3(t *testing.T) {
	servetest.CheckLeaks(t)
	load := newLoadH3(t)
	r := startAll(t, load.handle, serve.ServerOptions{})
	load.addr = r.addr
	load.start(4, 8, 2)
	servetest.WantSoon(t, "the load is under way", func() bool { return load.answered() > 1000 })
	r.stop(t)
	load.end()
	servetest.Want(t, "nothing was cut", r.DrainReport().Cut, 0)
	load.judge(t, r.Stats().Requests)
}

// TestDrainAllProtocols stops a server of all three protocols, on one port,
// with clients of each at work.
func TestDrainAllProtocols(t *testing.T) {
	servetest.CheckLeaks(t)
	var served [4]atomic.Int64 // by the major version
	load := newLoadH3(t)
	r := startAll(t, func(w http.ResponseWriter, r *http.Request) {
		if served[r.ProtoMajor].Add(1); r.ProtoMajor == 3 {
			load.handle(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		w.Write(append([]byte("answer "), body...))
	}, serve.ServerOptions{})
	load.addr = r.addr
	h1 := servetest.Load{
		Addr: r.addr, TLS: clientTLS(), Conns: 8, Interval: 5 * time.Millisecond, Duration: patience,
		Check: func(status int, body []byte) error {
			if status != 200 || string(body) != "answer " {
				return errors.New("wrong answer: " + string(body))
			}
			return nil
		},
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	h1Done := make(chan *servetest.Outcome, 1)
	go func() { h1Done <- h1.Run(ctx) }()
	h2 := &transportLoad{url: r.url(), stop: make(chan struct{})}
	h2Client := h2.client(t, true)
	for range 4 {
		h2.group.Go(func() { h2.run(h2Client) })
	}
	load.start(2, 4, 1)
	servetest.WantSoon(t, "the loads are under way", func() bool {
		return served[1].Load() > 100 && served[2].Load() > 300 && served[3].Load() > 300
	})
	r.stop(t)
	cancel()
	close(h2.stop)
	h2.group.Wait()
	load.end()
	kept := within(t, "the load of HTTP/1", h1Done)
	servetest.Want(t, "HTTP/1 lost nothing", kept.Failed+kept.WrongAnswers, 0)
	servetest.Want(t, "what HTTP/1 served was answered", int64(kept.Answered), served[1].Load())
	servetest.Want(t, "HTTP/2 lost nothing", h2.lost.Load()+h2.wrong.Load(), 0)
	servetest.Want(t, "what HTTP/2 served was answered", h2.answered.Load(), served[2].Load())
	servetest.Want(t, "nothing was cut", r.DrainReport().Cut, 0)
	load.judge(t, uint64(served[3].Load()))
	servetest.Want(t, "requests in the statistics", r.Stats().Requests, uint64(served[1].Load()+served[2].Load()+served[3].Load()))
}

// TestGoAwayTwiceH3: what came before the last GOAWAY is served to its end, and
// what comes behind is refused, and may be repeated.
func TestGoAwayTwiceH3(t *testing.T) {
	servetest.CheckLeaks(t)
	entered, release := make(chan struct{}), make(chan struct{})
	r := startAll(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(entered)
			<-release
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("%s: %v", r.URL, err)
		}
		io.WriteString(w, r.URL.Path+string(body))
	}, serve.ServerOptions{})
	p, idle := dialH3(t, r.addr), dialH3(t, r.addr)
	slow := p.get("/slow")
	within(t, "the slow handler runs", entered)
	half := p.open(false, request("POST", "/half")...)
	half.data(" sent", false)
	p.get("/quick").want("before the stop", "200", "/quick")
	r.wantCounted(t, 1)
	stopped := r.shutdown()
	p.await("the last GOAWAY", func() bool { return len(p.goaways) > 1 })
	servetest.Want(t, "the last names the first that is refused", p.farewell(), farewellH3+"12; ")
	servetest.Want(t, "behind the last", p.get("/refused").outcome(), "reset H3_REQUEST_REJECTED")
	idle.wantEnd("an idle connection goes at once") // and a busy one would, if nobody waited for its requests
	wantNotYet(t, "stopped with requests under way", stopped)
	slow.wantOpen("the slow handler goes on")
	half.data(" and done", true)
	half.want("a half-sent body", "200", "/half sent and done")
	close(release)
	slow.want("the slow handler", "200", "/slow")
	p.wantEnd("the connection goes with its last request")
	servetest.Must(t, "drained", within(t, "Shutdown returns", stopped))
	servetest.WantErr(t, "ServeHTTP3", within(t, "ServeHTTP3 returns", r.endedH3), http.ErrServerClosed)
	servetest.Want(t, "report", r.DrainReport(), serve.DrainReport{Finished: 2})
	servetest.Want(t, "refused", r.Stats().StreamsRefused, 1)
}

// TestDrainIdleH3: idle clients that do not close do not hold the stop, whether
// they have asked or not.
func TestDrainIdleH3(t *testing.T) {
	servetest.CheckLeaks(t)
	r := startAll(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hi") }, serve.ServerOptions{})
	used, fresh := dialH3(t, r.addr), dialH3(t, r.addr)
	used.get("/").want("before the stop", "200", "hi")
	servetest.WantSoon(t, "both are accepted", func() bool { return r.Stats().HTTP3Connections == 2 })
	r.wantCounted(t, 1)
	r.stop(t)
	used.wantEnd("an idle connection goes")
	fresh.wantEnd("so does one without a request")
	servetest.Want(t, "report", r.DrainReport(), serve.DrainReport{})
	servetest.Want(t, "connections after the stop", r.Stats().HTTP3Connections, 0)
}

// TestStuckHandlerH3: at the deadline Shutdown gives up, and Close cuts the
// connection, however many of its requests are stuck.
func TestStuckHandlerH3(t *testing.T) {
	servetest.CheckLeaks(t)
	entered, left := make(chan struct{}, 2), make(chan error, 2)
	r := startAll(t, func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-r.Context().Done()
		left <- r.Context().Err()
	}, serve.ServerOptions{})
	p, idle := dialH3(t, r.addr), dialH3(t, r.addr)
	stuck := []*h3Stream{p.get("/1"), p.get("/2")}
	for range stuck {
		within(t, "a handler runs", entered)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	servetest.WantErr(t, "the deadline passes", r.Shutdown(ctx), context.DeadlineExceeded)
	wantNotYet(t, "Shutdown ended a handler", left)
	servetest.Must(t, "Close", r.Close())
	for _, s := range stuck {
		servetest.WantErr(t, "its context", within(t, "the handler ends", left), context.Canceled)
		if got := s.outcome(); strings.HasPrefix(got, "2") {
			t.Errorf("a request that was cut was answered with %s", got)
		}
	}
	within(t, "the idle connection ends too", idle.q.Context().Done())
	servetest.Want(t, "one connection was cut", r.DrainReport().Cut, 1)
	servetest.Want(t, "in the statistics too", r.Stats().Cut, 1)
	servetest.WantErr(t, "ServeHTTP3", within(t, "ServeHTTP3 returns", r.endedH3), http.ErrServerClosed)
}

// TestCloseH3: Close waits for nobody, and leaves the port to others.
func TestCloseH3(t *testing.T) {
	servetest.CheckLeaks(t)
	entered, release := make(chan struct{}), make(chan struct{})
	r := startAll(t, func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release // whatever its context says
	}, serve.ServerOptions{})
	defer close(release)
	p := dialH3(t, r.addr)
	p.get("/")
	within(t, "the handler runs", entered)
	servetest.Must(t, "Close", r.Close())
	servetest.Must(t, "Close again", r.Close())
	servetest.Must(t, "Shutdown after Close", r.Shutdown(context.Background()))
	within(t, "the connection ends", p.q.Context().Done())
	servetest.WantErr(t, "ServeHTTP3", within(t, "ServeHTTP3 returns", r.endedH3), http.ErrServerClosed)
	servetest.WantErr(t, "Serve", within(t, "Serve returns", r.ended), http.ErrServerClosed)
	servetest.Want(t, "the connection was cut", r.DrainReport().Cut, 1)
	c, err := net.ListenPacket("udp", r.addr)
	servetest.Must(t, "the port is free", err)
	c.Close()
}
