package handler

import (
	"io"
	"sync"
	"sync/atomic"
)

// encoder makes one content coding. After Reset it begins anew.
type encoder interface {
	io.WriteCloser
	Flush() error
	Reset(w io.Writer)
}

type encoderSettings struct {
	level       int // 1 to 9
	windowBytes int
}

// encoders lends encoders, up to a bound: each of them costs memory, and what they
// do costs time (S-9). They are kept for the next answer until the garbage
// collector wants them.
type encoders struct {
	// Immutable after init.
	most     int64
	settings encoderSettings
	pools    map[string]*sync.Pool

	lent atomic.Int64
}

func (e *encoders) init(codings []string, s encoderSettings, most int64) {
	e.most, e.settings = most, s
	e.pools = make(map[string]*sync.Pool, len(codings))
	for _, coding := range codings {
		e.pools[coding] = new(sync.Pool)
	}
}

// lend gives an encoder that writes to w, or nil if all are in use.
func (e *encoders) lend(coding string, w io.Writer) encoder {
	if e.lent.Add(1) > e.most {
		e.lent.Add(-1)
		return nil
	}
	enc, ok := e.pools[coding].Get().(encoder)
	if !ok {
		enc = newEncoder(coding, e.settings)
	}
	enc.Reset(w)
	return enc
}

// giveBack takes it again, in whatever state it is.
func (e *encoders) giveBack(coding string, enc encoder) {
	enc.Reset(io.Discard) // nothing of the answer stays
	e.pools[coding].Put(enc)
	e.lent.Add(-1)
}
