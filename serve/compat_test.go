package serve_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve"
)

// The suite: each case serves a handler, asks, and notes what both sides saw.
// The notes of our forms must be those of net/http's server over the same
// protocol, but for the wanted differences (differences_test.go), each with its
// reason.

// form is a way to serve.
type form struct {
	name   string
	oracle bool // net/http's own server, which the forms behind it are compared with
	http2  bool
	http3  bool
	secure bool
	loop   serve.EventLoopMode
	tasks  bool // handlers run as tasks
}

var forms = []form{
	{name: "net/http", oracle: true},
	{name: "event loop"},
	{name: "event loop TLS", secure: true},
	{name: "event loop tasks", tasks: true},
	{name: "portable", loop: serve.EventLoopOff},

	{name: "net/http h2", oracle: true, http2: true, secure: true},
	{name: "h2", http2: true, secure: true},
	{name: "h2c", http2: true},
	{name: "h2 tasks", http2: true, secure: true, tasks: true},
	{name: "h2 portable", http2: true, secure: true, loop: serve.EventLoopOff},
	{name: "h2c portable", http2: true, loop: serve.EventLoopOff},
	{name: "h3", http3: true, secure: true}, // of which net/http has none: HTTP/2's messages in other words (inHTTP3)
}

// protocols are versions of HTTP.
type protocols int

const (
	overH1 protocols = 1 << iota
	overH2
	overH3
	overStreams = overH2 | overH3
	overAll     = overH1 | overStreams
)

func (f form) over() protocols {
	switch {
	case f.http3:
		return overH3
	case f.http2:
		return overH2
	}
	return overH1
}

// streams tells that a connection carries many exchanges at one time.
func (f form) streams() bool { return f.over()&overStreams != 0 }

// compatCase is a behaviour. must are parts of the oracle's notes that show that
// the case did what its name says.
type compatCase struct {
	name   string
	run    func(x *compat)
	must   []string
	mustH2 []string  // in its place over HTTP/2; nil: the same
	over   protocols // zero: all
}

func (c *compatCase) musts(p protocols) []string {
	if p == overH2 && c.mustH2 != nil {
		return c.mustH2
	}
	return c.must
}

func TestCompat(t *testing.T) {
	cases := slices.Concat(compatMessages, compatBodies, compatControl, compatLibrary, compatRaw)
	used := usedDifferences{}
	t.Run("cases", func(t *testing.T) {
		for _, c := range cases {
			if c.over == 0 {
				c.over = overAll
			}
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				notes := make(map[string][]string)
				for _, form := range forms {
					if form.over()&c.over != 0 {
						t.Run(form.name, func(t *testing.T) { notes[form.name] = runCompat(t, form, c) })
					}
				}
				if !t.Failed() {
					judge(t, &c, notes, &used)
				}
			})
		}
	})
	if flagRunsAll() && !t.Failed() {
		used.wantAll(t)
	}
}

// judge compares the notes of each form with those of the oracle before it.
func judge(t *testing.T, c *compatCase, notes map[string][]string, used *usedDifferences) {
	var oracle form
	shown := ""
	for _, form := range forms {
		switch {
		case form.over()&c.over == 0:
			continue
		case form.oracle:
			oracle = form
			all := strings.Join(notes[oracle.name], "\n")
			for _, part := range c.musts(form.over()) {
				if !strings.Contains(all, part) {
					t.Errorf("the notes of %s lack %q:\n%s", oracle.name, part, all)
				}
			}
			continue
		}
		want := used.apply(c.name, form.over(), notes[oracle.name])
		if diff := compareNotes(notes[form.name], want); diff != "" && diff == shown {
			t.Errorf("%s: the same", form.name)
		} else if diff != "" {
			t.Errorf("%s (-) is not %s (+):\n%s", form.name, oracle.name, diff)
			shown = diff
		}
	}
}

// compat is one run of a case in one form.
type compat struct {
	form
	t        *testing.T
	addr     string
	url      string
	client   *http.Client
	settings settings
	handlers handlerCount

	mu     sync.Mutex
	asks   int      // how often do was called
	erred  bool     // a request before has failed
	asked  []string // what the client saw
	served []string // what the handlers saw
}

