//go:build !linux

package app

import (
	"net"
	"os"
)

// peerUID trusts the mode of the socket, 0600: nobody else can connect.
func peerUID(net.Conn) (uid int, err error) { return os.Geteuid(), nil }
