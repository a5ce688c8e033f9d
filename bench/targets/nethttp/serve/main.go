// Command serve is net/http's server as a peer of the suite: its own answer, its
// FileServer, or its ReverseProxy.
package main

import (
	"flag"
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address for HTTP/1.1")
	tlsListen := flag.String("tls-listen", "127.0.0.1:8443", "address for HTTPS")
	cert := flag.String("cert", "", "PEM file")
	key := flag.String("key", "", "PEM file")
	body := flag.String("body", "Hello, World!", "text of each answer")
	size := flag.Int("body-size", 0, "answer so many bytes instead")
	slow := flag.String("slow", "", "the answer to this path comes 50 ms late")
	root := flag.String("root", "", "serve the files of this folder instead")
	to := flag.String("to", "", "pass requests on to this URL instead")
	flag.Parse()

	if *size > 0 {
		*body = strings.Repeat("x", *size)
	}
	h := handler(*body, *slow, *root, *to)
	s := &http.Server{Addr: *tlsListen, Handler: h, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 256}}
	go func() { log.Fatal(s.ListenAndServeTLS(*cert, *key)) }()
	log.Fatal(http.ListenAndServe(*listen, h))
}

func handler(body, slow, root, to string) http.Handler {
	switch {
	case root != "":
		return http.FileServer(http.Dir(root))
	case to != "":
		target, err := url.Parse(to)
		if err != nil {
			log.Fatal(err)
		}
		return &httputil.ReverseProxy{
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(target)
				r.SetXForwarded()
			},
			Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
		}
	}
	length := []string{strconv.Itoa(len(body))}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a client that left
		if slow != "" && r.URL.Path == slow {
			time.Sleep(50 * time.Millisecond)
		}
		w.Header()["Content-Type"] = []string{"text/plain"}
		w.Header()["Content-Length"] = length
		_, _ = io.WriteString(w, body)
	})
}
