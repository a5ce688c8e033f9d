// Command serve is k8s.io/apiserver's SecureServingInfo as a peer of the suite: the
// serving path that penstock's began from. It speaks TLS alone.
package main

import (
	"flag"
	"io"
	"log"
	"net"
	"net/http"
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
	flag.Parse()

	l, err := net.Listen("tcp", *tlsListen)
	if err != nil {
		log.Fatal(err)
	}
	pair, err := dynamiccertificates.NewDynamicServingContentFromFiles("serving", *cert, *key)
	if err != nil {
		log.Fatal(err)
	}
	info := &server.SecureServingInfo{Listener: l, Cert: pair, HTTP2MaxStreamsPerConnection: 256}
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{"text/plain"}
		_, _ = io.WriteString(w, *body)
	})
	stopped, _, err := info.Serve(h, time.Minute, make(chan struct{}))
	if err != nil {
		log.Fatal(err)
	}
	<-stopped
}
