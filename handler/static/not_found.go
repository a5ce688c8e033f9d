package static

import (
	"errors"
	"net/http"

	"github.com/penstock-edge/penstock/handler"
)

// refuse sends a refusal, and remembers a path where nothing is.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, a *answer) {
	if a != notFound {
		a.serve(w, r)
		return
	}
	h.misses.add(r.URL.Path, h.now())
	h.serveNotFound(w, r)
}

// serveNotFound answers 404, with the site's page if there is one. What the rules
// refuse and what is not there get the same (rule F-1).
func (h *Handler) serveNotFound(w http.ResponseWriter, r *http.Request) {
	e := h.notFoundPage()
	if e == nil {
		notFound.serve(w, r)
		return
	}
	defer e.release()
	v := e.choose(r.Header)
	// RFC 9110 §13.2.1: no preconditions where the answer is not 2xx; so no
	// validators either, and no Cache-Control that was meant for files.
	fields := w.Header()
	v.setContent(fields)
	fields["Content-Length"] = v.contentLength
	w.WriteHeader(http.StatusNotFound)
	if r.Method != http.MethodHead {
		v.sendAll(w)
	}
}

// notFoundPage gives the entry of the site's page, for the caller to release; nil:
// there is none.
func (h *Handler) notFoundPage() *entry {
	if h.notFound.name == "" {
		return nil
	}
	if e := h.cache.get(h.notFoundKey); e != nil && h.fresh(e) && e.acquire() {
		if e.intact() {
			return e
		}
		h.cache.remove(e)
		e.release()
	}
	if h.misses.has(h.notFoundKey, h.now()) {
		return nil
	}
	f, info, err := h.open(h.notFound.name)
	if err == nil && info.IsDir() {
		_ = f.Close() // nothing was written to it
		err = errNotRegular
	}
	if err != nil {
		h.misses.add(h.notFoundKey, h.now())
		return nil
	}
	e, keep := h.load(h.notFoundKey, found{name: h.notFound.name, file: f, info: info})
	if keep {
		h.cache.put(e)
	}
	return e
}

// sendAll sends the whole content. A file that became shorter, or cannot be read,
// aborts the answer: its length is already promised, and nothing else may stand in
// for the missing bytes (rule F-2).
func (v *variant) sendAll(w http.ResponseWriter) {
	v.sendPart(w, span{0, v.size})
}

// sendSecond sends a part by the descriptor. False: the engine cannot do that
// without copying; nothing was sent.
func (v *variant) sendSecond(w http.ResponseWriter, part span) bool {
	n, err := handler.TrySendFile(w, v.second, part.start, part.length)
	if errors.Is(err, errors.ErrUnsupported) && n == 0 {
		return false
	}
	if err != nil || n != part.length {
		panic(http.ErrAbortHandler)
	}
	return true
}

// sendPart is sendAll for a part.
func (v *variant) sendPart(w http.ResponseWriter, part span) {
	if v.file == nil {
		if v.second == nil || part.length <= copyBytes || !v.sendSecond(w, part) {
			_, _ = w.Write(v.body[part.start:part.end()]) // a client that left is the engine's to notice
		}
		return
	}
	if n, err := handler.SendFile(w, v.file, part.start, part.length); err != nil || n != part.length {
		panic(http.ErrAbortHandler)
	}
}
