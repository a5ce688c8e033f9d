package certs

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"
)

// Status is what a health check wants to know of one source of certificates.
type Status struct {
	// Name says what the source is for: "certificate", "client CA".
	Name string
	// Files are what it is read from.
	Files []string
	// Loaded is when the content in use was read.
	Loaded time.Time
	// NotAfter is the end of the certificate in use; zero for a client CA.
	NotAfter time.Time
	// Err is why newer content is not in use. nil: what the files hold is.
	Err error
}

// fileSource is a value made of files. A change is taken as a whole or not at
// all: on any error the value stays what it was (rules T-7, T-8).
type fileSource[T any] struct {
	// Immutable after load.
	name  string
	files []string
	parse func(data [][]byte) (*T, error)

	// Atomic; read by any goroutine.
	current atomic.Pointer[T]

	// mu guards the following.
	mu     sync.Mutex
	used   digest // of what current was made of
	failed digest // of what could not be parsed; zero: none
	err    error
	loaded time.Time
}

type digest = [sha256.Size]byte

// load reads the files for the first time. What is wrong then is the caller's
// to report: there is no last good value.
func (s *fileSource[T]) load(now time.Time) error {
	_, err := s.reload(now)
	return err
}

// reload reads the files anew and tells whether the value is another one now.
// Equal bytes are no change.
func (s *fileSource[T]) reload(now time.Time) (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed, s.err = s.reloadLocked(now)
	return changed, s.err
}

func (s *fileSource[T]) reloadLocked(now time.Time) (changed bool, err error) {
	data := make([][]byte, len(s.files))
	for i, file := range s.files {
		if data[i], err = readPEM(file); err != nil {
			s.failed = digest{}
			return false, err
		}
	}
	sum := digestOf(data)
	switch {
	case s.current.Load() != nil && sum == s.used:
		s.failed = digest{}
		return false, nil
	case s.err != nil && sum == s.failed:
		return false, s.err // the same as last time
	}
	v, err := s.parse(data)
	if err != nil {
		s.failed = sum
		return false, err
	}
	s.current.Store(v)
	s.used, s.failed, s.loaded = sum, digest{}, now
	return true, nil
}

func (s *fileSource[T]) status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Status{Name: s.name, Files: s.files, Loaded: s.loaded, Err: s.err}
}

// digestOf tells contents apart, and where one ends and the next begins.
func digestOf(data [][]byte) digest {
	h := sha256.New()
	var size [8]byte
	for _, b := range data {
		binary.BigEndian.PutUint64(size[:], uint64(len(b)))
		h.Write(size[:])
		h.Write(b)
	}
	return digest(h.Sum(nil))
}
