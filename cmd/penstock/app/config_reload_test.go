package app

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
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

// edge is a penstock that serves a file, which the test changes.
type edge struct {
	*process
	t      *testing.T
	dir    string
	file   string
	socket *http.Client // asks the admin socket
}

// startEdge serves text, in which DIR is a folder of the test's own, and which has
// neither version nor admin.
func startEdge(t *testing.T, text string) *edge {
	t.Helper()
	dir := t.TempDir()
	e := &edge{t: t, dir: dir, file: filepath.Join(dir, "penstock.yaml")}
	e.write(text)
	e.process = start(t, nil, "serve", "-c", e.file)
	e.socket = socketClient(t, filepath.Join(dir, "admin"))
	return e
}

// socketClient asks at a unix socket.
func socketClient(t *testing.T, path string) *http.Client {
	t.Helper()
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience}
}

func (e *edge) write(text string) {
	e.t.Helper()
	text = "version: 1\nadmin: {listen: \"127.0.0.1:0\", socket: DIR/admin}\n" + text
	write(e.t, e.file, strings.ReplaceAll(text, "DIR", e.dir))
}

// reloaded is the answer to POST /-/reload.
type reloaded struct {
	Reloaded bool
	Changes  []struct{ Kind, Path, Old, New string }
	Errors   []struct {
		What, Path, Fix string
		Line, Column    int
	}
}

func (e *edge) ask() (status int, r reloaded) {
	e.t.Helper()
	res, err := e.socket.Post("http://localhost/-/reload", "", nil)
	servetest.Must(e.t, "POST /-/reload", err)
	defer res.Body.Close()
	servetest.Must(e.t, "its answer", json.NewDecoder(res.Body).Decode(&r))
	return res.StatusCode, r
}

// reload goes over to text, which must be good.
func (e *edge) reload(text string) reloaded {
	e.t.Helper()
	e.write(text)
	status, r := e.ask()
	if status != http.StatusOK || !r.Reloaded || len(r.Errors) > 0 {
		e.t.Fatalf("reload: %d %+v", status, r)
	}
	return r
}

// refused wants all of text to be refused for the reasons why.
func (e *edge) refused(text string, why ...string) {
	e.t.Helper()
	e.write(text)
	status, r := e.ask()
	said := fmt.Sprintf("%+v", r.Errors)
	if status != http.StatusUnprocessableEntity || r.Reloaded || len(r.Changes) > 0 {
		e.t.Errorf("reload: %d %+v", status, r)
	}
	for _, w := range why {
		if !strings.Contains(said, w) {
			e.t.Errorf("%q is not in %s", w, said)
		}
	}
}

// end stops it, and wants a clean one.
func (e *edge) end() (stderr string) {
	e.t.Helper()
	e.signal(syscall.SIGTERM)
	code, stderr := e.wait()
	if code != ExitClean {
		e.t.Errorf("exit %d: %s", code, stderr)
	}
	return stderr
}

// freeAddress is an address of this machine that nobody has, over TCP and UDP.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		servetest.Must(t, "listen", err)
		addr := l.Addr().String()
		p, err := net.ListenPacket("udp", addr)
		l.Close()
		if err == nil {
			p.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// load asks url for host over new and kept connections until stop, and wants 200.
func load(t *testing.T, url string, client *http.Client) (stop func()) {
	ended := make(chan struct{})
	var asked atomic.Int64
	var wg sync.WaitGroup
	for i := range 2 {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-ended:
					return
				default:
				}
				r, err := http.NewRequest(http.MethodGet, url, http.NoBody)
				servetest.Must(t, "request", err)
				r.Close = i == 0
				res, err := client.Do(r)
				if err != nil {
					t.Errorf("%s: %v", url, err)
					return
				}
				_, err = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if err != nil || res.StatusCode != http.StatusOK {
					t.Errorf("%s: %d, %v", url, res.StatusCode, err)
					return
				}
				asked.Add(1)
			}
		})
	}
	return func() {
		for from := asked.Load(); asked.Load() < from+10 && !t.Failed(); {
			time.Sleep(time.Millisecond)
		}
		close(ended)
		wg.Wait()
	}
}

const answersHosts = `
hosts: [{names: [a.test], routes: [{id: r, match: {prefix: /}, respond: {body: hello}}]}]
`

