package app

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// pidFile is the file of --pid-file. Its zero value is none.
type pidFile struct {
	name string

	// mu guards the following: whoever writes at readiness may come late.
	mu   sync.Mutex
	over bool
}

// write tells this process's number, whole or not at all.
func (f *pidFile) write() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.name == "" || f.over {
		return nil
	}
	if err := replaceFile(f.name, ownPID()); err != nil {
		return fmt.Errorf("--pid-file: %w", err)
	}
	return nil
}

// remove removes it, unless it is another process's by now: a successor writes
// its own before this one ends.
func (f *pidFile) remove() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	if f.name == "" {
		return
	}
	if b, err := os.ReadFile(f.name); err == nil && bytes.Equal(b, ownPID()) {
		_ = os.Remove(f.name) // who removed it before has done the same
	}
}

func ownPID() []byte { return append(strconv.AppendInt(nil, int64(os.Getpid()), 10), '\n') }

// replaceFile writes a new file of that name in one step.
func replaceFile(name string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
