package serve_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
)

// Messages: heads, statuses, framing, trailers, interim answers.
var compatMessages = []compatCase{
	{name: "request as the handler sees it", run: compatRequest, must: []string{"method PATCH", "proto HTTP/1.1", `X-Twice: ["a" "b"]`}, mustH2: []string{"proto HTTP/2.0", `X-Twice: ["a" "b"]`}},
	{name: "space around a value", run: compatSpaced, must: []string{`field ["a b"]`}, mustH2: []string{`field ["  a b\t"]`}},
	{name: "targets", run: compatTargets, must: []string{`path "/a/b" raw "/a%2Fb"`}},
	{name: "CONNECT and odd methods", run: compatMethods, must: []string{"method CONNECT", "method frob"}},
	{name: "answer sizes", run: compatSizes, must: []string{"length 100 ", "coding [chunked]"}, mustH2: []string{"length 100 ", "length -1 "}},
	{name: "HEAD", run: compatHead, must: []string{"> HEAD /short", "length 5 "}},
	{
		name: "statuses", run: compatStatuses, must: []string{"204 No Content", "304 Not Modified", "299 status code 299", "write: http: request method or response status code does not allow body"},
		mustH2: []string{"204 No Content", "304 Not Modified", "< HTTP/2.0 299 ", "write: http: request method or response status code does not allow body"},
	},
	{name: "redirects", run: compatRedirects, must: []string{"301 Moved", `Location: ["/there"]`}},
	{name: "trailers of answers", run: compatTrailers, must: []string{`trailer X-Declared: ["d"]`, `X-Late`}},
	{name: "trailers of requests", run: compatRequestTrailers, must: []string{`trailer after X-None: []; X-Sum: ["42"]`}},
	{name: "early hints", run: compatHints, must: []string{`interim 103 Link: ["</a.css>; rel=preload" "</b.css>; rel=preload"]`, "interim 102"}},
	{name: "expect 100, body read", run: compatExpectRead, must: []string{"interim 100", "got 5"}},
	{name: "expect 100, body not read", run: compatExpectUnread, must: []string{"417 Expectation Failed"}},
	{name: "superfluous WriteHeader", run: compatSuperfluous, must: []string{"201 Created"}},
	{name: "invalid WriteHeader", run: compatInvalidStatus, must: []string{"invalid WriteHeader code 42"}},
	{name: "fields after the head", run: compatLateFields, must: []string{`X-Before: ["1"]`}},
	{
		name: "length mismatch", run: compatLengthMismatch, must: []string{"http: wrote more than the declared Content-Length", "body error: cut"},
		mustH2: []string{"server replied with more than declared Content-Length", "body error: cut"},
	},
	{name: "handler's own framing", run: compatOwnFraming, must: []string{"> GET /te"}},
	{name: "handler's own Date", run: compatOwnDate, must: []string{`Date: ["yesterday"]`}},
	{name: "handler's Connection", run: compatOwnConnection, must: []string{"close true"}, mustH2: []string{"the connection is closed", "the connection is open"}},
	{name: "sniffing", run: compatSniffing, must: []string{"text/html; charset=utf-8", "image/gif"}},
	{name: "injection", run: compatInjection, must: []string{`X-Inject: ["a  Set-Cookie: b"]`}, mustH2: []string{`X-Many: ["1" "2" ""]`}},
	{name: "interfaces of the writer", run: compatInterfaces, must: []string{"Flusher true", "Hijacker true"}, mustH2: []string{"Flusher true", "Hijacker false"}},
}

func compatRequest(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		x.tell("method %s uri %s url %s host %s proto %s %d.%d", r.Method, r.RequestURI, r.URL, r.Host, r.Proto, r.ProtoMajor, r.ProtoMinor)
		length, none := r.ContentLength, r.Body == http.NoBody
		if x.http3 && length <= 0 && len(body) == 0 {
			length, none = 0, true // as it is when the stream's end comes with the head, of which there is no telling
		}
		x.tell("length %d coding %v close %v form %v pattern %q", length, r.TransferEncoding, r.Close, r.Form, r.Pattern)
		x.tell("header %s body %s %s", fields(r.Header), digest(body), kind(err))
		x.tell("remote %v", strings.HasPrefix(r.RemoteAddr, "127.0.0.1:"))
		server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
		x.tell("server %v local %v", server != nil, r.Context().Value(http.LocalAddrContextKey))
		x.tell("body is NoBody %v, nil %v", none, r.Body == nil)
	})
	r := x.request("PATCH", "/p/a%20th?q=1&r=%2F", strings.NewReader("hello"))
	r.Header["X-Twice"] = []string{"a", "b"}
	r.Header["x-lower"] = []string{"lower"}
	r.AddCookie(&http.Cookie{Name: "c", Value: "v"})
	r.SetBasicAuth("u", "p")
	x.do(r)
	x.ask("GET", "/", nil)
	x.ask("POST", "/", http.NoBody)
	x.ask("PUT", "/chunked", io.MultiReader(strings.NewReader("in "), strings.NewReader("chunks")))
	x.ask("PUT", "/chunked/empty", io.MultiReader())
	x.ask("DELETE", "/with/body", strings.NewReader("body"))
	r = x.request("GET", "/other-host", nil)
	r.Host = "Example.COM:81"
	r.Close = true
	x.do(r)
}

