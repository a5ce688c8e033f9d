package h3

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/quic-go/quic-go/http3"

	"github.com/penstock-edge/penstock/serve/servetest"
)

var (
	kb100 = strings.Repeat("0123456789", 10_240)
	mb3   = strings.Repeat("0123456789abcdef", 3<<16)
)

// answerCase is what a handler does and what its client sees of it.
type answerCase struct {
	name    string
	method  string // "": GET
	handler http.HandlerFunc
	status  int // 0: 200
	body    string
	fields  []string // name, value, …; value "": the field is absent
	trailer []string // likewise
}

// answers are the ways of saying something, as net/http takes them.
var answers = []answerCase{
	{name: "nothing", handler: func(http.ResponseWriter, *http.Request) {}, fields: []string{"Content-Length", "0", "Content-Type", ""}},
	{name: "implicit 200", handler: hello, body: "hello", fields: []string{"Content-Length", "5", "Content-Type", "text/plain; charset=utf-8"}},
	{name: "a status", handler: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404); hello(w, r) }, status: 404, body: "hello"},
	{name: "only a status", handler: status(500), status: 500, fields: []string{"Content-Length", "0"}},
	{name: "a superfluous WriteHeader", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(201)
		w.WriteHeader(500)
	}, status: 201},
	{name: "sniffed", handler: text("<html>"), body: "<html>", fields: []string{"Content-Type", "text/html; charset=utf-8"}},
	{name: "sniffed over two writes", handler: func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "<ht")
		io.WriteString(w, "ml>"+kb100)
	}, body: "<html>" + kb100, fields: []string{"Content-Type", "text/html; charset=utf-8", "Content-Length", ""}},
	{name: "a type of its own", handler: with("Content-Type", "x/y", hello), body: "hello", fields: []string{"Content-Type", "x/y"}},
	{name: "encoded content is not sniffed", handler: with("Content-Encoding", "br", hello), body: "hello", fields: []string{"Content-Type", ""}},
	{name: "fields behind WriteHeader do not count", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-A", "1")
		w.WriteHeader(200)
		w.Header().Set("X-A", "2")
		w.Header().Set("X-B", "2")
		hello(w, r)
	}, body: "hello", fields: []string{"X-A", "1", "X-B", ""}},
	{name: "a date of its own", handler: with("Date", "now", hello), body: "hello", fields: []string{"Date", "now"}},
	{name: "HEAD", method: "HEAD", handler: hello, fields: []string{"Content-Length", "5"}},
	{name: "HEAD, large", method: "HEAD", handler: text(mb3)},
	{name: "HEAD, declared", method: "HEAD", handler: with("Content-Length", "1234", hello), fields: []string{"Content-Length", "1234"}},
	{name: "204", handler: status(204), status: 204, fields: []string{"Content-Length", "", "Content-Type", ""}},
	{name: "304", handler: with("Content-Type", "x/y", with("Content-Length", "77", status(304))), status: 304, fields: []string{"Content-Length", "77", "Content-Type", ""}},
	{name: "100 KB", handler: text(kb100), body: kb100},
	{name: "100 KB, declared", handler: with("Content-Length", fmt.Sprint(len(kb100)), text(kb100)), body: kb100, fields: []string{"Content-Length", fmt.Sprint(len(kb100))}},
	{name: "3 MB", handler: text(mb3), body: mb3},
	{name: "3 MB, declared", handler: with("Content-Length", fmt.Sprint(len(mb3)), text(mb3)), body: mb3},
	{name: "3 MB in small pieces", handler: func(w http.ResponseWriter, _ *http.Request) {
		for s := mb3; s != ""; s = s[min(999, len(s)):] {
			io.WriteString(w, s[:min(999, len(s))])
		}
	}, body: mb3},
	{name: "3 MB declared, in pieces of all sizes", handler: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(mb3)))
		n := 1
		for s := mb3; s != ""; n = (n*3 + 1) % 150_000 {
			k := min(n, len(s))
			io.WriteString(w, s[:k])
			s = s[k:]
		}
	}, body: mb3},
	{name: "3 MB by ReadFrom", handler: func(w http.ResponseWriter, _ *http.Request) {
		n, err := io.Copy(w, struct{ io.Reader }{strings.NewReader(mb3)})
		if n != int64(len(mb3)) || err != nil {
			panic(http.ErrAbortHandler)
		}
	}, body: mb3},
	{name: "flushed", handler: func(w http.ResponseWriter, r *http.Request) {
		hello(w, r)
		w.(http.Flusher).Flush()
		hello(w, r)
	}, body: "hellohello", fields: []string{"Content-Length", ""}},
	{name: "flushed at once", handler: func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush(); hello(w, r) }, body: "hello"},
	{name: "trailers, announced", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-A, X-B")
		hello(w, r)
		w.Header().Set("X-A", "1")
		w.Header().Set("X-C", "3")
	}, body: "hello", trailer: []string{"X-A", "1", "X-B", "", "X-C", ""}},
	{name: "trailers by prefix", handler: func(w http.ResponseWriter, r *http.Request) {
		hello(w, r)
		w.Header().Set(http.TrailerPrefix+"X-A", "1")
		w.Header().Set(http.TrailerPrefix+"Content-Length", "3")
	}, body: "hello", trailer: []string{"X-A", "1", "Content-Length", ""}},
	{name: "trailers behind a large body", handler: func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, mb3)
		w.Header().Set(http.TrailerPrefix+"X-A", "1")
	}, body: mb3, trailer: []string{"X-A", "1"}},
	{
		name: "fields of HTTP/1", handler: with("Keep-Alive", "1", with("Transfer-Encoding", "chunked", with("Upgrade", "x", hello))),
		body: "hello", fields: []string{"Keep-Alive", "", "Transfer-Encoding", "", "Upgrade", ""},
	},
	{name: "101 is not sent", handler: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(101); hello(w, r) }, body: "hello"},
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, s) }
}

