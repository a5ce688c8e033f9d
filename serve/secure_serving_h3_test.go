package serve_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// serveSecureH3 is serveSecure with HTTP/3 beside.
func serveSecureH3(t *testing.T, h http.HandlerFunc, timeout time.Duration) *secureServer {
	t.Helper()
	cert, _ := testCert()
	group, packets := bindBoth(t)
	s := &secureServer{addr: group.Addr().String(), stop: make(chan struct{}), report: make(chan serve.DrainReport, 1)}
	info := &serve.SecureServingInfo{
		Listener: group, Packets: packets, Certificates: []tls.Certificate{cert}, Options: serve.ServerOptions{ErrorLog: quiet()},
		Stopped: func(r serve.DrainReport) { s.report <- r },
	}
	var err error
	s.stopped, s.listenerEnded, err = info.Serve(h, timeout, s.stop)
	servetest.Must(t, "Serve", err)
	return s
}

// TestSecureServingH3: a request over HTTP/3 finishes though TCP has nothing
// left, idle clients are not waited for, and stoppedCh closes behind it.
func TestSecureServingH3(t *testing.T) {
	servetest.CheckLeaks(t)
	entered, release := make(chan struct{}), make(chan struct{})
	s := serveSecureH3(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(entered)
			<-release
		}
		io.WriteString(w, r.Proto)
	}, patience)
	p, idle := dialH3(t, s.addr), dialH3(t, s.addr)
	p.get("/").want("before the stop", "200", "HTTP/3.0")
	_, br := s.ask(t)
	_, body := answer(t, "over TCP", br)
	servetest.Want(t, "over TCP", body, "HTTP/1.1")
	slow := p.get("/slow")
	within(t, "the handler runs", entered)
	close(s.stop)
	within(t, "listeners stop while a request is under way", s.listenerEnded)
	idle.wantEnd("the idle client's connection ends")
	wantNotYet(t, "stopped with a request of HTTP/3 under way", s.stopped)
	_, err := quicDial(t, s.addr, nil)
	if err == nil {
		t.Error("connected after the listener had stopped")
	}
	close(release)
	slow.want("the request under way", "200", "HTTP/3.0")
	within(t, "stopped", s.stopped)
	p.wantEnd("its connection ends")
	report := within(t, "report", s.report)
	if report.Finished == 0 || report.Cut != 0 { // those before the stop may be counted late
		t.Errorf("report: %+v, want the request under way finished, and nothing cut", report)
	}
	c, err := net.ListenPacket("udp", s.addr)
	servetest.Must(t, "the port is free once stoppedCh is closed", err)
	c.Close()
}

// TestSecureServingDeadlineH3: what is left at the deadline is cut, and counted.
func TestSecureServingDeadlineH3(t *testing.T) {
	servetest.CheckLeaks(t)
	entered := make(chan struct{})
	s := serveSecureH3(t, func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	}, 100*time.Millisecond)
	p := dialH3(t, s.addr)
	stuck := p.get("/")
	within(t, "the handler runs", entered)
	close(s.stop)
	within(t, "stopped at the deadline", s.stopped)
	wantClosed(t, s.listenerEnded)
	servetest.Want(t, "report", within(t, "report", s.report), serve.DrainReport{Cut: 1})
	servetest.Want(t, "the request that was cut", stuck.outcome(), "end of the connection")
}

func wantClosed(t *testing.T, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	default:
		t.Error("stoppedCh closed before listenerStoppedCh")
	}
}

// TestChannelsInOrderH3: as TestChannelsInOrder, with a stop right at the start.
func TestChannelsInOrderH3(t *testing.T) {
	servetest.CheckLeaks(t)
	for range 5 {
		s := serveSecureH3(t, func(http.ResponseWriter, *http.Request) {}, patience)
		close(s.stop)
		within(t, "stopped", s.stopped)
		wantClosed(t, s.listenerEnded)
		servetest.Want(t, "report", within(t, "report", s.report), serve.DrainReport{})
	}
}

// TestSecureServingErrorsH3: sockets that cannot be served are an error, told at
// once, and the listener stays its owner's, in either form.
func TestSecureServingErrorsH3(t *testing.T) {
	servetest.CheckLeaks(t)
	cert, _ := testCert()
	for _, form := range []struct {
		name string
		wrap func(net.Listener) net.Listener
	}{
		{"event loop", func(l net.Listener) net.Listener { return l }},
		{"portable", func(l net.Listener) net.Listener { return foreignListener{l} }},
	} {
		t.Run(form.name, func(t *testing.T) {
			l, packets := listenTCP(t), bindPackets(t, "127.0.0.1:0")
			defer l.Close()
			packets.Close()
			info := &serve.SecureServingInfo{
				Listener: form.wrap(l), Packets: packets, Certificates: []tls.Certificate{cert}, Options: serve.ServerOptions{ErrorLog: quiet()},
			}
			failed := make(chan error, 1)
			go func() {
				_, _, err := info.Serve(http.NotFoundHandler(), patience, make(chan struct{}))
				failed <- err
			}()
			if err := within(t, "Serve returns", failed); err == nil {
				t.Error("no error for sockets that are closed")
			}
			c, err := net.Dial("tcp", l.Addr().String())
			servetest.Must(t, "the listener still listens", err)
			c.Close()
		})
	}
}

// TestServeHTTP3Errors: what ServeHTTP3 refuses; the sockets are its own in any
// case.
func TestServeHTTP3Errors(t *testing.T) {
	servetest.CheckLeaks(t)
	s := &serve.Server{Handler: http.NotFoundHandler()}
	if err := s.ServeHTTP3(nil, "", ""); err == nil {
		t.Error("nil sockets are served")
	}
	stopped := &serve.Server{Handler: http.NotFoundHandler(), TLSConfig: serverTLS()}
	servetest.Must(t, "Shutdown before ServeHTTP3", stopped.Shutdown(context.Background()))
	for _, test := range []struct {
		name string
		s    *serve.Server
		file string
		want error
	}{
		{"no certificate", s, "", nil},
		{"files that do not exist", s, "/nonexistent", nil},
		{"a stopped server", stopped, "", http.ErrServerClosed},
	} {
		g := bindPackets(t, "127.0.0.1:0")
		err := test.s.ServeHTTP3(g, test.file, test.file)
		if err == nil {
			t.Errorf("%s: no error", test.name)
		}
		if test.want != nil {
			servetest.WantErr(t, test.name, err, test.want)
		}
		wantFree(t, test.name, g)
	}
	servetest.Must(t, "Close", s.Close())
}

// wantFree tells that the sockets of g are closed.
func wantFree(t *testing.T, why string, g *listener.PacketGroup) {
	t.Helper()
	if err := g.Conns()[0].SetDeadline(time.Now()); err == nil {
		t.Errorf("%s: the sockets are open", why)
	}
}