func compatSpaced(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) { x.tell("field %q", r.Header["X-Spaced"]) })
	p := x.dial()
	p.ask("GET", "/", "X-Spaced:   a b\t")
	p.answers("GET")
	p.rest()
}

func compatTargets(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		x.tell("%s: path %q raw %q query %q host %q url host %q scheme %q", r.RequestURI, r.URL.Path, r.URL.RawPath, r.URL.RawQuery, r.Host, r.URL.Host, r.URL.Scheme)
		x.tell("form %q %q", r.FormValue("a"), r.URL.Query())
	})
	for _, target := range []string{
		"/", "/a%2Fb", "//two//slashes", "/%7Etilde", "/a/../b", "/?a=1&a=2;b", "/x?", "/x#frag", "/caf%C3%A9", "/[x]", "/a:b@c",
		"http://absolute.example/p?q", "http://absolute.example:81", "/semi;colon=1",
	} {
		x.note("%s", target)
		p := x.dial()
		p.ask("GET", target, p.closing()...)
		p.answers("GET")
		p.conn.Close()
	}
}

func compatMethods(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		x.tell("method %s url %q host %q uri %q", r.Method, r.URL, r.Host, r.RequestURI)
	})
	for _, line := range []string{"CONNECT host.example:443", "frob /x", "TRACE /", "OPTIONS *", "OPTIONS /o", "QUERY /q", "M-SEARCH /"} {
		method, target, _ := strings.Cut(line, " ")
		p := x.dial()
		x.note("%s", line)
		p.ask(method, target, p.closing()...)
		p.answers(method)
	}
}

func compatSizes(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		var size, pieces int
		fmt.Sscanf(r.URL.Path, "/%d/%d", &size, &pieces)
		for range pieces {
			n, err := w.Write(make([]byte, size))
			if n != size || err != nil {
				x.tell("wrote %d of %d: %v", n, size, err)
			}
		}
	})
	for _, path := range []string{"/0/0", "/0/1", "/1/1", "/100/1", "/1000/2", "/4000/1", "/1000/5", "/8192/1", "/8193/1", "/20000/1", "/300/100", "/100000/3"} {
		x.ask("GET", path, nil)
	}
}

func compatHead(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/short":
			n, err := io.WriteString(w, "short")
			x.tell("wrote %d %v", n, err)
		case "/none":
		case "/long":
			n, err := w.Write(make([]byte, 100_000))
			x.tell("wrote %d %v", n, err)
		case "/declared":
			w.Header().Set("Content-Length", "12345")
		case "/declared/written":
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "short")
		case "/flushed":
			w.(http.Flusher).Flush()
			io.WriteString(w, "short")
		}
	})
	for _, path := range []string{"/short", "/none", "/long", "/declared", "/declared/written", "/flushed"} {
		x.ask("HEAD", path, nil)
	}
}

func compatStatuses(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		var status int
		fmt.Sscanf(r.URL.Path, "/%d", &status)
		w.Header().Set("ETag", `"e"`)
		if r.URL.Query().Has("length") {
			w.Header().Set("Content-Length", "5")
			w.Header().Set("Content-Type", "text/x")
		}
		w.WriteHeader(status)
		n, err := io.WriteString(w, "hello")
		x.tell("%d %d write: %v", status, n, err)
	})
	for _, status := range []int{200, 201, 202, 204, 205, 206, 299, 300, 304, 400, 404, 418, 451, 500, 503, 599} {
		x.ask("GET", fmt.Sprintf("/%d", status), nil)
	}
	x.ask("GET", "/304?length", nil)
	x.ask("GET", "/204?length", nil)
	x.ask("HEAD", "/304?length", nil)
	x.ask("POST", "/204", strings.NewReader("body"))
}

