package serve_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// End to end over loopback, each case beside net/http with the same handler:
//
//	go test -run='^$' -bench=. -benchmem ./serve        (make bench has them)
//	go test -run='^$' -bench=Slow -benchtime=10s ./serve  (five rounds, medians)
//
// BenchmarkSlow* run server and clients as processes of their own, the server
// on one core and the clients on the others (with taskset; without it the
// system chooses). Their rounds last benchRound, whatever b.N; "cpu-us/req" is
// the server's own time, and "%busy" its share of its core: well below 100
// without sleeping handlers means that the clients were the limit.

const (
	benchRound = 2 * time.Second
	benchConns = 64
	slowEvery  = 100
	sleepsFor  = 50 * time.Millisecond
	worksFor   = 5 * time.Millisecond
)

const (
	benchRequest = "GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n"
	benchBody    = "Hello, world!\n"
)

// benchServers are the server and its twin, by childSpec.NetHTTP.
var benchServers = []struct {
	name    string
	netHTTP bool
}{{"penstock", false}, {"nethttp", true}}

// BenchmarkSlowHandlers: 64 connections, one core. Without slow handlers; every
// 100th sleeps 50 ms; every 100th computes 5 ms.
func BenchmarkSlowHandlers(b *testing.B) {
	for _, kind := range []struct {
		name    string
		spec    childSpec
		ceiling float64 // requests a second if all else took no time
	}{
		{"none", childSpec{}, 0},
		{"sleep50ms", childSpec{Sleep: sleepsFor}, benchConns * slowEvery / sleepsFor.Seconds()},
		{"compute5ms", childSpec{Compute: worksFor}, slowEvery / worksFor.Seconds()},
	} {
		for _, server := range benchServers {
			b.Run(kind.name+"/"+server.name, func(b *testing.B) {
				spec := kind.spec
				spec.NetHTTP = server.netHTTP
				f := figures{}
				for b.Loop() {
					benchLoad(b, f, spec, childSpec{Conns: benchConns})
				}
				if kind.ceiling > 0 {
					f.add("%ceiling", 100*f.median("req/s")/kind.ceiling)
				}
				f.report(b)
			})
		}
	}
}

// BenchmarkSlowClients: what one good client sees alone, and beside 2,000 that
// send a byte of a head every 200 ms. "x-p50" and "x-p99" are the ratios.
func BenchmarkSlowClients(b *testing.B) {
	for _, server := range benchServers {
		b.Run(server.name, func(b *testing.B) {
			spec := childSpec{NetHTTP: server.netHTTP}
			calm, attacked := figures{}, figures{}
			for b.Loop() {
				benchLoad(b, calm, spec, childSpec{Conns: 1})
				benchLoad(b, attacked, spec, childSpec{Conns: 1, SlowClients: 2000})
			}
			for _, unit := range []string{"p50-us", "p99-us"} {
				attacked.add("calm-"+unit, calm.median(unit))
				attacked.add("x-"+unit[:3], attacked.median(unit)/calm.median(unit))
			}
			attacked.report(b)
		})
	}
}

// BenchmarkHello: server and client in one process. allocs/op are those of both;
// the client makes none on a clear connection.
func BenchmarkHello(b *testing.B) {
	for _, mode := range []string{"clear", "tls"} {
		for _, conns := range []int{1, benchConns} {
			for _, server := range benchServers {
				b.Run(fmt.Sprintf("%s/conns=%d/%s", mode, conns, server.name), func(b *testing.B) {
					benchHello(b, childSpec{NetHTTP: server.netHTTP, TLS: mode == "tls"}, conns)
				})
			}
		}
	}
}

func benchHello(b *testing.B, spec childSpec, conns int) {
	addr, stop, err := spec.serve()
	servetest.Must(b, "serve", err)
	defer stop()
	peers := make(chan *helloPeer, conns)
	for range conns {
		p, err := dialHello(addr, "", spec.TLS)
		servetest.Must(b, "dial", err)
		defer p.conn.Close()
		servetest.Must(b, "first request", p.exchange())
		peers <- p
	}
	b.ReportAllocs()
	if conns == 1 {
		p := <-peers
		for b.Loop() {
			if err := p.exchange(); err != nil {
				b.Fatal(err)
			}
		}
		return
	}
	b.SetParallelism(conns) // more than enough; goroutines without a peer end
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		select {
		case p := <-peers:
			for pb.Next() {
				if err := p.exchange(); err != nil {
					b.Error(err)
					return
				}
			}
		default:
		}
	})
}

