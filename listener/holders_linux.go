package listener

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// maxHolders bounds the processes an error names.
const maxHolders = 8

// inUse makes the error of a taken address, and looks up in /proc who has it.
func inUse(cfg *Config, e endpoint, err error) error {
	const net = "/proc/thread-self/net/"
	var sockets []procSocket
	switch {
	case e.family == unix.AF_UNIX:
		sockets = unixSockets(e.path)
	case strings.HasPrefix(cfg.Network, "udp"):
		const unconnected = "07"
		sockets = append(inetSockets(net+"udp", unconnected, e), inetSockets(net+"udp6", unconnected, e)...)
	default:
		const listening = "0A"
		sockets = append(inetSockets(net+"tcp", listening, e), inetSockets(net+"tcp6", listening, e)...)
	}
	return &InUseError{Network: cfg.Network, Address: cfg.Address, Holders: holders(sockets), Err: err}
}

// procSocket is a socket as /proc lists it.
type procSocket struct {
	inode string
	uid   int
}

// inetSockets lists the sockets on e that are in a state, from a table like that
// of proc_net_tcp(5): "sl local rem st tx:rx tr:tm retr uid timeout inode".
func inetSockets(table, state string, e endpoint) (found []procSocket) {
	eachLine(table, func(f []string) {
		if len(f) < 10 || f[3] != state {
			return
		}
		if a, ok := parseProcAddr(f[1]); !ok || a.Port() != e.port || !overlap(a.Addr(), e.addr) {
			return
		}
		uid, err := strconv.Atoi(f[7])
		if err != nil {
			uid = -1
		}
		found = append(found, procSocket{inode: f[9], uid: uid})
	})
	return found
}

// overlap reports whether two addresses can collide; a wildcard of either
// family is taken to collide with anything.
func overlap(a, b netip.Addr) bool {
	return a.IsUnspecified() || b.IsUnspecified() || a == b
}

// parseProcAddr reads "0100007F:1F90": 32-bit words in the machine's byte order.
func parseProcAddr(s string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(s, ":")
	if !ok {
		return netip.AddrPort{}, false
	}
	raw, err := hex.DecodeString(host)
	if err != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	addr, ok := netip.AddrFromSlice(raw)
	p, err := strconv.ParseUint(port, 16, 16)
	return netip.AddrPortFrom(addr.Unmap(), uint16(p)), ok && err == nil
}

// unixSockets lists the sockets bound to a path:
// "Num RefCount Protocol Flags Type St Inode Path".
func unixSockets(path string) (found []procSocket) {
	eachLine("/proc/thread-self/net/unix", func(f []string) {
		const accepting = "00010000" // __SO_ACCEPTCON; accepted sockets bear the path too
		if len(f) >= 8 && f[7] == path && f[3] == accepting {
			found = append(found, procSocket{inode: f[6], uid: -1})
		}
	})
	return found
}

// eachLine calls do with the words of each line; a table that cannot be read is empty.
func eachLine(name string, do func(words []string)) {
	f, err := os.Open(name)
	if err != nil {
		return
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		do(strings.Fields(sc.Text()))
	}
}

// holders finds the processes that have the sockets open, among those this
// user may look at.
func holders(sockets []procSocket) (found []Holder) {
	byLink := make(map[string]int, len(sockets)) // link in /proc/PID/fd -> index
	for i, s := range sockets {
		byLink["socket:["+s.inode+"]"] = i
	}
	seen := make([]bool, len(sockets))
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*") // fails on a bad pattern only
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil {
			continue
		}
		i, ok := byLink[target]
		if !ok {
			continue
		}
		seen[i] = true
		pid, _ := strconv.Atoi(strings.Split(link, "/")[2]) // the pattern has digits there
		h := Holder{PID: pid, Program: program(pid), UID: sockets[i].uid}
		if !slices.ContainsFunc(found, func(o Holder) bool { return o.PID == pid }) {
			found = append(found, h)
		}
	}
	for i, s := range sockets {
		h := Holder{UID: s.uid}
		if !seen[i] && !slices.Contains(found, h) {
			found = append(found, h)
		}
	}
	return found[:min(len(found), maxHolders)]
}

// program is the name of a process, quoted if it is no plain word: any user
// may choose it.
func program(pid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	if err != nil {
		return "unknown program"
	}
	name := strings.TrimSuffix(string(b), "\n")
	if q := strconv.Quote(name); q != `"`+name+`"` {
		return q
	}
	return name
}
