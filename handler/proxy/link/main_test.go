package link_test

import (
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func TestMain(m *testing.M) { servetest.Main(m) }
