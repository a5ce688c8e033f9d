//go:build unix

package handler_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// The processes that TestChainCost measures.

// costCases are the servers; the first is what the others are compared with.
var costCases = []struct {
	name     string
	promises bool
	around   func(t *testing.T, h http.Handler) http.Handler // nil: nothing
}{
	{"bare", true, nil},
	{"bare,kept", false, nil},
	{"mux", true, costMux},
	{"zero", true, func(t *testing.T, h http.Handler) http.Handler { return costChain(t, h, handler.DefaultOptions{}) }},
	{"chain", true, func(t *testing.T, h http.Handler) http.Handler { return costChain(t, h, handler.UpstreamsOptions(t)) }},
	{"chain,kept", false, func(t *testing.T, h http.Handler) http.Handler { return costChain(t, h, handler.UpstreamsOptions(t)) }},
	{"all", true, func(t *testing.T, h http.Handler) http.Handler {
		o := handler.AllOptions(t)
		o.GoawayChance = 1e-12 // the stage is there, but handshakes are not what is measured
		return costChain(t, h, o)
	}},
}

const (
	costPath = "/assets/app/main.css"
	costBody = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

var costType, costLength = []string{"text/plain; charset=utf-8"}, []string{strconv.Itoa(len(costBody))}

// costHandler writes 64 bytes, as BenchmarkDefaultChain's does.
func costHandler(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h["Content-Type"], h["Content-Length"] = costType, costLength
	_, _ = io.WriteString(w, costBody)
}

// costMux is two servers' routes, as those of a chain of servers.
func costMux(t *testing.T, h http.Handler) http.Handler {
	inner := handler.NewPathRecorderMux("inner", nil)
	servetest.Must(t, "a prefix", inner.HandlePrefix("/assets/", h))
	outer := handler.NewPathRecorderMux("outer", inner)
	servetest.Must(t, "a path", outer.Handle("/version", handler.NotFound{}))
	return outer
}

func costChain(t *testing.T, h http.Handler, o handler.DefaultOptions) http.Handler {
	c, err := handler.NewDefaultChain(costMux(t, h), o)
	servetest.Must(t, "chain", err)
	return c
}

func playCostRole(t *testing.T, args []string) {
	end := time.AfterFunc(until, func() { os.Exit(1) })
	defer end.Stop()
	number := func(i int) int {
		n, err := strconv.Atoi(args[i])
		servetest.Must(t, "number", err)
		return n
	}
	if args[0] == "client" {
		servetest.Must(t, "load", costLoad(args[1], number(2), number(3), number(4), int64(number(5))))
		return
	}
	for _, c := range costCases {
		if c.name != args[0] {
			continue
		}
		var h http.Handler = http.HandlerFunc(costHandler)
		if c.promises {
			h = promising{costHandler}
		}
		if c.around != nil {
			h = c.around(t, h)
		}
		serveCost(t, h, number(1))
		return
	}
	t.Fatalf("no case %q", args[0])
}

// serveCost serves until its input ends, and answers each line of it with what it has
// used so far: microseconds of CPU, and allocations.
func serveCost(t *testing.T, h http.Handler, major int) {
	cert, _ := testCertificate()
	s := &serve.Server{Handler: h, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}}}
	l, err := listener.Listen(t.Context(), listener.Config{Network: "tcp", Address: "127.0.0.1:0"})
	servetest.Must(t, "listen", err)
	ended := make(chan error, 1)
	go func() {
		if major == 1 {
			ended <- s.Serve(l)
			return
		}
		ended <- s.ServeTLS(l, "", "")
	}()
	fmt.Println(l.Addr())
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		cpu, err := cpuUsed()
		servetest.Must(t, "getrusage", err)
		fmt.Println(cpu.Microseconds(), m.Mallocs)
	}
	servetest.Must(t, "close", s.Close())
	servetest.WantErr(t, "serve", <-ended, http.ErrServerClosed)
}

// costLoad asks requests times over conns connections with streams at a time on each.
func costLoad(addr string, major, conns, streams int, requests int64) error {
	var left atomic.Int64
	left.Store(requests)
	var group sync.WaitGroup
	failed := make(chan error, conns*streams)
	for range conns {
		ask, stop, err := costClient(addr, major)
		if err != nil {
			return err
		}
		defer stop()
		for range streams {
			group.Go(func() {
				for left.Add(-1) >= 0 {
					if err := ask(); err != nil {
						failed <- err
						return
					}
				}
			})
		}
	}
	group.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// costClient is one connection.
func costClient(addr string, major int) (ask func() error, stop func(), err error) {
	if major == 1 {
		return costClientH1(addr)
	}
	_, pool := testCertificate() // of another process: it is not verified
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	tr := &http.Transport{Protocols: protocols, TLSClientConfig: &tls.Config{RootCAs: pool, InsecureSkipVerify: true}}
	client := &http.Client{Transport: tr}
	ask = func() error {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://"+addr+costPath, http.NoBody)
		if err != nil {
			return err
		}
		resp, err := client.Do(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		return checkCost(resp)
	}
	// Of requests that come together each would dial a connection of its own.
	return ask, tr.CloseIdleConnections, ask()
}

func costClientH1(addr string) (ask func() error, stop func(), err error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	request := []byte("GET " + costPath + " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: cost\r\n\r\n")
	r := bufio.NewReader(conn)
	return func() error {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return err
		}
		return checkCost(resp)
	}, func() { conn.Close() }, nil
}

func checkCost(resp *http.Response) error {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK || strings.Compare(string(body), costBody) != 0 {
		return errors.New("a wrong answer: " + resp.Status)
	}
	return nil
}
