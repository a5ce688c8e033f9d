package serve_test

import (
	"io"
	"net/http"
	"strings"
)

// Raw: what only a client with its own bytes can ask.
var compatRaw = []compatCase{
	{name: "HTTP/1.0", run: compatOld, must: []string{"HTTP/1.0 200", "HTTP/1.1 200"}, over: overH1},
	{name: "keep-alive", run: compatKeepAlive, must: []string{"the connection is open"}, over: overH1},
	{name: "pipelining", run: compatPipelining, must: []string{`body "3"`, `body "POST body"`}, over: overH1},
	{name: "pipelining stops at close", run: compatPipelineClose, must: []string{`body "1"`, "the connection is closed"}, over: overH1},
	{name: "byte by byte", run: compatBytewise, must: []string{`body "hello world"`}, over: overH1},
	{name: "half close", run: compatHalfClose, must: []string{`body "answered"`}, over: overH1},
	{name: "leading empty lines", run: compatLeadingLines, must: []string{"200 OK"}, over: overH1},
	{name: "refused heads", run: compatRefused, must: []string{"400 ", "501 "}, over: overH1},
	{name: "upgrade ignored", run: compatUpgradeIgnored, must: []string{"200 OK"}, over: overH1},
}

func compatOld(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		x.tell("%s %v %v", r.Proto, r.Close, fields(r.Header))
		switch r.URL.Path {
		case "/long":
			w.Write(make([]byte, 50_000))
		case "/flush":
			io.WriteString(w, "a")
			w.(http.Flusher).Flush()
			io.WriteString(w, "b")
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		default:
			io.WriteString(w, "short")
		}
	})
	for _, path := range []string{"/", "/long", "/flush", "/none"} {
		for _, field := range []string{"", "Connection: keep-alive\r\n", "Connection: close\r\n"} {
			for _, version := range []string{"HTTP/1.0", "HTTP/1.1"} {
				x.note("> %s %q %s", path, field, version)
				p := x.dial()
				p.send("GET " + path + " " + version + "\r\nHost: h\r\n" + field + "\r\n")
				p.answers("GET")
				p.rest()
				p.conn.Close()
			}
		}
	}
	p := x.dial()
	p.send("POST / HTTP/1.0\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nabc")
	p.answers("POST")
	p.rest()
}

func compatKeepAlive(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		x.tell("%s %q", r.URL, body)
		io.WriteString(w, r.URL.Path)
	})
	p := x.dial()
	for range 3 {
		p.send("GET /a HTTP/1.1\r\nHost: h\r\n\r\n")
		p.answers("GET")
		p.send("HEAD /b HTTP/1.1\r\nHost: h\r\n\r\n")
		p.answers("HEAD")
		p.send("POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
		p.answers("POST")
	}
	p.rest()
}

func compatPipelining(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			body, _ := io.ReadAll(r.Body)
			io.WriteString(w, "POST "+string(body))
			return
		}
		if r.URL.Path == "/large" {
			w.Write(make([]byte, 100_000))
			return
		}
		io.WriteString(w, r.URL.Path[1:])
	})
	p := x.dial()
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n" }
	p.send(get("/1") + get("/2") + "POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody" + get("/3") + get("/large") + get("/4"))
	p.answers("GET", "GET", "POST", "GET", "GET", "GET")
	p.send(strings.Repeat(get("/many"), 50))
	for range 50 {
		p.answers("GET")
	}
	p.rest()
}

func compatPipelineClose(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		x.tell("%s", r.URL)
		io.WriteString(w, r.URL.Path[1:])
	})
	p := x.dial()
	p.send("GET /1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\n\r\n")
	p.answers("GET")
	p.rest()
}

func compatBytewise(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		x.tell("%s %q %q %s", r.URL, r.Header["X-Field"], body, kind(err))
		w.Write(body)
	})
	p := x.dial()
	for _, b := range []byte("POST /bytes HTTP/1.1\r\nHost: h\r\nX-Field: value\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n") {
		p.send(string(b))
	}
	p.answers("POST")
	p.rest()
}

func compatHalfClose(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		x.tell("%q %s", body, kind(err))
		io.WriteString(w, "answered")
	})
	p := x.dial()
	p.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody")
	if half, ok := p.conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	p.answers("POST")
}

func compatLeadingLines(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {})
	p := x.dial()
	p.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n")
	p.answers("POST", "GET")
	p.rest()
}

// compatRefused compares only the statuses: the texts are each server's own.
func compatRefused(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) { x.tell("served %s", r.URL) })
	for _, head := range []string{
		"GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\nX Y: z\r\n\r\n",
		"GET /\r\n\r\n", "GET / HTTP/3.0\r\nHost: h\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", "G(T / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.1\r\nHost: h h\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nExpect: something\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: h\r\nX: " + strings.Repeat("x", 2<<20) + "\r\n\r\n",
	} {
		p := x.dial()
		p.send(head)
		resp, err := http.ReadResponse(p.r, nil)
		if err != nil {
			x.note("%.60q: %s", head, failure(err))
		} else {
			resp.Body.Close()
			x.note("%.60q: %d close %v", head, resp.StatusCode, resp.Close)
		}
		p.conn.Close()
	}
}

func compatUpgradeIgnored(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "not upgraded") })
	for _, what := range []string{"h2c", "websocket", "TLS/1.2"} {
		x.note("upgrade to %s", what)
		p := x.dial()
		p.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAA\r\nUpgrade: " + what + "\r\n\r\n")
		p.answers("GET")
		p.rest()
	}
}
