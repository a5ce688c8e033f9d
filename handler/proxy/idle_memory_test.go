package proxy_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy"
	"github.com/penstock-edge/penstock/handler/proxy/upstream"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// Bytes of an idle client in front of few upstream connections: the proportional
// set size of a proxy in a process of its own, after one proxied request on each
// connection, less what it was before them, a connection. Before both measures the
// process collects its garbage and gives free pages back. The bounds are those of
// the core (serve, TestIdleMemory): a proxied request leaves nothing more behind.
//
// The ordinary test run has 2,000 clients in the clear and 500 over TLS. 10,000:
//
//	go test -run='^$' -bench=IdleMemory -benchtime=1x ./handler/proxy
//
// which fails above the same bounds.
const (
	idleClearBytes    = 1536
	idleTLSBytes      = 13 << 10
	upstreamConns     = 8
	idleWarmUp        = 200                    // clients that come and go before: what all share counts for none
	clientsPerAddress = 5000                   // of one 127.0.0.x: fewer than a machine's local ports
	idlePause         = 500 * time.Millisecond // in which the proxy sees that they have gone
	idleProxyOf       = "TEST_BINARY_IS_PROXY_OF"
)

func TestIdleMemory(t *testing.T) {
	t.Run("clear", func(t *testing.T) { measureIdle(t, 2000, false) })
	t.Run("TLS", func(t *testing.T) { measureIdle(t, 500, true) })
}

func BenchmarkIdleMemory(b *testing.B) {
	const clients = 10_000
	for _, name := range []string{"clear", "TLS"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				b.ReportMetric(measureIdle(b, clients, name == "TLS"), "B/conn")
			}
		})
	}
}

// runIdleProxy is the process that is measured: a proxy of url. A line on its input
// collects garbage; the end of input ends it.
func runIdleProxy(url string) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	o := proxy.ServiceOptions{Options: upstream.Options{Targets: []upstream.Target{{URL: url}}}}
	// The limit is of busy ones; each shard keeps its own when they are idle.
	o.Limits.MaxConns = max(1, upstreamConns/runtime.GOMAXPROCS(0))
	s, err := proxy.NewService("idle", o)
	fail(err)
	p, err := proxy.New(proxy.Options{Service: s, ErrorLog: quiet()})
	fail(err)
	cert, _ := testCertificate()
	for _, secure := range []bool{false, true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		fail(err)
		server := &serve.Server{
			Handler: p, Options: serve.ServerOptions{Tasks: true, RecycleRequests: true, ErrorLog: quiet()},
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
		}
		go func() {
			if secure {
				fail(server.ServeTLS(l, "", ""))
			}
			fail(server.Serve(l))
		}()
		fmt.Println(l.Addr())
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		debug.FreeOSMemory()
		fmt.Println("collected")
	}
	os.Exit(0)
}

// idleProxy is such a process.
type idleProxy struct {
	cmd           *exec.Cmd
	in            io.Writer
	out           *bufio.Scanner
	clear, secure string
}

func startIdleProxy(tb testing.TB, url string) *idleProxy {
	tb.Helper()
	p := &idleProxy{cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), idleProxyOf+"="+url)
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	servetest.Must(tb, "input", err)
	out, err := p.cmd.StdoutPipe()
	servetest.Must(tb, "output", err)
	servetest.Must(tb, "start", p.cmd.Start())
	tb.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	p.in, p.out = in, bufio.NewScanner(out)
	p.clear, p.secure = p.line(tb), p.line(tb)
	return p
}

func (p *idleProxy) line(tb testing.TB) string {
	tb.Helper()
	if !p.out.Scan() {
		tb.Fatalf("the proxy has ended: %v", p.out.Err())
	}
	return p.out.Text()
}

