package h3

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/penstock-edge/penstock/serve/h3/frame"
	"github.com/penstock-edge/penstock/serve/h3/qpack"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// rawClient speaks QUIC, and knows one request by heart: what its answer costs is
// nearly all the server's.
type rawClient struct {
	tb      testing.TB
	q       *quic.Conn
	request []byte
	control *quic.SendStream
}

// raw opens a connection of one.
func (s *service) raw() *rawClient { return rawTo(s.tb, s.addr) }

func rawTo(tb testing.TB, addr interface{ String() string }) *rawClient {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tr := &quic.Transport{Conn: socketFor(tb)}
	q, err := tr.Dial(ctx, addr.(interface {
		String() string
		Network() string
	}), clientTLS(), &quic.Config{MaxIdleTimeout: 5 * time.Minute})
	servetest.Must(tb, "a connection", err)
	tb.Cleanup(func() {
		q.CloseWithError(quic.ApplicationErrorCode(frame.NoError), "")
		tr.Close()
	})
	c := &rawClient{tb: tb, q: q, request: rawRequest("/")}
	c.control, err = q.OpenUniStream()
	servetest.Must(tb, "its control stream", err)
	c.control.Write(frame.AppendSettings(frame.AppendVarint(nil, uint64(frame.StreamControl)), frame.Settings{}))
	return c
}

// rawRequest is a GET as bytes.
func rawRequest(path string) []byte {
	b := qpack.AppendPrefix(frame.BeginHeaders(nil))
	for _, f := range [][2]string{
		{":method", "GET"}, {":scheme", "https"}, {":authority", "localhost"}, {":path", path}, {"user-agent", "raw"}, {"accept", "*/*"},
	} {
		b = qpack.AppendField(b, f[0], f[1])
	}
	return frame.FinishHeaders(b, 0)
}

// ask makes the request, and reads its answer into buf over and over. It counts
// the bytes.
func (c *rawClient) ask(buf []byte) (n int, err error) {
	str, err := c.q.OpenStreamSync(context.Background())
	if err != nil {
		return 0, err
	}
	return c.askOn(str, buf)
}

func (c *rawClient) askOn(str *quic.Stream, buf []byte) (n int, err error) {
	if err := str.TryWriteAll(c.request); err != nil {
		return 0, err
	}
	str.Close()
	for {
		k, err := str.Read(buf)
		n += k
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// within fails the test if f does not return.
func within(tb testing.TB, why string, f func()) {
	tb.Helper()
	done := make(chan struct{})
	go func() { f(); close(done) }()
	wait(tb, why, done)
}

// kept counts the streams whose credit is kept back.
func (c *conn) kept() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.held)
}

// TestCreditOneByOne: a client that asks for one thing after the other is never
// stopped, and its credit costs no packets of its own: with one for each answer
// there are two for each request, and acknowledgements come with them.
func TestCreditOneByOne(t *testing.T) {
	s := serve(t, hello)
	c := s.raw()
	buf := make([]byte, 1<<10)
	ask := func(n int) {
		for range n {
			got, err := c.ask(buf)
			servetest.Must(t, "an answer", err)
			servetest.Want(t, "has content", got > 50, true)
		}
	}
	within(t, "the first thousand", func() { ask(1000) })
	before := c.q.ConnectionStats().PacketsReceived
	within(t, "the second thousand", func() { ask(1000) })
	if got := float64(c.q.ConnectionStats().PacketsReceived-before) / 1000; got > 1.5 {
		t.Errorf("%v packets for each answer, want about one", got)
	}
	if n := s.only().kept(); n > 2*creditBatch {
		t.Errorf("the credit of %d streams is kept back, want %d at most", n, 2*creditBatch)
	}
}

// TestCreditWithoutAnswers: streams that end without an answer of their handler
// give their credit back too, while another request goes on.
func TestCreditWithoutAnswers(t *testing.T) {
	running, g := make(chan struct{}), make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/stay":
			close(running)
			<-g
		case "/abort":
			panic(http.ErrAbortHandler)
		}
		hello(w, r)
	}, func(cfg *Config) { cfg.FieldBytes = 1000 })
	a := s.agent()
	stays := make(chan reply, 1)
	go func() { stays <- a.get("/stay") }()
	<-running
	within(t, "hundreds of requests", func() {
		for i := range 300 {
			if i%2 == 0 {
				servetest.Want(t, "aborted", a.get("/abort").err != nil, true)
				continue
			}
			r := a.request(context.Background(), "GET", "/", nil)
			r.Header.Set("X-Long", strings.Repeat("x", 2000))
			a.do(r).want(t, "too large a head", 431, "")
		}
	})
	close(g)
	(<-stays).want(t, "and the one that stayed", 200, "hello")
}

// TestStreamsAboveMax: no more handlers run than may, what comes above waits, and is
// served then.
func TestStreamsAboveMax(t *testing.T) {
	const most = 5
	running, g := make(chan struct{}, 100), make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		running <- struct{}{}
		<-g
		hello(w, r)
	}, func(cfg *Config) { cfg.MaxStreams = most })
	a := s.agent()
	var wg sync.WaitGroup
	for range 3 * most {
		wg.Go(func() { a.wantHello("each is served", "/") })
	}
	for range most {
		<-running
	}
	servetest.WantSoon(t, "another one has come, and waits", func() bool {
		c := s.only()
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.active) == most && c.requests == most
	})
	servetest.Want(t, "no more run", len(running), 0)
	close(g)
	wg.Wait()
	servetest.Want(t, "all were served", s.cfg.Counters.Requests.Load(), 3*most)
}

// TestCreditOfMany: a client with as many streams as may run gets credit for as
// many again, whatever is kept back.
func TestCreditOfMany(t *testing.T) {
	s := serve(t, hello)
	c := s.raw()
	for range 10 {
		var wg sync.WaitGroup
		for range defaultMaxStreams {
			var str *quic.Stream
			servetest.WantSoon(t, "there is credit", func() (ok bool) {
				var err error
				str, err = c.q.OpenStream()
				return err == nil
			})
			if str == nil {
				return
			}
			wg.Go(func() {
				_, err := c.askOn(str, make([]byte, 1<<10))
				servetest.WantErr(t, "an answer", err, nil)
			})
		}
		wg.Wait()
	}
}

// TestSweepGivesCredit: an idle connection keeps nothing back.
func TestSweepGivesCredit(t *testing.T) {
	s := serve(t, hello)
	c := s.raw()
	for range creditBatch {
		_, err := c.ask(make([]byte, 1<<10))
		servetest.Must(t, "an answer", err)
	}
	servetest.WantSoon(t, "the last request is over", func() bool { return !s.only().busy() })
	s.only().sweep(time.Now().Add(2 * sweepInterval))
	servetest.Want(t, "nothing is kept back", s.only().kept(), 0)
	// The client learns of it: it may have every stream that it could have at first.
	opened := 0
	servetest.WantSoon(t, "all the credit there is", func() bool {
		for {
			if _, err := c.q.OpenStream(); err != nil {
				return opened == defaultMaxStreams+2*creditBatch
			}
			opened++
		}
	})
}
