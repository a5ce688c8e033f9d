package bench

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socket is a descriptor that does not block, in the worker's epoll set. System
// calls on it are raw ones: the scheduler need not be told of what cannot wait.
type socket struct {
	fd  int
	gen uint32 // tells its events from those of the one before it
}

// connect begins to connect.
func (s *socket) connect(c *conn) error {
	family, to := sockaddr(c.w.plan.address)
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	s.fd = fd
	s.gen++
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // as nearly all clients
	if err := unix.Connect(fd, to); err != nil && err != unix.EINPROGRESS {
		_ = unix.Close(fd)
		s.fd = -1
		return os.NewSyscallError("connect", err)
	}
	c.waiting = true
	ev := s.event(c, true)
	if err := unix.EpollCtl(c.w.poller.fd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		_ = unix.Close(fd)
		s.fd = -1
		return os.NewSyscallError("epoll_ctl", err)
	}
	return nil
}

func sockaddr(a netip.AddrPort) (family int, to unix.Sockaddr) {
	if a.Addr().Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
	}
	in6 := &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	if i, err := net.InterfaceByName(a.Addr().Zone()); err == nil {
		in6.ZoneId = uint32(i.Index)
	}
	return unix.AF_INET6, in6
}

// event is told when something new comes (EPOLLET): else the kernel looks at each
// socket once more, behind its event, to find it empty (TestGeneratorCost, 4 % of h1). So
// readable has to read until a receive is short, which it is also in front of the
// peer's end: EPOLLRDHUP tells to read on until there.
func (s *socket) event(c *conn, out bool) unix.EpollEvent {
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET, Fd: c.index, Pad: int32(s.gen)}
	if out {
		ev.Events |= unix.EPOLLOUT
	}
	return ev
}

// watch asks to be told of room too, or no more.
func (s *socket) watch(c *conn, out bool) {
	ev := s.event(c, out)
	_ = unix.EpollCtl(c.w.poller.fd, unix.EPOLL_CTL_MOD, s.fd, &ev) // of a descriptor that is there
}

// connectError is what became of connecting.
func (s *socket) connectError() error {
	n, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && n != 0 {
		err = syscall.Errno(n)
	}
	return os.NewSyscallError("connect", err)
}

func (s *socket) receive(b []byte) (int, error) {
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), 0, 0, 0)
		switch {
		case e == 0 && n == 0 && len(b) > 0:
			return 0, io.EOF
		case e == 0:
			return int(n), nil
		case e == unix.EAGAIN:
			return 0, errWouldBlock
		case e != unix.EINTR:
			return 0, os.NewSyscallError("recv", e)
		}
	}
}

func (s *socket) send(b []byte) (int, error) {
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
		switch {
		case e == 0 && int(n) < len(b):
			return int(n), errWouldBlock
		case e == 0:
			return int(n), nil
		case e == unix.EAGAIN, e == unix.ENOBUFS, e == unix.ENOMEM:
			return 0, errWouldBlock
		case e != unix.EINTR:
			return 0, os.NewSyscallError("send", e)
		}
	}
}

func (s *socket) close(*conn) {
	if s.fd >= 0 {
		_ = unix.Close(s.fd)
		s.fd = -1
	}
}

// poller is a worker's epoll set.
type poller struct {
	fd      int
	events  []unix.EpollEvent
	coarse  bool // no epoll_pwait2: whole milliseconds
	timeout unix.Timespec
}

func (p *poller) init() { p.fd = -1 }

func (p *poller) open(conns int) (err error) {
	p.events = make([]unix.EpollEvent, min(max(conns, 1), 256))
	p.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return os.NewSyscallError("epoll_create1", err)
}

func (p *poller) close() {
	if p.fd >= 0 {
		_ = unix.Close(p.fd)
		p.fd = -1
	}
}

// wait handles what is ready, and else what is by until. Under load something
// is, and the scheduler need not hear of the look.
func (p *poller) wait(w *worker, until int64) {
	n := p.look()
	waited := n == 0
	if waited {
		if d := until - w.plan.now(); d > 0 {
			n = p.sleep(time.Duration(d))
		}
	}
	w.polledNow(waited)
	for i := range n {
		ev := &p.events[i]
		c := w.conns[ev.Fd]
		if uint32(ev.Pad) != c.socket.gen || c.state == connNone {
			continue // of a socket that was closed meanwhile
		}
		if ev.Events&unix.EPOLLOUT != 0 || c.state == connConnecting {
			c.writable()
		}
		if c.state != connNone && c.state != connConnecting && ev.Events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLERR|unix.EPOLLHUP) != 0 {
			c.toEnd = ev.Events&(unix.EPOLLRDHUP|unix.EPOLLERR|unix.EPOLLHUP) != 0
			c.readable()
		}
	}
}

func (p *poller) look() int {
	n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p.events))), uintptr(len(p.events)), 0, 0, 0)
	if e != 0 {
		return 0
	}
	return int(n)
}

// sleep waits for d at most, exact to the kernel's timers where it has
// epoll_pwait2 (Linux 5.11).
func (p *poller) sleep(d time.Duration) int {
	if !p.coarse {
		p.timeout = unix.NsecToTimespec(int64(d))
		n, _, e := syscall.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(p.fd), uintptr(unsafe.Pointer(unsafe.SliceData(p.events))), uintptr(len(p.events)),
			uintptr(unsafe.Pointer(&p.timeout)), 0, 0)
		if e == 0 {
			return int(n)
		}
		if e != unix.ENOSYS {
			return 0
		}
		p.coarse = true
	}
	n, err := unix.EpollWait(p.fd, p.events, int(d.Milliseconds())) // rounded down: the last part is spun
	if err != nil {
		return 0
	}
	return n
}

func descriptorLimit() (uint64, bool) {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return 0, false
	}
	return l.Cur, true
}

func cpuTimes() (user, system time.Duration) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, 0
	}
	return time.Duration(u.Utime.Nano()), time.Duration(u.Stime.Nano())
}

func kernelVersion() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return ""
	}
	return fmt.Sprintf("%s %s", unix.ByteSliceToString(u.Sysname[:]), unix.ByteSliceToString(u.Release[:]))
}
