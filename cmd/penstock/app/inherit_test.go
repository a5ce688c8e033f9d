package app

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// manager is a service manager: it has sockets, and starts penstock with them.
type manager struct {
	t     *testing.T
	files []*os.File
	names []string
	addrs map[string]string
}

func newManager(t *testing.T) *manager {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("no service manager of this system passes sockets so")
	}
	return &manager{t: t, addrs: make(map[string]string)}
}

// add keeps a socket, which is closed with the test.
func (m *manager) add(name, addr string, socket interface {
	File() (*os.File, error)
	Close() error
},
) {
	m.t.Helper()
	f, err := socket.File()
	servetest.Must(m.t, "file", errors.Join(err, socket.Close()))
	m.t.Cleanup(func() { f.Close() })
	m.files, m.names, m.addrs[name] = append(m.files, f), append(m.names, name), addr
}

func (m *manager) tcp(name, addr string) {
	m.t.Helper()
	var cfg net.ListenConfig
	cfg.SetMultipathTCP(false) // as systemd
	l, err := cfg.Listen(m.t.Context(), "tcp", addr)
	servetest.Must(m.t, "listen", err)
	m.add(name, l.Addr().String(), l.(*net.TCPListener))
}

func (m *manager) udp(name, addr string) {
	m.t.Helper()
	c, err := net.ListenPacket("udp", addr)
	servetest.Must(m.t, "listen", err)
	m.add(name, c.LocalAddr().String(), c.(*net.UDPConn))
}