// TestReloadListeners: while two listeners are under load a third one comes, gets
// HTTP/3, loses it and goes; the two miss nothing, and the third one's requests end.
func TestReloadListeners(t *testing.T) {
	certFile, keyFile := writePair(t)
	release, entered := make(chan struct{}), make(chan struct{}, 10)
	var once sync.Once
	free := func() { once.Do(func() { close(release) }) }
	up := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-release
		io.WriteString(w, "slow")
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(t, "listen", err)
	go func() { _ = up.Serve(l) }()
	t.Cleanup(func() { free(); _ = up.Close() })
	plain := strings.NewReplacer("CERT", certFile, "KEY", keyFile, "UP", l.Addr().String()).Replace(`
certificates: {edge: {cert_file: CERT, key_file: KEY}}
upstreams: {slow: {targets: [{url: "http://UP"}]}}
hosts: [{names: [a.test], routes: [{id: r, match: {prefix: /}, respond: {body: hello}}, {id: s, match: {path: /slow}, proxy: {to: slow}}]}]
listeners:
  web: {address: "127.0.0.1:0"}
  secure: {address: "127.0.0.1:0", tls: {certificates: [edge]}}
`)
	e := startEdge(t, plain)
	var stops []func()
	for _, url := range e.urls[:2] {
		scheme, addr, _ := strings.Cut(url, "://")
		stops = append(stops, load(t, scheme+"://a.test/", hostClient(t, addr)))
	}
	more := freeAddress(t)
	client := hostClient(t, more)
	get := func(path string) (*http.Response, string, error) {
		res, err := client.Get("https://a.test" + path)
		if err != nil {
			return nil, "", err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		return res, string(b), err
	}
	third := "  more: {address: \"" + more + "\", tls: {certificates: [edge]}"
	for i := range 3 {
		r := e.reload(plain + third + "}\n")
		servetest.Want(t, "changes", len(r.Changes), 2)
		res, body, err := get("/")
		servetest.Must(t, "the new address", err)
		servetest.Want(t, "its answer", body, "hello")
		servetest.Want(t, "Alt-Svc before HTTP/3", res.Header.Get("Alt-Svc"), "")
		e.reload(plain + third + ", http3: true}\n")
		res, _, err = get("/")
		servetest.Must(t, "with HTTP/3", err)
		_, port, _ := net.SplitHostPort(more)
		servetest.Want(t, "Alt-Svc", res.Header.Get("Alt-Svc"), `h3=":`+port+`"; ma=86400`)
		servetest.Want(t, "over HTTP/3", askHTTP3(t, more), "hello")
		e.reload(plain + third + "}\n")
		res, _, err = get("/")
		servetest.Must(t, "without HTTP/3 again", err)
		servetest.Want(t, "Alt-Svc is taken back", res.Header.Get("Alt-Svc"), "clear")

		slow := make(chan string, 1)
		if i == 2 {
			go func() { _, body, err := get("/slow"); slow <- fmt.Sprint(body, err) }()
			<-entered
		}
		e.reload(plain)
		if c, err := net.Dial("tcp", more); err == nil {
			c.Close()
			t.Error("the removed address takes connections")
		}
		if i == 2 {
			free()
			servetest.Want(t, "what ran there", <-slow, "slow<nil>")
		}
		client.CloseIdleConnections()
	}
	for _, stop := range stops {
		stop()
	}
	if log := e.end(); !strings.Contains(log, "a removed address is drained") {
		t.Errorf("no drain is told of in %s", log)
	}
}

// TestReloadRefused: what is wrong changes nothing, and leaves nothing behind: not an
// address that was bound before the fault was found, not a certificate, not a route.
func TestReloadRefused(t *testing.T) {
	const plain = answersHosts + "listeners:\n  web: {address: \"127.0.0.1:0\"}\n"
	e := startEdge(t, plain)
	_, addr, _ := strings.Cut(e.urls[0], "://")
	stop := load(t, "http://a.test/", hostClient(t, addr))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(t, "listen", err)
	defer taken.Close()
	free := freeAddress(t)
	for _, c := range []struct{ text, why string }{
		{plain + "  a: {address: \"" + free + "\"}\n  z: {address: \"" + taken.Addr().String() + "\"}\n", "address in use"},
		{plain + "  a: {address: \"" + free + "\", tls: {certificates: [x]}}\n", `there is no certificate \"x\"`},
		{plain + "  a: {address: \"" + free + "\", tls: {certificates: [x]}}\ncertificates: {x: {cert_file: DIR/none, key_file: DIR/none}}\n", "no such file"},
		{strings.Replace(plain, "respond", "respnod", 1), "respond"},
		{plain + "log: {access: DIR/none/log}\n  a: {address: \"" + free + "\"}\n", ""},
		{plain + "shutdown: {timeout: 7s}\n", "shutdown.timeout: 7s, which a running server cannot do: the service manager was told"},
		{plain + "timeouts: {keep_alive: 7s}\nhttp: {max_streams: 7}\n", "the engines are made at the start"},
		{plain + "limits: {memory: 1GiB}\n", "nobody watches the memory"},
		{strings.Replace(plain, "0\"}", "0\", tls: {certificates: [x]}}", 1) + "certificates: {x: {cert_file: DIR/c, key_file: DIR/k}}\n", ""},
		{"", "no host"},
	} {
		if c.text == "" {
			continue
		}
		e.refused(c.text, strings.ReplaceAll(c.why, `\"`, `"`))
		if l, err := net.Listen("tcp", free); err != nil {
			t.Errorf("after %q an address is left bound: %v", c.why, err)
		} else {
			l.Close()
		}
	}
	res, err := e.socket.Get("http://localhost/config")
	servetest.Must(t, "GET /config", err)
	shown, err := io.ReadAll(res.Body)
	res.Body.Close()
	servetest.Must(t, "its answer", err)
	if !bytes.Contains(shown, []byte("body: hello")) || bytes.Contains(shown, []byte("1GiB")) {
		t.Errorf("/config shows %s", shown)
	}
	stop()
	e.reload(strings.Replace(plain, "hello", "bye", 1))
	_, body := fetch(t, hostClient(t, addr), "http://a.test/")
	servetest.Want(t, "a good one behind them", body, "bye")
	e.end()
}

// TestReloadStorm (O-1): a thousand HUP at once, with files that change meanwhile,
// good and bad; no request fails, the last good file serves, TERM in between ends it.
func TestReloadStorm(t *testing.T) {
	const plain = answersHosts + "listeners:\n  web: {address: \"127.0.0.1:0\"}\n"
	e := startEdge(t, plain)
	_, addr, _ := strings.Cut(e.urls[0], "://")
	client := hostClient(t, addr)
	stop := load(t, "http://a.test/", client)
	for i := range 1000 {
		switch i % 50 {
		case 0:
			e.write(strings.Replace(plain, "hello", fmt.Sprint("v", i), 1))
		case 25:
			e.write(plain + "nonsense: 1\n")
		}
		e.signal(syscall.SIGHUP)
	}
	e.write(strings.Replace(plain, "hello", "last", 1))
	e.signal(syscall.SIGHUP)
	servetest.WantSoon(t, "the last file is served", func() bool {
		_, body := fetch(t, client, "http://a.test/")
		return body == "last"
	})
	stop()
	client.CloseIdleConnections()
	for range 10 {
		e.signal(syscall.SIGHUP)
	}
	e.end()
}

// TestReloadSocket: a reload can be asked for over the Unix socket alone, which
// is its owner's.
func TestReloadSocket(t *testing.T) {
	e := startEdge(t, answersHosts+"listeners:\n  web: {address: \"127.0.0.1:0\"}\n")
	info, err := os.Stat(filepath.Join(e.dir, "admin"))
	servetest.Must(t, "the socket", err)
	servetest.Want(t, "its mode", info.Mode().Perm(), 0o600)
	res, err := newClient(t).Post(e.urls[1]+"/-/reload", "", nil)
	servetest.Must(t, "over TCP", err)
	res.Body.Close()
	servetest.Want(t, "over TCP", res.StatusCode, http.StatusNotFound)
	res, err = e.socket.Get("http://localhost/-/reload")
	servetest.Must(t, "GET", err)
	res.Body.Close()
	servetest.Want(t, "GET", res.StatusCode, http.StatusMethodNotAllowed)
	r, err := http.NewRequest(http.MethodPost, "http://localhost/-/reload", http.NoBody)
	servetest.Must(t, "request", err)
	r.Header.Set("Origin", "https://evil.example")
	res, err = e.socket.Do(r)
	servetest.Must(t, "from a page", err)
	res.Body.Close()
	servetest.Want(t, "from a page", res.StatusCode, http.StatusForbidden)
	status, answer := e.ask()
	servetest.Want(t, "nothing has changed", fmt.Sprint(status, answer.Reloaded, len(answer.Changes)), "200 true 0")
	e.end()
}

// TestReloadBesideFlags: a file without listeners is served at the addresses of flags;
// its limits can be off, and everything but addresses changes.
func TestReloadBesideFlags(t *testing.T) {
	name := filepath.Join(t.TempDir(), "penstock.yaml")
	text := "version: 1\nlimits: {connections: off, connections_per_client: off, requests_in_flight: off, changes_in_flight: off}\n" + answersHosts
	write(t, name, text)
	p := start(t, nil, "serve", "-c", name, "--listen", anyPort, "--tls-listen", anyPort, "--admin", "off")
	servetest.Want(t, "addresses", len(p.urls), 2)
	_, addr, _ := strings.Cut(p.urls[1], "://")
	client := hostClient(t, addr)
	write(t, name, text+"listeners: {a: {address: \"127.0.0.1:0\"}}\n")
	p.signal(syscall.SIGHUP)
	servetest.WantSoon(t, "nothing yet", func() bool { _, body := fetch(t, client, "http://a.test/"); return body == "hello" })
	write(t, name, strings.Replace(text, "hello", "bye", 1))
	p.signal(syscall.SIGHUP)
	servetest.WantSoon(t, "another answer", func() bool { _, body := fetch(t, client, "http://a.test/"); return body == "bye" })
	p.signal(syscall.SIGTERM)
	if code, stderr := p.wait(); code != ExitClean {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// TestValidateAgainst: what a reload would change, and what it could not, is told
// beforehand; nothing is changed.
func TestValidateAgainst(t *testing.T) {
	const plain = answersHosts + "listeners:\n  web: {address: \"127.0.0.1:0\"}\n"
	e := startEdge(t, plain)
	socket := "unix:" + filepath.Join(e.dir, "admin")
	_, tcp, _ := strings.Cut(e.urls[1], "://")
	for _, admin := range []string{socket, tcp} {
		e.write(strings.Replace(plain, "hello", "bye $$", 1))
		code, stdout, stderr := runHere("validate", "-c", e.file, "--against", admin)
		if code != ExitClean || !strings.Contains(stdout, "respond.body: hello -> bye $\n") || !strings.Contains(stdout, "changes 1 values") {
			t.Errorf("exit %d, %q, %q", code, stdout, stderr)
		}
		e.write(plain + "timeouts: {write: 3s}\n")
		code, _, stderr = runHere("validate", "-c", e.file, "--against", admin)
		if code != ExitError || !strings.Contains(stderr, "timeouts.write: 3s, which a running server cannot do") {
			t.Errorf("exit %d, %q", code, stderr)
		}
	}
	code, _, stderr := runHere("validate", "-c", e.file, "--against", "unix:"+filepath.Join(e.dir, "none"))
	if code != ExitError || !strings.Contains(stderr, "--against unix:") {
		t.Errorf("nobody there: exit %d, %q", code, stderr)
	}
	_, body := fetch(t, hostClient(t, strings.TrimPrefix(e.urls[0], "http://")), "http://a.test/")
	servetest.Want(t, "what is served", body, "hello")
	e.end()
}

// TestReloadSettings: limits, log, redirects and trust follow the file.
func TestReloadSettings(t *testing.T) {
	held, entered := make(chan struct{}), make(chan struct{}, 10)
	up := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			entered <- struct{}{}
			<-held
		}
		io.WriteString(w, r.Header.Get("X-Forwarded-For"))
	})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(t, "listen", err)
	go func() { _ = up.Serve(l) }()
	t.Cleanup(func() { _ = up.Close() })
	plain := strings.Replace(`
upstreams: {u: {targets: [{url: "http://UP"}]}}
hosts: [{names: [a.test], routes: [{id: r, match: {prefix: /}, proxy: {to: u}}, {id: p, match: {path: /post}, respond: {body: ok}}]}]
`, "UP", l.Addr().String(), 1)
	const web = "listeners: {web: {address: \"127.0.0.1:0\"}}\n"
	e := startEdge(t, plain+web)
	_, addr, _ := strings.Cut(e.urls[0], "://")
	client := hostClient(t, addr)
	get := func(path string, fields ...string) (status int, body string, head http.Header) {
		t.Helper()
		r, err := http.NewRequest(http.MethodGet, "http://a.test"+path, http.NoBody)
		servetest.Must(t, "request", err)
		for i := 0; i < len(fields); i += 2 {
			r.Header.Set(fields[i], fields[i+1])
		}
		res, err := client.Do(r)
		servetest.Must(t, path, err)
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		servetest.Must(t, path, err)
		return res.StatusCode, string(b), res.Header
	}
	// Nobody is believed, then this machine is.
	_, body, _ := get("/", "X-Forwarded-For", "192.0.2.1")
	servetest.Want(t, "without trust", body, "127.0.0.1")
	e.reload(plain + web + "forwarded: {trust: [127.0.0.1]}\n")
	_, body, _ = get("/", "X-Forwarded-For", "192.0.2.1")
	servetest.Want(t, "with trust", body, "192.0.2.1, 127.0.0.1")
	// One request at a time.
	e.reload(plain + web + "limits: {requests_in_flight: 1}\n")
	holding := make(chan int, 1)
	go func() { status, _, _ := get("/hold"); holding <- status }()
	<-entered
	status, _, _ := get("/")
	servetest.Want(t, "one too many", status, http.StatusTooManyRequests)
	e.reload(plain + web)
	status, _, _ = get("/")
	servetest.Want(t, "the default again", status, http.StatusOK)
	close(held)
	servetest.Want(t, "what was held", <-holding, http.StatusOK)
	// Bodies.
	post := func() int {
		res, err := client.Post("http://a.test/post", "", strings.NewReader("12345"))
		servetest.Must(t, "post", err)
		res.Body.Close()
		return res.StatusCode
	}
	servetest.Want(t, "a body", post(), http.StatusOK)
	e.reload(plain + web + "limits: {max_body: 4}\n")
	servetest.Want(t, "a long body", post(), http.StatusRequestEntityTooLarge)
	// The access log moves, twice.
	for _, name := range []string{"one", "two"} {
		e.reload(plain + web + "log: {access: DIR/" + name + "}\n")
		get("/" + name)
		servetest.WantSoon(t, "the log "+name, func() bool {
			b, _ := os.ReadFile(filepath.Join(e.dir, name))
			return strings.Contains(string(b), `"/`+name+`"`)
		})
	}
	// The whole address sends elsewhere, and no more.
	e.reload(plain + strings.Replace(web, "0\"}", "0\", redirect: {to: \"https://{host}{uri}\"}}", 1))
	status, _, head := get("/x?y")
	servetest.Want(t, "redirected", fmt.Sprint(status, head.Get("Location")), "308https://a.test/x?y")
	e.reload(plain + web)
	status, _, _ = get("/")
	servetest.Want(t, "not redirected", status, http.StatusOK)
	// The level of the log.
	e.reload(plain + web + "log: {level: error}\n")
	e.reload(plain + web)
	if log := e.end(); strings.Contains(log, "removed log.level: error") == strings.Contains(log, "added log.level: error") {
		t.Errorf("the level is not heeded in %s", log)
	}
}

