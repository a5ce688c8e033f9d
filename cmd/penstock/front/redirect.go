package front

import (
	"net/http"
	"strings"

	"github.com/penstock-edge/penstock/cmd/penstock/config"
)

// redirect sends clients elsewhere.
type redirect struct {
	to     string
	status int
}

func newRedirect(c *config.Redirect) *redirect {
	r := &redirect{c.To, c.Status}
	if r.status == 0 {
		r.status = http.StatusPermanentRedirect
	}
	return r
}

// RecycleRequests: nothing is kept.
func (h *redirect) RecycleRequests() bool { return true }

func (h *redirect) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	uri := r.URL.RequestURI()
	path, _, _ := strings.Cut(uri, "?")
	to := strings.NewReplacer("{host}", hostOf(r.Host), "{uri}", uri, "{path}", path).Replace(h.to)
	if strings.HasPrefix(to, "//") { // rule F-3: a path must not become a host
		to = "/" + strings.TrimLeft(to, "/")
	}
	header := w.Header()
	header.Set("Location", to)
	header.Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(h.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write([]byte(to + "\n")) // who reads it is no matter
	}
}

// hostOf is the host without its port: the other address has its own.
func hostOf(host string) string {
	if at := strings.LastIndexByte(host, ':'); at >= 0 && strings.IndexByte(host[at:], ']') < 0 {
		return host[:at]
	}
	return host
}

// OnlyRedirect serves a listener that sends every known host elsewhere; of others
// nothing is known, and nothing is said: 421.
func (f *Front) OnlyRedirect(c *config.Redirect) http.Handler {
	h := newRedirect(c)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t := f.Router.Table()
		if t == nil || !t.Knows(r.Host) {
			http.Error(w, "421 misdirected request", http.StatusMisdirectedRequest)
			return
		}
		h.ServeHTTP(w, r)
	})
}