func compatRedirects(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/error":
			http.Error(w, "wrong <&>", http.StatusTeapot)
		case "/notfound":
			http.NotFound(w, r)
		case "/relative/a":
			http.Redirect(w, r, "b", http.StatusFound)
		default:
			http.Redirect(w, r, "/there", http.StatusMovedPermanently)
		}
	})
	for _, path := range []string{"/", "/error", "/notfound", "/relative/a"} {
		x.ask("GET", path, nil)
		x.ask("HEAD", path, nil)
		x.ask("POST", path, strings.NewReader("x=y"))
	}
}

func compatTrailers(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Trailer", "X-Declared, X-Unset")
		h.Add("Trailer", "X-Other")
		if r.URL.Path == "/early" {
			h.Set("X-Declared", "early")
		}
		if r.URL.Path == "/length" {
			h.Set("Content-Length", "4")
		}
		io.WriteString(w, "body")
		if r.URL.Path == "/flushed" {
			w.(http.Flusher).Flush()
		}
		h.Set("X-Declared", "d")
		h["X-Other"] = []string{"1", "2"}
		h.Set("X-Undeclared", "lost")
		h.Set(http.TrailerPrefix+"X-Late", "late")
	})
	for _, path := range []string{"/", "/early", "/length", "/flushed"} {
		x.ask("GET", path, nil)
		x.ask("HEAD", path, nil)
	}
	x.old("/")
}

// old asks in HTTP/1.0, where there is an HTTP/1.
func (x *compat) old(path string) {
	if !x.streams() {
		p := x.dial()
		p.send("GET " + path + " HTTP/1.0\r\nHost: h\r\n\r\n")
		p.answers("GET")
	}
}

func compatRequestTrailers(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		x.tell("trailer before %s header %s", fields(r.Trailer), fields(r.Header))
		body, err := io.ReadAll(r.Body)
		x.tell("body %q %s", body, kind(err))
		x.tell("trailer after %s", fields(r.Trailer))
	})
	r := x.request("POST", "/", nil)
	r.Body = io.NopCloser(io.MultiReader(strings.NewReader("sum me")))
	r.ContentLength = -1
	r.Trailer = http.Header{"X-Sum": {"42"}, "X-None": nil}
	x.do(r)
	x.ask("POST", "/", io.MultiReader(strings.NewReader("no trailers")))
	p := x.dial()
	p.stream("POST", "/undeclared")
	p.content("abc")
	p.end("X-Extra: 1", "X-Extra: 2")
	p.answers("POST")
	p.rest()
}

func compatHints(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.Header().Add("Link", "</b.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		w.Header().Del("Link")
		w.Header().Set("X-Final", "1")
		w.WriteHeader(http.StatusAccepted)
		io.WriteString(w, "done")
	})
	x.ask("GET", "/", nil)
	x.ask("POST", "/", strings.NewReader("unread"))
	x.old("/old")
}

func compatExpectRead(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		x.tell("expect %q", r.Header["Expect"])
		body, err := io.ReadAll(r.Body)
		x.tell("got %d %s", len(body), kind(err))
	})
	p := x.dial()
	p.ask("POST", "/", "Content-Length: 5", "Expect: 100-continue")
	p.interim()
	p.content("hello")
	p.answers("POST")
	p.rest()
}

func compatExpectUnread(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no", http.StatusExpectationFailed)
	})
	p := x.dial()
	p.ask("POST", "/", "Content-Length: 5", "Expect: 100-continue")
	p.answers("POST")
	p.rest()
}

func compatSuperfluous(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/written" {
			io.WriteString(w, "body")
		}
		w.WriteHeader(http.StatusCreated)
		w.Header().Set("X-Late", "1")
		w.WriteHeader(http.StatusTeapot)
	})
	x.ask("GET", "/", nil)
	x.ask("GET", "/written", nil)
}

func compatInvalidStatus(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		defer func() { x.tell("%v", recover()) }()
		w.WriteHeader(42)
	})
	x.ask("GET", "/", nil)
}

func compatLateFields(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Before", "1")
		if r.URL.Path == "/write" {
			io.WriteString(w, "some")
		} else {
			w.WriteHeader(http.StatusOK)
		}
		w.Header().Set("X-After", "1")
		w.Header().Set("X-Before", "2")
		w.Header().Del("Content-Type")
		io.WriteString(w, "thing")
	})
	x.ask("GET", "/", nil)
	x.ask("GET", "/write", nil)
}