// insecure is a client configuration for a name.
func insecure(name string) *tls.Config {
	return &tls.Config{ServerName: name, InsecureSkipVerify: true}
}

// webSocketEcho is an upstream that answers frames with themselves.
func webSocketEcho(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(t, "listen", err)
	t.Cleanup(func() { _ = l.Close() })
	go func() { // ends with the listener
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection
				defer c.Close()
				br := bufio.NewReader(c)
				r, err := http.ReadRequest(br)
				if err != nil {
					return
				}
				sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
				fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n",
					base64.StdEncoding.EncodeToString(sum[:]))
				for {
					var head [6]byte // a short masked frame
					if _, err := io.ReadFull(br, head[:]); err != nil {
						return
					}
					data := make([]byte, head[1]&0x7f)
					if _, err := io.ReadFull(br, data); err != nil {
						return
					}
					for i := range data {
						data[i] ^= head[2+i%4]
					}
					_, _ = c.Write(append([]byte{head[0], byte(len(data))}, data...))
				}
			}()
		}
	}()
	return l.Addr().String()
}

// webSocket is a client's end of a tunnel.
type webSocket struct {
	t  *testing.T
	c  net.Conn
	br *bufio.Reader
}

func dialWebSocket(t *testing.T, addr, host string) *webSocket {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	servetest.Must(t, "dial", err)
	t.Cleanup(func() { _ = c.Close() })
	servetest.Must(t, "deadline", c.SetDeadline(time.Now().Add(patience)))
	fmt.Fprintf(c, "GET /ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", host)
	w := &webSocket{t, c, bufio.NewReader(c)}
	res, err := http.ReadResponse(w.br, nil)
	servetest.Must(t, "the handshake", err)
	servetest.Want(t, "the handshake", res.StatusCode, http.StatusSwitchingProtocols)
	return w
}

// echo sends text, and wants it back.
func (w *webSocket) echo(text string) {
	w.t.Helper()
	_, err := w.c.Write(append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...))
	servetest.Must(w.t, "send", err)
	servetest.Want(w.t, "the frame that comes back", w.frame(), "\x81"+string(rune(len(text)))+text)
}

// frame is the next short one.
func (w *webSocket) frame() string {
	w.t.Helper()
	head := make([]byte, 2)
	_, err := io.ReadFull(w.br, head)
	servetest.Must(w.t, "a frame", err)
	data := make([]byte, head[1])
	_, err = io.ReadFull(w.br, data)
	servetest.Must(w.t, "its content", err)
	return string(head) + string(data)
}

// TestReloadTasks: a reload that adds the first upstream has its requests run as tasks
// of the event loop, as they would since a start with it; one that takes the last one
// away ends that.
func TestReloadTasks(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	u := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	}))
	defer u.Close()
	base := "listeners: {web: {address: \"127.0.0.1:0\"}}\n"
	without := base + "hosts: [{routes: [{id: r, match: {prefix: /}, respond: {body: none}}]}]\n"
	with := base + "upstreams: {one: {targets: [{url: \"" + u.URL + "\"}]}}\nhosts: [{routes: [{id: r, match: {prefix: /}, proxy: {to: one}}]}]\n"
	// task tells whether a handler that waits for its upstream is a task, whose stack
	// is a coroutine's.
	task := func(e *edge) bool {
		answered := make(chan error, 1)
		go func() {
			res, err := http.Get(e.urls[0])
			if err == nil {
				err = res.Body.Close()
			}
			answered <- err
		}()
		<-asked
		_, stacks := fetch(t, e.socket, "http://localhost/debug/pprof/goroutine?debug=2")
		release <- struct{}{}
		servetest.Must(t, "the answer", <-answered)
		for stack := range strings.SplitSeq(stacks, "\n\n") {
			if strings.Contains(stack, "proxy.(*Proxy).ServeHTTP") {
				return strings.Contains(stack, "shard.newCoroutine")
			}
		}
		t.Fatalf("nobody waits for the upstream in:\n%s", stacks)
		return false
	}
	started := startEdge(t, with)
	atStart := task(started)
	started.end()

	e := startEdge(t, without)
	e.reload(with)
	servetest.Want(t, "task after the reload, as since a start", task(e), atStart)
	if runtime.GOOS == "linux" {
		servetest.Want(t, "task", atStart, true)
	}
	e.reload(without)
	_, body := fetch(t, http.DefaultClient, e.urls[0])
	servetest.Want(t, "the answer without an upstream", body, "none")
	e.reload(with)
	servetest.Want(t, "task, once more", task(e), atStart)
	e.end()
}

// TestReloadTunnels: a WebSocket lives through reloads that do not concern it, that
// of its own route's limits and of other addresses included; when its upstream goes
// it has the grace, and is told then (1001).
func TestReloadTunnels(t *testing.T) {
	plain := strings.NewReplacer("ONE", webSocketEcho(t), "TWO", webSocketEcho(t)).Replace(`
shutdown: {reload_grace: 3s}
listeners: {web: {address: "127.0.0.1:0"}}
upstreams:
  two: {targets: [{url: "http://TWO"}]}
  one: {targets: [{url: "http://ONE"}]}
hosts:
  - {names: [two.test], routes: [{id: r, match: {prefix: /}, proxy: {to: two}}]}
  - {names: [one.test], routes: [{id: r, match: {prefix: /}, proxy: {to: one}}]}
`)
	e := startEdge(t, plain)
	_, addr, _ := strings.Cut(e.urls[0], "://")
	stays, goes := dialWebSocket(t, addr, "two.test"), dialWebSocket(t, addr, "one.test")
	stays.echo("a")
	goes.echo("b")
	e.reload(plain + "  - {names: [three.test], routes: [{id: r, match: {prefix: /}, respond: {}}]}\n")
	e.reload(strings.Replace(plain, "listeners: {", "listeners: {more: {address: \"127.0.0.1:0\"}, ", 1))
	e.reload(plain + "limits: {max_body: 1KiB}\n") // which concerns all routes
	stays.echo("c")
	goes.echo("d")
	without := plain[:strings.Index(plain, "  one: {")] + "hosts:\n  - {names: [two.test], routes: [{id: r, match: {prefix: /}, proxy: {to: two}}]}\n"
	e.reload(without)
	goes.echo("still within the grace")
	servetest.Want(t, "the close frame", goes.frame(), "\x88\x02\x03\xe9")
	stays.echo("e")
	e.signal(syscall.SIGTERM)
	servetest.Want(t, "at the end", stays.frame(), "\x88\x02\x03\xe9")
}

