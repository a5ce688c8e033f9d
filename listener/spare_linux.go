package listener

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// shedBurst bounds the connections shed at one time.
const shedBurst = 64

// Spare is one descriptor kept for the time when there are none (rule S-5).
// Without it a process out of descriptors could not even turn clients away:
// they would hang in the queue for as long as the want lasts. It may be used by
// several goroutines.
type Spare struct {
	// Atomic; set while the descriptor is given up, when other loops of the
	// process should not accept: they would take it and leave nothing to shed with.
	shedding atomic.Bool

	// mu guards the following.
	mu sync.Mutex
	fd int // -1: closed, or lost to somebody who was faster
	// closed says that fd stays -1.
	closed bool
}

// NewSpare reserves a descriptor. If there is none left it tries again when
// it is used.
func NewSpare() *Spare {
	p := &Spare{fd: -1}
	p.reserve()
	return p
}

// Shed gives the spare descriptor up, accepts and closes up to 64 connections
// that wait on s, and reserves it again. It returns how many were turned away.
// s must not be accepted from at the same time.
func (p *Spare) Shed(s *Socket) (shed int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return 0
	}
	p.shedding.Store(true)
	defer p.shedding.Store(false)
	p.release()
	for range shedBurst {
		fd, _, err := s.Accept()
		if err != nil {
			break
		}
		_ = unix.Close(fd)
		shed++
	}
	p.reserve()
	return shed
}

// Shedding reports whether a Shed is under way. Who is about to accept from
// another socket should back off as after EMFILE.
func (p *Spare) Shedding() bool { return p.shedding.Load() }

// Regain reserves the descriptor again if somebody took it while it was given
// up. Call it before accepting after a failure: the first descriptor that is
// free goes to the spare. It makes no system call while there is one.
func (p *Spare) Regain() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fd < 0 && !p.closed {
		p.reserve()
	}
}

// Close gives the descriptor back for good. Closing twice is no error.
func (p *Spare) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.release()
	return nil
}

// reserve opens what exists in every sandbox and costs the kernel least.
func (p *Spare) reserve() {
	if fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC); err == nil {
		p.fd = fd
	}
}

func (p *Spare) release() {
	if p.fd >= 0 {
		_ = unix.Close(p.fd)
		p.fd = -1
	}
}
