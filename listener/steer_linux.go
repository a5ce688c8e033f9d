package listener

import (
	"os"

	"golang.org/x/sys/unix"
)

// steer attaches the program of the group to fd, which has SO_REUSEPORT. Not
// bound yet, fd begins a group of its own, and those that are bound after it
// come under the program by joining. It needs no capability.
func steer(fd, sockets, steerByte int) error {
	prog := steerProgram(sockets, steerByte)
	fprog := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &fprog)
	return os.NewSyscallError("setsockopt SO_ATTACH_REUSEPORT_CBPF", err)
}

// steerProgram picks the socket of a datagram, as drawn in packet.go. It sees
// the UDP payload from its first byte on. The result is an index in the
// order of bind(2); one that no socket has leaves the choice to the kernel's
// hash of the addresses.
//
// A load behind the end of the datagram ends the program with 0. That may happen:
// such a datagram is too short for any connection ID of ours, so no connection
// loses it, and socket 0 ignores it as garbage.
func steerProgram(sockets, steerByte int) []unix.SockFilter {
	const (
		headerForm = 0x80       // RFC 9000 §17.2, §17.3: set in long headers, clear in short ones
		idOffset   = 1          // RFC 9000 §17.3.1: in a short header the ID follows the first byte
		byHash     = 0xffffffff // no index
	)
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, Jt: 3, Jf: 0, K: headerForm},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: uint32(idOffset + steerByte)},
		{Code: unix.BPF_ALU | unix.BPF_MOD | unix.BPF_K, K: uint32(sockets)},
		{Code: unix.BPF_RET | unix.BPF_A},
		{Code: unix.BPF_RET | unix.BPF_K, K: byHash},
	}
}
