package serve_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Bodies: large ones, files, unread ones, other goroutines, limits.
var compatBodies = []compatCase{
	{name: "large bodies down", run: compatLargeDown, must: []string{"4194304 bytes"}},
	{name: "large bodies up", run: compatLargeUp, must: []string{"4194304 bytes"}},
	{name: "echo while reading", run: compatEcho, must: []string{"1048576 bytes"}},
	{name: "full duplex", run: compatFullDuplex, must: []string{`line "pong 3\n" nil`}},
	{name: "copy from a file", run: compatCopyFile, must: []string{"short: an error", "copied 300000 nil", "offset 300000"}},
	{name: "copy from a reader", run: compatCopyReader, must: []string{"copied 50000 nil"}},
	{name: "unread body", run: compatUnread, must: []string{"> POST /small", "60 right"}},
	{name: "unread body, peer watched", run: compatUnreadWatched, must: []string{"20 right"}},
	{name: "body after Close", run: compatBodyClosed, must: []string{"http: invalid Read on closed Body"}, mustH2: []string{"body closed by handler"}},
	{name: "body after return", run: compatBodyAfterReturn, must: []string{"late read: an error"}, mustH2: []string{"late close: <nil>"}},
	{name: "body read by another goroutine", run: compatForeignRead, must: []string{"read 100000 nil"}},
	{name: "answer written by another goroutine", run: compatForeignWrite, must: []string{"300 bytes"}},
	{name: "request kept", run: compatKept, must: []string{`/first ["1"]`}},
	{name: "MaxBytesReader", run: compatMaxBytes, must: []string{"http: request body too large", "413 "}},
	{name: "body cut", run: compatBodyCut, must: []string{"read 3 nil", "and 0 cut"}},
	{name: "bad chunks", run: compatBadChunks, must: []string{"400 Bad Request"}, over: overH1},
	{name: "forms", run: compatForms, must: []string{"file f.txt 5000", `a=["1" "2"]`}},
	{name: "flush in pieces", run: compatFlush, must: []string{`piece "one"`, `piece "three"`}},
}

const fourMB = 4 << 20

// pattern is n reproducible bytes.
func pattern(n int) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{}), int64(n))
}

func sum(r io.Reader) (int64, string, error) {
	var h hash.Hash = sha256.New()
	n, err := io.Copy(h, r)
	return n, fmt.Sprintf("%x", h.Sum(nil)), err
}

func compatLargeDown(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", fmt.Sprint(fourMB))
		}
		if r.URL.Path == "/one" {
			body, _ := io.ReadAll(pattern(fourMB))
			n, err := w.Write(body)
			x.tell("wrote %d %s", n, kind(err))
			return
		}
		n, err := io.Copy(w, pattern(fourMB))
		x.tell("wrote %d %s", n, kind(err))
	})
	for _, path := range []string{"/length", "/chunked", "/one"} {
		x.ask("GET", path, nil)
	}
}

func compatLargeUp(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		n, digest, err := sum(r.Body)
		x.tell("length %d coding %v: %d bytes %s %s", r.ContentLength, r.TransferEncoding, n, digest, kind(err))
		fmt.Fprint(w, digest)
	})
	x.ask("POST", "/chunked", pattern(fourMB))
	r := x.request("PUT", "/length", pattern(fourMB))
	r.ContentLength = fourMB
	x.do(r)
}

func compatEcho(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			x.tell("full duplex: %v", err)
		}
		n, err := io.Copy(w, r.Body)
		x.tell("echoed %d %s", n, kind(err))
	})
	x.ask("POST", "/", pattern(1<<20))
}

