package handler

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// lines is a Writer that keeps what it gets.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func newAccessLog(tb testing.TB, opts AccessLogOptions) *AccessLog {
	tb.Helper()
	if opts.ErrorLog == nil {
		opts.ErrorLog = slog.New(slog.DiscardHandler)
	}
	l, err := NewAccessLog(opts)
	servetest.Must(tb, "access log", err)
	tb.Cleanup(func() { closeLog(tb, l) })
	return l
}

func closeLog(tb testing.TB, l *AccessLog) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	servetest.WantErr(tb, "close", l.Close(ctx), nil)
}

// logged is what one request logs.
func logged(tb testing.TB, opts AccessLogOptions, r *http.Request, h http.Handler, stages ...Stage) (line string, members map[string]any) {
	tb.Helper()
	var out lines
	opts.Writer = &out
	l := newAccessLog(tb, opts)
	func() {
		defer func() { _ = recover() }()
		NewChain(h, append([]Stage{l}, stages...)...).ServeHTTP(httptest.NewRecorder(), r)
	}()
	closeLog(tb, l)
	if out.String() == "" {
		return "", nil
	}
	if err := json.Unmarshal([]byte(out.String()), &members); err != nil {
		tb.Fatalf("line %q: %v", out.String(), err)
	}
	return out.String(), members
}

func TestAccessLogLine(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "https://a.example/x%20y?token=geheim", nil)
	r.Header.Set("User-Agent", "curl/8")
	r.Header.Set("Referer", "https://b.example/p?session=geheim#f")
	r.Header.Set("Authorization", "Bearer geheim")
	r.Header.Set("Cookie", "sid=geheim")
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "sid=geheim")
		io.WriteString(w, "hello")
	})
	set := stageFunc(func(x *Exchange) bool {
		x.ID, x.Info.Route, x.User = "id-1", "site", &User{Name: "u"}
		x.Received = time.Date(2026, 10, 1, 12, 0, 0, 1_000_000, time.FixedZone("", 3600))
		return true
	})
	line, got := logged(t, AccessLogOptions{}, r, h, set)
	delete(got, "seconds")
	want := map[string]any{
		"time": "2026-10-01T11:00:00.001Z", "id": "id-1", "client": "192.0.2.1:1234", "method": "GET", "host": "a.example",
		"path": "/x y", "protocol": "HTTP/1.1", "status": 200.0, "bytes": 5.0, "route": "site", "user": "u",
		"agent": "curl/8", "referer": "https://b.example/p",
	}
	for name, value := range want {
		servetest.Want(t, name, got[name], value)
	}
	servetest.Want(t, "members", len(got), len(want))
	servetest.Want(t, "no credential is in it: "+line, strings.Contains(line, "geheim"), false)
}

func TestAccessLogStatus(t *testing.T) {
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for _, tt := range []struct {
		name    string
		ctx     context.Context
		handler http.HandlerFunc
		status  float64
		aborted any
	}{
		{"answered", t.Context(), func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, 204, nil},
		{"by nothing", t.Context(), func(http.ResponseWriter, *http.Request) {}, 200, nil},
		{"aborted", t.Context(), func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, true},
		{"the client has left", gone, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 499, true},
		{"it leaves inside of the answer", gone, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200); panic(http.ErrAbortHandler) }, 200, true},
		{"hijacked", t.Context(), func(w http.ResponseWriter, _ *http.Request) { ExchangeOf(w).w.hijacked = true }, 101, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequestWithContext(tt.ctx, http.MethodGet, "/", nil)
			_, got := logged(t, AccessLogOptions{}, r, tt.handler)
			servetest.Want(t, "status", got["status"], any(tt.status))
			servetest.Want(t, "aborted", got["aborted"], tt.aborted)
		})
	}
}

func TestAccessLogOptionsOfALine(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/?a=b", nil)
	_, got := logged(t, AccessLogOptions{Query: true, Client: func(*Exchange) string { return "198.51.100.7" }}, r, NotFound{})
	servetest.Want(t, "client", got["client"], any("198.51.100.7"))
	servetest.Want(t, "query", got["query"], any("a=b"))
	line, _ := logged(t, AccessLogOptions{Skip: func(*Exchange) bool { return true }}, r, NotFound{})
	servetest.Want(t, "skipped", line, "")
}

func TestAccessLogQuery(t *testing.T) {
	for query, want := range map[string]string{
		"a=b&c=d":                   "a=b&c=d",
		"a&b=&=c":                   "a&b=&=c",
		"access_token=x&a=b":        "access_token=-&a=b",
		"a=b&PassWord=x":            "a=b&PassWord=-",
		"X-Amz-Signature=x":         "X-Amz-Signature=-",
		"%74oken=x":                 "%74oken=-",
		"a=1;token=x":               "a=-",
		"next=/cb?code=x":           "next=-",
		"next=%2Fcb%3Fcode%3dx&b=1": "next=-&b=1",
		"a=\"\n":                    "a=\"\n",
		"a=b&c=" + strings.Repeat("x", 2*maxLogPath) + "&token=y":  "a=b&…",
		"a=b&token=" + strings.Repeat("x", 2*maxLogPath) + "&c=d":  "a=b&token=-&c=d",
		"a=b&" + strings.Repeat("x", 2*maxLogPath) + "token=y&c=d": "a=b&…",
	} {
		var got string
		servetest.Must(t, "JSON", json.Unmarshal(appendQuery(nil, query), &got))
		servetest.Want(t, "query "+query[:min(len(query), 40)], got, want)
	}
}

