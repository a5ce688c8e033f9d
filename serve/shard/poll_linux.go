package shard

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Supported tells whether this system has the event loop. Where it has not,
// the portable form (one goroutine a connection) serves alone.
const Supported = true

const (
	evIn    = unix.EPOLLIN
	evOut   = unix.EPOLLOUT
	evRdhup = unix.EPOLLRDHUP
	evHup   = unix.EPOLLHUP
	evErr   = unix.EPOLLERR

	// connMask is what a connection is registered for. OUT is added by the
	// first write that comes short, and stays: it then reports only a socket
	// that was full and has room again.
	connMask = evIn | evRdhup | unix.EPOLLET&0xffffffff
)

// event is struct epoll_event with its data split into our two halves.
type event struct {
	mask uint32
	slot uint32
	gen  uint32
}

// batchSize bounds one harvest: enough to amortise the system call, small
// enough that a new connection is accepted within a fraction of a millisecond.
const batchSize = 64

// poller is the shard's epoll set behind a gate in Go's own poller.
//
//	Go's epoll ── gate ──┬── ring (eventfd: inbox, own wake-up)
//	                     └── set  (ONESHOT; armed only while the leader waits)
//	                          ├── listening sockets (level-triggered)
//	                          └── connections (edge-triggered)
//
// Without the gate every edge of a merely busy shard would wake whichever
// idle core polls for any other goroutine (BenchmarkIdleCore).
type poller struct {
	set  int
	gate int
	ring int
	rang atomic.Bool // the ring was rung and not emptied yet
	file *os.File
	raw  syscall.RawConn
	park func(fd uintptr) bool // parkOnce; made once, for a wait allocates nothing (TestProxiedAllocs)

	// Owned by the leader.
	armed  bool // the set may ring the gate
	parked bool // the wait has begun
	yield  bool // the wait is for the scheduler

	// mu keeps the ring open while somebody rings it, who may come late.
	mu     sync.Mutex
	closed bool
}

func newPoller() (p *poller, err error) {
	p = &poller{set: -1, gate: -1, ring: -1}
	p.park = p.parkOnce
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.set, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return p, fmt.Errorf("epoll_create1: %w", err)
	}
	if p.ring, err = newEventfd(); err != nil {
		return p, fmt.Errorf("eventfd: %w", err)
	}
	gate, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return p, fmt.Errorf("epoll_create1: %w", err)
	}
	p.gate = gate
	if err = unix.EpollCtl(gate, unix.EPOLL_CTL_ADD, p.ring, &unix.EpollEvent{Events: unix.EPOLLIN}); err != nil {
		return p, fmt.Errorf("epoll_ctl: %w", err)
	}
	// ONESHOT with an empty mask: not armed yet.
	if err = unix.EpollCtl(gate, unix.EPOLL_CTL_ADD, p.set, &unix.EpollEvent{Events: unix.EPOLLONESHOT, Fd: 1}); err != nil {
		return p, fmt.Errorf("epoll_ctl: %w", err)
	}
	p.file, p.raw, err = pollable(gate, "shard gate")
	return p, err
}

// pollable puts fd into Go's poller. The returned file owns fd.
func pollable(fd int, name string) (*os.File, syscall.RawConn, error) {
	// os.NewFile registers only descriptors that are non-blocking already.
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, raw, nil
}

func (p *poller) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	if p.file != nil {
		p.file.Close()
	} else if p.gate >= 0 {
		unix.Close(p.gate)
	}
	for _, fd := range []int{p.set, p.ring} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// harvest fills evs with what is ready now. It never blocks.
func (p *poller) harvest(evs *[batchSize]event) int {
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.set), uintptr(unsafe.Pointer(evs)), batchSize, 0, 0, 0)
		if e == 0 {
			return int(n)
		}
		if e != unix.EINTR {
			panic("BUG: epoll_pwait: " + e.Error())
		}
	}
}