func compatFullDuplex(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		x.tell("full duplex %v", rc.EnableFullDuplex())
		w.WriteHeader(http.StatusOK)
		x.tell("flush %v", rc.Flush())
		for {
			var p [16]byte
			n, err := r.Body.Read(p[:])
			if n > 0 {
				io.WriteString(w, strings.Replace(string(p[:n]), "ping", "pong", 1))
				rc.Flush()
			}
			if err != nil {
				x.tell("end %s", kind(err))
				return
			}
		}
	})
	in, out := io.Pipe()
	resp, err := x.client.Do(x.request("POST", "/", in))
	if err != nil {
		x.t.Fatal(err)
	}
	defer resp.Body.Close()
	for i := range 4 {
		fmt.Fprintf(out, "ping %d\n", i)
		line := make([]byte, len("pong 0\n"))
		_, err := io.ReadFull(resp.Body, line)
		x.note("line %q %s", line, kind(err))
	}
	out.Close()
	rest, err := io.ReadAll(resp.Body)
	x.note("rest %q %s", rest, kind(err))
}

func compatCopyFile(x *compat) {
	name := filepath.Join(x.t.TempDir(), "file")
	content, _ := io.ReadAll(pattern(300_000))
	if err := os.WriteFile(name, content, 0o600); err != nil {
		x.t.Fatal(err)
	}
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		f, err := os.Open(name)
		if err != nil {
			x.t.Error(err)
			return
		}
		defer f.Close()
		var n int64
		switch r.URL.Path {
		case "/length":
			w.Header().Set("Content-Length", "300000")
			n, err = io.Copy(w, f)
		case "/chunked":
			n, err = io.Copy(w, f)
		case "/limited":
			w.Header().Set("Content-Length", "100000")
			n, err = io.CopyN(w, f, 100_000)
		case "/offset":
			w.Header().Set("Content-Length", "100000")
			f.Seek(200_000, io.SeekStart)
			n, err = io.Copy(w, f)
		case "/after/write":
			w.Header().Set("Content-Length", "100005")
			io.WriteString(w, "first")
			n, err = io.CopyN(w, f, 100_000)
		case "/short":
			w.Header().Set("Content-Length", "300001")
			n, err = io.Copy(w, f)
		case "/head":
			w.Header().Set("Content-Length", "300000")
			n, err = io.Copy(w, f)
		}
		at, _ := f.Seek(0, io.SeekCurrent)
		x.tell("%s copied %d %s offset %d", r.URL.Path, n, kind(err), at)
	})
	for _, path := range []string{"/length", "/chunked", "/limited", "/offset", "/after/write"} {
		x.ask("GET", path, nil)
	}
	x.note("short: %s", failure(x.drink("/short")))
	x.ask("HEAD", "/head", nil)
}

// drink reads an answer of which the end may be missing: how much of it comes is
// no behaviour.
func (x *compat) drink(path string) (err error) {
	x.t.Helper()
	defer func() { x.erred = x.erred || err != nil }()
	resp, err := x.client.Do(x.request("GET", path, nil))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

func compatCopyReader(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(w, pattern(50_000))
		x.tell("copied %d %s", n, kind(err))
		n, err = io.Copy(w, struct{ io.Reader }{io.MultiReader(pattern(10), badReader{})}) // no WriterTo
		x.tell("copied %d %v", n, err)
	})
	x.ask("GET", "/", nil)
}

type badReader struct{}

func (badReader) Read([]byte) (int, error) { return 0, errors.New("bad reader") }

func compatUnread(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/part":
			io.CopyN(io.Discard, r.Body, 10)
		case "/closed":
			r.Body.Close()
		}
		io.WriteString(w, "answer")
	})
	for _, path := range []string{"/small", "/part", "/closed"} {
		p := x.dial()
		x.note("> POST %s", path)
		p.ask("POST", path, "Content-Length: 20000")
		p.content(strings.Repeat("b", 20_000))
		p.answers("POST")
		p.rest()
		p = x.dial()
		p.stream("POST", path)
		p.content(strings.Repeat("b", 4096))
		p.end()
		p.answers("POST")
		p.rest()
	}
	p := x.dial()
	x.note("> POST /large")
	p.ask("POST", "/large", "Content-Length: 1000000")
	p.content(strings.Repeat("b", 300_000))
	p.answers("POST")
	p.rest()
	p = x.dial()
	right := 0
	for range 60 { // in sum more than any window
		p.ask("POST", "/small", "Content-Length: 20000")
		p.content(strings.Repeat("b", 20_000))
		if resp, err := p.answer("POST"); err == nil {
			if body, _ := io.ReadAll(resp.Body); string(body) == "answer" {
				right++
			}
		}
	}
	x.note("%d right", right)
}

