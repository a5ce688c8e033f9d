package serve_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// HTTP/2 end to end: processes and cores as in bench_test.go, penstock beside
// net/http's server with the same handler, 16 connections, in the clear (prior
// knowledge) and over TLS. One iteration is a round with fresh processes:
//
//	go test -run='^$' -bench=HelloH2 -benchtime=5x ./serve
//	go test -run='^$' -bench=SlowHandlersH2 -benchtime=5x ./serve
//	go test -run='^$' -bench=BulkBesideSmall -benchtime=5x ./serve
//
// Given are the medians of the rounds. "cpu-us/req" is the server's own time,
// "%busy" its share of its core, "client-%busy" the clients' of theirs: a rate
// at which the latter is near 100 and the former is not is the clients' rate.

const (
	h2Conns = 16
	// clientBusy is when the client is taken for the limit of an open loop.
	clientBusy = 90
)

var h2Modes = []struct {
	name string
	tls  bool
}{{"h2c", false}, {"h2", true}}

// BenchmarkHelloH2: closed loop, m streams on each connection.
func BenchmarkHelloH2(b *testing.B) {
	for _, mode := range h2Modes {
		for _, streams := range []int{1, 32, 100} {
			for _, server := range benchServers {
				b.Run(fmt.Sprintf("%s/m=%d/%s", mode.name, streams, server.name), func(b *testing.B) {
					f := figures{}
					for b.Loop() {
						p := startH2(b, server.netHTTP, mode.tls)
						got := p.load(h2Load{Conns: h2Conns, Streams: streams, Duration: benchRound})
						p.stop()
						f.add("req/s", got.Rate)
						f.add("p50-us", micros(got.Fast.P50))
						f.add("p99-us", micros(got.Fast.P99))
						got.addCosts(f, "")
					}
					f.report(b)
				})
			}
		}
	}
}

// BenchmarkSlowHandlersH2: does it hurt the others when one request of a
// hundred sleeps 50 ms? In each round first the server's own greatest rate is
// found, by a closed loop of 32 streams a connection, without sleepers
// ("max-") and with them ("slow-"). Then it is given half of that greatest rate
// by the schedule, without sleepers ("calm-") and with them; latencies count from
// the schedule and are those of the requests that do not sleep. "x-p99" is
// the ratio of the two.
//
// If the client cannot keep that rate, it is lowered until it can: "rate-%max"
// is what was given, and "late-p99-us" how late the client's own bursts were.
func BenchmarkSlowHandlersH2(b *testing.B) {
	for _, mode := range h2Modes {
		for _, server := range benchServers {
			b.Run(mode.name+"/"+server.name, func(b *testing.B) {
				f := figures{}
				for b.Loop() {
					slowRoundH2(b, f, server.netHTTP, mode.tls)
				}
				f.report(b)
			})
		}
	}
}

func slowRoundH2(b *testing.B, f figures, netHTTP, secure bool) {
	p := startH2(b, netHTTP, secure)
	defer p.stop()
	closed := h2Load{Conns: h2Conns, Streams: 32, Duration: benchRound}
	greatest := p.load(closed)
	f.add("max-req/s", greatest.Rate)
	if greatest.busy < clientBusy {
		b.Logf("at its greatest rate the server is %.0f %% busy, the client %.0f %%: the client is the limit, or the cores are shared with others",
			greatest.busy, greatest.clientBusy)
	}
	greatest.addCosts(f, "max-")
	closed.SlowEvery = slowEvery
	slow := p.load(closed)
	f.add("slow-req/s", slow.Rate)
	slow.addCosts(f, "slow-")

	open := h2Load{Conns: h2Conns, Rate: greatest.Rate / 2, Duration: benchRound}
	calm := p.load(open)
	for calm.clientBusy > clientBusy && open.Rate > greatest.Rate/10 {
		b.Logf("the client is %.0f %% busy at %.0f requests a second: it gets three quarters of that", calm.clientBusy, open.Rate)
		open.Rate *= 0.75
		calm = p.load(open)
	}
	open.SlowEvery = slowEvery
	beside := p.load(open)
	f.add("open-req/s", open.Rate)
	f.add("rate-%max", 100*open.Rate/greatest.Rate)
	for _, of := range []struct {
		prefix string
		h2Class
	}{{"calm-", calm.Fast}, {"", beside.Fast}} {
		f.add(of.prefix+"p50-us", micros(of.P50))
		f.add(of.prefix+"p99-us", micros(of.P99))
		f.add(of.prefix+"p99.9-us", micros(of.P999))
	}
	f.add("x-p99", float64(beside.Fast.P99)/float64(calm.Fast.P99))
	f.add("sleepers-p99-us", micros(beside.Slow.P99))
	f.add("calm-late-p99-us", micros(calm.Late))
	f.add("late-p99-us", micros(beside.Late))
	beside.addCosts(f, "")
}

