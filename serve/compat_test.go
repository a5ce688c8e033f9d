package serve_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
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
	secure bool
	loop   serve.EventLoopMode
}

var forms = []form{
	{name: "net/http", oracle: true},
	{name: "event loop"},
	{name: "event loop TLS", secure: true},
	{name: "portable", loop: serve.EventLoopOff},

	{name: "net/http h2", oracle: true, http2: true, secure: true},
	{name: "h2", http2: true, secure: true},
	{name: "h2c", http2: true},
	{name: "h2 portable", http2: true, secure: true, loop: serve.EventLoopOff},
	{name: "h2c portable", http2: true, loop: serve.EventLoopOff},
}

// protocols are versions of HTTP.
type protocols int

const (
	overH1 protocols = 1 << iota
	overH2
	overAll = overH1 | overH2
)

func (f form) over() protocols {
	if f.http2 {
		return overH2
	}
	return overH1
}

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

// compareNotes shows the lines of which only one list has them, in order.
func compareNotes(got, want []string) string {
	if slices.Equal(got, want) {
		return ""
	}
	// The longest common subsequence; notes are short.
	n, m := len(got), len(want)
	common := make([][]int, n+1)
	for i := range common {
		common[i] = make([]int, m+1)
	}
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			if got[i] == want[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var b strings.Builder
	context := ""
	for i, j := 0, 0; i < n || j < m; {
		switch {
		case i < n && j < m && got[i] == want[j]:
			context = got[i]
			i, j = i+1, j+1
			continue
		case context != "":
			fmt.Fprintf(&b, "    %s\n", context)
			context = ""
		}
		if j == m || i < n && common[i+1][j] >= common[i][j+1] {
			fmt.Fprintf(&b, "  - %s\n", got[i])
			i++
		} else {
			fmt.Fprintf(&b, "  + %s\n", want[j])
			j++
		}
	}
	return b.String()
}

// compat is one run of a case in one form.
type compat struct {
	form
	t        *testing.T
	addr     string
	url      string
	client   *http.Client
	settings settings
	handlers sync.WaitGroup

	mu     sync.Mutex
	asked  []string // what the client saw
	served []string // what the handlers saw
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
func (x *compat) transport() *http.Transport {
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
		EventLoop: x.loop, ErrorLog: quiet(),
		BaseContext: x.settings.baseContext, ConnContext: x.settings.connContext, ConnState: x.settings.connState,
	}}
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
	done := make(chan struct{})
	go func() {
		defer close(done)
		x.handlers.Wait()
	}()
	within(x.t, "all handlers have returned", done)
}

// do sends r and notes all of the answer.
func (x *compat) do(r *http.Request) {
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
	resp, err := x.client.Do(r)
	if err != nil {
		x.note("error: %s", kind(err))
		return
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

// fields renders a header in order of its names. Of Date only its being there.
func fields(h http.Header) string {
	var names []string
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	for _, name := range names {
		if name == "Date" && len(h[name]) == 1 {
			if _, err := http.ParseTime(h[name][0]); err == nil {
				b.WriteString("Date; ")
				continue
			}
		}
		fmt.Fprintf(&b, "%s: %q; ", name, h[name])
	}
	return b.String()
}

// digest is the text of a short body, the sum of a long one.
func digest(body []byte) string {
	if len(body) <= 300 {
		return fmt.Sprintf("%q", body)
	}
	return fmt.Sprintf("%d bytes %x", len(body), sha256.Sum256(body))
}

// streamError is net/http's and x/net's text of a reset, or ours of one.
var streamError = regexp.MustCompile(`stream error: stream ID \d+; (\w+)(; received from peer)?`)

// kind sorts errors, of which the text depends on timing.
func kind(err error) string {
	var ne net.Error
	switch {
	case err == nil:
		return "nil"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &ne) && ne.Timeout():
		return "timeout"
	case err == io.EOF:
		return "EOF"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, net.ErrClosed):
		return "cut"
	}
	text := err.Error()
	if m := streamError.FindStringSubmatch(text); m != nil && m[2] != "" {
		return "cut: " + m[1] // what the server has said
	} else if m != nil {
		return "cut"
	}
	for _, part := range []string{
		"server closed idle connection", "transport connection broken", // net/http's client
		"client disconnected",                                     // net/http's HTTP/2 server
		"the peer has reset the stream", "the connection is over", // ours
	} {
		if strings.Contains(text, part) {
			return "cut"
		}
	}
	return text
}

// failure tells only whether there was an error.
func failure(err error) string {
	if err != nil {
		return "an error"
	}
	return "none"
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
