package serve_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// secureServer is a SecureServingInfo under test.
type secureServer struct {
	addr                   string
	stop                   chan struct{}
	stopped, listenerEnded <-chan struct{}
	report                 chan serve.DrainReport
}

func serveSecure(t *testing.T, h http.HandlerFunc, timeout time.Duration) *secureServer {
	t.Helper()
	cert, _ := testCert()
	l := listenTCP(t)
	s := &secureServer{addr: l.Addr().String(), stop: make(chan struct{}), report: make(chan serve.DrainReport, 1)}
	info := &serve.SecureServingInfo{
		Listener: l, Certificates: []tls.Certificate{cert}, Options: serve.ServerOptions{ErrorLog: quiet()},
		Stopped: func(r serve.DrainReport) { s.report <- r },
	}
	var err error
	s.stopped, s.listenerEnded, err = info.Serve(h, timeout, s.stop)
	servetest.Must(t, "Serve", err)
	return s
}

func (s *secureServer) ask(t *testing.T) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := tls.Dial("tcp", s.addr, clientTLS())
	servetest.Must(t, "dial", err)
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	_, err = io.WriteString(c, getSlash)
	servetest.Must(t, "ask", err)
	return c, bufio.NewReader(c)
}

// TestSecureServing: a request under way finishes, the listener stops before
// it, and the channels close in their order.
func TestSecureServing(t *testing.T) {
	servetest.CheckLeaks(t)
	entered, release := make(chan struct{}), make(chan struct{})
	s := serveSecure(t, func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		io.WriteString(w, "finished")
	}, patience)
	_, br := s.ask(t)
	within(t, "the handler runs", entered)
	close(s.stop)
	within(t, "listeners stop while a request is under way", s.listenerEnded)
	if c, err := net.DialTimeout("tcp", s.addr, time.Second); err == nil {
		c.Close()
		t.Error("connected after the listener had stopped")
	}
	select {
	case <-s.stopped:
		t.Error("stopped with a request under way")
	default:
	}
	close(release)
	resp, body := answer(t, "the request under way", br)
	servetest.Want(t, "its body", body, "finished")
	servetest.Want(t, "its connection closes", resp.Close, true)
	within(t, "stopped", s.stopped)
	report := within(t, "report", s.report)
	servetest.Want(t, "report", report, serve.DrainReport{Finished: 1})
}

// TestSecureServingDeadline: what is left at the deadline is cut, and counted.
func TestSecureServingDeadline(t *testing.T) {
	servetest.CheckLeaks(t)
	entered := make(chan struct{})
	s := serveSecure(t, func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	}, 100*time.Millisecond)
	_, br := s.ask(t)
	within(t, "the handler runs", entered)
	close(s.stop)
	within(t, "stopped at the deadline", s.stopped)
	select {
	case <-s.listenerEnded:
	default:
		t.Error("stoppedCh closed before listenerStoppedCh")
	}
	servetest.Want(t, "report", within(t, "report", s.report).Cut, 1)
	if _, err := br.ReadByte(); err == nil {
		t.Error("a cut connection answered")
	}
}

// TestChannelsInOrder: listenerStoppedCh is closed when stoppedCh is, however
// fast the stop.
func TestChannelsInOrder(t *testing.T) {
	servetest.CheckLeaks(t)
	for range 20 {
		stop := make(chan struct{})
		stopped, listenerStopped, err := serve.RunServer(http.NotFoundHandler(), listenTCP(t), serve.ServerOptions{}, patience, stop)
		servetest.Must(t, "RunServer", err)
		close(stop)
		within(t, "stopped", stopped)
		select {
		case <-listenerStopped:
		default:
			t.Fatal("stoppedCh closed before listenerStoppedCh")
		}
	}
}

// TestListenerDies: accepting ends while stopCh is open; Failed is told, and
// the server drains.
func TestListenerDies(t *testing.T) {
	cert, _ := testCert()
	inner := listenTCP(t)
	failed := make(chan error, 1)
	info := &serve.SecureServingInfo{
		Listener: foreignListener{inner}, Certificates: []tls.Certificate{cert}, Options: serve.ServerOptions{ErrorLog: quiet()},
		Failed: func(err error) { failed <- err },
	}
	stopped, listenerStopped, err := info.Serve(http.NotFoundHandler(), patience, make(chan struct{}))
	servetest.Must(t, "Serve", err)
	inner.Close()
	if err := within(t, "Failed is told", failed); err == nil {
		t.Error("no error")
	}
	within(t, "drained", stopped)
	within(t, "listener", listenerStopped)
}

// foreignListener is one that event loops cannot serve.
type foreignListener struct{ net.Listener }
