package serve_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Library: what net/http and its neighbours build on a server.
var compatLibrary = []compatCase{
	{name: "ServeMux", run: compatMux, must: []string{"id 7 rest a/b", "405 Method Not Allowed", "stripped /x"}},
	{name: "FileServer", run: compatFileServer, must: []string{"206 Partial Content", "304 Not Modified", "multipart/byteranges"}},
	{name: "ReverseProxy", run: compatProxy, must: []string{`trailer X-T: ["t"]`, `X-Forwarded-For: ["127.0.0.1"]`}},
	{name: "ReverseProxy, upgrade", run: compatProxyUpgrade, must: []string{`line "echo hello\n" nil`}, over: overH1},
	{name: "ReverseProxy, client gone", run: compatProxyGone, must: []string{"backend saw context canceled"}},
	{name: "TimeoutHandler", run: compatTimeout, must: []string{"503 Service Unavailable", "in time"}},
	{name: "MaxBytesHandler", run: compatMaxBytesHandler, must: []string{"http: request body too large"}},
	{name: "middleware with Unwrap", run: compatUnwrap, must: []string{"flush <nil>"}},
}

func compatMux(x *compat) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}/{rest...}", func(w http.ResponseWriter, r *http.Request) {
		x.tell("id %s rest %s pattern %s", r.PathValue("id"), r.PathValue("rest"), r.Pattern)
	})
	mux.HandleFunc("example.com/host", func(w http.ResponseWriter, r *http.Request) { x.tell("host %s", r.Host) })
	mux.Handle("/strip/", http.StripPrefix("/strip", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x.tell("stripped %s", r.URL.Path)
	})))
	x.serve(mux.ServeHTTP)
	x.ask("GET", "/items/7/a/b", nil)
	x.ask("HEAD", "/items/7/", nil)
	x.ask("POST", "/items/7/a", strings.NewReader("x"))
	x.ask("GET", "/strip/x", nil)
	x.ask("GET", "/strip", nil)
	x.ask("GET", "/items//7/../8/", nil)
	x.ask("GET", "/none", nil)
	r := x.request("GET", "/host", nil)
	r.Host = "example.com:80"
	x.do(r)
	for _, line := range []string{"OPTIONS *", "GET *", "OPTIONS /strip/o"} {
		p := x.dial()
		x.note("%s", line)
		method, target, _ := strings.Cut(line, " ")
		p.ask(method, target, p.closing()...)
		p.answers("OPTIONS")
	}
}

func compatFileServer(x *compat) {
	dir := x.t.TempDir()
	text, _ := io.ReadAll(io.LimitReader(strings.NewReader(strings.Repeat("0123456789", 10_000)), 100_000))
	for name, content := range map[string][]byte{"big.txt": text, "small.html": []byte("<html>small"), "empty": nil, "sub/index.html": []byte("<html>index")} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			x.t.Fatal(err)
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			x.t.Fatal(err)
		}
	}
	at := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	for _, name := range []string{"big.txt", "small.html", "empty", "sub/index.html", "sub", "."} {
		if err := os.Chtimes(filepath.Join(dir, name), at, at); err != nil {
			x.t.Fatal(err)
		}
	}
	x.serve(http.FileServer(http.Dir(dir)).ServeHTTP)
	for _, path := range []string{"/big.txt", "/small.html", "/empty", "/sub/", "/sub", "/sub/index.html", "/", "/none", "/../etc/passwd"} {
		x.ask("GET", path, nil)
		x.ask("HEAD", path, nil)
	}
	for _, f := range []struct{ name, value string }{
		{"Range", "bytes=10-19"},
		{"Range", "bytes=50000-"},
		{"Range", "bytes=-5"},
		{"Range", "bytes=200000-"},
		{"Range", "bytes=x"},
		{"If-Modified-Since", "Mon, 06 May 2024 07:08:09 GMT"},
		{"If-Unmodified-Since", "Mon, 06 May 2020 07:08:09 GMT"},
	} {
		r := x.request("GET", "/big.txt", nil)
		r.Header.Set(f.name, f.value)
		x.do(r)
	}
	r := x.request("GET", "/big.txt", nil)
	r.Header.Set("Range", "bytes=0-4,20-24")
	resp, err := x.client.Do(r)
	if err != nil {
		x.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	x.note("%s %s %d bytes %s", resp.Status, resp.Header.Get("Content-Type"), len(body), kind(err))
}

// proxyTo is a reverse proxy to a backend of the same form.
func (x *compat) proxyTo(backend http.HandlerFunc) *httputil.ReverseProxy {
	_, text := x.start(backend)
	u, err := url.Parse(text)
	if err != nil {
		x.t.Fatal(err)
	}
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.SetXForwarded()
			r.Out.Host = "backend.example"
			r.Out.Header.Del("X-Forwarded-Proto") // TLS or not
		},
		Transport: x.transport(),
		ErrorLog:  log.New(io.Discard, "", 0),
	}
}

