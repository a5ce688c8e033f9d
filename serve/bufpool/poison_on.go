//go:build race || invariants

package bufpool

import (
	"net/http"
	"net/url"
	"sync/atomic"
)

// poison is what a released buffer is overwritten with.
const poison = 0xdb

// guard catches a double release, and makes use after release visible.
type guard struct{ released atomic.Bool }

func (g *guard) lend() { g.released.Store(false) }

func (g *guard) release(b []byte) {
	if g.released.Swap(true) {
		panic("BUG: bufpool: buffer released twice")
	}
	for i := range b {
		b[i] = poison
	}
}

// PoisonRequest overwrites a request that an engine is to use again, with the URL
// and the header map that the engine has made for it: a handler that has promised
// to keep nothing, and has, finds neither its own request nor another's.
func PoisonRequest(r *http.Request, u *url.URL, h http.Header) {
	clear(h)
	if h != nil {
		h["Poisoned"] = []string{"by bufpool"}
	}
	*u = url.URL{Path: "/poisoned/by/bufpool"}
	*r = http.Request{Method: "POISONED", URL: u, Header: h}
}
