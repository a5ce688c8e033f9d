package shard

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Raw system calls: the scheduler is not told, so nothing here may block. All
// descriptors are non-blocking sockets, epoll sets or eventfds. What may touch
// a disk goes through package syscall's ordinary calls (sendfile below).

// rawReceive is recv(2): a socket's way in without the file layer's, which
// read(2) takes (BenchmarkEcho).
func rawReceive(fd int, p []byte) (int, syscall.Errno) {
	if raceEnabled {
		return raceReceive(fd, p)
	}
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

// rawPeek is recv(2) that leaves the bytes in the socket.
func rawPeek(fd int, p []byte) (int, syscall.Errno) {
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_PEEK, 0, 0)
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

// rawSend is send(2) with MSG_NOSIGNAL (a dead peer is EPIPE, never SIGPIPE).
func rawSend(fd int, p []byte, flags int) (int, syscall.Errno) {
	raceSend()
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
			uintptr(flags|unix.MSG_NOSIGNAL), 0, 0)
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

// rawSendBoth is sendmsg(2) of two parts.
func rawSendBoth(fd int, a, b []byte) (int, syscall.Errno) {
	raceSend()
	iov := [2]unix.Iovec{{Base: &a[0]}, {Base: &b[0]}}
	iov[0].SetLen(len(a))
	iov[1].SetLen(len(b))
	msg := unix.Msghdr{Iov: &iov[0]}
	msg.SetIovlen(2)
	for {
		n, _, e := syscall.RawSyscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), unix.MSG_NOSIGNAL)
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

// rawClose closes a socket. Without SO_LINGER, which nobody sets here, it does
// not wait. EINTR has closed the descriptor too.
func rawClose(fd int) {
	raceSend()
	syscall.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
}

func rawShutdown(fd, how int) {
	raceSend()
	syscall.RawSyscall(unix.SYS_SHUTDOWN, uintptr(fd), uintptr(how), 0)
}

func rawEpollCtl(epfd, op, fd int, ev *unix.EpollEvent) syscall.Errno {
	_, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(epfd), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(ev)), 0, 0)
	return e
}

// sendfile reads the disk, so the scheduler is told (syscall.Syscall6 inside).
func sendfile(out, in int, off *int64, n int) (int, error) {
	raceSend()
	for {
		m, err := unix.Sendfile(out, in, off, n)
		if err != unix.EINTR {
			return m, err
		}
	}
}

// rawSplice moves up to n bytes between a socket and a pipe, neither of which waits.
func rawSplice(in, out, n int) (int, syscall.Errno) {
	raceSend()
	for {
		m, _, e := syscall.RawSyscall6(unix.SYS_SPLICE, uintptr(in), 0, uintptr(out), 0, uintptr(n), unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		if e != unix.EINTR {
			return int(m), e
		}
	}
}

func errnoErr(e syscall.Errno) error {
	if e == 0 {
		return nil
	}
	return e
}

const msgMore = unix.MSG_MORE

// duplicate makes a second descriptor of the same socket.
func duplicate(fd int) (int, error) { return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0) }

func newEventfd() (int, error) { return unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK) }

var eventfdOne = [8]byte{1}

// ringEventfd adds one. EAGAIN means the counter is full: it is rung already.
func ringEventfd(fd int) {
	syscall.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&eventfdOne)), 8)
}

// drainEventfd empties it, and tells whether it was rung.
func drainEventfd(fd int) bool {
	var b [8]byte
	_, _, e := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b)), 8)
	return e == 0
}