// BenchmarkBulkBesideSmall: what a download without end does to small requests
// on the same connection, 1,000 a second by the schedule. "alone-" is the
// connection without the download.
func BenchmarkBulkBesideSmall(b *testing.B) {
	for _, mode := range h2Modes {
		for _, server := range benchServers {
			b.Run(mode.name+"/"+server.name, func(b *testing.B) {
				f := figures{}
				for b.Loop() {
					p := startH2(b, server.netHTTP, mode.tls)
					small := h2Load{Conns: 1, Rate: 1000, Duration: benchRound}
					alone := p.load(small)
					small.Bulk = true
					beside := p.load(small)
					p.stop()
					if beside.BulkBytes == 0 {
						b.Fatal("nothing came of the download")
					}
					f.add("alone-p50-us", micros(alone.Fast.P50))
					f.add("alone-p99-us", micros(alone.Fast.P99))
					f.add("p50-us", micros(beside.Fast.P50))
					f.add("p99-us", micros(beside.Fast.P99))
					f.add("x-p50", float64(beside.Fast.P50)/float64(alone.Fast.P50))
					f.add("x-p99", float64(beside.Fast.P99)/float64(alone.Fast.P99))
					f.add("MB/s", beside.BulkBytes/1e6)
					f.add("%busy", beside.busy)
					f.add("client-%busy", beside.clientBusy)
				}
				f.report(b)
			})
		}
	}
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// bulkByte is what the download consists of.
const bulkByte = 'b'

var bulkChunk = strings.Repeat(string(bulkByte), 64<<10)

// h2Handler answers the paths of the load.
func h2Handler(sleep time.Duration) http.Handler {
	chunk := []byte(bulkChunk)
	return keepsNothing(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case pathSlow:
			time.Sleep(sleep)
		case pathBulk:
			for {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}
		h := w.Header()
		h["Content-Type"] = benchType
		h["Content-Length"] = benchLength
		io.WriteString(w, benchBody)
	})
}

// keepsNothing is a handler that lets its requests be recycled, so that the
// collector's turns on the one core are not what is measured. net/http ignores it.
type keepsNothing func(w http.ResponseWriter, r *http.Request)

func (f keepsNothing) ServeHTTP(w http.ResponseWriter, r *http.Request) { f(w, r) }

// RecycleRequests: see serve.ServerOptions.
func (f keepsNothing) RecycleRequests() bool { return true }

// h2Pair is a server and its clients, each on cores of their own.
type h2Pair struct {
	b              *testing.B
	tls            bool
	server, client *child
}

func startH2(b *testing.B, netHTTP, secure bool) h2Pair {
	b.Helper()
	serverCPUs, clientCPUs := splitCPUs()
	p := h2Pair{b: b, tls: secure}
	p.server = startChild(b, childSpec{Role: "server", HTTP2: true, NetHTTP: netHTTP, TLS: secure, Sleep: sleepsFor}, serverCPUs, "GOMAXPROCS=1")
	p.client = startChild(b, childSpec{Role: "h2load", Addr: p.server.ready}, clientCPUs)
	p.load(h2Load{Conns: h2Conns, Streams: 8, Duration: 300 * time.Millisecond}) // warm-up
	return p
}

func (p h2Pair) stop() {
	p.client.stop()
	p.server.stop()
}

// h2Measured is a load's result and what it cost.
type h2Measured struct {
	h2Result
	cpu              time.Duration // the server's
	busy, clientBusy float64       // per cent of a core
}

func (p h2Pair) load(l h2Load) (m h2Measured) {
	p.b.Helper()
	l.Addr, l.TLS = p.server.ready, p.tls
	line, err := json.Marshal(l)
	servetest.Must(p.b, "encode the load", err)
	cpu, clientCPU, begin := p.server.cpuTime(), p.client.cpuTime(), time.Now()
	servetest.Must(p.b, "decode the load's answer", json.Unmarshal([]byte(p.client.tell(string(line), l.Duration)), &m.h2Result))
	took := time.Since(begin)
	m.cpu = p.server.cpuTime() - cpu
	m.busy = 100 * m.cpu.Seconds() / took.Seconds()
	m.clientBusy = 100 * (p.client.cpuTime() - clientCPU).Seconds() / took.Seconds()
	switch {
	case m.Bad != "":
		p.b.Fatalf("round is void: %s", m.Bad)
	case m.Answered == 0, (m.Slow.Answered > 0) != (l.SlowEvery > 0):
		p.b.Fatalf("round is void: %d answers, %d of them slow", m.Answered, m.Slow.Answered)
	case l.SlowEvery > 0 && m.Slow.P50 < sleepsFor:
		p.b.Fatalf("round is void: slow answers took %v, they sleep %v", m.Slow.P50, sleepsFor)
	}
	return m
}

// addCosts adds what a request cost the server, and how busy both sides were.
func (m h2Measured) addCosts(f figures, prefix string) {
	if m.cpu > 0 {
		f.add(prefix+"cpu-us/req", micros(m.cpu)/float64(m.Answered))
		f.add(prefix+"%busy", m.busy)
		f.add(prefix+"client-%busy", m.clientBusy)
	}
}
