package h1

import "net/http"

// ContextValue answers net/http's two keys for the request's context.
func (x *exchange) ContextValue(key any) (value any, ok bool) {
	switch key {
	case http.ServerContextKey:
		return x.cfg.Server, true
	case http.LocalAddrContextKey:
		return x.w.c.host.LocalAddr(), true
	}
	return x.w.c.host.ContextValue(key)
}

// WatchContext asks the host to tell when the peer goes away, once the body is
// read: before that, its bytes and its end are the body's business.
func (x *exchange) WatchContext() {
	x.body.watch.Store(true) // first: the body's end looks at it
	if x.body.ended.Load() {
		x.w.c.host.WatchHangup()
	}
}
