//go:build unix

package link

import (
	"os"
	"syscall"
)

// readNow is read(2) on a non-blocking descriptor.
func readNow(fd uintptr, p []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), p)
		switch err {
		case nil:
			return n, nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, ErrWouldBlock
		default:
			return 0, os.NewSyscallError("read", err)
		}
	}
}
