// Command serve is fasthttp as a peer of the suite: its own answer, its FS, or its
// HostClient as a proxy. It speaks HTTP/1.1 alone.
package main

import (
	"flag"
	"log"
	"net/url"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
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
	go func() {
		s := &fasthttp.Server{Handler: h}
		log.Fatal(s.ListenAndServeTLS(*tlsListen, *cert, *key))
	}()
	s := &fasthttp.Server{Handler: h}
	log.Fatal(s.ListenAndServe(*listen))
}

func handler(body, slow, root, to string) fasthttp.RequestHandler {
	switch {
	case root != "":
		fs := &fasthttp.FS{Root: root, AcceptByteRange: true}
		return fs.NewRequestHandler()
	case to != "":
		target, err := url.Parse(to)
		if err != nil {
			log.Fatal(err)
		}
		return proxy(&fasthttp.HostClient{Addr: target.Host, MaxConns: 1024})
	}
	return func(ctx *fasthttp.RequestCtx) {
		if slow != "" && string(ctx.Path()) == slow {
			time.Sleep(50 * time.Millisecond)
		}
		ctx.SetContentType("text/plain")
		ctx.SetBodyString(body)
	}
}

// proxy passes requests on as its examples do.
func proxy(c *fasthttp.HostClient) fasthttp.RequestHandler {
	return func(ctx *fasthttp.RequestCtx) {
		req, resp := &ctx.Request, &ctx.Response
		req.Header.Del("Connection")
		req.URI().SetScheme("http") // that of a request over TLS is https, which c refuses
		req.Header.Set("X-Forwarded-For", ctx.RemoteIP().String())
		if err := c.Do(req, resp); err != nil {
			resp.SetStatusCode(fasthttp.StatusBadGateway)
		}
		resp.Header.Del("Connection")
	}
}
