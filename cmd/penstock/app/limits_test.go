package app

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// What flags say reaches engines, sockets and server.
func TestLimitsReachTheEngines(t *testing.T) {
	o, err := parse(
		t, serveDefaults, "--tls-handshake-timeout", "1s", "--read-header-timeout", "2s", "--body-idle-timeout", "3s", "--write-idle-timeout", "4s",
		"--min-transfer-rate", "5", "--idle-timeout", "6s", "--max-connection-age", "7s", "--max-requests-per-connection", "8",
		"--max-header-bytes", "9KiB", "--max-header-fields", "10", "--max-target", "11KiB", "--max-connections", "12",
		"--max-connections-per-client", "13", "--tcp-keep-alive", "14s", "--tcp-user-timeout", "15s", "--http2-ping-interval", "16s",
		"--livez-grace-period", "17s",
	)
	servetest.Must(t, "parse", err)
	c := o.Complete()
	servetest.Must(t, "validate", c.Validate())
	got := c.engineOptions(slog.New(slog.DiscardHandler))
	for name, ok := range map[string]bool{
		"HandshakeTimeout": got.HandshakeTimeout == time.Second, "ReadHeadTimeout": got.ReadHeadTimeout == 2*time.Second,
		"BodyIdleTimeout": got.BodyIdleTimeout == 3*time.Second, "WriteIdleTimeout": got.WriteIdleTimeout == 4*time.Second,
		"BodyMinRate": got.BodyMinRate == 5, "WriteMinRate": got.WriteMinRate == 5, "IdleTimeout": got.IdleTimeout == 6*time.Second,
		"MaxConnAge": got.MaxConnAge == 7*time.Second, "MaxRequestsPerConn": got.MaxRequestsPerConn == 8, "MaxHeaderBytes": got.MaxHeaderBytes == 9<<10,
		"MaxHeaderFields": got.MaxHeaderFields == 10, "MaxTargetBytes": got.MaxTargetBytes == 11<<10, "MaxConnections": got.MaxConnections == 12,
		"MaxConnectionsPerClient": got.MaxConnectionsPerClient == 13, "PingInterval": got.PingInterval == 16*time.Second,
	} {
		servetest.Want(t, name, ok, true)
	}
	p := &Prepared{opts: c, life: &lifecycle{log: slog.New(slog.DiscardHandler)}}
	tcp := p.listenConfig()
	servetest.Want(t, "KeepAliveIdle", tcp.KeepAliveIdle, 14*time.Second)
	servetest.Want(t, "UserTimeout", tcp.UserTimeout, 15*time.Second)
	servetest.Want(t, "LivezGracePeriod", p.config().Generic.LivezGracePeriod, 17*time.Second)
}

// Zero on the command line is no limit, which the libraries write as a negative
// number.
func TestNoLimits(t *testing.T) {
	o, err := parse(t, serveDefaults, "--idle-timeout", "0", "--max-connections-per-client", "0", "--tcp-keep-alive", "0", "--min-transfer-rate", "0")
	servetest.Must(t, "parse", err)
	c := o.Complete()
	servetest.Must(t, "validate", c.Validate())
	got, tcp := serve.ServerOptions{}, listener.Config{}
	c.LimitOptions.apply(&got)
	c.applyTCP(&tcp)
	servetest.Want(t, "all are negative", got.IdleTimeout < 0 && got.MaxConnectionsPerClient < 0 && got.BodyMinRate < 0 && tcp.KeepAliveIdle < 0, true)
}

// A few of them by what clients see.
func TestLimitsAreSeen(t *testing.T) {
	p := start(
		t, nil, "respond", "--listen", anyPort, "--max-header-bytes", "300B", "--max-header-fields", "5", "--max-target", "300B",
		"--max-requests-per-connection", "2", "--read-header-timeout", "100ms", "--idle-timeout", "100ms",
	)
	client := newClient(t)
	resp, _ := ask(t, client, http.MethodGet, p.urls[0], "X-Long", strings.Repeat("x", 300))
	servetest.Want(t, "a long head", resp.StatusCode, http.StatusRequestHeaderFieldsTooLarge)
	resp, _ = ask(t, client, http.MethodGet, p.urls[0], "A", "", "B", "", "C", "", "D", "", "E", "")
	servetest.Want(t, "many fields", resp.StatusCode, http.StatusRequestHeaderFieldsTooLarge)
	resp, _ = ask(t, client, http.MethodGet, p.urls[0]+"/"+strings.Repeat("x", 300))
	servetest.Want(t, "a long target", resp.StatusCode, http.StatusRequestURITooLong)

	conn, err := net.Dial("tcp", strings.TrimPrefix(p.urls[0], "http://"))
	servetest.Must(t, "dial", err)
	defer conn.Close()
	servetest.Must(t, "patience", conn.SetDeadline(time.Now().Add(patience)))
	in := bufio.NewReader(conn)
	for n := range 2 {
		_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		servetest.Must(t, "ask", err)
		resp, err := http.ReadResponse(in, nil)
		servetest.Must(t, "answer", err)
		_, _ = io.Copy(io.Discard, resp.Body)
		servetest.Want(t, "the second is the last", resp.Close, n == 1)
	}
	_, err = in.ReadByte()
	servetest.WantErr(t, "then the connection ends", err, io.EOF)

	conn, err = net.Dial("tcp", strings.TrimPrefix(p.urls[0], "http://"))
	servetest.Must(t, "dial", err)
	defer conn.Close()
	servetest.Must(t, "patience", conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\n")
	servetest.Must(t, "half a head", err)
	resp, err = http.ReadResponse(bufio.NewReader(conn), nil)
	servetest.Must(t, "answer", err)
	servetest.Want(t, "half a head", resp.StatusCode, http.StatusRequestTimeout)
}
