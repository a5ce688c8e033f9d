//go:build !race && !invariants

package bufpool

import (
	"net/http"
	"net/url"
)

// guard costs nothing where nothing is checked.
type guard struct{}

func (*guard) lend() {}

func (*guard) release([]byte) {}

// PoisonRequest does nothing where nothing is checked.
func PoisonRequest(*http.Request, *url.URL, http.Header) {}
