// Command serve is quic-go's http3.Server, net/http's counterpart for HTTP/3, as a
// peer of the suite: its own answer, or net/http's FileServer. It speaks HTTP/3 alone;
// over TCP it only says that it is there.
package main

import (
	"crypto/tls"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"

	"github.com/quic-go/quic-go/http3"
)

func main() {
	_ = flag.String("listen", "", "not served: it speaks HTTP/3 alone")
	address := flag.String("tls-listen", "127.0.0.1:8443", "address for HTTP/3")
	cert := flag.String("cert", "", "PEM file")
	key := flag.String("key", "", "PEM file")
	body := flag.String("body", "Hello, World!", "text of each answer")
	size := flag.Int("body-size", 0, "answer so many bytes instead")
	root := flag.String("root", "", "serve the files of this folder instead")
	flag.Parse()
	if *size > 0 {
		*body = strings.Repeat("x", *size)
	}
	pair, err := tls.LoadX509KeyPair(*cert, *key)
	if err != nil {
		log.Fatal(err)
	}
	packets, err := net.ListenPacket("udp", *address)
	if err != nil {
		log.Fatal(err)
	}
	l, err := net.Listen("tcp", *address)
	if err != nil {
		log.Fatal(err)
	}
	go wait(l)
	conf := http3.ConfigureTLSConfig(&tls.Config{Certificates: []tls.Certificate{pair}})
	s := &http3.Server{TLSConfig: conf, Handler: handler(*body, *root)}
	log.Fatal(s.Serve(packets))
}

// wait takes connections for those who look whether somebody listens.
func wait(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			log.Fatal(err)
		}
		_ = c.Close() // it has seen
	}
}

func handler(body, root string) http.Handler {
	if root != "" {
		return http.FileServer(http.Dir(root))
	}
	length := []string{strconv.Itoa(len(body))}
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = []string{"text/plain"}
		w.Header()["Content-Length"] = length
		_, _ = io.WriteString(w, body) // a client that left
	})
}