func compatProxy(x *compat) {
	arrived := make(chan struct{})
	proxy := x.proxyTo(func(w http.ResponseWriter, r *http.Request) {
		length := r.ContentLength
		if x.http3 && r.Method != "POST" {
			length = max(length, 0) // unknown where the stream's end does not come with the head, of which there is no telling
		}
		x.tell("backend %s %s %s %d %v %s", r.Method, r.URL, r.Host, length, r.TransferEncoding, fields(r.Header))
		switch r.URL.Path {
		case "/hints":
			w.Header().Set("Link", "</x>")
			w.WriteHeader(http.StatusEarlyHints)
		case "/trailer":
			w.Header().Set("Trailer", "X-T")
			defer w.Header().Set("X-T", "t")
		case "/abort":
			io.WriteString(w, "some")
			w.(http.Flusher).Flush()
			within(x.t, "what was flushed arrives", arrived)
			panic(http.ErrAbortHandler)
		case "/dead":
			panic(http.ErrAbortHandler)
		case "/204":
			w.WriteHeader(http.StatusNoContent)
			return
		}
		n, digest, err := sum(r.Body)
		x.tell("body %d %s %s", n, digest, kind(err))
		io.Copy(w, pattern(100_000))
	})
	x.serve(proxy.ServeHTTP)
	for _, path := range []string{"/", "/hints", "/trailer"} {
		x.ask("GET", path, nil)
	}
	x.do(x.request("GET", "/abort", nil), onArrival("some", arrived))
	x.ask("GET", "/dead", nil)
	x.ask("GET", "/204", nil)
	x.ask("HEAD", "/", nil)
	x.ask("POST", "/up", pattern(500_000))
	x.ask("PUT", "/up", strings.NewReader("length"))
}

func compatProxyUpgrade(x *compat) {
	proxy := x.proxyTo(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			x.tell("hijack %v", err)
			return
		}
		defer conn.Close()
		for range 2 {
			line, err := rw.ReadString('\n')
			if err != nil {
				x.tell("read %v", err)
				return
			}
			fmt.Fprintf(conn, "echo %s", line)
		}
	})
	x.serve(proxy.ServeHTTP)
	p := x.dial()
	p.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	resp, err := http.ReadResponse(p.r, nil)
	if err != nil {
		x.t.Fatal(err)
	}
	x.note("%s %s", resp.Status, fields(resp.Header))
	for _, text := range []string{"hello\n", "again\n"} {
		p.send(text)
		p.line()
	}
	p.line()
	p.conn.Close() // both directions end before the proxy does
}

func compatProxyGone(x *compat) {
	running := make(chan struct{})
	ended := make(chan struct{})
	proxy := x.proxyTo(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		w.(http.Flusher).Flush()
		close(running)
		select {
		case <-r.Context().Done():
		case <-time.After(patience):
		}
		x.tell("backend saw %v", r.Context().Err())
	})
	x.serve(proxy.ServeHTTP)
	p := x.dial()
	p.ask("GET", "/")
	within(x.t, "the backend runs", running)
	p.abandon()
	within(x.t, "the backend ends", ended)
}

func compatTimeout(x *compat) {
	slow := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-r.Context().Done()
			x.tell("%v", r.Context().Err())
			for { // until the TimeoutHandler has answered
				if _, err := io.WriteString(w, "late"); err != nil {
					x.tell("%v", err)
					return
				}
				time.Sleep(time.Millisecond)
			}
		}
		w.Header().Set("X-Slow", "no")
		io.WriteString(w, "in time")
	}
	quick := http.TimeoutHandler(http.HandlerFunc(slow), 30*time.Millisecond, "too slow")
	patient := http.TimeoutHandler(http.HandlerFunc(slow), patience, "too slow")
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			quick.ServeHTTP(w, r)
		} else {
			patient.ServeHTTP(w, r)
		}
	})
	x.ask("GET", "/slow", nil)
	for x.toldLines() < 2 {
		time.Sleep(time.Millisecond) // the abandoned handler runs on
	}
	x.ask("GET", "/", nil)
	x.ask("POST", "/", strings.NewReader("body"))
}

func compatMaxBytesHandler(x *compat) {
	h := http.MaxBytesHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		x.tell("%d %v", len(body), err)
	}), 1000)
	x.serve(h.ServeHTTP)
	p := x.dial()
	p.ask("POST", "/", "Content-Length: 5000")
	p.content(strings.Repeat("b", 5000))
	p.answers("POST")
}

type wrapper struct{ http.ResponseWriter }

func (w wrapper) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func compatUnwrap(x *compat) {
	inner := func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		io.WriteString(w, "wrapped")
		x.tell("flush %v", rc.Flush())
		x.tell("deadlines %v %v", rc.SetReadDeadline(time.Now().Add(time.Hour)), rc.SetWriteDeadline(time.Now().Add(time.Hour)))
		x.tell("duplex %v", rc.EnableFullDuplex())
		_, ok := r.Context().Value(ctxKey("mw")).(string)
		x.tell("context %v tls %v", ok, (r.TLS != nil && r.TLS.Version >= tls.VersionTLS12) == x.secure)
	}
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		inner(wrapper{wrapper{w}}, r.Clone(context.WithValue(r.Context(), ctxKey("mw"), "v")))
	})
	x.ask("GET", "/", nil)
	x.ask("GET", "/", nil)
}
