package listener

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// TestNetListener runs net/http on a group of each network.
func TestNetListener(t *testing.T) {
	for _, c := range []struct {
		cfg   Config
		dials []string // host to dial; empty: the group's own address
	}{
		{Config{Network: "tcp", Address: "127.0.0.1:0"}, []string{"127.0.0.1"}},
		{Config{Network: "tcp", Address: ":0"}, []string{"127.0.0.1", "::1"}},
		{Config{Network: "tcp4", Address: ":0"}, []string{"127.0.0.1"}},
		{Config{Network: "tcp6", Address: ":0"}, []string{"::1"}},
		{Config{Network: "tcp", Address: "localhost:0"}, []string{"127.0.0.1"}},
		{Config{Network: "unix", Address: filepath.Join(t.TempDir(), "s")}, []string{""}},
	} {
		for _, host := range c.dials {
			t.Run(c.cfg.Network+" "+host, func(t *testing.T) {
				c.cfg.Sockets = 3
				testNetHTTP(t, listen(t, c.cfg), host)
			})
		}
	}
}

func testNetHTTP(t *testing.T, g *Group, host string) {
	addr := g.Addr().String()
	if host != "" {
		_, port, err := net.SplitHostPort(addr)
		must(t, "address", err)
		addr = net.JoinHostPort(host, port)
	}
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	file := filepath.Join(t.TempDir(), "body")
	must(t, "write file", os.WriteFile(file, body, 0o600))
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		local := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		w.Header().Set("Local", local.String())
		w.Header().Set("Remote", r.RemoteAddr)
		http.ServeFile(w, r, file)
	})}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(g) }()

	var remote string
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, g.Addr().Network(), addr)
		if err == nil {
			remote = c.LocalAddr().String()
		}
		return c, err
	}}
	defer tr.CloseIdleConnections()
	for range 2 { // the second on the same connection
		res, err := (&http.Client{Transport: tr}).Get("http://group/")
		must(t, "GET", err)
		got, err := io.ReadAll(res.Body)
		must(t, "body", err)
		_ = res.Body.Close()
		want(t, "body is whole", bytes.Equal(got, body), true)
		want(t, "local address", res.Header.Get("Local"), addr)
		if g.Addr().Network() != "unix" {
			want(t, "remote address", res.Header.Get("Remote"), remote)
		}
	}
	tr.CloseIdleConnections()
	must(t, "Shutdown", srv.Shutdown(t.Context()))
	want(t, "Serve", errors.Is(<-served, http.ErrServerClosed), true)
}

func TestConfigErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
	}{
		{"no address", Config{}},
		{"no port", Config{Address: "127.0.0.1"}},
		{"unknown network", Config{Network: "udp", Address: ":0"}},
		{"port out of range", Config{Address: ":70000"}},
		{"wrong family", Config{Network: "tcp4", Address: "[::1]:0"}},
		{"not our address", Config{Address: "192.0.2.1:0"}},
	} {
		g, err := Bind(t.Context(), c.cfg)
		if err == nil {
			_ = g.Close()
			t.Errorf("%s: no error", c.name)
		}
	}
}

func TestDefaultSockets(t *testing.T) {
	g := listen(t, Config{})
	n := runtime.GOMAXPROCS(0)
	if runtime.GOOS != "linux" {
		n = 1
	}
	want(t, "sockets", len(g.Sockets()), n)
	for i, s := range g.Sockets() {
		want(t, "index", s.Index(), i)
	}
}

func TestAcceptSpreads(t *testing.T) {
	const clients = 200
	g := listen(t, Config{Sockets: 4})
	var server sync.WaitGroup
	server.Go(func() { _, _ = serveEcho(g, 0) })
	for range clients {
		must(t, "client", askEcho(dial(t, g)))
	}
	var sum uint64
	for _, s := range g.Sockets() {
		sum += s.Accepted()
		if runtime.GOOS == "linux" && s.Accepted() == 0 {
			t.Errorf("socket %d of %d got none of %d connections", s.Index(), len(g.Sockets()), clients)
		}
	}
	want(t, "accepted", sum, uint64(clients))
	must(t, "Close", g.Close())
	server.Wait()
}

