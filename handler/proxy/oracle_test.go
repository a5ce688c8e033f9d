package proxy_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/handler/proxy"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// told answers by path, and says in its content what has come to it.
func told(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	said := fmt.Sprintf("%s %s host=%s length=%d/%d err=%v x=%q hop=%q te=%q", r.Method, r.URL.RequestURI(), r.Host,
		len(b), r.ContentLength, err, r.Header.Get("X-End"), r.Header.Get("X-Hop"), r.Header.Get("Te"))
	w.Header().Set("X-Said", said)
	switch r.URL.Path {
	case "/204":
		w.WriteHeader(204)
	case "/304":
		w.Header().Set("Etag", `"a"`)
		w.WriteHeader(304)
	case "/hop":
		w.Header().Set("Connection", "X-Hop-Back")
		w.Header().Set("X-Hop-Back", "1")
		io.WriteString(w, said)
	case "/trailer":
		io.WriteString(w, said)
		w.(http.Flusher).Flush()
		w.Header().Set(http.TrailerPrefix+"X-Sum", "7")
	case "/cut":
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, said[:10])
	default:
		io.WriteString(w, said)
	}
}

// cutOff: how much of it comes before a reset is of timing (rule U-1 wants it seen).
const cutOff = "cut off"

// seen is what a client sees of an answer.
func seen(c *http.Client, req *http.Request) string {
	res, err := c.Do(req)
	if err != nil {
		return cutOff
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return cutOff
	}
	if len(res.Trailer) > 0 {
		// The upstream gave no length. Where content and trailer come together our
		// engines know it, and over HTTP/2 and HTTP/3 say it; that is no difference
		// in what the answer means (RFC 9110 §8.6), and of timing.
		res.ContentLength = -1
	}
	said := res.Header.Get("X-Said")
	if req.ContentLength == 0 {
		// Over HTTP/2 and HTTP/3 the end of the stream may come behind the head: whether
		// the upstream is told of no content or of chunks without any is of timing.
		said = strings.Replace(said, "length=0/-1", "length=0/0", 1)
		if len(b) > 0 {
			b = []byte(strings.Replace(string(b), "length=0/-1", "length=0/0", 1))
			res.ContentLength = -1
		}
	}
	return fmt.Sprintf("%d length=%d %q said=%q etag=%q hop=%q sum=%q", res.StatusCode, res.ContentLength, b, said,
		res.Header.Get("Etag"), res.Header.Get("X-Hop-Back"), res.Trailer.Get("X-Sum"))
}

// TestOracle: a client sees of our proxy what it sees of httputil.ReverseProxy on
// the same engine before the same upstream.
func TestOracle(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(told))
	t.Cleanup(up.Close)
	origin, err := url.Parse(up.URL)
	servetest.Must(t, "url", err)
	tr := &http.Transport{DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	std := &httputil.ReverseProxy{Transport: tr, ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(origin)
		r.Out.Host = r.In.Host
	}}
	ours := newProxy(t, proxy.Options{Service: newService(t, retrying(), up.URL)})
	for _, f := range []form{forms[0], forms[4], forms[6]} {
		t.Run(f.name, func(t *testing.T) {
			a, ca := f.serveFront(t, ours)
			b, cb := f.serveFront(t, std)
			for _, path := range []string{"/", "/a%2Fb?q=1&q=2", "/204", "/304", "/hop", "/trailer", "/cut"} {
				for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH"} {
					for _, body := range []string{"", "sized", "unsized"} {
						if body != "" && (method == "GET" || method == "HEAD" || method == "OPTIONS") {
							continue
						}
						get := func(c *http.Client, base string) string {
							var content io.Reader
							switch body {
							case "sized":
								content = strings.NewReader("content")
							case "unsized":
								content = io.MultiReader(strings.NewReader("content"))
							}
							req, err := http.NewRequestWithContext(t.Context(), method, base+path, content)
							servetest.Must(t, "request", err)
							req.Host = "localhost"
							req.Header.Set("X-End", "e")
							if f.major == 1 {
								req.Header.Set("Connection", "X-Hop")
								req.Header.Set("X-Hop", "h")
							}
							return seen(c, req)
						}
						got, want := get(ca, a), get(cb, b)
						servetest.Want(t, method+" "+path+" "+body, got, want)
					}
				}
			}
		})
	}
}
