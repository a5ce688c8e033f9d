//go:build !linux

package shard

import (
	"errors"
	"net"
	"syscall"
)

// No descriptor comes here: see poll_other.go.

const msgMore = 0

func rawReceive(int, []byte) (int, syscall.Errno)   { return 0, syscall.EINVAL }
func rawSend(int, []byte, int) (int, syscall.Errno) { return 0, syscall.EINVAL }
func rawSendBoth(int, []byte, []byte) (int, syscall.Errno) {
	return 0, syscall.EINVAL
}

func rawPeek(int, []byte) (int, syscall.Errno) { return 0, syscall.EINVAL }

func rawSplice(int, int, int) (int, syscall.Errno) { return 0, syscall.EINVAL }

func rawClose(int)               {}
func rawShutdown(int, int)       {}
func ringEventfd(int)            {}
func drainEventfd(int) bool      { return false }
func newEventfd() (int, error)   { return -1, errors.ErrUnsupported }
func duplicate(int) (int, error) { return -1, errors.ErrUnsupported }
func localAddr(int) net.Addr     { return nil }

func sendfile(int, int, *int64, int) (int, error) { return 0, errors.ErrUnsupported }