// arm lets the set ring the gate once. MOD looks again, so an event that came
// before it is not lost; but only if the set is not in the gate's ready list
// already (TestGateLooksAgain), from which nothing but a harvest takes it.
func (p *poller) arm() {
	if p.armed {
		p.disarm()
	}
	p.armed = true
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLONESHOT, Fd: 1}
	rawEpollCtl(p.gate, unix.EPOLL_CTL_MOD, p.set, &ev)
}

// disarm harvests the gate, which is what spends a ONESHOT that has fired, and
// empties the ready list of one that has not.
func (p *poller) disarm() {
	var evs [2]unix.EpollEvent
	n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.gate), uintptr(unsafe.Pointer(&evs)), 2, 0, 0, 0)
	if e != 0 {
		return // interrupted: armed still, and tried again
	}
	for _, ev := range evs[:n] {
		if ev.Fd == 1 {
			p.armed = false
		}
	}
}

// wait parks the leader in Go's poller until the gate is ready.
// With yield set the set is ready already and the park is for the scheduler,
// which polls for everybody else on this core before it comes back.
func (p *poller) wait(yield bool) error {
	p.parked, p.yield = false, yield
	err := p.raw.Read(p.park)
	if p.armed {
		p.disarm()
	}
	if p.rang.Load() {
		p.rang.Store(false)
		drainEventfd(p.ring)
	}
	return err
}

// parkOnce arms or rings within the poller's call, after its readiness was reset:
// done before, the edge could be consumed by another core's poll and the leader
// would sleep on it. A wake for nothing does no harm.
func (p *poller) parkOnce(uintptr) bool {
	if p.parked {
		return true
	}
	p.parked = true
	if p.yield {
		p.wake()
		return false
	}
	p.arm()
	return p.rang.Load()
}

// wake rings the gate. Any goroutine may call it, also after close.
func (p *poller) wake() {
	p.rang.Store(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		ringEventfd(p.ring)
	}
}

// add registers a connection; fd's readiness at this moment is reported too.
func (p *poller) add(fd int, slot, gen uint32) error {
	ev := event{mask: connMask, slot: slot, gen: gen}
	return errnoErr(rawEpollCtl(p.set, unix.EPOLL_CTL_ADD, fd, (*unix.EpollEvent)(unsafe.Pointer(&ev))))
}

// addOut widens a registration to OUT; the present state is reported again.
func (p *poller) addOut(fd int, slot, gen uint32) error {
	ev := event{mask: connMask | evOut, slot: slot, gen: gen}
	return errnoErr(rawEpollCtl(p.set, unix.EPOLL_CTL_MOD, fd, (*unix.EpollEvent)(unsafe.Pointer(&ev))))
}

func (p *poller) remove(fd int) {
	var ev unix.EpollEvent
	rawEpollCtl(p.set, unix.EPOLL_CTL_DEL, fd, &ev)
}

// addListener registers a listening socket, level-triggered: a bounded burst
// of accepts would lose an edge.
func (p *poller) addListener(fd int, slot uint32) error {
	ev := event{mask: evIn, slot: slot, gen: listenerGen}
	return errnoErr(rawEpollCtl(p.set, unix.EPOLL_CTL_ADD, fd, (*unix.EpollEvent)(unsafe.Pointer(&ev))))
}

// pauseListener and resumeListener empty and restore the mask; a level-triggered
// socket that nobody accepts from would spin.
func (p *poller) pauseListener(fd int, slot uint32) {
	ev := event{slot: slot, gen: listenerGen}
	rawEpollCtl(p.set, unix.EPOLL_CTL_MOD, fd, (*unix.EpollEvent)(unsafe.Pointer(&ev)))
}

func (p *poller) resumeListener(fd int, slot uint32) {
	ev := event{mask: evIn, slot: slot, gen: listenerGen}
	rawEpollCtl(p.set, unix.EPOLL_CTL_MOD, fd, (*unix.EpollEvent)(unsafe.Pointer(&ev)))
}
