package handler

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// deadlines is a writer that notes the deadlines it is given, and can be hijacked.
type deadlines struct {
	*httptest.ResponseRecorder
	read, write time.Time
}

func (d *deadlines) SetReadDeadline(t time.Time) error  { d.read = t; return nil }
func (d *deadlines) SetWriteDeadline(t time.Time) error { d.write = t; return nil }
func (d *deadlines) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, nil
}

// expiring runs h in a chain with a deadline of 10 s, and returns the answer and
// what the engine sees of a panic.
func expiring(t *testing.T, h http.HandlerFunc, more ...Stage) (d *deadlines, thrown any) {
	t.Helper()
	g := NewRegistry()
	stages := append(more, NewDeadline(DeadlineOptions{RequestTimeout: 10 * time.Second}), NewTimeout(g, TimeoutOptions{}))
	d = &deadlines{ResponseRecorder: httptest.NewRecorder()}
	func() {
		defer func() { thrown = recover() }()
		NewChain(h, stages...).ServeHTTP(d, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
	}()
	servetest.Want(t, "nothing runs behind it", g.Counts(), RunningCounts{})
	return d, thrown
}

func TestTimeout(t *testing.T) { synctest.Test(t, testTimeout) }

func testTimeout(t *testing.T) {
	errs := make([]error, 6)
	d, thrown := expiring(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Mine", "1")
		time.Sleep(11 * time.Second)
		w.Header().Set("X-Late", "1")
		w.WriteHeader(http.StatusOK)
		rc := http.NewResponseController(w)
		_, errs[0] = io.WriteString(w, "late")
		_, errs[1] = w.Write([]byte("late"))
		_, errs[2] = w.(io.ReaderFrom).ReadFrom(strings.NewReader("late"))
		errs[3] = rc.Flush()
		_, _, errs[4] = rc.Hijack()
		_, _, errs[5] = w.(http.Hijacker).Hijack()
	})
	servetest.Want(t, "status", d.Code, http.StatusGatewayTimeout)
	servetest.Want(t, "the connection ends", d.Header().Get("Connection"), "close")
	servetest.Want(t, "the handler's fields are not there", d.Header().Get("X-Mine")+d.Header().Get("X-Late"), "")
	servetest.Want(t, "content", d.Body.String(), "Timeout: request did not complete within the allotted timeout\n")
	servetest.Want(t, "it was flushed", d.Flushed, true)
	servetest.Want(t, "reads end", d.read.Before(time.Now()) && !d.read.IsZero(), true)
	servetest.Want(t, "it is whole", thrown, nil)
	for _, err := range errs {
		servetest.WantErr(t, "a late call", err, http.ErrHandlerTimeout)
	}
}

func TestTimeoutCut(t *testing.T) { synctest.Test(t, testTimeoutCut) }

func testTimeoutCut(t *testing.T) {
	var err error
	d, thrown := expiring(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "part")
		time.Sleep(11 * time.Second)
		_, err = io.WriteString(w, "late")
	})
	servetest.Want(t, "status", d.Code, http.StatusOK)
	servetest.Want(t, "content", d.Body.String(), "part")
	servetest.WantErr(t, "a late write", err, http.ErrHandlerTimeout)
	servetest.Want(t, "writes that wait end", d.write.Before(time.Now()) && !d.write.IsZero(), true)
	servetest.Want(t, "the engine is to show that it is cut", thrown, any(http.ErrAbortHandler))
}

// A hijacked connection is the handler's, and has no deadline any more.
func TestTimeoutHijacked(t *testing.T) { synctest.Test(t, testTimeoutHijacked) }

func testTimeoutHijacked(t *testing.T) {
	d, thrown := expiring(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusSwitchingProtocols)
		_, _, err := w.(http.Hijacker).Hijack()
		servetest.WantErr(t, "hijack", err, nil)
		time.Sleep(11 * time.Second)
	})
	servetest.Want(t, "no deadline", d.read.IsZero() && d.write.IsZero(), true)
	servetest.Want(t, "no abort", thrown, nil)
}

// A panic of a late handler is Recovery's, whose own answer comes too late.
func TestTimeoutPanic(t *testing.T) { synctest.Test(t, testTimeoutPanic) }

func testTimeoutPanic(t *testing.T) {
	boom := errors.New("boom")
	d, thrown := expiring(t, func(http.ResponseWriter, *http.Request) {
		time.Sleep(11 * time.Second)
		panic(boom)
	})
	servetest.Want(t, "status", d.Code, http.StatusGatewayTimeout)
	servetest.Want(t, "the engine sees it", thrown, any(boom))
	d, thrown = expiring(t, func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(9 * time.Second)
		panic(boom)
	}, &instead{})
	servetest.Want(t, "in time: the 500 with its fields", d.Code, http.StatusInternalServerError)
	servetest.Want(t, "is the stage's", d.Header().Get("X-Instead"), "1")
	servetest.Want(t, "it is settled", thrown, nil)
}

// instead answers for a panic.
type instead struct{}

func (*instead) Begin(*Exchange) bool { return true }
func (*instead) Panic(x *Exchange) {
	x.Settle()
	x.Instead(func(w http.ResponseWriter) {
		w.Header().Set("X-Instead", "1")
		w.WriteHeader(http.StatusInternalServerError)
	})
}

// What a Head panics with on the timer's goroutine reaches that of the request.
func TestTimeoutHeadPanics(t *testing.T) { synctest.Test(t, testTimeoutHeadPanics) }

