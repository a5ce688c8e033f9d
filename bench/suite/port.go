package suite

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
)

const (
	lowestPort = 10_000
	portTries  = 100
	// systemLowest is where the system's own choice begins when it does not tell.
	systemLowest = 32_768
)

// freePort is one that nobody has at this moment, neither over TCP nor over UDP. It
// is below those that the system gives to outgoing connections: a generator that
// opens thousands of these would else now and then have a server's.
func freePort() (int, error) {
	limit := systemLowest
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		_, _ = fmt.Sscan(string(b), &limit) // as it was when it is no number
	}
	if limit < lowestPort+1000 {
		return systemPort()
	}
	for range portTries {
		port := lowestPort + rand.IntN(limit-lowestPort)
		if isFree(port) {
			return port, nil
		}
	}
	return 0, errors.New("no free port was found")
}

// isFree asks by binding both.
func isFree(port int) bool {
	address := fmt.Sprint("127.0.0.1:", port)
	l, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	defer l.Close()
	u, err := net.ListenPacket("udp", address)
	if err != nil {
		return false
	}
	return u.Close() == nil
}

// systemPort is the system's choice.
func systemPort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// freePorts are n different ones.
func freePorts(n int) ([]int, error) {
	var ports []int
	taken := make(map[int]bool)
	for len(ports) < n {
		port, err := freePort()
		if err != nil {
			return nil, err
		}
		if !taken[port] {
			taken[port] = true
			ports = append(ports, port)
		}
	}
	return ports, nil
}
