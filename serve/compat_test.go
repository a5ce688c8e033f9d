package serve_test

import (
	"bufio"
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
	"time"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve"
)

// The suite: each case serves a handler, asks, and notes what both sides saw.
// The notes of our three forms must be those of net/http's server, but for the
// wanted differences (differences_test.go), each with its reason.

const oracle = "net/http"

var forms = []string{oracle, "event loop", "event loop TLS", "portable"}

// compatCase is a behaviour. must are parts of the oracle's notes that show that
// the case did what its name says.
type compatCase struct {
	name string
	run  func(x *compat)
	must []string
}

func TestCompat(t *testing.T) {
	cases := slices.Concat(compatMessages, compatBodies, compatControl, compatLibrary, compatRaw)
	used := make(map[*difference]bool)
	var mu sync.Mutex
	t.Run("cases", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				notes := make(map[string][]string)
				for _, form := range forms {
					t.Run(form, func(t *testing.T) { notes[form] = runCompat(t, form, c) })
				}
				if t.Failed() {
					return
				}
				all := strings.Join(notes[oracle], "\n")
				for _, part := range c.must {
					if !strings.Contains(all, part) {
						t.Errorf("the oracle's notes lack %q:\n%s", part, all)
					}
				}
				shown := ""
				for _, form := range forms[1:] {
					want, applied := withDifferences(c.name, notes[oracle])
					mu.Lock()
					for _, d := range applied {
						used[d] = true
					}
					mu.Unlock()
					if diff := compareNotes(notes[form], want); diff != "" && diff == shown {
						t.Errorf("%s: the same", form)
					} else if diff != "" {
						t.Errorf("%s (-) is not net/http (+):\n%s", form, diff)
						shown = diff
					}
				}
			})
		}
	})
	if flagRunsAll() && !t.Failed() {
		for i := range wantedDifferences {
			if d := &wantedDifferences[i]; !used[d] {
				t.Errorf("wanted difference of %q is none any more: %q", d.name, d.theirs)
			}
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
	t        *testing.T
	form     string
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

func runCompat(t *testing.T, form string, c compatCase) []string {
	x := &compat{t: t, form: form}
	transport := &http.Transport{DisableCompression: true, TLSClientConfig: clientTLS()}
	x.client = &http.Client{
		Transport: transport, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(transport.CloseIdleConnections)
	c.run(x)
	done := make(chan struct{})
	go func() {
		defer close(done)
		x.handlers.Wait()
	}()
	within(t, "all handlers have returned", done)
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Concat(x.asked, []string{"handlers:"}, x.served)
}

func (x *compat) secure() bool { return strings.HasSuffix(x.form, "TLS") }

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
	if x.form == oracle {
		return x.startOracle(counted)
	}
	s := &serve.Server{Handler: counted, TLSConfig: serverTLS(), Options: serve.ServerOptions{
		ErrorLog: quiet(), BaseContext: x.settings.baseContext, ConnContext: x.settings.connContext, ConnState: x.settings.connState,
	}}
	l := listenTCP(x.t)
	switch x.form {
	case "portable":
		s.Options.EventLoop = serve.EventLoopOff
	case "event loop": // the real thing: a socket for each loop
		l.Close()
		group, err := listener.Listen(x.t.Context(), listener.Config{Network: "tcp", Address: "127.0.0.1:0"})
		if err != nil {
			x.t.Fatal(err)
		}
		l = group
	}
	ended := make(chan error, 1)
	go func() {
		if x.secure() {
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
	addr = l.Addr().String()
	if x.secure() {
		return addr, "https://" + addr
	}
	return addr, "http://" + addr
}

func (x *compat) startOracle(h http.Handler) (addr, url string) {
	l := listenTCP(x.t)
	s := &http.Server{
		Handler: h, ErrorLog: log.New(io.Discard, "", 0),
		BaseContext: x.settings.baseContext, ConnContext: x.settings.connContext, ConnState: x.settings.connState,
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	x.t.Cleanup(func() {
		s.Close()
		within(x.t, "Serve returns", ended)
	})
	return l.Addr().String(), "http://" + l.Addr().String()
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

// do sends r and notes all of the answer.
func (x *compat) do(r *http.Request) {
	x.t.Helper()
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
		errors.Is(err, net.ErrClosed), strings.Contains(err.Error(), "server closed idle connection"),
		strings.Contains(err.Error(), "transport connection broken"):
		return "cut"
	}
	return err.Error()
}

// failure tells only whether there was an error.
func failure(err error) string {
	if err != nil {
		return "an error"
	}
	return "none"
}

// peer is a client that writes its own bytes.
type peer struct {
	x    *compat
	conn net.Conn
	r    *bufio.Reader
}

func (x *compat) dial() *peer {
	x.t.Helper()
	conn, err := dialForm(x.addr, x.secure())
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return &peer{x, conn, bufio.NewReader(conn)}
}

func dialForm(addr string, secure bool) (net.Conn, error) {
	if secure {
		return tls.Dial("tcp", addr, clientTLS())
	}
	return net.Dial("tcp", addr)
}

// send writes; an error is no news, what comes back is.
func (p *peer) send(text string) { io.WriteString(p.conn, text) }

// answers notes the answers to requests with these methods.
func (p *peer) answers(methods ...string) {
	for _, m := range methods {
		resp, err := http.ReadResponse(p.r, &http.Request{Method: m})
		if err != nil {
			p.x.note("no answer to %s: %s", m, kind(err))
			return
		}
		p.x.noteResponse(resp)
	}
}

// rest notes whether the server closes the connection or answers once more.
func (p *peer) rest() {
	p.send("GET /still-open HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	resp, err := http.ReadResponse(p.r, nil)
	if err != nil {
		p.x.note("the connection is closed")
		return
	}
	resp.Body.Close()
	p.x.note("the connection is open: %s", resp.Status)
}

// line reads one line and notes it.
func (p *peer) line() {
	text, err := p.r.ReadString('\n')
	p.x.note("line %q %s", text, kind(err))
}