func testTimeoutHeadPanics(t *testing.T) {
	_, thrown := expiring(t, func(http.ResponseWriter, *http.Request) { time.Sleep(11 * time.Second) }, badHead{})
	servetest.Want(t, "the engine sees it", thrown, any("head"))
}

type badHead struct{}

func (badHead) Begin(*Exchange) bool { return true }
func (badHead) Head(*Exchange, int)  { panic("head") }

// The Heads of an expiring answer: those outside of Timeout, each with the record
// as it was, while stages inside write to theirs.
func TestTimeoutHeads(t *testing.T) { synctest.Test(t, testTimeoutHeads) }

func testTimeoutHeads(t *testing.T) {
	var notes []string
	outer, inner := &recorder{name: "outer", notes: &notes}, &recorder{name: "inner", notes: &notes}
	g := NewRegistry()
	slow := beginFunc(func(x *Exchange) bool {
		for end := time.Now().Add(11 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			x.User = &User{}
			x.Writer().Header().Set("X-User", "1")
		}
		return true
	})
	var user *User
	look := headFunc(func(x *Exchange) { user = x.User; x.Writer().Header().Set("X-Id", x.ID) })
	id := beginFunc(func(x *Exchange) bool { x.ID = "the id"; return true })
	c := NewChain(NotFound{}, id, look, outer, NewDeadline(DeadlineOptions{RequestTimeout: 10 * time.Second}),
		NewTimeout(g, TimeoutOptions{}), inner, slow)
	got := get(c, "/")
	servetest.Want(t, "status", got.Code, http.StatusGatewayTimeout)
	servetest.Want(t, "calls", strings.Join(notes, ", "), "outer begin, inner begin, outer head 504, inner end 504, outer end 504")
	servetest.Want(t, "the record is that of the begin", got.Header().Get("X-Id"), "the id")
	servetest.Want(t, "without what came later", user == nil && got.Header().Get("X-User") == "", true)
}

type beginFunc func(x *Exchange) bool

func (f beginFunc) Begin(x *Exchange) bool { return f(x) }

type headFunc func(x *Exchange)

func (f headFunc) Begin(*Exchange) bool    { return true }
func (f headFunc) Head(x *Exchange, _ int) { f(x) }

// Who expires when, of many, and what is told of them.
func TestSweeper(t *testing.T) { synctest.Test(t, testSweeper) }

func testSweeper(t *testing.T) {
	g, b := NewRegistry(), newBlocking()
	var whole, cut atomic.Int32
	c := NewChain(b, infos, NewDeadline(DeadlineOptions{}), NewTimeout(g, TimeoutOptions{Expired: func(_ Info, c bool) {
		if c {
			cut.Add(1)
		} else {
			whole.Add(1)
		}
	}}))
	servetest.Want(t, "without deadlines there is no timer", g.sweeper.timer == nil, true)
	codes := make(chan int, 10)
	begin := time.Now()
	for _, target := range []string{"/read", "/read?timeout=3s", "/read?timeout=1s", "/read?timeout=1ms", "/long?timeout=1s"} {
		// Handlers that end with their context; this one does not.
		stubborn := httptest.NewRequest(http.MethodGet, target, http.NoBody).WithContext(settable{t.Context()})
		go func() {
			w := httptest.NewRecorder()
			c.ServeHTTP(w, stubborn)
			codes <- w.Code
		}()
		<-b.entered
	}
	for _, q := range []struct {
		at   time.Duration
		want int32
	}{{sweepInterval - 1, 0}, {sweepInterval, 1}, {time.Second, 2}, {3*time.Second - 1, 2}, {3 * time.Second, 3}, {time.Minute, 4}, {time.Hour, 4}} {
		time.Sleep(time.Until(begin.Add(q.at)))
		synctest.Wait()
		servetest.Want(t, "expired at "+q.at.String(), whole.Load(), q.want)
	}
	servetest.Want(t, "no timer is left", g.sweeper.next.Load(), 0)
	servetest.Want(t, "handlers still run, one of which this stage does not count", g.Counts(), RunningCounts{Read: 4})
	b.end()
	sum := 0
	for range 5 {
		sum += <-codes
	}
	servetest.Want(t, "answers", sum, 4*http.StatusGatewayTimeout+http.StatusOK)
	servetest.Want(t, "none was cut", cut.Load(), 0)
}

// A handler that returns while its answer expires waits for that: the record is
// still in use.
func TestTimeoutReturnsMeanwhile(t *testing.T) { synctest.Test(t, testTimeoutReturnsMeanwhile) }

func testTimeoutReturnsMeanwhile(t *testing.T) {
	begin := time.Now()
	slow := headFunc(func(*Exchange) { time.Sleep(5 * time.Second) })
	d, thrown := expiring(t, func(http.ResponseWriter, *http.Request) { time.Sleep(12 * time.Second) }, slow)
	servetest.Want(t, "it has waited", time.Since(begin), 15*time.Second)
	servetest.Want(t, "status", d.Code, http.StatusGatewayTimeout)
	servetest.Want(t, "it is whole", thrown, nil)
}

// A handler that gives up by http.ErrAbortHandler when its time is over, before the
// timer has come, has said nothing: the client is told why.
func TestTimeoutGivesUpByAbort(t *testing.T) { synctest.Test(t, testTimeoutGivesUpByAbort) }

func testTimeoutGivesUpByAbort(t *testing.T) {
	g := NewRegistry()
	c := NewChain(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}), infos, NewDeadline(DeadlineOptions{RequestTimeout: time.Second}), NewTimeout(g, TimeoutOptions{}))
	servetest.Want(t, "the answer", get(c, "/read").Code, http.StatusGatewayTimeout)
}
