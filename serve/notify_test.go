package serve_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// serviceManager is what reads $NOTIFY_SOCKET.
type serviceManager struct {
	t    *testing.T
	conn *net.UnixConn
}

func newServiceManager(t *testing.T) *serviceManager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Skipf("no datagram sockets of this kind: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return &serviceManager{t, conn}
}

// next is what comes next, other than the watchdog's.
func (m *serviceManager) next() string {
	m.t.Helper()
	for {
		if state := m.any(); state != "WATCHDOG=1" {
			return state
		}
	}
}

func (m *serviceManager) any() string {
	m.t.Helper()
	m.conn.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 4096)
	n, err := m.conn.Read(b)
	servetest.Must(m.t, "a message to the service manager", err)
	return string(b[:n])
}

// wantSilent tells that nothing has come.
func (m *serviceManager) wantSilent(why string) {
	m.t.Helper()
	m.conn.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	b := make([]byte, 4096)
	if n, err := m.conn.Read(b); err == nil {
		m.t.Errorf("%s: %q", why, b[:n])
	}
}

// TestSystemdNotify: READY comes when readyz passes and not before, RELOADING
// and READY around a reload, STOPPING at the stop.
func TestSystemdNotify(t *testing.T) {
	servetest.CheckLeaks(t)
	manager := newServiceManager(t)
	var isWell atomic.Bool
	s := newGeneric(t, serve.Config{SystemdNotify: true})
	servetest.Must(t, "a check", s.AddReadyzChecks(handler.NamedCheck("by hand", func(*http.Request) error {
		if isWell.Load() {
			return nil
		}
		return errors.New("not yet")
	})))
	servetest.Must(t, "a reload before the start", s.Reload(func() error { return nil }))
	g := runGeneric(t, s)
	within(t, "complete", s.Signals().MuxAndDiscoveryComplete.Signaled())
	servetest.Must(t, "a reload before it is ready", s.Reload(func() error { return nil }))
	manager.wantSilent("told of a server that is not ready")
	isWell.Store(true)
	servetest.Want(t, "ready", manager.next(), "READY=1")

	failed := errors.New("bad configuration")
	servetest.WantErr(t, "a reload that fails", s.Reload(func() error { return failed }), failed)
	want := `^RELOADING=1$`
	if runtime.GOOS == "linux" {
		want = `^RELOADING=1\nMONOTONIC_USEC=\d+$`
	}
	if state := manager.next(); !regexp.MustCompile(want).MatchString(state) {
		t.Errorf("reloading: %q", state)
	}
	servetest.Want(t, "reloaded", manager.next(), "READY=1")
	wantErrText(t, "a reload that panics", s.Reload(func() error { panic("in a reload") }), "in a reload")
	manager.next()
	servetest.Want(t, "reloaded", manager.next(), "READY=1")

	close(g.stop)
	servetest.Want(t, "stopping", manager.next(), "STOPPING=1")
	servetest.Must(t, "Run", within(t, "Run returns", g.ended))
	servetest.Must(t, "a reload behind the stop", s.Reload(func() error { return nil }))
	manager.wantSilent("told of a server that has stopped")
}

// TestSystemdWatchdog: it is fed while livez passes.
func TestSystemdWatchdog(t *testing.T) {
	servetest.CheckLeaks(t)
	manager := newServiceManager(t)
	t.Setenv("WATCHDOG_USEC", "20000")
	t.Setenv("WATCHDOG_PID", fmt.Sprint(os.Getpid()))
	var isSick atomic.Bool
	asked := make(chan struct{}, 1)
	s := newGeneric(t, serve.Config{SystemdNotify: true})
	servetest.Must(t, "a check", s.AddLivezChecks(0, handler.NamedCheck("by hand", func(*http.Request) error {
		if !isSick.Load() {
			return nil
		}
		select {
		case asked <- struct{}{}:
		default:
		}
		return errors.New("stuck")
	})))
	g := runGeneric(t, s)
	servetest.Want(t, "ready", manager.any(), "READY=1")
	for range 3 {
		servetest.Want(t, "alive", manager.any(), "WATCHDOG=1")
	}
	isSick.Store(true)
	for range 3 { // one may be on its way
		within(t, "livez fails", asked)
	}
	drained := 0
	for manager.conn.SetReadDeadline(time.Now().Add(time.Millisecond)); ; drained++ {
		if _, err := manager.conn.Read(make([]byte, 64)); err != nil {
			break
		}
	}
	manager.wantSilent("fed by a server that is stuck")
	isSick.Store(false)
	servetest.Want(t, "alive again", manager.any(), "WATCHDOG=1")
	close(g.stop)
	servetest.Want(t, "stopping", manager.next(), "STOPPING=1")
	servetest.Must(t, "Run", within(t, "Run returns", g.ended))
}

// TestNotifyTrouble: nobody told is no trouble, nor is a manager that is gone.
func TestNotifyTrouble(t *testing.T) {
	servetest.CheckLeaks(t)
	for _, socket := range []string{"", "/nonexistent/socket"} {
		t.Setenv("NOTIFY_SOCKET", socket)
		t.Setenv("WATCHDOG_USEC", "nonsense")
		s := newGeneric(t, serve.Config{SystemdNotify: true})
		g := runGeneric(t, s)
		within(t, "ready", s.Signals().HasBeenReady.Signaled())
		close(g.stop)
		servetest.Must(t, "Run", within(t, "Run returns", g.ended))
	}
	// A server that was not asked to tell tells nothing.
	manager := newServiceManager(t)
	s := newGeneric(t, serve.Config{})
	g := runGeneric(t, s)
	within(t, "ready", s.Signals().HasBeenReady.Signaled())
	close(g.stop)
	servetest.Must(t, "Run", within(t, "Run returns", g.ended))
	manager.wantSilent("told without being asked")
}