// helloPeer is a client that costs little: fixed bytes out, and in until the body's end.
type helloPeer struct {
	conn net.Conn
	buf  [512]byte
}

// dialHello connects from the local address, if one is named. The certificate
// is not looked at: time and memory are measured here, not trust.
func dialHello(addr, local string, secure bool) (*helloPeer, error) {
	d := net.Dialer{Timeout: patience}
	if local != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(local)}
	}
	conn, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	conn.(*net.TCPConn).SetLinger(0) // leaves no port waiting for the next case
	// A lost wake-up shows as an error, not as a wait for the server's idle timer.
	conn.SetDeadline(time.Now().Add(time.Minute))
	if secure {
		conn = tls.Client(conn, benchClientTLS)
	}
	return &helloPeer{conn: conn}, nil
}

var benchClientTLS = &tls.Config{InsecureSkipVerify: true}

func (p *helloPeer) exchange() error {
	if _, err := io.WriteString(p.conn, benchRequest); err != nil {
		return err
	}
	for n := 0; ; {
		k, err := p.conn.Read(p.buf[n:])
		n += k
		switch {
		case bytes.HasSuffix(p.buf[:n], []byte(benchBody)):
			if !bytes.HasPrefix(p.buf[:n], []byte("HTTP/1.1 200 ")) {
				return fmt.Errorf("not a 200: %q", p.buf[:n])
			}
			return nil
		case err != nil:
			return fmt.Errorf("after %q: %w", p.buf[:n], err)
		}
	}
}

// figures are the values of all rounds, by unit.
type figures map[string][]float64

func (f figures) add(unit string, v float64) { f[unit] = append(f[unit], v) }

func (f figures) median(unit string) float64 {
	v := slices.Sorted(slices.Values(f[unit]))
	return v[len(v)/2]
}

func (f figures) report(b *testing.B) {
	b.ReportMetric(0, "ns/op") // a round's length: says nothing
	for unit := range f {
		b.ReportMetric(f.median(unit), unit)
	}
}

// loadResult is what a load child answers after a round.
type loadResult struct {
	Rate          float64
	P50, P98, P99 time.Duration
	Bad           string // a round with a failure is void
}

// benchLoad adds a round of load against a fresh server on a core of its own.
func benchLoad(b *testing.B, f figures, server, load childSpec) {
	serverCPUs, clientCPUs := splitCPUs()
	server.Role, load.Role = "server", "load"
	s := startChild(b, server, serverCPUs, "GOMAXPROCS=1")
	defer s.stop()
	load.Addr = s.ready
	if load.SlowClients > 0 {
		d := startChild(b, childSpec{Role: "drip", Addr: s.ready, SlowClients: load.SlowClients}, clientCPUs)
		defer d.stop()
	}
	l := startChild(b, load, clientCPUs)
	defer l.stop()
	l.ask(300 * time.Millisecond) // warm-up
	cpu, begin := s.cpuTime(), time.Now()
	var r loadResult
	servetest.Must(b, "decode the load's answer", json.Unmarshal([]byte(l.ask(benchRound)), &r))
	cpu, took := s.cpuTime()-cpu, time.Since(begin)
	if r.Bad != "" {
		b.Fatalf("round is void: %s", r.Bad)
	}
	f.add("req/s", r.Rate)
	f.add("p50-us", float64(r.P50.Nanoseconds())/1e3)
	f.add("p98-us", float64(r.P98.Nanoseconds())/1e3)
	f.add("p99-us", float64(r.P99.Nanoseconds())/1e3)
	if cpu > 0 {
		f.add("cpu-us/req", float64(cpu.Microseconds())/(r.Rate*took.Seconds()))
		f.add("%busy", 100*cpu.Seconds()/took.Seconds())
	}
}

// childSpec says what a child process is to be.
type childSpec struct {
	Role string // server, load, h2load, drip

	// A server's.
	NetHTTP bool
	HTTP2   bool // with h2Handler; penstock speaks both always
	TLS     bool
	Sleep   time.Duration // every slowEvery-th handler
	Compute time.Duration

	// The clients'.
	Addr        string
	Conns       int
	SlowClients int
}

