package certs

import (
	"io"
	"log/slog"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func TestMain(m *testing.M) { servetest.Main(m) }

// quiet is a log that nobody reads.
func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }
