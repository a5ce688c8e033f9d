package proxy_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy"
	"github.com/penstock-edge/penstock/handler/proxy/upstream"
	"github.com/penstock-edge/penstock/handler/proxy/websocket"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// greeter is an upstream of WebSockets that says its name first, and then echoes.
func greeter(name string) script {
	return func(_ *faulty, c net.Conn, r *bufio.Reader, _ string) bool {
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"+text(name))
		io.Copy(c, r)
		return false
	}
}

// named opens tunnels until each upstream has one, and gives them by name.
func named(t *testing.T, f form, addr string, n int) map[string]*bufio.ReadWriter {
	t.Helper()
	all := make(map[string]*bufio.ReadWriter)
	for len(all) < n {
		c := f.dial(t, addr)
		servetest.Must(t, "deadline", c.SetDeadline(time.Now().Add(20*time.Second)))
		io.WriteString(c, upgradeHead)
		rw := bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriterSize(c, 16))
		if _, err := http.ReadResponse(rw.Reader, nil); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 3)
		_, err := io.ReadFull(rw, b)
		servetest.Must(t, "a name", err)
		all[string(b[2:])] = rw
	}
	return all
}

func echoed(t *testing.T, rw *bufio.ReadWriter, s string) {
	t.Helper()
	rw.WriteString(text(s))
	rw.Flush()
	b := make([]byte, len(text(s)))
	_, err := io.ReadFull(rw, b)
	servetest.Must(t, "the echo", err)
	servetest.Want(t, "the echo", string(b), text(s))
}

// TestTunnelGrace: a tunnel to a target that was taken away is told (1001) when the
// grace is over, also where connections are made in another way since; others stay.
func TestTunnelGrace(t *testing.T) {
	a, b := newFaulty(t, greeter("a")), newFaulty(t, greeter("b"))
	for _, f := range forms[:4] {
		for _, anew := range []string{"", "other connections"} {
			t.Run(f.name+anew, func(t *testing.T) {
				o := proxy.ServiceOptions{TunnelGrace: 50 * time.Millisecond}
				o.Balance = upstream.RoundRobin
				s := newService(t, o, "http://"+a.addr, "http://"+b.addr)
				url, _ := f.serveFront(t, newProxy(t, proxy.Options{Service: s}))
				_, addr, _ := strings.Cut(url, "://")
				tunnels := named(t, f, addr, 2)
				o.Targets = []upstream.Target{{URL: "http://" + a.addr}}
				if anew != "" {
					o.MaxIdle = 7
				}
				_, err := s.Update(o)
				servetest.Must(t, "update", err)
				rest, err := io.ReadAll(tunnels["b"])
				servetest.Must(t, "the end", err)
				servetest.Want(t, "what comes", string(rest), string(websocket.GoingAway))
				echoed(t, tunnels["a"], "still here")
			})
		}
	}
}

// TestTunnelGraceTakenBack: a target that is there again keeps its tunnels.
func TestTunnelGraceTakenBack(t *testing.T) {
	a, b := newFaulty(t, greeter("a")), newFaulty(t, greeter("b"))
	o := proxy.ServiceOptions{TunnelGrace: time.Second}
	o.Balance = upstream.RoundRobin
	s := newService(t, o, "http://"+a.addr, "http://"+b.addr)
	url, _ := forms[0].serveFront(t, newProxy(t, proxy.Options{Service: s}))
	_, addr, _ := strings.Cut(url, "://")
	tunnels := named(t, forms[0], addr, 2)
	one, both := o, o
	one.Targets = []upstream.Target{{URL: "http://" + a.addr}}
	both.Targets = append(one.Targets, upstream.Target{URL: "http://" + b.addr})
	for _, next := range []proxy.ServiceOptions{one, both} {
		_, err := s.Update(next)
		servetest.Must(t, "update", err)
	}
	time.Sleep(o.TunnelGrace + 100*time.Millisecond)
	echoed(t, tunnels["b"], "here again")
	echoed(t, tunnels["a"], "always")
}
