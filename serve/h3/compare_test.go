package h3_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/penstock-edge/penstock/serve/certs"
	"github.com/penstock-edge/penstock/serve/h3"
)

// The comparison of BENCHMARKS.md: this engine beside quic-go's http3.Server,
// the same handler, certificate and QUIC settings but for those that the engines
// set themselves. Each server is a process of its own on core 0 with GOMAXPROCS=1,
// the client one on core 1; the rounds of both alternate. What counts is the
// server's CPU time a request, by the kernel's account (schedstat).
//
//	go test ./serve/h3 -run '^TestCompare$' -compare -v
var (
	compare       = flag.Bool("compare", false, "run TestCompare, which takes a minute on two idle cores")
	compareRounds = flag.Int("compare-rounds", 5, "rounds of TestCompare")
)

// role is set in the processes that TestCompare starts: own, stock or client.
const roleVariable = "PENSTOCK_COMPARE"

func TestCompare(t *testing.T) {
	if role := os.Getenv(roleVariable); role != "" {
		playRole(role)
		return
	}
	if !*compare {
		t.Skip("a measurement, not a test: run it with -compare")
	}
	if _, err := exec.LookPath("taskset"); err != nil {
		t.Skip("taskset is not installed (util-linux)")
	}
	for _, work := range []struct {
		name                            string
		conns, streams, requests, bytes int
	}{
		{"13 bytes, m=1", 16, 1, 40_000, 13},
		{"13 bytes, m=16", 16, 16, 100_000, 13},
		{"100 KB, m=4", 16, 4, 8_000, 100_000},
	} {
		for round := range *compareRounds {
			var cost [2]float64
			for i, role := range []string{"own", "stock"} {
				cost[i] = measure(t, role, work.conns, work.streams, work.requests, work.bytes)
			}
			t.Logf("%-15s round %d: own %6.2f us, http3.Server %6.2f us, ratio %.2f", work.name, round, cost[0], cost[1], cost[1]/cost[0])
		}
	}
}

// measure is the server's CPU time a request, in microseconds.
func measure(t *testing.T, role string, conns, streams, requests, size int) float64 {
	t.Helper()
	server := child(role, "0", strconv.Itoa(size))
	server.Env = append(server.Env, "GOMAXPROCS=1")
	out, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer server.Wait()
	defer server.Process.Kill()
	addr := make([]byte, 64)
	n, err := out.Read(addr)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(requests int) {
		client := child("client", "1", strings.TrimSpace(string(addr[:n])), strconv.Itoa(conns), strconv.Itoa(streams), strconv.Itoa(requests))
		if said, err := client.CombinedOutput(); err != nil {
			t.Fatalf("client: %v\n%s", err, said)
		}
	}
	ask(requests / 10) // warm
	before := cpuTime(t, server.Process.Pid)
	ask(requests)
	return float64(cpuTime(t, server.Process.Pid)-before) / float64(requests) / 1000
}

// child is this test binary in a role, on a core.
func child(role, core string, args ...string) *exec.Cmd {
	cmd := exec.Command("taskset", "-c", core, os.Args[0], "-test.run=^TestCompare$")
	cmd.Env = append(os.Environ(), roleVariable+"="+role+" "+strings.Join(args, " "))
	return cmd
}

// cpuTime is what all threads of a process have run, in nanoseconds.
func cpuTime(t *testing.T, pid int) (sum int64) {
	t.Helper()
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if len(files) == 0 {
		t.Skip("no schedstat on this system")
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // the thread has gone
		}
		word, _, _ := strings.Cut(string(b), " ")
		n, _ := strconv.ParseInt(word, 10, 64)
		sum += n
	}
	return sum
}

func playRole(role string) {
	args := strings.Fields(role)
	number := func(i int) int { n, _ := strconv.Atoi(args[i]); return n }
	if args[0] == "client" {
		if err := load(args[1], number(2), number(3), number(4)); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if err := serveRole(args[0], number(1)); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func serveRole(role string, size int) error {
	pair, err := certs.SelfSigned([]string{"localhost"})
	if err != nil {
		return err
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	tlsConf := &tls.Config{Certificates: []tls.Certificate{pair}}
	body := bytes.Repeat([]byte("x"), size)
	contentType, length := []string{"text/plain"}, []string{strconv.Itoa(size)}
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"], w.Header()["Content-Length"] = contentType, length
		w.Write(body)
	})
	fmt.Println(socket.LocalAddr())
	if role == "stock" {
		return (&http3.Server{TLSConfig: tlsConf, Handler: handler}).Serve(socket)
	}
	s, err := h3.Listen([]net.PacketConn{socket}, tlsConf, h3.Complete(h3.Config{Handler: handler, Recycle: true}))
	if err != nil {
		return err
	}
	<-s.Drained()
	return nil
}

// load asks requests times over conns connections with streams at a time on each.
func load(addr string, conns, streams, requests int) error {
	var left, failed atomic.Int64
	left.Store(int64(requests))
	var group sync.WaitGroup
	for range conns {
		q, err := quic.DialAddr(context.Background(), addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h3"}}, &quic.Config{})
		if err != nil {
			return err
		}
		defer q.CloseWithError(0x100, "")
		control, err := q.OpenUniStream()
		if err != nil {
			return err
		}
		control.Write([]byte{0, 4, 0}) // an empty SETTINGS
		go discardUni(q)
		for range streams {
			group.Go(func() {
				buf := make([]byte, 32<<10)
				for left.Add(-1) >= 0 {
					if ask(q, buf) != nil {
						failed.Add(1)
					}
				}
			})
		}
	}
	group.Wait()
	if n := failed.Load(); n > 0 {
		return fmt.Errorf("%d requests failed", n)
	}
	return nil
}

func discardUni(q *quic.Conn) {
	for {
		str, err := q.AcceptUniStream(context.Background())
		if err != nil {
			return
		}
		go io.Copy(io.Discard, str)
	}
}

// request is a HEADERS frame that asks for /.
var request = sync.OnceValues(func() ([]byte, error) {
	var block bytes.Buffer
	e := qpack.NewEncoder(&block)
	for _, f := range []qpack.HeaderField{
		{Name: ":method", Value: "GET"},
		{Name: ":scheme", Value: "https"},
		{Name: ":authority", Value: "localhost"},
		{Name: ":path", Value: "/"},
		{Name: "user-agent", Value: "compare"},
	} {
		if err := e.WriteField(f); err != nil {
			return nil, err
		}
	}
	return append([]byte{1, byte(block.Len())}, block.Bytes()...), nil
})

// ask makes one request and reads its answer to the end.
func ask(q *quic.Conn, buf []byte) error {
	head, err := request()
	if err != nil {
		return err
	}
	str, err := q.OpenStreamSync(context.Background())
	if err != nil {
		return err
	}
	if err := str.TryWriteAll(head); err != nil {
		return err
	}
	str.Close()
	for {
		if _, err := str.Read(buf); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}