func compatLengthMismatch(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		switch r.URL.Path {
		case "/more":
			n, err := io.WriteString(w, "0123456789a")
			x.tell("%d %v", n, err)
		case "/more/later":
			io.WriteString(w, "0123456789")
			n, err := io.WriteString(w, "a")
			x.tell("%d %v", n, err)
		case "/less":
			io.WriteString(w, "01234")
		case "/none":
		}
	})
	x.ask("GET", "/more/later", nil)
	for _, path := range []string{"/less", "/none"} {
		if x.http3 { // the reset may overtake what was written
			x.note("%s: %s", path, failure(x.drink(path)))
		} else {
			x.ask("GET", path, nil)
		}
	}
	x.ask("HEAD", "/less", nil)
}

func compatOwnFraming(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/te":
			w.Header().Set("Transfer-Encoding", "chunked")
		case "/te/length":
			w.Header().Set("Transfer-Encoding", "chunked")
			w.Header().Set("Content-Length", "4")
		case "/bad/length":
			w.Header().Set("Content-Length", "four")
		}
		n, err := io.WriteString(w, "body")
		x.tell("%d %v", n, err)
	})
	for _, path := range []string{"/te", "/te/length", "/bad/length"} {
		x.ask("GET", path, nil)
	}
}

func compatOwnDate(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		if r.URL.Path == "/own" {
			w.Header().Set("Date", "yesterday")
		}
	})
	x.ask("GET", "/none", nil)
	x.ask("GET", "/own", nil)
}

func compatOwnConnection(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", r.URL.Query().Get("c"))
		io.WriteString(w, "body")
	})
	for _, c := range []string{"close", "Close", "keep-alive"} {
		x.note("> %s", c)
		p := x.dial()
		p.ask("GET", "/?c="+c)
		p.answers("GET")
		if x.http3 && strings.EqualFold(c, "close") {
			p.awaitEnd() // until it is gone, its client may ask
		}
		p.rest()
	}
}

func compatSniffing(x *compat) {
	bodies := map[string]string{"/html": "<html>x", "/text": "plain", "/gif": "GIF89a", "/binary": "\x00\x01", "/utf8": "h\xc3\xa9", "/long": strings.Repeat("<p>", 5000)}
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		switch q := r.URL.Query(); {
		case q.Has("encoded"):
			w.Header().Set("Content-Encoding", "gzip")
		case q.Has("typed"):
			w.Header().Set("Content-Type", "x/y")
		case q.Has("none"):
			w.Header()["Content-Type"] = nil
		case q.Has("empty"):
			w.Header().Set("Content-Type", "")
		case q.Has("nosniff"):
			w.Header().Set("X-Content-Type-Options", "nosniff")
		case q.Has("split"):
			io.WriteString(w, "<ht")
			io.WriteString(w, "ml>")
		case q.Has("flush"):
			w.(http.Flusher).Flush()
		}
		io.WriteString(w, bodies[r.URL.Path])
	})
	for _, path := range []string{"/html", "/text", "/gif", "/binary", "/utf8", "/long", "/empty"} {
		x.ask("GET", path, nil)
	}
	for _, how := range []string{"encoded", "typed", "none", "empty", "nosniff", "split", "flush"} {
		x.ask("GET", "/html?"+how, nil)
		x.ask("HEAD", "/html?"+how, nil)
	}
}

func compatInjection(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Inject", "a\r\nSet-Cookie: b")
		w.Header()["Bad Name"] = []string{"x"}
		w.Header()["Bad:Name"] = []string{"x"}
		w.Header()["lower-case"] = []string{" trimmed "}
		w.Header()["X-Many"] = []string{"1", "2", ""}
	})
	x.ask("GET", "/", nil)
}

func compatInterfaces(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		_, flusher := w.(http.Flusher)
		_, hijacker := w.(http.Hijacker)
		_, text := w.(io.StringWriter)
		_, from := w.(io.ReaderFrom)
		_, pusher := w.(http.Pusher)
		x.tell("Flusher %v Hijacker %v StringWriter %v ReaderFrom %v Pusher %v", flusher, hijacker, text, from, pusher)
		_, notifier := w.(interface{ CloseNotify() <-chan bool })
		x.tell("CloseNotifier %v", notifier)
	})
	x.ask("GET", "/", nil)
}
