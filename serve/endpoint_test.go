package serve_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// endpointTLS is the server's configuration as an endpoint has it.
func endpointTLS() *tls.Config {
	cert, _ := testCert()
	return &tls.Config{Certificates: []tls.Certificate{cert}}
}

// openEndpoint opens one more endpoint of srv: over TLS, in the clear, or over a
// listener that event loops cannot serve.
func openEndpoint(t *testing.T, srv *serve.Server, cfg serve.EndpointConfig) *serve.Endpoint {
	t.Helper()
	if cfg.Listener == nil && cfg.Packets == nil {
		group, err := listener.Listen(t.Context(), listener.Config{Address: "127.0.0.1:0", Sockets: 2, ErrorLog: quiet()})
		servetest.Must(t, "listen", err)
		cfg.Listener = group
	}
	e, err := serve.NewEndpoint(cfg)
	servetest.Must(t, "NewEndpoint", err)
	servetest.Must(t, "Open", srv.Open(e))
	return e
}

// foreign hides what a listener is, so that the portable form serves it.
type foreign struct{ net.Listener }

// TestEndpointDrain: of two endpoints one is drained while both are asked (12.9):
// what runs there finishes, what comes later is refused, the other one and the
// counters go on.
func TestEndpointDrain(t *testing.T) {
	servetest.CheckLeaks(t)
	for name, form := range map[string]struct {
		tls      *tls.Config
		portable bool
		client   *tls.Config
		scheme   string
		http2    bool
	}{
		"h1":       {nil, false, nil, "http", false},
		"h1s":      {endpointTLS(), false, clientTLS(), "https", false},
		"h2":       {endpointTLS(), false, clientTLS(), "https", true},
		"portable": {endpointTLS(), true, clientTLS(), "https", false},
	} {
		t.Run(name, func(t *testing.T) {
			entered, release := make(chan struct{}, 1), make(chan struct{})
			srv := &serve.Server{Options: serve.ServerOptions{ErrorLog: quiet(), Shards: 2}, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					entered <- struct{}{}
					<-release
				}
				io.WriteString(w, "ok")
			})}
			defer srv.Close()
			open := func() *serve.Endpoint {
				cfg := serve.EndpointConfig{TLSConfig: form.tls}
				if form.portable {
					cfg.Listener = foreign{listenTCP(t)}
				}
				return openEndpoint(t, srv, cfg)
			}
			stays, goes := open(), open()
			transport := &http.Transport{TLSClientConfig: form.client, ForceAttemptHTTP2: form.http2}
			defer transport.CloseIdleConnections()
			client := &http.Client{Transport: transport, Timeout: patience}
			get := func(e *serve.Endpoint, path string) error {
				res, err := client.Get(form.scheme + "://" + e.Addr().String() + path)
				if err != nil {
					return err
				}
				defer res.Body.Close()
				_, err = io.Copy(io.Discard, res.Body)
				return err
			}
			servetest.Must(t, "the one that goes", get(goes, "/"))
			stop, asked := make(chan struct{}), new(atomic.Int64)
			var load sync.WaitGroup
			load.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					if err := get(stays, "/"); err != nil {
						t.Errorf("the one that stays: %v", err)
						return
					}
					asked.Add(1)
				}
			})
			slow := make(chan error, 1)
			go func() { slow <- get(goes, "/slow") }()
			within(t, "the slow request runs", entered)
			before := srv.Stats().Requests
			drained := make(chan int64, 1)
			go func() { drained <- goes.Drain(context.Background()) }()
			for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
				c, err := net.Dial("tcp", goes.Addr().String())
				if err != nil {
					break
				}
				c.Close()
			}
			select {
			case <-drained:
				t.Fatal("it was gone while a request ran")
			default:
			}
			close(release)
			servetest.Must(t, "the slow request", within(t, "its end", slow))
			servetest.Want(t, "cut", within(t, "the drain", drained), 0)
			servetest.Want(t, "connections left", goes.Live(), 0)
			for want := asked.Load() + 10; asked.Load() < want && !t.Failed(); {
				time.Sleep(time.Millisecond)
			}
			close(stop)
			load.Wait()
			if err := get(goes, "/"); err == nil {
				t.Error("the one that went still answers")
			}
			if now := srv.Stats().Requests; now < before {
				t.Errorf("requests went from %d to %d", before, now)
			}
			servetest.Must(t, "a third one", get(open(), "/"))
			if srv.Open(stays) == nil {
				t.Error("opened twice")
			}
		})
	}
}