// measuredEnv holds the childSpec of TestMeasuredChild.
const measuredEnv = "TEST_MEASURED_CHILD"

// TestMeasuredChild is no test but the child process of this file and of
// memory_test.go. It says that it is ready, then answers the lines of its
// standard input until that ends, as it does when the parent dies.
func TestMeasuredChild(t *testing.T) {
	text := os.Getenv(measuredEnv)
	if text == "" {
		t.Skip("runs as a child of the benchmarks and of the memory tests only")
	}
	var spec childSpec
	servetest.Must(t, "decode the child's role", json.Unmarshal([]byte(text), &spec))
	servetest.Must(t, spec.Role, spec.run(os.Stdin, os.Stdout))
}

func (spec childSpec) run(in io.Reader, out io.Writer) error {
	ready, answer := spec.Addr, func(string) string { return "" }
	switch spec.Role {
	case "server":
		addr, stop, err := spec.serve()
		if err != nil {
			return err
		}
		defer stop()
		ready = addr
		answer = func(string) string { debug.FreeOSMemory(); return "collected" }
	case "load":
		answer = spec.load
	case "h2load":
		answer = spec.loadH2
	case "drip":
		d := servetest.Drip{
			Addr: spec.Addr, Conns: spec.SlowClients, Every: 200 * time.Millisecond,
			Bytes: []byte("GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + strings.Repeat("x", 1000)),
		}
		if err := d.Start(); err != nil {
			return err
		}
		defer d.Stop()
	}
	fmt.Fprintln(out, ready)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		fmt.Fprintln(out, answer(lines.Text()))
	}
	return lines.Err()
}

// load runs one round of the given length.
func (spec childSpec) load(length string) string {
	d, err := time.ParseDuration(length)
	if err != nil {
		return err.Error()
	}
	l := servetest.Load{Addr: spec.Addr, Conns: spec.Conns, Duration: d, Request: []byte(benchRequest)}
	if spec.TLS {
		l.TLS = benchClientTLS
	}
	l.Check = func(status int, body []byte) error {
		if status != http.StatusOK || string(body) != benchBody {
			return fmt.Errorf("wrong answer: %d %q", status, body)
		}
		return nil
	}
	o := l.Run(context.Background())
	r := loadResult{Rate: o.Rate(), P50: o.Percentile(50), P98: o.Percentile(98), P99: o.Percentile(99)}
	if o.Answered == 0 || o.Failed+o.IdleClosed+o.NotConnected+o.WrongAnswers > 0 {
		r.Bad = o.String()
	}
	text, _ := json.Marshal(r)
	return string(text)
}

// serve starts the server; stop ends it and waits.
func (spec childSpec) serve() (addr string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	done := make(chan struct{})
	var close func() error
	var run func() error
	if spec.NetHTTP {
		srv := &http.Server{Handler: spec.handler(), TLSConfig: serverTLS()}
		srv.Protocols = new(http.Protocols)
		srv.Protocols.SetHTTP1(true)
		if spec.HTTP2 {
			srv.Protocols.SetHTTP2(true)
			srv.Protocols.SetUnencryptedHTTP2(true)
			srv.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 100} // as ours
		} else {
			srv.TLSConfig.NextProtos = []string{"http/1.1"}
		}
		close, run = srv.Close, func() error { return srv.Serve(l) }
		if spec.TLS {
			run = func() error { return srv.ServeTLS(l, "", "") }
		}
	} else {
		srv := &serve.Server{Handler: spec.handler(), TLSConfig: serverTLS()}
		srv.Options.ErrorLog = quiet()
		srv.Options.MaxConnections = -1 // the default may be less than the test holds
		close, run = srv.Close, func() error { return srv.Serve(l) }
		if spec.TLS {
			run = func() error { return srv.ServeTLS(l, "", "") }
		}
	}
	go func() {
		defer func() { done <- struct{}{} }()
		run()
	}()
	return l.Addr().String(), func() { close(); <-done }, nil
}

func (spec childSpec) handler() http.Handler {
	if spec.HTTP2 {
		return h2Handler(spec.Sleep)
	}
	var served atomic.Int64
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if spec.Sleep+spec.Compute > 0 && served.Add(1)%slowEvery == 0 {
			time.Sleep(spec.Sleep)
			for start := time.Now(); time.Since(start) < spec.Compute; {
			}
		}
		h := w.Header()
		h["Content-Type"] = benchType
		h["Content-Length"] = benchLength
		io.WriteString(w, benchBody)
	})
}

