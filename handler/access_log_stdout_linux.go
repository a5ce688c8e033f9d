package handler

import (
	"os"
	"syscall"
)

// openStdout is standard output by a descriptor of its own: Go ends the process
// by SIGPIPE when a pipe is dead on descriptor 1, on others the write fails.
func openStdout() (f *os.File, own bool, err error) {
	conn, err := os.Stdout.SyscallConn() // Fd would make it block for all who share it
	if err != nil {
		return nil, false, err
	}
	fd, dupErr := -1, error(nil)
	err = conn.Control(func(stdout uintptr) {
		syscall.ForkLock.RLock() // no child between dup and the flag
		defer syscall.ForkLock.RUnlock()
		if fd, dupErr = syscall.Dup(int(stdout)); dupErr == nil {
			syscall.CloseOnExec(fd)
		}
	})
	if err == nil && dupErr != nil {
		err = os.NewSyscallError("dup", dupErr)
	}
	if err != nil {
		return nil, false, err
	}
	return os.NewFile(uintptr(fd), "standard output"), true, nil
}