// TestEndpointCut: what does not end by the deadline is cut, there alone.
func TestEndpointCut(t *testing.T) {
	servetest.CheckLeaks(t)
	for name, portable := range map[string]bool{"event loop": false, "portable": true} {
		t.Run(name, func(t *testing.T) {
			entered := make(chan struct{}, 2)
			srv := &serve.Server{Options: serve.ServerOptions{ErrorLog: quiet()}, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				entered <- struct{}{}
				<-r.Context().Done()
			})}
			defer srv.Close()
			cfg := serve.EndpointConfig{}
			if portable {
				cfg.Listener = foreign{listenTCP(t)}
			}
			goes, stays := openEndpoint(t, srv, cfg), openEndpoint(t, srv, serve.EndpointConfig{})
			ended := make(chan error, 1)
			ctx, leave := context.WithCancel(t.Context())
			for e, end := range map[*serve.Endpoint]chan error{goes: ended, stays: make(chan error, 1)} {
				go func() {
					r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+e.Addr().String(), http.NoBody)
					_, err := new(http.Transport).RoundTrip(r)
					end <- err
				}()
				within(t, "the handler runs", entered)
			}
			over, cancel := context.WithCancel(t.Context())
			cancel()
			servetest.Want(t, "cut", goes.Drain(over), 1)
			if within(t, "the request that was cut", ended) == nil {
				t.Error("it was answered")
			}
			within(t, "the end", goes.Drained())
			servetest.Want(t, "of the other one", stays.Live(), 1)
			leave()
		})
	}
}

// TestEndpointHTTP3: HTTP/3 comes and goes by itself; answers over TCP tell of it,
// and take it back.
func TestEndpointHTTP3(t *testing.T) {
	servetest.CheckLeaks(t)
	group, packets := bindBoth(t)
	servetest.Must(t, "listen", group.Listen())
	srv := &serve.Server{Options: serve.ServerOptions{ErrorLog: quiet()}, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Proto)
	})}
	defer srv.Close()
	tcp := openEndpoint(t, srv, serve.EndpointConfig{Listener: group, TLSConfig: endpointTLS()})
	addr := tcp.Addr().String()
	r := &running{addr: addr}
	for name, c := range clientsOverTCP(t) {
		told, _ := altSvc(t, c, http.MethodGet, "https://"+addr+"/")
		servetest.Want(t, name+": without HTTP/3", len(told), 0)
	}
	udp := openEndpoint(t, srv, serve.EndpointConfig{Packets: packets, TLSConfig: endpointTLS()})
	p := dialH3(t, addr)
	p.get("/").want("over HTTP/3", "200", "HTTP/3.0")
	for name, c := range clientsOverTCP(t) {
		told, _ := altSvc(t, c, http.MethodGet, "https://"+addr+"/")
		servetest.Want(t, name+": with HTTP/3", strings.Join(told, "|"), r.altSvcOf(t))
	}
	requests := srv.Stats().Requests
	servetest.Want(t, "cut", udp.Drain(t.Context()), 0)
	p.wantEnd("the client's connection ends")
	for name, c := range clientsOverTCP(t) {
		told, _ := altSvc(t, c, http.MethodGet, "https://"+addr+"/")
		servetest.Want(t, name+": after it", strings.Join(told, "|"), "clear")
	}
	if now := srv.Stats().Requests; now < requests {
		t.Errorf("requests went from %d to %d", requests, now)
	}
	again, err := listener.BindPackets(t.Context(), listener.PacketConfig{Address: addr, ErrorLog: quiet()})
	servetest.Must(t, "the port is free again", err)
	openEndpoint(t, srv, serve.EndpointConfig{Packets: again, TLSConfig: endpointTLS()})
	dialH3(t, addr).get("/").want("over HTTP/3 again", "200", "HTTP/3.0")
}

