package serve

import "net/http"

// TLSPolicy knows which server names ask the same of their clients in the
// handshake. certs.Dynamic is one.
type TLSPolicy interface {
	// SamePolicy tells whether a request for host, a Host field, may come on a
	// connection that was made under the server name sni, which is empty if the
	// client has named none. It is called for every request, by any goroutine.
	SamePolicy(sni, host string) bool
}

// directed answers 421 in place of h to a request whose connection was made under
// a name with another policy: behind a handshake without client certificate it
// could ask for a site that requires one (rule T-5). Without a policy h is left
// alone.
func directed(h http.Handler, policy TLSPolicy) http.Handler {
	if policy == nil {
		return h
	}
	d := &directedHandler{h, policy}
	if r, ok := h.(recycler); ok {
		return &directedRecycler{d, r} // its own word counts, not that of Options
	}
	return d
}

type directedHandler struct {
	http.Handler
	policy TLSPolicy
}

// RecyclesSomeRequests passes the handler's word on.
func (d *directedHandler) RecyclesSomeRequests() bool { return recyclesSome(d.Handler) }

func (d *directedHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.TLS == nil || d.policy.SamePolicy(r.TLS.ServerName, r.Host) {
		d.Handler.ServeHTTP(w, r)
		return
	}
	// RFC 9110 §15.5.20: the client may ask again on a connection of its own.
	http.Error(w, "this connection was made for another host", http.StatusMisdirectedRequest)
}

type directedRecycler struct {
	*directedHandler
	recycler
}
