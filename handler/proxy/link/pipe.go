package link

import "sync"

// PipeReader is a Conn whose bytes can go on inside the kernel: clear TCP in a
// shard's epoll set.
type PipeReader interface {
	// ReadPipe moves up to n bytes into the empty pipe whose writing end is fd. It
	// waits and ends as Read does.
	ReadPipe(fd int, n int64) (int64, error)
}

// Pipe carries bytes from one socket to another inside the kernel. One exchange
// uses it at a time.
type Pipe struct {
	In, Out int // the writing and the reading end, neither of which waits
}

// Pipes keeps empty pipes, because making one costs as much as what it spares for
// some hundred KiB. The zero value is ready. Any goroutine.
type Pipes struct {
	mu   sync.Mutex // guards the following
	free []*Pipe
	over bool
}

// maxFreePipes are kept; those above are closed, for each holds two descriptors.
const maxFreePipes = 64

// Get gives an empty pipe; nil: there is none to be had (another system, or no more
// descriptors or pipe memory for this user).
func (s *Pipes) Get() *Pipe {
	s.mu.Lock()
	if n := len(s.free); n > 0 {
		p := s.free[n-1]
		s.free = s.free[:n-1]
		s.mu.Unlock()
		return p
	}
	s.mu.Unlock()
	return newPipe()
}

// Put gives p back. empty: nothing is left in it; else nobody may have it.
func (s *Pipes) Put(p *Pipe, empty bool) {
	s.mu.Lock()
	keep := empty && !s.over && len(s.free) < maxFreePipes
	if keep {
		s.free = append(s.free, p)
	}
	s.mu.Unlock()
	if !keep {
		p.close()
	}
}

// Close closes the free pipes; others when they are given back.
func (s *Pipes) Close() {
	s.mu.Lock()
	free := s.free
	s.free, s.over = nil, true
	s.mu.Unlock()
	for _, p := range free {
		p.close()
	}
}
