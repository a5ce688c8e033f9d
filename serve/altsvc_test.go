package serve_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// Alt-Svc (RFC 7838): answers over TLS tell of HTTP/3 while it is served.

// altSvcOf is the field that answers of r are to have.
func (r *running) altSvcOf(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(r.addr)
	servetest.Must(t, "the address", err)
	return `h3=":` + port + `"; ma=86400`
}

// clientsOverTCP speak the versions that have an Alt-Svc to tell.
func clientsOverTCP(t *testing.T) map[string]*http.Client {
	clients := make(map[string]*http.Client)
	for name, f := range map[string]form{"h1": {secure: true}, "h2": {http2: true, secure: true}} {
		transport := &http.Transport{TLSClientConfig: clientTLS(), Protocols: f.speaks(), DisableCompression: true}
		t.Cleanup(transport.CloseIdleConnections)
		clients[name] = &http.Client{Transport: transport, Timeout: patience}
	}
	return clients
}

// altSvc asks, and returns the Alt-Svc fields of the answer and of those before it.
func altSvc(t *testing.T, c *http.Client, method, url string) (final, interim []string) {
	t.Helper()
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			interim = append(interim, "interim")
			interim = append(interim, h["Alt-Svc"]...)
			return nil
		},
	})
	r, err := http.NewRequestWithContext(ctx, method, url, nil)
	servetest.Must(t, "request", err)
	resp, err := c.Do(r)
	servetest.Must(t, method+" "+url, err)
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	servetest.Must(t, "body", err)
	return resp.Header["Alt-Svc"], interim
}

// altSvcHandler answers in all ways that there are.
func altSvcHandler(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/own":
		w.Header().Set("Alt-Svc", "clear")
	case "/304":
		w.WriteHeader(http.StatusNotModified)
	case "/204":
		w.WriteHeader(http.StatusNoContent)
	case "/500":
		http.Error(w, "wrong", http.StatusInternalServerError)
	case "/hints":
		w.WriteHeader(http.StatusEarlyHints)
	case "/flush":
		w.(http.Flusher).Flush()
	}
}

func TestAltSvc(t *testing.T) {
	servetest.CheckLeaks(t)
	group, packets := bindBoth(t)
	s := &serve.Server{Handler: http.HandlerFunc(altSvcHandler), TLSConfig: serverTLS(), Options: serve.ServerOptions{ErrorLog: quiet()}}
	r := &runningH3{&running{Server: s, addr: group.Addr().String(), secure: true, ended: make(chan error, 1)}, make(chan error, 1)}
	go func() { r.ended <- s.ServeTLS(group, "", "") }()
	t.Cleanup(func() { s.Close() })
	clients := clientsOverTCP(t)
	ask := func(name, method, path, want string) {
		t.Helper()
		final, interim := altSvc(t, clients[name], method, r.url()+path)
		servetest.Want(t, name+" "+method+" "+path, strings.Join(final, "|"), want)
		if path == "/hints" {
			servetest.Want(t, name+": an interim answer has none", strings.Join(interim, "|"), "interim")
		}
	}
	for name := range clients {
		ask(name, "GET", "/before", "")
	}
	go func() { r.endedH3 <- s.ServeHTTP3(packets, "", "") }()
	servetest.WantSoon(t, "answers tell of HTTP/3", func() bool {
		final, _ := altSvc(t, clients["h1"], "GET", r.url())
		return len(final) > 0
	})
	value := r.altSvcOf(t)
	for name := range clients {
		for _, path := range []string{"/", "/304", "/204", "/500", "/hints", "/flush"} {
			ask(name, "GET", path, value)
			ask(name, "HEAD", path, value)
		}
		ask(name, "GET", "/own", "clear")
		ask(name, "TRACE", "/refused", "") // by the engine, before any handler
	}
	h3 := &http.Client{Transport: transportH3(t), Timeout: patience}
	final, _ := altSvc(t, h3, "GET", r.url()+"/")
	servetest.Want(t, "whoever is there already is not told", len(final), 0)
	final, _ = altSvc(t, h3, "GET", r.url()+"/own")
	servetest.Want(t, "but for the handler's own", strings.Join(final, "|"), "clear")
	r.stop(t)
}

// TestAltSvcElsewhere: listeners in the clear, and those on another port than
// HTTP/3's, have nothing to tell, whether they were there before or come later.
func TestAltSvcElsewhere(t *testing.T) {
	servetest.CheckLeaks(t)
	group, packets := bindBoth(t)
	s := &serve.Server{Handler: http.HandlerFunc(altSvcHandler), TLSConfig: serverTLS(), Options: serve.ServerOptions{ErrorLog: quiet()}}
	t.Cleanup(func() { s.Close() })
	ended := make(chan error, 6)
	serveMore := func() (clear, other string) {
		c, o := listenTCP(t), listenTCP(t)
		go func() { ended <- s.Serve(c) }()
		go func() { ended <- s.ServeTLS(o, "", "") }()
		return "http://" + c.Addr().String(), "https://" + o.Addr().String()
	}
	clear, other := serveMore()
	clients := clientsOverTCP(t)
	final, _ := altSvc(t, clients["h1"], "GET", other)
	servetest.Want(t, "nothing is told before", len(final), 0)
	go func() { ended <- s.ServeHTTP3(packets, "", "") }()
	go func() { ended <- s.ServeTLS(group, "", "") }()
	servetest.WantSoon(t, "answers on its own port tell of HTTP/3", func() bool {
		final, _ := altSvc(t, clients["h1"], "GET", "https://"+group.Addr().String())
		return len(final) > 0
	})
	laterClear, laterOther := serveMore()
	for _, url := range []string{clear, laterClear} {
		for name, f := range map[string]form{"h1": {}, "h2c": {http2: true}} {
			transport := &http.Transport{Protocols: f.speaks()}
			t.Cleanup(transport.CloseIdleConnections)
			final, _ := altSvc(t, &http.Client{Transport: transport}, "GET", url)
			servetest.Want(t, name+" in the clear has none", len(final), 0)
		}
	}
	for _, url := range []string{other, laterOther} {
		for name, c := range clients {
			final, _ := altSvc(t, c, "GET", url)
			servetest.Want(t, name+" on another port has none", len(final), 0)
		}
	}
	servetest.Must(t, "Shutdown", s.Shutdown(t.Context()))
	for range cap(ended) {
		servetest.WantErr(t, "a Serve", within(t, "it returns", ended), http.ErrServerClosed)
	}
}