func with(name, value string, then http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(name, value)
		then(w, r)
	}
}

func (tt *answerCase) check(t *testing.T, r reply) {
	t.Helper()
	code := tt.status
	if code == 0 {
		code = 200
	}
	r.want(t, "the answer", code, tt.body)
	if r.err != nil {
		return
	}
	for i := 0; i < len(tt.fields); i += 2 {
		servetest.Want(t, tt.fields[i], r.Header.Get(tt.fields[i]), tt.fields[i+1])
	}
	for i := 0; i < len(tt.trailer); i += 2 {
		servetest.Want(t, "trailer "+tt.trailer[i], r.Trailer.Get(tt.trailer[i]), tt.trailer[i+1])
	}
	servetest.Want(t, "a date", r.Header.Get("Date") != "", true)
}

// TestAnswers: inline and overtaken, fresh and recycled, and each but the largest
// twice, for what is remembered of the first.
func TestAnswers(t *testing.T) {
	for _, recycle := range []bool{false, true} {
		for _, late := range []bool{false, true} {
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				var i int
				fmt.Sscanf(r.URL.Path, "/%d", &i)
				if late {
					overtake(w)
				}
				answers[i].handler(w, r)
			}, func(cfg *Config) { cfg.Recycle = recycle })
			a := s.agent()
			for i := range answers {
				tt := &answers[i]
				t.Run(fmt.Sprintf("%s/recycle=%v/late=%v", tt.name, recycle, late), func(t *testing.T) {
					times := 2
					if len(tt.body) == len(mb3) {
						if times = 1; recycle != late {
							return // the other two settings will do
						}
					}
					for range times {
						method := tt.method
						if method == "" {
							method = "GET"
						}
						tt.check(t, a.do(a.request(context.Background(), method, fmt.Sprint("/", i), nil)))
					}
				})
			}
			servetest.Want(t, "the superfluous WriteHeader was logged", strings.Count(s.log.String(), "superfluous"), 2)
		}
	}
}

// TestStockAnswers: quic-go's server gives the same answers.
func TestStockAnswers(t *testing.T) {
	// What quic-go's server does otherwise.
	wanted := map[string]string{
		"sniffed over two writes":                "it looks at the first write only",
		"fields behind WriteHeader do not count": "they do, until the head is sent",
		"304":                                    "it sends the type of content that is not sent",
		"fields of HTTP/1":                       "it sends them, and its own client refuses them",
		"101 is not sent":                        "it sends it, and its own client refuses that",
	}
	socket := socketFor(t)
	h := &http3.Server{TLSConfig: stockTLS(), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var i int
		fmt.Sscanf(r.URL.Path, "/%d", &i)
		answers[i].handler(w, r)
	})}
	done := make(chan struct{})
	go func() { h.Serve(socket); close(done) }()
	defer func() { h.Close(); <-done }()
	a := agentTo(t, socket.LocalAddr())
	for i := range answers {
		tt := &answers[i]
		if wanted[tt.name] != "" {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			method := tt.method
			if method == "" {
				method = "GET"
			}
			tt.check(t, a.do(a.request(context.Background(), method, fmt.Sprint("/", i), nil)))
		})
	}
}
