package static

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"syscall"
)

// errNotRegular is for what is there but not a file to serve: FIFO, device, socket.
var errNotRegular = errors.New("neither a regular file nor a directory")

// open opens a regular file or a directory below the root. It never blocks on
// a FIFO, and what is opened is judged by its descriptor, so that no swap in
// between changes the verdict (rule F-2).
func (h *Handler) open(name string) (*os.File, fs.FileInfo, error) {
	f, err := h.root.OpenFile(name, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		err = errNotRegular
	}
	if err != nil {
		_ = f.Close() // nothing was written to it
		return nil, nil, err
	}
	return f, info, nil
}

// openStatus says what a client is told when open failed.
func openStatus(err error) *answer {
	var errno syscall.Errno
	switch {
	case errors.Is(err, fs.ErrPermission):
		return forbidden
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENAMETOOLONG),
		errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.EINVAL):
		return notFound
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM):
		return unavailable
	case errors.As(err, &errno), errors.Is(err, fs.ErrClosed):
		return internalError
	}
	return notFound // os.Root refused: the path leaves the root
}

// find serves what is not answered from memory.
func (h *Handler) find(w http.ResponseWriter, r *http.Request) {
	loc, ok := locate(r.URL)
	if !ok {
		notFound.serve(w, r)
		return
	}
	name := loc.name
	if loc.dir {
		name = indexOf(loc.name)
	}
	f, info, err := h.open(name)
	switch {
	case err != nil && loc.dir && h.browse && errors.Is(err, fs.ErrNotExist):
		h.list(w, r, loc.name)
		return
	case err != nil:
		openStatus(err).serve(w, r)
		return
	}
	defer f.Close()
	switch {
	case !info.IsDir():
		h.serveFile(w, r, name, f, info)
	case loc.dir: // a directory that is called index.html
		notFound.serve(w, r)
	default:
		redirectToDir(w, r, loc.name)
	}
}

const indexFile = "index.html"

func indexOf(dir string) string {
	if dir == "." {
		return indexFile
	}
	return dir + "/" + indexFile
}

// serveFile answers with an open file, and remembers it.
func (h *Handler) serveFile(w http.ResponseWriter, r *http.Request, name string, f *os.File, info fs.FileInfo) {
	e := h.cache.get(r.URL.Path)
	if e == nil || e.inMemory || e.young || !e.same(info) {
		var keep bool
		if e, keep = h.load(r.URL.Path, name, f, info); keep {
			h.cache.put(e)
		}
	}
	h.serveEntry(w, r, e, f)
}
