package listener

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// socketFile is the file of a unix socket that this process has bound.
type socketFile struct {
	path     string // absolute: the working directory may change
	dev, ino uint64
}

// bindFile binds a unix socket to its file, replacing one that a dead process
// has left behind.
func bindFile(cfg *Config, fd int) (*socketFile, error) {
	path, err := filepath.Abs(cfg.Address)
	if err != nil {
		return nil, err
	}
	unlock := lockDir(filepath.Dir(path))
	defer unlock()
	// The address as given is bound, since a path has 107 bytes at most.
	sa := &unix.SockaddrUnix{Name: cfg.Address}
	err = unix.Bind(fd, sa)
	if errors.Is(err, unix.EADDRINUSE) {
		if err := removeStale(cfg); err != nil {
			return nil, err
		}
		err = unix.Bind(fd, sa)
	}
	if err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	file := &socketFile{path: path}
	if file.dev, file.ino, err = identity(path); err != nil {
		return nil, err
	}
	if cfg.UnixMode != 0 { // before listen(2), so nobody slips in
		if err := os.Chmod(path, cfg.UnixMode); err != nil {
			return nil, errors.Join(err, os.Remove(path))
		}
	}
	return file, nil
}

// removeStale removes a socket file nobody has bound.
func removeStale(cfg *Config) error {
	st, err := os.Lstat(cfg.Address)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // gone meanwhile
	case err != nil:
		return err
	case st.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s exists and is no socket: %w", cfg.Address, unix.EADDRINUSE)
	}
	alive, err := fileIsBound(cfg.Address)
	if err != nil {
		return fmt.Errorf("is %s in use: %w", cfg.Address, err)
	}
	if alive {
		return inUse(cfg, endpoint{family: unix.AF_UNIX, path: cfg.Address}, unix.EADDRINUSE)
	}
	return os.Remove(cfg.Address)
}

// fileIsBound asks, without disturbing whoever listens, whether any socket is
// bound to the file: a datagram socket's connect(2) finds nobody
// (ECONNREFUSED), or a socket of another type (EPROTOTYPE), even one that is
// bound and does not listen yet.
func fileIsBound(path string) (bool, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	switch err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); {
	case err == nil, errors.Is(err, unix.EPROTOTYPE):
		return true, nil
	case errors.Is(err, unix.ECONNREFUSED), errors.Is(err, unix.ENOENT):
		return false, nil
	default:
		return false, os.NewSyscallError("connect", err)
	}
}

// remove removes the file if it is still the one that was bound: a successor
// may have put its own in place.
func (f *socketFile) remove() error {
	unlock := lockDir(filepath.Dir(f.path))
	defer unlock()
	dev, ino, err := identity(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case dev != f.dev || ino != f.ino:
		return nil
	}
	return os.Remove(f.path)
}

// identity is what tells a file from one that took its name.
func identity(path string) (dev, ino uint64, err error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return 0, 0, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return uint64(st.Dev), st.Ino, nil //nolint:unconvert // Dev is 32 bits wide on some architectures
}

// lockDir keeps servers that start at the same moment from removing each
// other's socket between the look and the removal. It is a help, no guarantee:
// who may open the directory may hold the lock, so after a second we go on.
func lockDir(dir string) (unlock func()) {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return func() {}
	}
	for range 100 {
		if err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err == nil || !errors.Is(err, unix.EWOULDBLOCK) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	return func() { _ = unix.Close(fd) }
}