func (m *manager) unix(name, path string) {
	m.t.Helper()
	l, err := net.Listen("unix", path)
	servetest.Must(m.t, "listen", err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	m.add(name, unixPrefix+path, l.(*net.UnixListener))
}

// launch readies a penstock that has the sockets.
func (m *manager) launch(args ...string) *process {
	m.t.Helper()
	p := launch(m.t, []string{fmt.Sprint("LISTEN_FDS=", len(m.files)), "LISTEN_FDNAMES=" + strings.Join(m.names, ":")}, args...)
	p.cmd.ExtraFiles = m.files
	return p
}

// fails wants a start that ends with code and all of what.
func (m *manager) fails(code int, args []string, what ...string) {
	m.t.Helper()
	p := m.launch(args...)
	p.run()
	got, stderr := p.wait()
	servetest.Want(m.t, strings.Join(args, " "), got, code)
	for _, w := range what {
		if !strings.Contains(stderr, w) {
			m.t.Errorf("%v: %q is not in %q", args, w, stderr)
		}
	}
}

// statusOf asks for /version.
func statusOf(t *testing.T, url string) string {
	t.Helper()
	client := &http.Client{Timeout: patience}
	if path, ok := strings.CutPrefix(url, unixPrefix); ok {
		client, url = socketClient(t, path), "http://localhost"
	} else {
		tr := &http.Transport{TLSClientConfig: insecure("localhost"), ForceAttemptHTTP2: true}
		defer tr.CloseIdleConnections()
		client.Transport = tr
	}
	res, err := client.Get(url + "/version")
	servetest.Must(t, url, err)
	defer res.Body.Close()
	_, err = io.Copy(io.Discard, res.Body)
	servetest.Must(t, url, err)
	return fmt.Sprint(res.Proto, " ", res.StatusCode)
}

// TestInheritedSockets: each kind of listener is served on sockets that were passed
// on; what nobody uses is closed, and told.
func TestInheritedSockets(t *testing.T) {
	for _, loop := range []string{"on", "off"} {
		t.Run(loop, func(t *testing.T) {
			m := newManager(t)
			path := filepath.Join(t.TempDir(), "s")
			m.tcp("web", "127.0.0.1:0")
			m.tcp("tls", freeAddress(t))
			m.udp("tls", m.addrs["tls"])
			m.tcp("admin", "127.0.0.1:0")
			m.unix("local", path)
			m.tcp("spare", "127.0.0.1:0")
			p := m.launch("serve", "--listen", "fd:web", "--listen", "fd:local", "--tls-listen", "fd:tls", "--http3", "--admin", "fd:admin", "--event-loop", loop)
			p.announce()
			servetest.Want(t, "announced", fmt.Sprint(p.urls), fmt.Sprintf("[https://%s http://%s unix:%s http://%s]", m.addrs["tls"], m.addrs["web"], path, m.addrs["admin"]))
			servetest.Want(t, "web", statusOf(t, "http://"+m.addrs["web"]), "HTTP/1.1 200")
			servetest.Want(t, "tls", statusOf(t, "https://"+m.addrs["tls"]), "HTTP/2.0 200")
			servetest.Want(t, "local", statusOf(t, unixPrefix+path), "HTTP/1.1 200")
			servetest.Want(t, "admin", statusOf(t, "http://"+m.addrs["admin"]), "HTTP/1.1 200")
			if got := askHTTP3As(t, m.addrs["tls"], "localhost", insecure("localhost")); !strings.Contains(got, "200") {
				t.Errorf("HTTP/3: %s", got)
			}
			p.signal(syscall.SIGTERM)
			code, stderr := p.wait()
			servetest.Want(t, stderr, code, ExitClean)
			if !strings.Contains(stderr, "is not used") || !strings.Contains(stderr, "spare") || !strings.Contains(stderr, m.addrs["spare"]) {
				t.Errorf("the log does not tell of the spare socket: %s", stderr)
			}
			_, err := os.Stat(path)
			servetest.Must(t, "the path is the manager's", err)
		})
	}
}

// TestInheritedWrong: what cannot be served is told at the start, with its reason.
func TestInheritedWrong(t *testing.T) {
	m := newManager(t)
	m.tcp("web", "127.0.0.1:0")
	m.tcp("tls", "127.0.0.1:0")
	m.udp("tls", "127.0.0.1:0")
	m.udp("quic", "127.0.0.1:0")
	m.tcp("public", "0.0.0.0:0")
	off := func(args ...string) []string { return append([]string{"serve", "--admin", "off"}, args...) }
	m.fails(ExitNoBind, off("--listen", "fd:wep"), `--listen fd:wep: inherit socket "wep": no such socket was passed on; there are web, tls, quic, public`)
	m.fails(ExitNoBind, off("--listen", "fd:quic"), "descriptor 6 is a UDP socket (ListenDatagram=); needed is a stream socket")
	m.fails(ExitNoBind, off("--tls-listen", "fd:web", "--http3"), `--tls-listen fd:web: HTTP/3: inherit socket "web": `)
	m.fails(ExitNoBind, off("--tls-listen", "fd:tls", "--http3"), "the UDP socket is on "+m.addrs["tls"], "clients look for it on the port of")
	m.fails(ExitError, []string{"serve", "--listen", "fd:web", "--admin", "fd:public"}, "--admin fd:public: on "+m.addrs["public"], errAdminPlace.Error())

	m.files, m.names = nil, nil
	m.fails(ExitNoBind, off("--listen", "fd:web"), `no sockets were passed on (LISTEN_FDS); start this by a .socket unit with FileDescriptorName=web`)
	p := launch(t, []string{"LISTEN_FDS=1", "LISTEN_PID=1"}, off("--listen", "fd:unknown")...)
	p.run()
	code, stderr := p.wait()
	servetest.Want(t, "sockets of another process: "+stderr, code, ExitNoBind)
	p = launch(t, []string{"LISTEN_FDS=many"}, off("--listen", "fd:unknown")...)
	p.run()
	code, stderr = p.wait()
	servetest.Want(t, stderr, code, ExitError)
}

// TestInheritedRestart: sockets outlive the process, so a restart loses nobody.
func TestInheritedRestart(t *testing.T) {
	m := newManager(t)
	m.tcp("web", "127.0.0.1:0")
	var over atomic.Bool
	var asked, failed atomic.Int64
	var load sync.WaitGroup
	defer load.Wait()
	defer over.Store(true)
	for range 4 {
		load.Go(func() {
			tr := &http.Transport{DisableKeepAlives: true}
			client := &http.Client{Transport: tr, Timeout: patience}
			for !over.Load() {
				res, err := client.Get("http://" + m.addrs["web"] + "/")
				if err != nil {
					failed.Add(1)
					t.Errorf("request %d: %v", asked.Load(), err)
					return
				}
				_, _ = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				asked.Add(1)
			}
		})
	}
	for range 4 {
		p := m.launch("respond", "--listen", "fd:web", "--body", "x")
		p.announce()
		before := asked.Load()
		servetest.WantSoon(t, "it serves", func() bool { return asked.Load() > before+100 || failed.Load() > 0 })
		p.signal(syscall.SIGTERM)
		code, stderr := p.wait()
		servetest.Want(t, stderr, code, ExitClean)
	}
	p := m.launch("respond", "--listen", "fd:web", "--body", "x")
	p.announce() // for those that wait
	over.Store(true)
	load.Wait()
}

// TestInheritedConfiguration: listeners of a file, too. A reload keeps them; what was
// not used at the start is not there any more.
func TestInheritedConfiguration(t *testing.T) {
	m := newManager(t)
	certFile, keyFile := writePair(t)
	m.tcp("web", "127.0.0.1:0")
	m.tcp("tls", freeAddress(t))
	m.udp("tls", m.addrs["tls"])
	m.tcp("late", "127.0.0.1:0")
	dir := t.TempDir()
	e := &edge{t: t, dir: dir, file: filepath.Join(dir, "penstock.yaml")}
	file := func(more, body string) string {
		return strings.NewReplacer("CERT", certFile, "KEY", keyFile, "MORE", more, "BODY", body).Replace(`
listeners:
  web: {address: "fd:web"}
  secure: {address: "fd:tls", http3: true, tls: {certificates: [edge]}}MORE
certificates: {edge: {cert_file: CERT, key_file: KEY}}
hosts: [{routes: [{id: all, match: {prefix: /}, respond: {body: BODY}}]}]
`)
	}
	e.write(file("", "first"))
	code, _, stderr := runBinary(t, "validate", "-c", e.file)
	servetest.Want(t, "validate: "+stderr, code, ExitClean)
	e.process = m.launch("serve", "-c", e.file)
	e.announce()
	e.socket = socketClient(t, filepath.Join(dir, "admin"))
	servetest.Want(t, "web", askBehind(t, "http://"+m.addrs["web"], ""), "200 first")
	servetest.Want(t, "tls", askBehind(t, "https://"+m.addrs["tls"], ""), "200 first")
	if got := askHTTP3(t, m.addrs["tls"]); !strings.Contains(got, "first") {
		t.Errorf("HTTP/3: %s", got)
	}
	e.reload(file("", "second"))
	servetest.Want(t, "web", askBehind(t, "http://"+m.addrs["web"], ""), "200 second")
	e.refused(file("\n  late: {address: \"fd:late\"}", "third"), "sockets that nobody used at the start were closed then")
	servetest.Want(t, "web", askBehind(t, "http://"+m.addrs["web"], ""), "200 second")
	servetest.Want(t, "the unused one is told of", strings.Contains(e.end(), "late"), true)
}

// TestSystemdSocketActivate: with systemd's own tool.
func TestSystemdSocketActivate(t *testing.T) {
	tool, err := exec.LookPath("systemd-socket-activate")
	if err != nil {
		fmt.Fprintf(os.Stderr, "SKIPPED: %s: systemd-socket-activate is not installed (Debian: apt-get install systemd)\n", t.Name())
		t.Skip("systemd-socket-activate is not installed")
	}
	web, api := freeAddress(t), freeAddress(t)
	cmd := exec.CommandContext(t.Context(), tool, "--listen="+web, "--listen="+api, "--fdname=web:api", "--setenv="+actAsPenstock+"=1",
		os.Args[0], "respond", "--body", "x", "--listen", "fd:web", "--listen", "fd:api")
	var log lockedBuffer
	cmd.Stderr, cmd.Stdout = &log, &log
	servetest.Must(t, "start", cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	for _, addr := range []string{web, api} {
		var res *http.Response
		servetest.WantSoon(t, "it listens", func() bool {
			c, err := net.DialTimeout("tcp", addr, time.Second)
			if err == nil {
				c.Close()
			}
			return err == nil
		})
		res, err = (&http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + addr + "/")
		if err != nil {
			t.Fatalf("%v; %s", err, log.String())
		}
		b, err := io.ReadAll(res.Body)
		servetest.Must(t, "body", errors.Join(err, res.Body.Close()))
		servetest.Want(t, "body", string(b), "x")
	}
}