func TestAccessLogTime(t *testing.T) {
	for _, at := range []time.Time{
		{}, time.Unix(0, 0), time.Unix(1<<31, 999_999_999), time.Date(2028, 2, 29, 23, 59, 59, 1e6, time.FixedZone("", -7200)), time.Now(),
	} {
		servetest.Want(t, "time", string(appendTime(nil, at)), at.UTC().Format("2006-01-02T15:04:05.000Z"))
	}
	for d, want := range map[time.Duration]string{0: "0.000000", -1: "0.000000", 1500 * time.Microsecond: "0.001500", 61 * time.Second: "61.000000"} {
		servetest.Want(t, "seconds", string(appendSeconds(nil, d)), want)
	}
}

func TestAccessLogEscapes(t *testing.T) {
	for value, want := range map[string]string{
		"a\"b\\":           `"a\"b\\"`,
		"a\r\n{\"x\":1}":   `"a\u000d\u000a{\"x\":1}"`,
		"\x1b[31m\x7f\x00": `"\u001b[31m\u007f\u0000"`,
		"\u009b31m":        `"\u009b31m"`,
		"\u202etxt":        `"\u202etxt"`,
		"\u2028":           `"\u2028"`,
		"ä€😀":              `"ä€😀"`,
		"\U000e0001":       `"\udb40\udc01"`,
		"\xff\xc3":         `"\ufffd\ufffd"`,
		"\ufffd":           `"` + "\ufffd" + `"`,
	} {
		servetest.Want(t, "escaped", string(appendJSON(nil, value, 100)), want)
	}
	servetest.Want(t, "cut", string(appendJSON(nil, "abcdef", 3)), `"abc…"`)
	servetest.Want(t, "cut before a rune", string(appendJSON(nil, "abä", 3)), `"ab…"`)
}

// The longest line, all of escapes, is below what one chunk takes.
func TestAccessLogLongest(t *testing.T) {
	long := strings.Repeat("\x01", 64<<10)
	x := &Exchange{Request: httptest.NewRequest(http.MethodGet, "/", nil), ID: long, Info: Info{Route: long}, User: &User{Name: long}}
	r := x.Request
	r.Method, r.Host, r.URL.Path, r.URL.RawQuery, r.Proto, r.RemoteAddr = long, long, long, long[:maxLogPath-2], long, long
	r.Header = http.Header{"User-Agent": {long}, "Referer": {long}}
	l := &AccessLog{opts: AccessLogOptions{Query: true}}
	n := len(l.appendLine(nil, x, time.Hour))
	servetest.Want(t, "bytes", n > 20<<10 && n < 27<<10, true)
}

func FuzzAccessLogLine(f *testing.F) {
	f.Add("GET", "/a", "q=1", "curl", "http://x/", "h")
	f.Add("G\n", "/\x1b[2J", "to%6ben=\"&a;b", "\xff\u202e", "a@b?c", "\u2028")
	f.Fuzz(func(t *testing.T, method, path, query, agent, referer, host string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Method, r.URL.Path, r.URL.RawQuery, r.Host = method, path, query, host
		r.Header = http.Header{"User-Agent": {agent}, "Referer": {referer}}
		l := &AccessLog{opts: AccessLogOptions{Query: true}}
		line := string(l.appendLine(nil, &Exchange{Request: r}, time.Second))
		body, ended := strings.CutSuffix(line, "}\n")
		servetest.Want(t, "its end", ended, true)
		for _, c := range body {
			if !unicode.IsPrint(c) {
				t.Fatalf("line %q holds %U", line, c)
			}
		}
		var got map[string]any
		servetest.Must(t, "JSON", json.Unmarshal([]byte(line), &got))
		for name, want := range map[string]string{"method": method, "path": path, "agent": agent, "host": host} {
			if want != "" && len(want) <= maxLogValue {
				servetest.Want(t, name, got[name], any(string([]rune(want)))) // each invalid byte is U+FFFD
			}
		}
	})
}

// A line costs a request no allocation, once chunks are in the pool.
func TestAccessLogAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	l := newAccessLog(t, AccessLogOptions{Writer: io.Discard, FlushInterval: time.Hour, Query: true})
	r := httptest.NewRequest(http.MethodGet, "/x?a=b", nil)
	r.Header.Set("User-Agent", "curl/8")
	servetest.Want(t, "allocations", allocations(NewChain(NotFound{}, l), r), 0)
}
