package listener

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
)

// ErrorClass says what to do about an error of accept (rules S-5, O-6).
type ErrorClass int

// The classes.
const (
	// ClassNone: there was no error.
	ClassNone ErrorClass = iota
	// ClassAgain: the queue is empty; wait until the socket is readable.
	ClassAgain
	// ClassRetry: that one connection failed before it was taken, or a signal
	// came; accept again at once.
	ClassRetry
	// ClassBackOff: the system lacks something (descriptors, memory), or the
	// error is not known. Connections stay queued. Wait as Backoff says.
	ClassBackOff
	// ClassFatal: this is no listening socket (any more); accepting again
	// cannot succeed.
	ClassFatal
)

// String names the class as logs and documents do.
func (c ErrorClass) String() string {
	switch c {
	case ClassNone:
		return "none"
	case ClassAgain:
		return "again"
	case ClassRetry:
		return "retry"
	case ClassBackOff:
		return "back off"
	case ClassFatal:
		return "fatal"
	default:
		return fmt.Sprintf("ErrorClass(%d)", int(c))
	}
}

// Classify sorts an error of accept, wrapped or not. It may be called by any
// goroutine and does not allocate for a plain syscall.Errno.
func Classify(err error) ErrorClass {
	if err == nil {
		return ClassNone
	}
	//nolint:errorlint // the fast path of Socket.Accept; wrapped errors come below
	if errno, ok := err.(syscall.Errno); ok {
		return classifyErrno(errno)
	}
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		return classifyErrno(errno)
	case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrClosed), errors.Is(err, errors.ErrUnsupported):
		return ClassFatal
	default:
		return ClassBackOff
	}
}

// classifyErrno follows accept(2). What it does not name backs off: that can
// neither spin nor end a server.
func classifyErrno(errno syscall.Errno) ErrorClass {
	switch errno {
	case 0:
		return ClassNone
	case syscall.EAGAIN:
		return ClassAgain
	case syscall.EINTR, syscall.ECONNABORTED, syscall.ECONNRESET,
		// accept(2): Linux passes already-pending network errors on the new socket as an error of accept;
		// they are to be treated like a connection that was aborted.
		syscall.ENETDOWN, syscall.EPROTO, syscall.ENOPROTOOPT, syscall.EHOSTDOWN,
		syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ETIMEDOUT:
		return ClassRetry
	case syscall.EBADF, syscall.EINVAL, syscall.ENOTSOCK, syscall.EOPNOTSUPP, syscall.EFAULT:
		return ClassFatal
	default: // EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM (a firewall), and what is unknown
		return ClassBackOff
	}
}

// Holder is a process that has an address.
type Holder struct {
	// PID is 0 if /proc does not tell it to this user.
	PID int
	// Program is the name in /proc/PID/comm.
	Program string
	// UID is the user that owns the socket, -1 if unknown.
	UID int
}

// String is "program (pid 12)", or what is known of it.
func (h Holder) String() string {
	switch {
	case h.PID == 0 && h.UID < 0:
		return "a process this user may not see"
	case h.PID == 0:
		return fmt.Sprintf("a process of user id %d that this user may not see", h.UID)
	case h.PID == os.Getpid():
		return fmt.Sprintf("this process (pid %d)", h.PID)
	default:
		return fmt.Sprintf("%s (pid %d)", h.Program, h.PID)
	}
}

// InUseError says that somebody else has the address. errors.Is finds
// EADDRINUSE in it.
type InUseError struct {
	Network string
	Address string
	// Holders are the processes that listen there, as far as /proc tells;
	// empty if it tells nothing (the address may be bound without listening).
	Holders []Holder
	// Err is the system's error.
	Err error
}

// Error names the address and its holders.
func (e *InUseError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "listen %s %s: %v", e.Network, e.Address, e.Err)
	for i, h := range e.Holders {
		if i == 0 {
			b.WriteString(": held by ")
		} else {
			b.WriteString(", ")
		}
		b.WriteString(h.String())
	}
	return b.String()
}

// Unwrap returns the system's error.
func (e *InUseError) Unwrap() error { return e.Err }
