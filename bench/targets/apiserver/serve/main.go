// Command serve is k8s.io/apiserver's SecureServingInfo as a peer of the suite: the
// serving path that penstock's began from. It speaks TLS alone.
package main

import (
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"time"

	"k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
)

func main() {
	_ = flag.String("listen", "", "not served: SecureServingInfo speaks TLS alone")
	tlsListen := flag.String("tls-listen", "127.0.0.1:8443", "address for HTTPS")
	cert := flag.String("cert", "", "PEM file")
	key := flag.String("key", "", "PEM file")
	body := flag.String("body", "Hello, World!", "text of each answer")
	size := flag.Int("body-size", 0, "answer so many bytes instead")
	slow := flag.String("slow", "", "the answer to this path comes 50 ms late")
	flag.Parse()
	if *size > 0 {
		*body = strings.Repeat("x", *size)
	}

	l, err := net.Listen("tcp", *tlsListen)
	if err != nil {
		log.Fatal(err)
	}
	pair, err := dynamiccertificates.NewDynamicServingContentFromFiles("serving", *cert, *key)
	if err != nil {
		log.Fatal(err)
	}
	info := &server.SecureServingInfo{Listener: l, Cert: pair, HTTP2MaxStreamsPerConnection: 256}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a client that left
		if *slow != "" && r.URL.Path == *slow {
			time.Sleep(50 * time.Millisecond)
		}
		w.Header()["Content-Type"] = []string{"text/plain"}
		_, _ = io.WriteString(w, *body)
	})
	stopped, _, err := info.Serve(h, time.Minute, make(chan struct{}))
	if err != nil {
		log.Fatal(err)
	}
	<-stopped
}
