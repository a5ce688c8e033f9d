// Command penstock is an HTTP server for the internet's edge. Its commands,
// flags and exit codes are in package app.
package main

import (
	"os"

	"github.com/penstock-edge/penstock/cmd/penstock/app"
	"github.com/penstock-edge/penstock/serve"
)

func main() {
	os.Exit(app.Execute(app.NewServerCommand(serve.SetupSignalHandler())))
}
