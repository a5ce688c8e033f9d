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

// otherDescriptorLimit stands in where a system does not tell how many descriptors
// a process may have.
const otherDescriptorLimit = 1024

// find serves what is not answered from memory.
func (h *Handler) find(w http.ResponseWriter, r *http.Request) {
	loc, ok := h.locate(r.URL)
	if !ok {
		h.serveNotFound(w, r)
		return
	}
	f, err := h.openLocation(loc)
	switch {
	case err != nil && loc.dir && h.browse && errors.Is(err, fs.ErrNotExist):
		h.list(w, r, loc.name)
		return
	case err != nil:
		h.refuse(w, r, openStatus(err))
		return
	case f.info.IsDir():
		_ = f.file.Close() // nothing was written to it
		redirectToDir(w, r)
		return
	}
	e, keep := h.load(r.URL.Path, f)
	defer e.release()
	if keep {
		h.cache.put(e)
	}
	h.serveVariant(w, r, e.choose(r.Header))
}

// openLocation opens what a location names: a file, or a directory without slash,
// or the index of one with.
func (h *Handler) openLocation(loc location) (found, error) {
	if !loc.dir {
		f, info, err := h.open(loc.name)
		return found{name: loc.name, file: f, info: info}, err
	}
	var missed []look
	for _, index := range h.index {
		name := below(loc.name, index)
		f, info, err := h.open(name)
		switch {
		case err == nil && info.IsDir(): // called index.html
			_ = f.Close() // nothing was written to it
		case err == nil:
			return found{name, f, info, missed}, nil
		case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNotRegular):
			return found{}, err
		}
		missed = append(missed, h.lookAt(name))
	}
	return found{}, fs.ErrNotExist
}
