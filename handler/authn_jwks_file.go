package handler

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
)

// KeySetFile is a JWK Set in a file, for JWTOptions.Keys. Whoever fetches the
// issuer's set replaces the file.
type KeySetFile struct {
	path string
	keys atomic.Pointer[KeySet]
}

// NewKeySetFile reads the file.
func NewKeySetFile(path string) (*KeySetFile, error) {
	f := &KeySetFile{path: path}
	if err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// Keys is the set as it was read last.
func (f *KeySetFile) Keys() *KeySet { return f.keys.Load() }

// Reload reads the file again. On an error the keys known until then stay. It may
// be called by any goroutine, at any time.
func (f *KeySetFile) Reload() error {
	file, err := os.Open(f.path)
	if err != nil {
		return fmt.Errorf("key set file: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxJWKS+1))
	if err != nil {
		return fmt.Errorf("key set file: %w", err)
	}
	keys, err := ParseJWKS(text) // which knows that one byte more is too much
	if err != nil {
		return fmt.Errorf("key set file %s: %w", f.path, err)
	}
	f.keys.Store(keys)
	return nil
}
