// Command interop is the server and the client of gRPC's interoperability tests, of
// google.golang.org/grpc/interop, with cases of our own beside them. A test of
// penstock puts its proxy between the two: TestGRPCInterop of cmd/penstock/app. It
// is a module of its own, so that nobody who builds penstock downloads gRPC.
//
//	interop server -cert FILE -key FILE     prints the addresses: clear, TLS
//	interop client -addr HOST:PORT [-tls]   prints "passed NAME" for each case
//
// A case that fails ends the client with a message, as gRPC's own cases do.
package main

import (
	"fmt"
	"os"
)

func main() {
	var err error
	switch {
	case len(os.Args) > 1 && os.Args[1] == "server":
		err = serve(os.Args[2:])
	case len(os.Args) > 1 && os.Args[1] == "client":
		err = ask(os.Args[2:])
	default:
		err = fmt.Errorf("say server or client")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(1)
	}
}