// compatUnreadWatched: a handler that has asked for its context's end leaves a
// body unread, the rest of which comes behind the answer. Nobody watches the
// peer any more then: the next request's bytes are its own.
func compatUnreadWatched(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		r.Context().Done()
		io.WriteString(w, r.Method+r.URL.Path)
	})
	p := x.dial()
	right := 0
	check := func(method, want string) {
		resp, err := p.answer(method)
		if err != nil {
			x.t.Fatalf("%s: %v", want, err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(body) != want {
			x.t.Errorf("answer %q, want %q", body, want)
		}
	}
	for range 20 {
		p.ask("POST", "/post", "Content-Length: 4")
		p.content("body")
		check("POST", "POST/post")
		p.stream("PUT", "/put")
		p.content("body")
		p.end()
		check("PUT", "PUT/put")
		p.ask("GET", "/get")
		check("GET", "GET/get")
		right++
	}
	x.note("%d right", right)
}

func compatBodyClosed(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		x.tell("close %v", r.Body.Close())
		n, err := r.Body.Read(make([]byte, 10))
		x.tell("read %d %v", n, err)
		x.tell("close %v", r.Body.Close())
	})
	x.ask("POST", "/", strings.NewReader("hello"))
	x.ask("GET", "/", nil)
}

func compatBodyAfterReturn(x *compat) {
	kept := make(chan io.ReadCloser, 1)
	x.serve(func(w http.ResponseWriter, r *http.Request) { kept <- r.Body })
	x.ask("POST", "/", strings.NewReader("hello"))
	body := <-kept
	_, err := body.Read(make([]byte, 10))
	switch {
	case !x.streams():
		x.note("late read: %s", failure(err))
	case !x.oracle && err == nil: // net/http's HTTP/2 may give what had come before
		x.t.Error("a body was read after its request")
	}
	x.note("late close: %v", body.Close())
	x.ask("POST", "/", strings.NewReader("again"))
}

func compatForeignRead(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			n, _, err := sum(r.Body)
			x.tell("read %d %s", n, kind(err))
		}()
		<-done
		io.WriteString(w, "read")
	})
	x.ask("POST", "/", pattern(100_000))
	x.ask("POST", "/", strings.NewReader("short"))
}

func compatForeignWrite(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.Header().Set("X-Foreign", "1")
			for range 10 {
				n, err := w.Write(bytes.Repeat([]byte("f"), 30))
				if n != 30 || err != nil {
					x.tell("%d %v", n, err)
				}
				if r.URL.Path == "/flush" {
					w.(http.Flusher).Flush()
				}
			}
		}()
		<-done
	})
	x.ask("GET", "/", nil)
	x.ask("GET", "/flush", nil)
	x.note("300 bytes")
}

func compatKept(x *compat) {
	var kept []*http.Request
	x.serve(func(w http.ResponseWriter, r *http.Request) { kept = append(kept, r) })
	for i, path := range []string{"/first", "/second", "/third"} {
		r := x.request("GET", path, nil)
		r.Header.Set("X-Number", fmt.Sprint(i+1))
		x.do(r)
	}
	for _, r := range kept {
		x.note("%s %s %s %q", r.Method, r.URL.Path, r.RequestURI, r.Header["X-Number"])
		x.note("context %v", r.Context().Err())
		ctx, cancel := context.WithTimeout(r.Context(), time.Hour)
		x.note("child %v", ctx.Err())
		cancel()
	}
}

