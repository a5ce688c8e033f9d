//go:build linux

package serve_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// fewDescriptors is the child's RLIMIT_NOFILE.
const fewDescriptors = 64

// childDescriptors serves with few descriptors and without a ceiling of its
// own, so that accept runs out of them. Each line of its input is answered with
// the processor time used so far and the number of connections.
func childDescriptors() int {
	limit := syscall.Rlimit{Cur: fewDescriptors, Max: fewDescriptors}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		fmt.Println(err)
		return 90
	}
	group, err := listener.Listen(context.Background(), listener.Config{Network: "tcp", Address: "127.0.0.1:0"})
	if err != nil {
		fmt.Println(err)
		return 91
	}
	opts := serve.ServerOptions{MaxConnections: -1, ErrorLog: quiet()}
	if os.Getenv(modeEnv) == "portable" {
		opts.EventLoop = serve.EventLoopOff
	}
	s := &serve.Server{Options: opts, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		io.WriteString(w, "read "+string(body))
	})}
	go s.Serve(group)
	fmt.Println(group.Addr())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var use syscall.Rusage
		syscall.Getrusage(syscall.RUSAGE_SELF, &use)
		fmt.Println(time.Duration(use.Utime.Nano()+use.Stime.Nano()), s.Stats().Connections)
	}
	s.Close()
	return 0
}

// TestDescriptorsRunOut: without descriptors the server neither spins nor
// harms the requests under way, and goes on when there are some again.
func TestDescriptorsRunOut(t *testing.T) {
	for _, form := range []string{"event loop", "portable"} {
		t.Run(form, func(t *testing.T) {
			servetest.CheckLeaks(t)
			c := startHelper(t, "descriptors", form)
			line, err := c.out.ReadString('\n')
			servetest.Must(t, "address", err)
			addr := strings.TrimSpace(line)
			half := openHalf(t, addr, 10)
			flood := floodWith(t, addr, 3*fewDescriptors)
			before, _ := c.cpu()
			time.Sleep(2 * time.Second)
			after, conns := c.cpu()
			if used := after - before; used > time.Second {
				t.Errorf("the server used %v of 2s with nothing to do: it spins", used)
			}
			if conns >= fewDescriptors || conns < len(half) {
				t.Errorf("%d connections with %d descriptors", conns, fewDescriptors)
			}
			for i, conn := range half {
				io.WriteString(conn, "done")
				resp, body := answer(t, "a request under way", bufio.NewReader(conn))
				if body != fmt.Sprintf("read %4ddone", i) || resp.StatusCode != 200 {
					t.Errorf("request %d: %s %q", i, resp.Status, body)
				}
			}
			for _, conn := range flood {
				conn.Close()
			}
			servetest.WantSoon(t, "served again", func() bool { return servedOnce(addr) })
			for _, conn := range half {
				conn.Close()
			}
			c.in.Close()
			servetest.Want(t, "exit code", c.exitCode(), 0)
		})
	}
}

func (c *helperProcess) cpu() (used time.Duration, conns int) {
	c.t.Helper()
	fmt.Fprintln(c.in, "cpu")
	line, err := c.out.ReadString('\n')
	servetest.Must(c.t, "the child answers", err)
	var text string
	_, err = fmt.Sscan(line, &text, &conns)
	servetest.Must(c.t, "its answer", err)
	used, err = time.ParseDuration(text)
	servetest.Must(c.t, "its answer", err)
	return used, conns
}

// openHalf opens connections whose request lacks its last four bytes.
func openHalf(t *testing.T, addr string, n int) (conns []net.Conn) {
	t.Helper()
	for i := range n {
		conn, err := net.Dial("tcp", addr)
		servetest.Must(t, "dial", err)
		t.Cleanup(func() { conn.Close() })
		conn.SetDeadline(time.Now().Add(2 * patience))
		_, err = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 8\r\n\r\n")
		servetest.Must(t, "ask", err)
		br := bufio.NewReader(conn)
		for range 2 { // it has been accepted, and its handler reads
			_, err := br.ReadString('\n')
			servetest.Must(t, "100 Continue", err)
		}
		fmt.Fprintf(conn, "%4d", i)
		conns = append(conns, conn)
	}
	return conns
}

// floodWith connects and asks, more often than the server has descriptors. The
// kernel completes connections that the server does not accept yet.
func floodWith(t *testing.T, addr string, n int) (conns []net.Conn) {
	t.Helper()
	for range n {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			continue
		}
		t.Cleanup(func() { conn.Close() })
		io.WriteString(conn, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n12") // not idle: no place can be made
		conns = append(conns, conn)
	}
	return conns
}

func servedOnce(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	io.WriteString(conn, getSlash)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == 200
}