// TestReloadTargets: a reload that takes one server of an upstream away leaves its
// tunnels the grace, and tells them then; those to the other server live on.
func TestReloadTargets(t *testing.T) {
	both := strings.NewReplacer("ONE", webSocketEcho(t), "TWO", webSocketEcho(t)).Replace(`
shutdown: {reload_grace: 1s}
listeners: {web: {address: "127.0.0.1:0"}}
hosts: [{routes: [{id: r, match: {prefix: /}, proxy: {to: api}}]}]
upstreams:
  api:
    balance: round_robin
    targets:
      - {url: "http://ONE"}
      - {url: "http://TWO"}
`)
	e := startEdge(t, both)
	_, addr, _ := strings.Cut(e.urls[0], "://")
	tunnels := []*webSocket{dialWebSocket(t, addr, "x.test"), dialWebSocket(t, addr, "x.test")} // one each, in turn
	for _, w := range tunnels {
		w.echo("hello")
	}
	e.reload(both[:strings.LastIndex(both, "      - {url")])
	type came struct {
		by    int
		frame string
	}
	frames := make(chan came, 2)
	for i, w := range tunnels {
		go func() {
			b := make([]byte, len("\x88\x02\x03\xe9"))
			n, _ := io.ReadFull(w.br, b)
			frames <- came{i, string(b[:n])}
		}()
	}
	gone := <-frames
	servetest.Want(t, "the first frame that comes", gone.frame, "\x88\x02\x03\xe9")
	stays := tunnels[1-gone.by]
	_, err := stays.c.Write([]byte("\x81\x82\x00\x00\x00\x00hi"))
	servetest.Must(t, "send", err)
	servetest.Want(t, "the echo of the other", <-frames, came{1 - gone.by, "\x81\x02hi"})
	e.signal(syscall.SIGTERM)
	servetest.Want(t, "at the end", stays.frame(), "\x88\x02\x03\xe9")
}

// TestTunnelsAtStop: TERM tells the clients of all tunnels, which run where
// connections do, before these end.
func TestTunnelsAtStop(t *testing.T) {
	p := start(t, nil, "reverse-proxy", "--to", "http://"+webSocketEcho(t), "--listen", anyPort)
	_, addr, _ := strings.Cut(p.urls[0], "://")
	var all []*webSocket
	for range 4 {
		all = append(all, dialWebSocket(t, addr, "x.test"))
	}
	for _, w := range all {
		w.echo("hello")
	}
	p.signal(syscall.SIGTERM)
	for _, w := range all {
		servetest.Want(t, "at the end", w.frame(), "\x88\x02\x03\xe9")
	}
	if code, stderr := p.wait(); code != ExitClean {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