// TestEndpointOwn: an endpoint has its own policy and context.
func TestEndpointOwn(t *testing.T) {
	servetest.CheckLeaks(t)
	type key struct{}
	srv := &serve.Server{Options: serve.ServerOptions{ErrorLog: quiet()}, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _ := r.Context().Value(key{}).(string)
		io.WriteString(w, name)
	})}
	defer srv.Close()
	strict := openEndpoint(t, srv, serve.EndpointConfig{TLSConfig: endpointTLS(), TLSPolicy: policyFunc(func(_, _ string) bool { return false })})
	named := openEndpoint(t, srv, serve.EndpointConfig{TLSConfig: endpointTLS(), Context: context.WithValue(context.Background(), key{}, "mine")})
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		servetest.Want(t, "its policy", askFor(t, proto, strict.Addr().String(), "x", clientTLS())[:3], "421")
		servetest.Want(t, "its context", askFor(t, proto, named.Addr().String(), "x", clientTLS()), "200 mine")
	}
}

type policyFunc func(sni, host string) bool

func (f policyFunc) SamePolicy(sni, host string) bool { return f(sni, host) }

// TestEndpointOfGenericServer: endpoints of the start and later ones, up to the stop.
func TestEndpointOfGenericServer(t *testing.T) {
	servetest.CheckLeaks(t)
	bind := func() *listener.Group {
		g, err := listener.Bind(t.Context(), listener.Config{Address: "127.0.0.1:0", ErrorLog: quiet()})
		servetest.Must(t, "bind", err)
		return g
	}
	first, err := serve.NewEndpoint(serve.EndpointConfig{Listener: bind()})
	servetest.Must(t, "NewEndpoint", err)
	cfg := serve.Config{Endpoints: []*serve.Endpoint{first}, Options: serve.ServerOptions{ErrorLog: quiet()}}
	s, err := cfg.Complete().New("test", serve.NewEmptyDelegate())
	servetest.Must(t, "New", err)
	g := bind()
	servetest.Must(t, "listen", g.Listen())
	second, err := serve.NewEndpoint(serve.EndpointConfig{Listener: g})
	servetest.Must(t, "NewEndpoint", err)
	if s.Open(second) == nil {
		t.Error("opened before the run")
	}
	prepared, err := s.PrepareRun()
	servetest.Must(t, "PrepareRun", err)
	ctx, stop := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- prepared.RunWithContext(ctx) }()
	within(t, "ready", s.Signals().HasBeenReady.Signaled())
	servetest.Must(t, "Open", s.Open(second))
	for _, e := range []*serve.Endpoint{first, second} {
		res, err := new(http.Transport).RoundTrip(newRequest(t, "http://"+e.Addr().String()))
		servetest.Must(t, "ask", err)
		res.Body.Close()
	}
	servetest.Want(t, "cut", first.Drain(t.Context()), 0)
	stop()
	servetest.Must(t, "the run, though one has left", within(t, "its end", over))
	servetest.Want(t, "cut of one that has ended", second.Drain(t.Context()), 0)
	late := bind()
	defer late.Close()
	third, err := serve.NewEndpoint(serve.EndpointConfig{Listener: late})
	servetest.Must(t, "NewEndpoint", err)
	servetest.WantErr(t, "after the end", s.Open(third), serve.ErrServerClosed)
}

func newRequest(t *testing.T, url string) *http.Request {
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	servetest.Must(t, "request", err)
	r.Close = true
	return r
}
