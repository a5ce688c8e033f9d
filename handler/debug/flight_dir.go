package debug

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Names of dumps sort by their time. The process id keeps two processes apart
// that share the directory during an upgrade.
const (
	flightPrefix    = "flight-"
	flightTime      = "20060102T150405.000000000Z"
	flightSuffix    = ".trace"
	flightTemporary = ".tmp"
)

// flightDir is the directory of dumps. What else lies in it is left alone.
type flightDir struct {
	path     string // empty: there is none
	maxFiles int
	maxBytes int64
}

// prepare makes the directory, or learns early that it cannot be used, and removes
// what a process that died has left in it.
func (d flightDir) prepare(now time.Time) error {
	if d.path == "" {
		return nil
	}
	if err := os.MkdirAll(d.path, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(d.path)
	if err != nil {
		return err
	}
	defer root.Close()
	probe := fmt.Sprintf("%s%d%s", flightPrefix, os.Getpid(), flightTemporary)
	if _, err := create(root, probe, 0, func(io.Writer) error { return nil }); err != nil {
		return err
	}
	if err := remove(root, probe); err != nil {
		return err
	}
	files, err := flightFiles(root, flightTemporary)
	if err != nil {
		return err
	}
	for _, f := range files {
		if now.Sub(f.ModTime()) > flightTemporaryAge {
			err = errors.Join(err, remove(root, f.Name()))
		}
	}
	return err
}

// write makes a file of what record writes, which appears whole or not at all.
func (d flightDir) write(now time.Time, record func(io.Writer) error) (path string, err error) {
	root, err := os.OpenRoot(d.path)
	if err != nil {
		return "", fmt.Errorf("dump flight recording: %w", err)
	}
	defer root.Close()
	name := fmt.Sprintf("%s%s-%d%s", flightPrefix, now.UTC().Format(flightTime), os.Getpid(), flightSuffix)
	size, err := create(root, name+flightTemporary, d.maxBytes, record)
	if err == nil {
		err = d.makeRoom(root, size)
	}
	if err == nil {
		err = root.Rename(name+flightTemporary, name)
	}
	if err != nil {
		_ = root.Remove(name + flightTemporary) // the first error counts
		return "", fmt.Errorf("dump flight recording: %w", err)
	}
	return filepath.Join(d.path, name), nil
}

// create writes a new file, for its owner's eyes only: a trace tells much.
func create(root *os.Root, name string, limit int64, record func(io.Writer) error) (size int64, err error) {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	w := &boundedWriter{w: f, left: limit}
	err = errors.Join(record(w), f.Close())
	return w.written, err
}

// makeRoom deletes the oldest dumps until one more of this size fits.
func (d flightDir) makeRoom(root *os.Root, size int64) error {
	files, err := flightFiles(root, flightSuffix)
	if err != nil {
		return err
	}
	for _, f := range files {
		size += f.Size()
	}
	for len(files) > 0 && (len(files) >= d.maxFiles || size > d.maxBytes) {
		if err := remove(root, files[0].Name()); err != nil {
			return err
		}
		size -= files[0].Size()
		files = files[1:]
	}
	return nil
}

// flightFiles are the regular files of ours, the oldest first.
func flightFiles(root *os.Root, suffix string) ([]fs.FileInfo, error) {
	entries, err := fs.ReadDir(root.FS(), ".") // sorted by name
	if err != nil {
		return nil, err
	}
	var files []fs.FileInfo
	for _, e := range entries {
		if !e.Type().IsRegular() || !strings.HasPrefix(e.Name(), flightPrefix) || !strings.HasSuffix(e.Name(), suffix) {
			continue
		}
		switch info, err := e.Info(); {
		case err == nil:
			files = append(files, info)
		case !errors.Is(err, fs.ErrNotExist): // else another process was faster
			return nil, err
		}
	}
	return files, nil
}

func remove(root *os.Root, name string) error {
	if err := root.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
