//go:build unix

package app

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// asking runs clients that ask url until stop, each over a connection of its own,
// and counts answers by status; an error counts as 0.
type asking struct {
	mu   sync.Mutex
	seen map[int]int
	last error

	wg    sync.WaitGroup
	ended chan struct{}
}

func askAlways(t *testing.T, url string, clients int) *asking {
	t.Helper()
	a := &asking{seen: make(map[int]int), ended: make(chan struct{})}
	for range clients {
		client := newClient(t)
		a.wg.Go(func() {
			for {
				select {
				case <-a.ended:
					return
				default:
				}
				a.count(client.Get(url))
			}
		})
	}
	return a
}

func (a *asking) count(resp *http.Response, err error) {
	status := 0
	if err == nil {
		if _, err = io.Copy(io.Discard, resp.Body); err == nil {
			status = resp.StatusCode
		}
		_ = resp.Body.Close()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen[status]++
	if err != nil {
		a.last = err
	}
}

// stop ends the clients and wants answers of that status alone.
func (a *asking) stop(t *testing.T, want int) {
	t.Helper()
	close(a.ended)
	a.wg.Wait()
	if len(a.seen) != 1 || a.seen[want] == 0 {
		t.Errorf("answers by status %v (0: %v), want %d alone", a.seen, a.last, want)
	}
}

// O-1: a storm of HUP, with good and bad files, loses no request, and the last
// good configuration counts.
func TestHangupStorm(t *testing.T) {
	file := filepath.Join(t.TempDir(), "penstock.yaml")
	write := func(name string) {
		servetest.Must(t, "write", replaceFile(file, fmt.Appendf(nil,
			"version: 1\nlisteners: {web: {address: \"127.0.0.1:0\"}}\nhosts: [{names: [\"127.0.0.1\"], routes: [{id: a, match: {prefix: /}, respond: {body: %s}}]}]\n", name)))
	}
	write("first")
	p := start(t, nil, "serve", "-c", file, "--admin", "off")
	body := func() string { _, b := ask(t, newClient(t), http.MethodGet, p.urls[0]); return b }
	servetest.Want(t, "at the begin", body(), "first")
	clients := askAlways(t, p.urls[0], 4)
	for n := range 1000 {
		switch n {
		case 300:
			servetest.Must(t, "half a file", replaceFile(file, []byte("version: 1\nhosts: [{")))
		case 600:
			write("second")
		}
		p.signal(syscall.SIGHUP)
	}
	servetest.WantSoon(t, "the last file counts", func() bool { return body() == "second" })
	servetest.Must(t, "a wrong file", replaceFile(file, []byte("version: 1\nnonsense: 1\n")))
	p.signal(syscall.SIGHUP)
	servetest.WantSoon(t, "it is refused by name", func() bool { return strings.Contains(p.stderr.String(), "nonsense") })
	servetest.Want(t, "the last good one counts", body(), "second")
	clients.stop(t, http.StatusOK)
	for range 100 { // TERM comes while files are read
		p.signal(syscall.SIGHUP)
	}
	wantExit(t, p, ExitClean)
}

// O-7: a process that gets no time for a while answers all the same when it goes
// on, and nothing has run out for clients who have kept to theirs.
func TestThrottled(t *testing.T) {
	for _, loop := range []string{"on", "off"} {
		t.Run("event loop "+loop, func(t *testing.T) {
			p := start(
				t, nil, "respond", "--listen", anyPort, "--tls-listen", anyPort, "--event-loop", loop, "--read-header-timeout", "700ms",
				"--body-idle-timeout", "700ms", "--idle-timeout", "700ms", "--write-idle-timeout", "700ms", "--tls-handshake-timeout", "700ms",
			)
			clients := askAlways(t, p.urls[1], 8)
			// The portable form waits by package net, whose deadlines go before what has come.
			for _, secure := range []bool{true, false} {
				for tries := 10; loop == "on" && !testThrottledHead(t, p, secure); tries-- {
					if tries == 0 {
						t.Fatal("this machine is too busy to send two halves of a head within the limit of one")
					}
				}
			}
			for range 5 { // as a quota does, in short
				p.signal(syscall.SIGSTOP)
				time.Sleep(80 * time.Millisecond)
				p.signal(syscall.SIGCONT)
				time.Sleep(20 * time.Millisecond)
			}
			clients.stop(t, http.StatusOK)
			wantExit(t, p, ExitClean)
		})
	}
}

// testThrottledHead stops p between the halves of a head, for longer than a head
// may take; the second half has come in time. False: it has not, for the test itself
// was kept waiting.
func testThrottledHead(t *testing.T, p *process, secure bool) bool {
	t.Helper()
	url := p.urls[1]
	if secure {
		url = p.urls[0]
	}
	_, address, _ := strings.Cut(url, "://")
	conn, err := net.Dial("tcp", address)
	servetest.Must(t, "dial", err)
	defer conn.Close()
	servetest.Must(t, "patience", conn.SetDeadline(time.Now().Add(patience)))
	if secure {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	in := bufio.NewReader(conn)
	send := func(text string) {
		_, err := io.WriteString(conn, text)
		servetest.Must(t, "send", err)
	}
	answered := func(why string) {
		resp, err := http.ReadResponse(in, nil)
		servetest.Must(t, why, err)
		_, err = io.Copy(io.Discard, resp.Body)
		servetest.Must(t, why+": the content", err)
		servetest.Want(t, why, resp.StatusCode, http.StatusOK)
	}
	begin := time.Now()
	send("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	answered("the first")
	send("GET / HTTP/1.1\r\n")
	p.signal(syscall.SIGSTOP)
	send("Host: h\r\n\r\n")
	inTime := time.Since(begin) < 500*time.Millisecond // before any of its limits, with what it takes to write
	if inTime {
		time.Sleep(time.Second) // longer than any of them
	}
	p.signal(syscall.SIGCONT)
	if inTime {
		answered("the one it slept through")
	}
	return inTime
}
