package message

import (
	"errors"
	"io"
)

var (
	errBodyShort = errors.New("body is shorter than its length")
	errBodyLong  = errors.New("body is longer than its length")
)

// maxEmptyReads of a request's body in a row, that give neither bytes nor an error,
// are what package bufio endures too.
const maxEmptyReads = 100

// Source reads a request's body and sees to its length.
type Source struct {
	Body io.Reader
	Left int64 // -1: not known

	probe [1]byte
}

// Next reads a piece. end: it is the last, and known to be: the last bytes of a
// body with a length are given only when nothing follows them.
func (s *Source) Next(p []byte) (n int, end bool, err error) {
	if s.Left >= 0 {
		p = p[:min(int64(len(p)), s.Left)]
	}
	if s.Left != 0 {
		n, err = s.read(p)
	}
	if s.Left > 0 {
		s.Left -= int64(n)
	}
	if s.Left == 0 && err == nil {
		var more int
		if more, err = s.read(s.probe[:]); more > 0 {
			return 0, false, errBodyLong
		}
	}
	switch {
	case err == io.EOF && s.Left > 0:
		return 0, false, errBodyShort
	case err == io.EOF:
		return n, true, nil
	}
	return n, false, err
}

// read reads one byte at least, or fails.
func (s *Source) read(p []byte) (n int, err error) {
	for range maxEmptyReads {
		if n, err = s.Body.Read(p); n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}