func compatMaxBytes(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 100))
		x.tell("read %d %v", len(body), err)
		if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
			http.Error(w, fmt.Sprint(large.Limit), http.StatusRequestEntityTooLarge)
		}
	})
	for _, size := range []int{99, 100, 101, 5000} {
		p := x.dial()
		p.ask("POST", "/", fmt.Sprintf("Content-Length: %d", size))
		p.content(strings.Repeat("b", size))
		p.answers("POST")
		if size <= 100 {
			p.rest()
		}
	}
}

func compatBodyCut(x *compat) {
	begun, answered := make(chan struct{}, 1), make(chan struct{}, 1)
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.ReadFull(r.Body, make([]byte, 3))
		x.tell("read %d %s", n, kind(err))
		begun <- struct{}{}
		body, err := io.ReadAll(r.Body)
		x.tell("and %d %s", len(body), kind(err))
		answered <- struct{}{}
	})
	for _, cut := range []func(*peer){func(p *peer) { p.conn.Close() }, (*peer).abandon} {
		p := x.dial()
		p.ask("POST", "/", "Content-Length: 10")
		p.content("abc")
		within(x.t, "the handler reads", begun)
		cut(p)
		within(x.t, "the handler saw the cut", answered)
		p = x.dial()
		p.stream("POST", "/")
		p.content("abc")
		within(x.t, "the handler reads", begun)
		cut(p)
		within(x.t, "the handler saw the cut", answered)
	}
}

func compatBadChunks(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		x.tell("%s read %d %s", r.URL.Path, len(body), failure(err))
		if err != nil {
			http.Error(w, "bad body", http.StatusBadRequest)
		}
	})
	for i, body := range []string{"xyz\r\n", "3\r\nabcd\r\n", "3\nabc\n", "-1\r\n", "FFFFFFFFFFFFFFFFFF\r\n"} {
		p := x.dial()
		p.send(fmt.Sprintf("POST /%d HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%s", i, body))
		resp, err := http.ReadResponse(p.r, nil)
		if err != nil {
			x.note("%q: no answer", body)
			continue
		}
		resp.Body.Close()
		x.note("%q: %s", body, resp.Status)
		p.conn.Close()
	}
}

func compatForms(x *compat) {
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/multipart" {
			x.tell("parse %v", r.ParseMultipartForm(1000)) // less than the file: a temporary one is made
			for _, h := range r.MultipartForm.File["file"] {
				f, err := h.Open()
				if err != nil {
					x.tell("open %v", err)
					return
				}
				n, _, err := sum(f)
				x.tell("file %s %d %s", h.Filename, n, kind(err))
				f.Close()
			}
		}
		x.tell("parse %v", r.ParseForm())
		x.tell("a=%q b=%q post a=%q", r.Form["a"], r.Form["b"], r.PostForm["a"])
	})
	r := x.request("POST", "/?a=2&b=q", strings.NewReader("a=1"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	x.do(r)
	var buf bytes.Buffer
	m := multipart.NewWriter(&buf)
	m.WriteField("a", "m")
	part, _ := m.CreateFormFile("file", "f.txt")
	io.Copy(part, pattern(5000))
	m.Close()
	r = x.request("POST", "/multipart", &buf)
	r.Header.Set("Content-Type", m.FormDataContentType())
	x.do(r)
}

func compatFlush(x *compat) {
	next := make(chan struct{})
	x.serve(func(w http.ResponseWriter, r *http.Request) {
		for _, piece := range []string{"one", "two", "three"} {
			io.WriteString(w, piece)
			if err := http.NewResponseController(w).Flush(); err != nil {
				x.tell("flush %v", err)
			}
			<-next
		}
	})
	resp, err := x.client.Do(x.request("GET", "/", nil))
	if err != nil {
		x.t.Fatal(err)
	}
	defer resp.Body.Close()
	x.note("coding %v", resp.TransferEncoding)
	for _, piece := range []string{"one", "two", "three"} {
		got := make([]byte, len(piece))
		_, err := io.ReadFull(resp.Body, got)
		x.note("piece %q %s", got, kind(err))
		next <- struct{}{}
	}
	rest, err := io.ReadAll(resp.Body)
	x.note("rest %q %s", rest, kind(err))
}
