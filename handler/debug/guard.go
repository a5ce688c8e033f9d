package debug

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Guard lets only requests through that were meant for an admin address (rule
// P-5). A page from elsewhere that the operator's browser shows can reach
// loopback too; it gives itself away by one of three things:
//
//   - Host is a name of its own that it made point here (DNS rebinding). An IP
//     address, localhost, and the names in hosts pass.
//   - Origin is not this address.
//   - Sec-Fetch-Site says that another site started the request, and it is not
//     a link that was followed.
//
// Refused requests get 403, those with a wrong Host 421. hosts are names
// without a port.
func Guard(next http.Handler, hosts ...string) http.Handler {
	g := &guard{next: next, hosts: make(map[string]bool, len(hosts))}
	for _, h := range hosts {
		g.hosts[strings.ToLower(h)] = true
	}
	return g
}

type guard struct {
	next  http.Handler
	hosts map[string]bool
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case !g.knownHost(r.Host):
		refuse(w, http.StatusMisdirectedRequest, "421 this host name is not served here")
	case !sameOrigin(r), foreignFetch(r):
		refuse(w, http.StatusForbidden, "403 requests from other sites are refused")
	default:
		g.next.ServeHTTP(w, r)
	}
}

func (g *guard) knownHost(hostport string) bool {
	host := hostOnly(hostport)
	if _, err := netip.ParseAddr(host); err == nil {
		return true // an address cannot be rebound
	}
	return host == "localhost" || g.hosts[host]
}

// hostOnly is the lowered host without port, brackets and final dot.
func hostOnly(hostport string) string {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// sameOrigin: RFC 6454 §7. "null" and anything that is no URL are foreign.
func sameOrigin(r *http.Request) bool {
	for _, origin := range r.Header["Origin"] {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return false
		}
	}
	return true
}

// foreignFetch judges what browsers tell about who asks (Fetch Metadata). A
// link to a profile may be followed from anywhere: the page it stands on does
// not see the answer.
func foreignFetch(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return false
	}
	navigates := r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	return !navigates || r.Method != http.MethodGet
}

func refuse(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n"))
}
