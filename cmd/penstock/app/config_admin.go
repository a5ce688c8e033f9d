package app

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"

	"github.com/penstock-edge/penstock/cmd/penstock/config"
	"github.com/penstock-edge/penstock/handler"
)

// problemJSON is a problem as validate and POST /-/reload tell it.
type problemJSON struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Path   string `json:"path,omitempty"`
	What   string `json:"what"`
	Fix    string `json:"fix,omitempty"`
}

// problemsOf are the errors that err has joined; nil has none.
func problemsOf(err error) []problemJSON {
	list := []problemJSON{}
	for _, e := range flat(err) {
		if p, ok := errors.AsType[*config.Problem](e); ok {
			list = append(list, problemJSON{p.File, p.Line, p.Column, p.Path, p.What, p.Fix})
		} else {
			list = append(list, problemJSON{What: e.Error()})
		}
	}
	return list
}

// changeJSON is a difference as POST /-/reload tells it.
type changeJSON struct {
	Kind config.ChangeKind `json:"kind"`
	Path string            `json:"path"`
	Old  string            `json:"old,omitempty"`
	New  string            `json:"new,omitempty"`
}

// reloadNow is POST /-/reload: HUP with an answer. It is there over a Unix socket
// alone, for the server's own user and root (rule P-5).
func (p *Prepared) reloadNow(w http.ResponseWriter, r *http.Request) {
	uid, local := r.Context().Value(peerKey{}).(int)
	switch {
	case !local:
		handler.NotFound{}.ServeHTTP(w, r)
		return
	case uid != os.Geteuid() && uid != 0:
		http.Error(w, "403 only the server's own user and root may do that", http.StatusForbidden)
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "405 method not allowed", http.StatusMethodNotAllowed)
		return
	}
	changes, err := p.reload()
	answer := struct {
		Reloaded bool          `json:"reloaded"`
		Changes  []changeJSON  `json:"changes"`
		Errors   []problemJSON `json:"errors"`
	}{err == nil, []changeJSON{}, problemsOf(err)}
	for _, c := range changes {
		answer.Changes = append(answer.Changes, changeJSON(c))
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if err != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(answer) // a client that left
}

// peerKey is the user id of who has connected over a Unix socket.
type peerKey struct{}

// withPeer notes it. A peer that the system tells nothing of is nobody.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	if _, ok := c.LocalAddr().(*net.UnixAddr); !ok {
		return ctx
	}
	uid, err := peerUID(c)
	if err != nil {
		uid = -1
	}
	return context.WithValue(ctx, peerKey{}, uid)
}
