package listener

import (
	"errors"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// adoptInherited makes groups of the descriptors that are listening sockets.
func adoptInherited(fds []inheritedFD) ([]*Group, error) {
	type key struct{ name, network, addr string }
	type members struct {
		addr net.Addr
		fds  []int
	}
	var order []key
	var errs []error
	found := make(map[key]*members)
	for _, in := range fds {
		addr, err := inspect(in.fd)
		if err != nil {
			errs = append(errs, fmt.Errorf("inherit descriptor %d %q: %w", in.fd, in.name, err))
			continue
		}
		k := key{in.name, addr.Network(), addr.String()}
		if found[k] == nil {
			found[k] = &members{addr: addr}
			order = append(order, k)
		}
		found[k].fds = append(found[k].fds, in.fd)
	}
	var groups []*Group
	for _, k := range order {
		g, err := groupOf(found[k].addr, found[k].fds...)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		g.name, g.shared = k.name, true
		groups = append(groups, g)
	}
	return groups, errors.Join(errs...)
}

// inspect makes a descriptor ours and finds what it listens on.
func inspect(fd int) (net.Addr, error) {
	unix.CloseOnExec(fd) // whatever it is, children have no use for it
	typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return nil, os.NewSyscallError("getsockopt SO_TYPE", err)
	}
	accepts, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return nil, os.NewSyscallError("getsockopt SO_ACCEPTCONN", err)
	}
	if typ != unix.SOCK_STREAM || accepts == 0 {
		return nil, errors.New("no listening stream socket")
	}
	addr, err := localAddr(fd)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, os.NewSyscallError("fcntl O_NONBLOCK", err)
	}
	return addr, nil
}