// size is its proportional set size in bytes, without garbage.
func (p *idleProxy) size(tb testing.TB) int64 {
	tb.Helper()
	for range 2 { // what finalizers let go of is for the second
		_, err := io.WriteString(p.in, "\n")
		servetest.Must(tb, "ask", err)
		servetest.Want(tb, "answer", p.line(tb), "collected")
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", p.cmd.Process.Pid))
	servetest.Must(tb, "memory", err)
	_, rest, _ := strings.Cut(string(text), "\nPss:")
	fields := strings.Fields(rest)
	if len(fields) < 2 || fields[1] != "kB" {
		tb.Fatalf("no Pss in %q", text)
	}
	kb, err := strconv.ParseInt(fields[0], 10, 64)
	servetest.Must(tb, "memory", err)
	return kb << 10
}

// measureIdle returns the bytes of a client, and holds them to the bound.
func measureIdle(tb testing.TB, clients int, secure bool) float64 {
	tb.Helper()
	needIdle(tb, clients)
	var open, most atomic.Int64
	origin := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "good") }),
		ConnState: func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				n := open.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
					continue
				}
			} else if s == http.StateClosed {
				open.Add(-1)
			}
		},
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	servetest.Must(tb, "listen", err)
	ended := make(chan error, 1)
	go func() { ended <- origin.Serve(l) }()
	tb.Cleanup(func() { origin.Close(); <-ended })
	p := startIdleProxy(tb, "http://"+l.Addr().String())
	drop(holdClients(tb, p, idleWarmUp, secure))
	time.Sleep(idlePause)
	before := p.size(tb)
	held := holdClients(tb, p, clients, secure)
	defer drop(held)
	each := float64(p.size(tb)-before) / float64(clients)
	bound := idleClearBytes
	if secure {
		bound = idleTLSBytes
	}
	tb.Logf("%d clients, %d upstream connections at most: %.0f bytes each, bound %d", clients, most.Load(), each, bound)
	if each > float64(bound) {
		tb.Errorf("%.0f bytes an idle client, want at most %d", each, bound)
	}
	if n, limit := most.Load(), max(upstreamConns, int64(runtime.GOMAXPROCS(0))); n < 1 || n > limit {
		tb.Errorf("%d upstream connections, want 1 to %d", n, limit)
	}
	return each
}

// holdClients opens connections and asks once on each.
func holdClients(tb testing.TB, p *idleProxy, n int, secure bool) []net.Conn {
	tb.Helper()
	const workers = 32
	held := make([]net.Conn, n)
	errs := make([]error, workers)
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := w; i < n && errs[w] == nil; i += workers {
				held[i], errs[w] = p.askOnce(fmt.Sprintf("127.0.0.%d", 1+i/clientsPerAddress), secure)
			}
		})
	}
	group.Wait()
	servetest.Must(tb, "hold clients", errors.Join(errs...))
	return held
}

func (p *idleProxy) askOnce(local string, secure bool) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(local)}}
	addr := p.clear
	if secure {
		addr = p.secure
	}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	if secure {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		return c, err
	}
	res, err := http.ReadResponse(bufio.NewReaderSize(c, 512), nil)
	if err != nil {
		return c, err
	}
	defer res.Body.Close()
	if b, err := io.ReadAll(res.Body); err != nil || string(b) != "good" || res.Close {
		return c, fmt.Errorf("got %d %q, close %t, %w", res.StatusCode, b, res.Close, err)
	}
	return c, nil
}

func drop(held []net.Conn) {
	for _, c := range held {
		if c != nil {
			c.Close()
		}
	}
}

// needIdle skips where the measure means nothing or cannot be taken.
func needIdle(tb testing.TB, clients int) {
	tb.Helper()
	if raceEnabled {
		tb.Skip("SKIPPED: the race detector's shadow memory would be measured")
	}
	if _, err := os.Stat("/proc/self/smaps_rollup"); errors.Is(err, fs.ErrNotExist) {
		tb.Skip("SKIPPED: no /proc/self/smaps_rollup here, so memory is not measured")
	}
	text, err := os.ReadFile("/proc/self/limits")
	servetest.Must(tb, "limits", err)
	_, rest, _ := strings.Cut(string(text), "Max open files")
	limit, err := strconv.Atoi(strings.Fields(rest)[0])
	if need := clients + 200; err == nil && limit < need {
		tb.Skipf("SKIPPED: %d clients need RLIMIT_NOFILE %d (ulimit -n), it is %d", clients, need, limit)
	}
}
