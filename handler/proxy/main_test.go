package proxy_test

import (
	"os"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(idleProxyOf); url != "" {
		runIdleProxy(url) // a process of its own, see TestIdleMemory
	}
	servetest.Main(m)
}
