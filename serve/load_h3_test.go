package serve_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// loadH3 is quic-go's clients at work. Each request has a path of its own, so
// that each one's fate is known on both sides.
type loadH3 struct {
	addr    string
	sockets *quic.Transport
	stop    context.Context // nobody asks, or connects, any more
	cancel  context.CancelFunc
	group   sync.WaitGroup

	mu     sync.Mutex
	served map[string]bool // a handler ran
	whole  map[string]bool // the whole answer came
	turned map[string]int  // those that no handler has seen, by their errors
	bad    []string
}

func newLoadH3(t *testing.T) *loadH3 {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	servetest.Must(t, "the clients' socket", err)
	l := &loadH3{
		sockets: &quic.Transport{Conn: c},
		served:  make(map[string]bool), whole: make(map[string]bool), turned: make(map[string]int),
	}
	l.stop, l.cancel = context.WithCancel(context.Background())
	t.Cleanup(func() {
		l.end()
		l.sockets.Close()
		c.Close()
	})
	return l
}

// handle answers with the path and the body.
func (l *loadH3) handle(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	l.served[r.URL.Path] = true
	n := len(l.served)
	l.mu.Unlock()
	if n%7 == 0 {
		time.Sleep(2 * time.Millisecond)
	}
	body, _ := io.ReadAll(r.Body)
	io.WriteString(w, r.URL.Path+" ")
	w.Write(body)
}

func (l *loadH3) answered() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.whole)
}

// errDial marks a connection that was not made.
var errDial = errors.New("no connection")

func (l *loadH3) dial(ctx context.Context, addr string, tlsCfg *tls.Config, cfg *quic.Config) (*quic.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(l.stop, cancel)()
	to, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return nil, err
	}
	c, err := l.sockets.Dial(ctx, to, tlsCfg, cfg)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDial, err)
	}
	return c, nil
}

func (l *loadH3) client() (*http.Client, *http3.Transport) {
	t := &http3.Transport{TLSClientConfig: clientTLS(), Dial: l.dial}
	return &http.Client{Transport: t, Timeout: patience}, t
}

// start lets clients work: shared ones with many requests at one time, and
// fresh ones, which connect for each.
func (l *loadH3) start(shared, each, fresh int) {
	for i := range shared {
		c, t := l.client()
		var users sync.WaitGroup
		for j := range each {
			users.Go(func() {
				for n := 0; l.stop.Err() == nil; n++ {
					l.ask(c, fmt.Sprintf("/shared/%d/%d/%d", i, j, n), n)
				}
			})
		}
		l.group.Go(func() {
			users.Wait()
			t.Close()
		})
	}
	for i := range fresh {
		l.group.Go(func() {
			for n := 0; l.stop.Err() == nil; n++ {
				c, t := l.client()
				l.ask(c, fmt.Sprintf("/fresh/%d/%d", i, n), n)
				t.Close()
			}
		})
	}
}

// end lets what is under way finish.
func (l *loadH3) end() {
	l.cancel()
	l.group.Wait()
}

// ask asks once; every third request has a body.
func (l *loadH3) ask(c *http.Client, path string, n int) {
	text := ""
	var resp *http.Response
	var err error
	if n%3 == 0 {
		text = strings.Repeat("x", n%100)
		resp, err = c.Post("https://"+l.addr+path, "text/plain", strings.NewReader(text))
	} else {
		resp, err = c.Get("https://" + l.addr + path)
	}
	var body []byte
	if err == nil {
		body, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	l.note(path, text, body, err)
	if errors.Is(err, errDial) {
		time.Sleep(time.Millisecond) // rather than spin
	}
}

// note notes how a request has ended.
func (l *loadH3) note(path, text string, body []byte, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, _ := errors.AsType[*http3.Error](err)
	switch {
	case err == nil && string(body) == path+" "+text:
		l.whole[path] = true
	case err == nil:
		l.bad = append(l.bad, fmt.Sprintf("%s: %q", path, body))
	case l.served[path]:
		l.bad = append(l.bad, fmt.Sprintf("%s: served, but: %v", path, err))
	case errors.Is(err, errDial):
		l.turned["no connection"]++
	case e != nil && (e.ErrorCode == http3.ErrCodeRequestRejected || e.ErrorCode == http3.ErrCodeNoError):
		l.turned[e.Error()]++ // nothing of it was done: a client may ask again
	case strings.Contains(err.Error(), "connection in graceful shutdown"):
		l.turned["GOAWAY"]++
	default:
		l.bad = append(l.bad, fmt.Sprintf("%s: %v", path, err))
	}
}

// judge judges the clients' outcome once they have ended. finished are the
// requests that the server counts.
func (l *loadH3) judge(t *testing.T, finished uint64) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, s := range l.bad {
		if i == 10 {
			t.Errorf("and %d more", len(l.bad)-10)
			break
		}
		t.Error(s)
	}
	servetest.Want(t, "all that was served was answered", len(l.whole), len(l.served))
	servetest.Want(t, "and is counted", finished, uint64(len(l.served)))
	t.Logf("answered %d, turned away %v", len(l.whole), l.turned)
}
