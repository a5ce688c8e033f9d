package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// With --shutdown-send-retry-after new connections are still answered while a
// request is under way.
func TestShutdownSendRetryAfter(t *testing.T) {
	p := start(t, nil, "respond", "--listen", anyPort, "--delay", "10m", "--shutdown-send-retry-after", "--shutdown-timeout", "10m")
	inFlight(t, p.urls[0])
	p.signal(syscall.SIGTERM)
	var retry string
	servetest.WantSoon(t, "429 on a new connection", func() bool {
		client := newClient(t)
		client.Timeout = 200 * time.Millisecond // before the stop it waits for --delay
		resp, err := client.Get(p.urls[0])
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		retry = resp.Header.Get("Retry-After")
		return resp.StatusCode == http.StatusTooManyRequests
	})
	servetest.Want(t, "Retry-After", retry, "5")
}

// Without it they are refused.
func TestShutdownRefusesByDefault(t *testing.T) {
	p := start(t, nil, "respond", "--listen", anyPort, "--delay", "10m", "--shutdown-timeout", "10m")
	inFlight(t, p.urls[0])
	p.signal(syscall.SIGTERM)
	servetest.WantSoon(t, "refused", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.urls[0], "http://"))
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
}

// The log has lines of JSON about the drain: what it waits for, and its end.
func TestDrainIsTold(t *testing.T) {
	p := start(t, nil, "serve", "--listen", anyPort, "--admin", "off", "--shutdown-timeout", "1s")
	conn := slowEcho(t, p.urls[0])
	p.signal(syscall.SIGTERM)
	code, stderr := p.wait()
	servetest.Want(t, "exit code", code, ExitCut)
	_ = conn.Close()
	type status struct {
		Phase              string
		Connections        map[string]int
		InFlight           int
		InFlightByProtocol map[string]int
		Stragglers         []struct{ Path string }
		Cut                *status
	}
	var told []status
	for line := range strings.Lines(stderr) {
		var s status
		if json.Unmarshal([]byte(line), &s) == nil {
			told = append(told, s)
		}
	}
	if len(told) != 2 {
		t.Fatalf("%d lines of JSON in %s", len(told), stderr)
	}
	servetest.Want(t, "the last phase", told[1].Phase, "Stopped")
	servetest.Want(t, "connections at the end", told[1].Connections["h1"], 0)
	if told[1].Cut == nil {
		t.Fatalf("the end does not tell what was cut: %s", stderr)
	}
	for why, s := range map[string]status{"as the drain begins": told[0], "cut": *told[1].Cut} {
		servetest.Want(t, why+": connections of HTTP/1", s.Connections["h1"], 1)
		servetest.Want(t, why+": requests in flight", s.InFlight, 1)
		servetest.Want(t, why+": of HTTP/1", s.InFlightByProtocol["h1"], 1)
		servetest.Want(t, why+": of HTTP/2", s.InFlightByProtocol["h2"], 0)
		if len(s.Stragglers) != 1 || s.Stragglers[0].Path != "/echo" {
			t.Errorf("%s: stragglers %v", why, s.Stragglers)
		}
	}
}

// slowEcho has a request under way whose content does not end.
func slowEcho(t *testing.T, url string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	servetest.Must(t, "dial", err)
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	_, err = fmt.Fprint(conn, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
	servetest.Must(t, "send the head", err)
	head := make([]byte, len("HTTP/1.1 100 "))
	_, err = io.ReadFull(conn, head)
	servetest.Must(t, "wait for the handler", err)
	servetest.Want(t, "the handler reads", string(head), "HTTP/1.1 100 ")
	return conn
}

// The service manager is told of the start, of a reload and of the stop.
func TestServiceManagerIsTold(t *testing.T) {
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"})
	servetest.Must(t, "the manager's socket", err)
	defer socket.Close()
	p := start(t, []string{"NOTIFY_SOCKET=" + socket.LocalAddr().String()}, "respond", "--listen", anyPort)
	next := func() string {
		_ = socket.SetReadDeadline(time.Now().Add(patience))
		buf := make([]byte, 4096)
		n, err := socket.Read(buf)
		servetest.Must(t, "the next state", err)
		state, _, _ := strings.Cut(string(buf[:n]), "\n")
		return state
	}
	servetest.Want(t, "at the start", next(), "READY=1")
	p.signal(syscall.SIGHUP)
	servetest.Want(t, "at HUP", next(), "RELOADING=1")
	servetest.Want(t, "behind it", next(), "READY=1")
	p.signal(syscall.SIGTERM)
	servetest.Want(t, "at TERM", next(), "STOPPING=1")
	code, _ := p.wait()
	servetest.Want(t, "exit code", code, ExitClean)
}

func TestPermitPortSharing(t *testing.T) {
	first := start(t, nil, "respond", "--listen", anyPort, "--permit-port-sharing", "--body", "x")
	addr := strings.TrimPrefix(first.urls[0], "http://")
	code, _, _ := runBinary(t, "respond", "--listen", addr)
	servetest.Want(t, "who does not permit it cannot bind", code, ExitNoBind)
	second := start(t, nil, "respond", "--listen", addr, "--permit-port-sharing", "--body", "x")
	wantExit(t, first, ExitClean)
	status, body := fetch(t, newClient(t), second.urls[0])
	servetest.Want(t, "the other one serves on", fmt.Sprint(status, " ", body), "200 x")
}
