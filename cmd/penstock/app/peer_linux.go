package app

import (
	"errors"
	"net"
	"syscall"
)

// peerUID is the user id of the process at the other end of a Unix socket, as it
// was when that connected (SO_PEERCRED).
func peerUID(c net.Conn) (uid int, err error) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return -1, syscall.ENOTSUP
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return -1, err
	}
	var cred *syscall.Ucred
	ctrlErr := raw.Control(func(fd uintptr) {
		cred, err = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if ctrlErr != nil || err != nil {
		return -1, errors.Join(ctrlErr, err)
	}
	return int(cred.Uid), nil
}
