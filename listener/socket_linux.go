package listener

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Socket is one listening socket of a Group. FD, Index, Accepted, Quiesce and
// Close may be called by any goroutine; Accept by one at a time, and not at the
// same time as Close.
type Socket struct {
	// Immutable.
	index int
	unix  bool

	// Atomic; -1 once closed, lest a number the kernel has given anew be used.
	fd atomic.Int32
	// Atomic; written by whoever accepts.
	accepted atomic.Uint64

	// mu guards the following, and the descriptor against Close.
	mu   sync.Mutex
	file *os.File // the descriptor in Go's poller, once Group.Accept is in use
	poll syscall.RawConn
}

func newSocket(fd, index int, isUnix bool) *Socket {
	s := &Socket{index: index, unix: isUnix}
	s.fd.Store(int32(fd))
	return s
}

// FD is the descriptor, which stays the socket's, or -1 after Close. It is
// non-blocking.
func (s *Socket) FD() int { return int(s.fd.Load()) }

// Index is the socket's place in its group, and its number in the kernel's
// reuseport group.
func (s *Socket) Index() int { return s.index }

// Accepted is the number of connections accepted so far. The kernel spreads
// connections by hash and never rebalances: compare the sockets for skew.
func (s *Socket) Accepted() uint64 { return s.accepted.Load() }

// Accept takes one connection out of the queue, with one system call and
// without allocating. The descriptor is the caller's; it is non-blocking and
// close-on-exec, and has the options of the listening socket. remote is
// unmapped if the peer came by IPv4 to an IPv6 socket, has the number of the
// interface as its zone if it is link-local, and is the zero AddrPort for unix
// sockets. The error is a plain syscall.Errno, EAGAIN if nobody waits; see
// Classify.
func (s *Socket) Accept() (fd int, remote netip.AddrPort, err error) {
	fd, remote, errno := accept4(s.FD())
	if errno != 0 {
		return -1, netip.AddrPort{}, errno
	}
	s.accepted.Add(1)
	return fd, remote, nil
}

// accept4 calls the kernel without telling Go's scheduler: the socket is
// non-blocking, so the call is as short as any.
func accept4(fd int) (int, netip.AddrPort, syscall.Errno) {
	var sa unix.RawSockaddrInet6 // also large enough for IPv4; a unix peer's name is cut off
	size := uint32(unsafe.Sizeof(sa))
	nfd, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&sa)),
		uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return -1, netip.AddrPort{}, errno
	}
	return int(nfd), addrPort(&sa), 0
}

// addrPort reads a socket address as the kernel wrote it.
func addrPort(sa *unix.RawSockaddrInet6) netip.AddrPort {
	p := (*[2]byte)(unsafe.Pointer(&sa.Port))
	port := uint16(p[0])<<8 | uint16(p[1])
	switch sa.Family {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(sa)).Addr), port)
	case unix.AF_INET6:
		addr := netip.AddrFrom16(sa.Addr).Unmap()
		if sa.Scope_id != 0 && addr.Is6() {
			addr = addr.WithZone(strconv.FormatUint(uint64(sa.Scope_id), 10))
		}
		return netip.AddrPortFrom(addr, port)
	default:
		return netip.AddrPort{}
	}
}

// Quiesce lets no new connection begin on this socket, while those that are
// queued, or whose handshake is under way, stay and can be accepted. Calling
// it again does nothing new. A unix socket polls readable from here on, so
// accept until EAGAIN and take it out of the epoll set at once.
func (s *Socket) Quiesce() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	fd := s.FD()
	if fd < 0 {
		return net.ErrClosed
	}
	if s.unix {
		// connect(2) is refused from now on; the queue is not touched.
		if err := unix.Shutdown(fd, unix.SHUT_RD); err != nil {
			return fmt.Errorf("quiesce: %w", os.NewSyscallError("shutdown", err))
		}
		return nil
	}
	return dropSYN(fd)
}

// dropSYN attaches a classic BPF filter that drops segments with SYN and
// without ACK. On a TCP socket a filter sees the TCP header first. It needs no
// capability. Connections that complete later inherit it, which does no harm:
// RFC 9293 §3.10.7.4 has a SYN on an established connection answered by a
// challenge ACK at most.
func dropSYN(fd int) error {
	const flagsOffset, syn, ack = 13, 0x02, 0x10
	prog := [...]unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: flagsOffset},
		{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: syn | ack},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 0, Jf: 1, K: syn},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
	}
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &fprog)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return bindNowhere(fd)
	}
	if err != nil {
		return fmt.Errorf("quiesce: %w", os.NewSyscallError("setsockopt SO_ATTACH_FILTER", err))
	}
	return nil
}

// bindNowhere is dropSYN for MPTCP sockets, which take no filter; net.Listen
// makes such sockets unless told otherwise. Bound to an interface that does not
// exist the socket is found by no SYN, which is refused, while handshakes that
// are under way go on with the interface they began on.
func bindNowhere(fd int) error {
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, math.MaxInt32)
	if err != nil {
		return fmt.Errorf("quiesce: %w", os.NewSyscallError("setsockopt SO_BINDTOIFINDEX", err))
	}
	return nil
}

// Close closes the descriptor. The kernel resets what is still queued, unless
// another process has the socket too. Closing twice is no error.
//
// Close all sockets of a group or none: the kernel moves the last one into the
// place of one that leaves.
func (s *Socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	fd := int(s.fd.Swap(-1))
	switch {
	case fd < 0:
		return nil
	case s.file != nil:
		return s.file.Close()
	default:
		return os.NewSyscallError("close", unix.Close(fd))
	}
}

// startPolling registers the socket with Go's poller.
func (s *Socket) startPolling() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	fd := s.FD()
	if fd < 0 {
		return net.ErrClosed
	}
	if s.file != nil {
		return nil
	}
	file := os.NewFile(uintptr(fd), "listening socket")
	// From here on the file owns the descriptor, also if the rest fails.
	s.file = file
	if err := file.SetDeadline(time.Time{}); err != nil { // fails where the poller did not take it
		return fmt.Errorf("poll listening socket: %w", err)
	}
	poll, err := file.SyscallConn()
	s.poll = poll
	return err
}

// acceptConn waits for a connection in Go's poller, after startPolling.
func (s *Socket) acceptConn(g *Group) (net.Conn, error) {
	var fd int
	var remote netip.AddrPort
	var errno syscall.Errno
	err := s.poll.Read(func(l uintptr) bool {
		if g.spare.Shedding() {
			errno = syscall.EMFILE
			return true
		}
		fd, remote, errno = accept4(int(l))
		return errno != syscall.EAGAIN
	})
	switch {
	case err != nil && s.FD() < 0:
		return nil, net.ErrClosed
	case err != nil:
		return nil, err
	case errno != 0:
		return nil, os.NewSyscallError("accept4", errno)
	}
	s.accepted.Add(1)
	return newConn(fd, remote, g), nil
}

// acceptQueued is acceptConn without waiting: EAGAIN if nobody is queued.
func (s *Socket) acceptQueued(g *Group) (net.Conn, error) {
	fd, remote, err := s.Accept()
	if err != nil {
		return nil, err
	}
	return newConn(fd, remote, g), nil
}

// interrupt ends acceptConn, now and later, with os.ErrDeadlineExceeded.
func (s *Socket) interrupt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		_ = s.file.SetDeadline(time.Unix(1, 0)) // fails only on a closed socket, which ends it too
	}
}