var (
	benchType   = []string{"text/plain; charset=utf-8"}
	benchLength = []string{strconv.Itoa(len(benchBody))}
)

// child is a running child process.
type child struct {
	tb    testing.TB
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	errs  bytes.Buffer
	ready string // its first line
}

// startChild starts this test binary as spec says, on cpus if they are named.
func startChild(tb testing.TB, spec childSpec, cpus string, env ...string) *child {
	tb.Helper()
	exe, err := os.Executable()
	servetest.Must(tb, "find the test binary", err)
	args := []string{exe, "-test.run=^TestMeasuredChild$"}
	if taskset, err := exec.LookPath("taskset"); err == nil && cpus != "" {
		args = append([]string{taskset, "-c", cpus}, args...) // becomes the child: same pid
	}
	text, err := json.Marshal(spec)
	servetest.Must(tb, "encode the child's role", err)
	c := &child{tb: tb, cmd: exec.Command(args[0], args[1:]...)}
	c.cmd.Env = append(append(os.Environ(), env...), measuredEnv+"="+string(text))
	c.cmd.Stderr = &c.errs
	c.in, err = c.cmd.StdinPipe()
	servetest.Must(tb, "pipe", err)
	out, err := c.cmd.StdoutPipe()
	servetest.Must(tb, "pipe", err)
	c.out = bufio.NewReader(out)
	servetest.Must(tb, "start the child", c.cmd.Start())
	c.ready = c.line(patience)
	return c
}

// ask has the child do what its role does for a line, and returns the answer.
func (c *child) ask(length time.Duration) string {
	c.tb.Helper()
	return c.tell(length.String(), length)
}

// tell is ask for a line that says more; the child works for that long.
func (c *child) tell(line string, length time.Duration) string {
	c.tb.Helper()
	if _, err := fmt.Fprintln(c.in, line); err != nil {
		c.tb.Errorf("ask the child: %v", err)
	}
	return c.line(length + patience)
}

// line reads a line of the child. A child that says nothing is killed.
func (c *child) line(limit time.Duration) string {
	c.tb.Helper()
	kill := time.AfterFunc(limit, func() { c.cmd.Process.Kill() })
	defer kill.Stop()
	s, err := c.out.ReadString('\n')
	if err != nil {
		c.cmd.Process.Kill()
		c.cmd.Wait()
		c.tb.Fatalf("the child ended or hung (%v): %s\n%s", c.cmd.ProcessState, s, &c.errs)
	}
	return strings.TrimSpace(s)
}

// stop ends the child and checks that it ended well.
func (c *child) stop() {
	if c.cmd.ProcessState != nil {
		return
	}
	c.in.Close()
	kill := time.AfterFunc(patience, func() { c.cmd.Process.Kill() })
	defer kill.Stop()
	rest, _ := io.ReadAll(c.out)
	if err := c.cmd.Wait(); err != nil {
		c.tb.Errorf("the child ended with %v:\n%s%s", err, rest, &c.errs)
	}
}

// cpuTime is what the child's process has used (proc(5): in 10 ms); zero
// where there is no /proc.
func (c *child) cpuTime() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(text, []byte(") ")) // field 3 begins here
	fields := strings.Fields(string(rest))
	user, _ := strconv.Atoi(fields[14-3])
	system, _ := strconv.Atoi(fields[15-3])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// splitCPUs gives the last CPU of this process to the server and the others to
// the clients; empty where that cannot be known or there is one only.
func splitCPUs() (server, clients string) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "", ""
	}
	_, rest, _ := strings.Cut(string(text), "Cpus_allowed_list:")
	list, _, _ := strings.Cut(rest, "\n")
	var cpus []string
	for part := range strings.SplitSeq(strings.TrimSpace(list), ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, _ := strconv.Atoi(first)
		to, _ := strconv.Atoi(last)
		for cpu := from; cpu <= to; cpu++ {
			cpus = append(cpus, strconv.Itoa(cpu))
		}
	}
	if len(cpus) < 2 {
		return "", ""
	}
	return cpus[len(cpus)-1], strings.Join(cpus[:len(cpus)-1], ",")
}
