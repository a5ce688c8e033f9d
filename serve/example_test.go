package serve_test

import (
	"context"
	"io"
	"log"
	"net/http"

	"github.com/penstock-edge/penstock/listener"
	"github.com/penstock-edge/penstock/serve"
)

// In place of http.Server. The README shows these lines.
func ExampleServer() {
	l, err := listener.Listen(context.Background(), listener.Config{Address: "127.0.0.1:8080"})
	if err != nil {
		log.Fatal(err)
	}
	hello := func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello\n")
	}
	srv := serve.Server{Handler: http.HandlerFunc(hello)}
	log.Fatal(srv.Serve(l)) // any net.Listener will do; srv.Shutdown(ctx) drains
}