// TestAltSvcSecureServing: the sockets that a SecureServingInfo names are its
// listener's, whatever their port.
func TestAltSvcSecureServing(t *testing.T) {
	servetest.CheckLeaks(t)
	cert, _ := testCert()
	l, packets := listenTCP(t), bindPackets(t, "127.0.0.1:0")
	_, port, err := net.SplitHostPort(packets.Addr().String())
	servetest.Must(t, "the address", err)
	stop := make(chan struct{})
	info := &serve.SecureServingInfo{
		Listener: l, Packets: packets, Certificates: []tls.Certificate{cert}, Options: serve.ServerOptions{ErrorLog: quiet()},
	}
	stopped, _, err := info.Serve(http.HandlerFunc(altSvcHandler), patience, stop)
	servetest.Must(t, "Serve", err)
	for name, c := range clientsOverTCP(t) {
		final, _ := altSvc(t, c, "GET", "https://"+l.Addr().String())
		servetest.Want(t, name+": from the first answer on", strings.Join(final, "|"), `h3=":`+port+`"; ma=86400`)
	}
	close(stop)
	within(t, "stopped", stopped)
}

// TestAltSvcDrain: an answer that is given once the stop has begun does not
// send its client to HTTP/3.
func TestAltSvcDrain(t *testing.T) {
	servetest.CheckLeaks(t)
	entered, release := make(chan struct{}, 2), make(chan struct{})
	r := startAll(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			entered <- struct{}{}
			<-release
		}
	}, serve.ServerOptions{})
	clients := clientsOverTCP(t)
	servetest.WantSoon(t, "answers tell of HTTP/3", func() bool {
		final, _ := altSvc(t, clients["h1"], "GET", r.url())
		return len(final) > 0
	})
	answers := make(chan []string, len(clients))
	for _, c := range clients {
		go func() {
			resp, err := c.Get(r.url() + "/slow")
			if err != nil {
				answers <- []string{err.Error()}
				return
			}
			resp.Body.Close()
			answers <- resp.Header["Alt-Svc"]
		}()
	}
	for range clients {
		within(t, "a handler runs", entered)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	servetest.WantErr(t, "Shutdown begins", r.Shutdown(ctx), context.Canceled)
	close(release)
	for range clients {
		servetest.Want(t, "an answer during the stop", strings.Join(within(t, "the answer", answers), "|"), "")
	}
	r.stop(t)
}

// TestAltSvcFollowed: a client that comes over TCP reads where HTTP/3 is, and
// goes there, as browsers do.
func TestAltSvcFollowed(t *testing.T) {
	servetest.CheckLeaks(t)
	r := startAll(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		io.WriteString(w, r.Proto+" "+r.Host+" "+string(body))
	}, serve.ServerOptions{})
	_, port, _ := net.SplitHostPort(r.addr)
	origin := "https://localhost:" + port
	overH3 := &http.Client{Transport: transportH3(t), Timeout: patience}
	for name, first := range clientsOverTCP(t) {
		var found string
		servetest.WantSoon(t, name+" is told of HTTP/3", func() bool {
			final, _ := altSvc(t, first, "GET", origin)
			found = strings.Join(final, "|")
			return found != ""
		})
		alternative, err := alternativePort(found)
		servetest.Must(t, name+": the field is of RFC 7838's form", err)
		// The alternative is on the origin's host, and is asked for the origin.
		req, err := http.NewRequest("POST", "https://127.0.0.1:"+alternative+"/", strings.NewReader("body"))
		servetest.Must(t, "request", err)
		req.Host = "localhost:" + port
		resp, err := overH3.Do(req)
		servetest.Must(t, "over HTTP/3", err)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		servetest.Must(t, "body", err)
		servetest.Want(t, name+": the same handler answers", string(body), "HTTP/3.0 localhost:"+port+" body")
	}
	r.stop(t)
}

// alternativePort reads a field that names an alternative on the same host.
func alternativePort(field string) (string, error) {
	rest, ok := strings.CutPrefix(field, `h3=":`)
	port, params, ok2 := strings.Cut(rest, `"`)
	if !ok || !ok2 || params != "; ma=86400" {
		return "", errors.New("Alt-Svc: " + field)
	}
	return port, nil
}