// handlerCount counts the handlers that run. As a sync.WaitGroup, but one may be
// waited for while others begin; and what is under its lock the race detector
// orders, which knows nothing of what goes over UDP.
type handlerCount struct {
	mu    sync.Mutex
	n     int
	zeros []chan struct{} // closed when n is 0
}

func (c *handlerCount) Add(d int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n += d; c.n == 0 {
		for _, z := range c.zeros {
			close(z)
		}
		c.zeros = nil
	}
}

func (c *handlerCount) Done() { c.Add(-1) }

func (c *handlerCount) Go(f func()) {
	c.Add(1)
	go func() {
		defer c.Done()
		f()
	}()
}

// none is closed when no handler runs.
func (c *handlerCount) none() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	z := make(chan struct{})
	if c.n == 0 {
		close(z)
	} else {
		c.zeros = append(c.zeros, z)
	}
	return z
}

// settings are those that both servers have.
type settings struct {
	baseContext func(net.Listener) context.Context
	connContext func(context.Context, net.Conn) context.Context
	connState   func(net.Conn, http.ConnState)
}

func runCompat(t *testing.T, form form, c compatCase) []string {
	x := &compat{t: t, form: form}
	x.client = &http.Client{
		Transport: x.transport(), Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.run(x)
	x.settle()
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Concat(x.asked, []string{"handlers:"}, x.served)
}

// transport is a client of the form's protocol, and of no other.
func (x *compat) transport() http.RoundTripper {
	if x.http3 {
		return transportH3(x.t)
	}
	t := &http.Transport{DisableCompression: true, TLSClientConfig: clientTLS(), Protocols: x.speaks()}
	x.t.Cleanup(t.CloseIdleConnections)
	return t
}

func (f form) speaks() *http.Protocols {
	p := new(http.Protocols)
	p.SetHTTP1(!f.http2)
	p.SetHTTP2(f.http2 && f.secure)
	p.SetUnencryptedHTTP2(f.http2 && !f.secure)
	return p
}

// serve starts the form's server with h.
func (x *compat) serve(h http.HandlerFunc) {
	x.t.Helper()
	addr, url := x.start(h)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.addr, x.url = addr, url
}

// start starts one more server of the same form.
func (x *compat) start(h http.Handler) (addr, url string) {
	x.t.Helper()
	counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/still-open" {
			return
		}
		x.handlers.Add(1)
		defer x.handlers.Done()
		h.ServeHTTP(w, r)
	})
	if x.oracle {
		return x.startOracle(counted)
	}
	s := &serve.Server{Handler: counted, TLSConfig: serverTLS(), Options: serve.ServerOptions{
		EventLoop: x.loop, Tasks: x.tasks, ErrorLog: quiet(),
		BaseContext: x.settings.baseContext, ConnContext: x.settings.connContext, ConnState: x.settings.connState,
	}}
	if x.http3 {
		addr = startHTTP3(x.t, s)
		return addr, x.urlOf(addr)
	}
	l := listenTCP(x.t)
	if x.loop == serve.EventLoopOn && !x.secure { // the real thing: a socket for each loop
		l.Close()
		group, err := listener.Listen(x.t.Context(), listener.Config{Network: "tcp", Address: "127.0.0.1:0"})
		if err != nil {
			x.t.Fatal(err)
		}
		l = group
	}
	ended := make(chan error, 1)
	go func() {
		if x.secure {
			ended <- s.ServeTLS(l, "", "")
		} else {
			ended <- s.Serve(l)
		}
	}()
	x.t.Cleanup(func() {
		s.Close()
		if err := within(x.t, "Serve returns", ended); !errors.Is(err, http.ErrServerClosed) {
			x.t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String(), x.urlOf(l.Addr().String())
}

func (f form) urlOf(addr string) string {
	if f.secure {
		return "https://" + addr
	}
	return "http://" + addr
}

func (x *compat) startOracle(h http.Handler) (addr, url string) {
	l := listenTCP(x.t)
	s := &http.Server{
		Handler: h, ErrorLog: log.New(io.Discard, "", 0), TLSConfig: serverTLS(), Protocols: x.speaks(),
		BaseContext: x.settings.baseContext, ConnContext: x.settings.connContext, ConnState: x.settings.connState,
	}
	ended := make(chan error, 1)
	go func() {
		if x.secure {
			ended <- s.ServeTLS(l, "", "")
		} else {
			ended <- s.Serve(l)
		}
	}()
	x.t.Cleanup(func() {
		s.Close()
		within(x.t, "Serve returns", ended)
	})
	return l.Addr().String(), x.urlOf(l.Addr().String())
}

// note adds a line of the client's, tell one of a handler's.
func (x *compat) note(format string, args ...any) { x.add(&x.asked, format, args) }
func (x *compat) tell(format string, args ...any) { x.add(&x.served, format, args) }

var boundary = regexp.MustCompile(`[0-9a-f]{60}`)

func (x *compat) add(list *[]string, format string, args []any) {
	line := boundary.ReplaceAllString(fmt.Sprintf(format, args...), "BOUNDARY")
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.addr != "" {
		line = strings.ReplaceAll(line, x.addr, "ADDR")
	}
	*list = append(*list, line)
}

// request makes a request that notes interim answers.
func (x *compat) request(method, path string, body io.Reader) *http.Request {
	x.t.Helper()
	r, err := http.NewRequest(method, x.url+path, body)
	if err != nil {
		x.t.Fatal(err)
	}
	return r
}

// ask sends a request without further wishes.
func (x *compat) ask(method, path string, body io.Reader) {
	x.t.Helper()
	x.do(x.request(method, path, body))
}

// settle waits for all handlers to return: an answer may end before its handler
// does, and the next one of an HTTP/2 connection runs beside it.
func (x *compat) settle() {
	x.t.Helper()
	within(x.t, "all handlers have returned", x.handlers.none())
}

// onArrival tells the handler once its client has read as much of the answer: a
// reset may overtake in HTTP/3 what was flushed before it.
func onArrival(text string, arrived chan<- struct{}) func(*http.Response) {
	return func(resp *http.Response) { resp.Body = &arrivingBody{resp.Body, len(text), arrived} }
}

type arrivingBody struct {
	io.ReadCloser
	left    int
	arrived chan<- struct{}
}

func (b *arrivingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left > 0 && n >= b.left {
		b.arrived <- struct{}{}
	}
	b.left -= n
	return n, err
}

// do sends r and notes all of the answer.
func (x *compat) do(r *http.Request, prepare ...func(*http.Response)) {
	x.t.Helper()
	defer x.settle()
	reused := false
	r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) { reused = i.Reused },
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			x.note("interim %d %s", code, fields(http.Header(h)))
			return nil
		},
	}))
	x.note("> %s %s", r.Method, strings.TrimPrefix(r.URL.String(), x.url))
	x.asks++
	resp, err := x.client.Do(r)
	if err != nil {
		x.note("error: %s", kind(err))
		x.erred = true
		return
	}
	if x.http3 {
		reused = x.reusedH3(reused)
	}
	for _, f := range prepare {
		f(resp)
	}
	x.noteResponse(resp)
	x.note("  reused %v", reused)
}

// noteResponse reads and notes an answer.
func (x *compat) noteResponse(resp *http.Response) {
	defer resp.Body.Close()
	x.note("< %s %s length %d coding %v close %v", resp.Proto, resp.Status, resp.ContentLength, resp.TransferEncoding, resp.Close)
	x.note("  %s", fields(resp.Header))
	body, err := io.ReadAll(resp.Body)
	x.note("  body %s", digest(body))
	if err != nil {
		x.note("  body error: %s", kind(err))
	}
	if len(resp.Trailer) > 0 {
		x.note("  trailer %s", fields(resp.Trailer))
	}
}

// dialForm connects, and under TLS offers protos.
func dialForm(addr string, secure bool, protos ...string) (net.Conn, error) {
	if !secure {
		return net.Dial("tcp", addr)
	}
	cfg := clientTLS()
	cfg.NextProtos = protos
	return tls.Dial("tcp", addr, cfg)
}