func TestBoundIsNotListening(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("package net binds and listens at once")
	}
	g, err := Bind(t.Context(), Config{Address: "127.0.0.1:0", Sockets: 2})
	must(t, "Bind", err)
	defer g.Close()
	if c, err := dialAddr(g.Addr(), time.Second); err == nil {
		_ = c.Close()
		t.Error("connected before Listen")
	}
	_, err = g.Accept()
	want(t, "Accept before Listen", errors.Is(err, errNotListening), true)
	must(t, "Listen", g.Listen())
	must(t, "Listen twice", g.Listen())
	_ = dial(t, g).Close()
}

func TestFromListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, "listen", err)
	defer l.Close()
	g, err := FromListener(l)
	must(t, "FromListener", err)
	again, err := FromListener(g)
	must(t, "FromListener of a group", err)
	want(t, "same group", again == g, true)
	want(t, "address", g.Addr().String(), l.Addr().String())
	done := make(chan struct{})
	go func() { defer close(done); _, _ = serveEcho(g, 0) }()
	must(t, "client", askEcho(dial(t, g)))
	must(t, "Close", g.Close())
	<-done

	_, err = FromListener(struct{ net.Listener }{l})
	want(t, "a wrapper is not opened", errors.Is(err, errors.ErrUnsupported), true)
}

func TestConn(t *testing.T) {
	g := listen(t, Config{Sockets: 1})
	client := dial(t, g)
	nc, err := g.Accept()
	must(t, "Accept", err)
	defer nc.Close()
	c, ok := nc.(*Conn)
	if !ok {
		t.Fatalf("Accept returns a %T", nc)
	}
	want(t, "remote", c.RemoteAddrPort().String(), client.LocalAddr().String())
	want(t, "same answer twice", c.RemoteAddr().String(), c.RemoteAddr().String())

	must(t, "SetReadDeadline", c.SetReadDeadline(time.Now().Add(time.Millisecond)))
	_, err = c.Read(make([]byte, 1))
	ne, ok := err.(net.Error) //nolint:errorlint // callers of net.Conn ask just so
	want(t, "a deadline is a net.Error with Timeout", ok && ne.Timeout(), true)
	must(t, "SetDeadline", c.SetDeadline(time.Time{}))

	must(t, "client's CloseWrite", client.(*net.TCPConn).CloseWrite())
	_, err = c.Read(make([]byte, 1))
	want(t, "end of the stream is a plain io.EOF", err, io.EOF)

	n, err := c.ReadFrom(io.LimitReader(bytes.NewReader([]byte("hello, all")), 5))
	must(t, "ReadFrom", err)
	want(t, "copied", n, 5)
	must(t, "CloseWrite", c.CloseWrite())
	got, err := io.ReadAll(client)
	must(t, "client's read", err)
	want(t, "client got", string(got), "hello")

	must(t, "Close", c.Close())
	for name, err := range map[string]error{
		"second Close": c.Close(), "SetDeadline": c.SetDeadline(time.Time{}), "CloseRead": c.CloseRead(),
		"Write": second(c.Write([]byte("x"))), "Read": second(c.Read(make([]byte, 1))),
	} {
		want(t, name+" after Close is net.ErrClosed", errors.Is(err, net.ErrClosed), true)
	}
}

func second(_ int, err error) error { return err }

// Part of a file, with a peer that reads slowly: sendfile has to wait.
func TestConnSendsFiles(t *testing.T) {
	g := listen(t, Config{Sockets: 1})
	body := bytes.Repeat([]byte("0123456789"), 1<<20)
	path := filepath.Join(t.TempDir(), "body")
	must(t, "write", os.WriteFile(path, body, 0o600))
	f, err := os.Open(path)
	must(t, "open", err)
	defer f.Close()
	_, err = f.Seek(7, io.SeekStart)
	must(t, "seek", err)

	client := dial(t, g)
	c, err := g.Accept()
	must(t, "Accept", err)
	part := &io.LimitedReader{R: f, N: int64(len(body)) - 10}
	sent := make(chan error, 1)
	go func() {
		defer c.Close()
		n, err := c.(io.ReaderFrom).ReadFrom(part)
		if err == nil && (n != int64(len(body))-10 || part.N != 0) {
			err = fmt.Errorf("sent %d, left %d", n, part.N)
		}
		sent <- err
	}()
	time.Sleep(20 * time.Millisecond) // lets the socket's buffer fill
	got, err := io.ReadAll(client)
	must(t, "read", err)
	must(t, "send", <-sent)
	want(t, "bytes are the file's", bytes.Equal(got, body[7:len(body)-3]), true)
	at, err := f.Seek(0, io.SeekCurrent)
	must(t, "seek", err)
	want(t, "offset of the file", at, int64(len(body))-3)
}
