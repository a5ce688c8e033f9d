package listener

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// The protocol of sd_listen_fds(3).
const (
	envPID   = "LISTEN_PID"
	envFDs   = "LISTEN_FDS"
	envNames = "LISTEN_FDNAMES"
	// envPIDFD tells the process apart from a later one with its number; we look
	// at the number alone.
	envPIDFD = "LISTEN_PIDFDID"

	firstInherited = 3
	// maxInherited bounds LISTEN_FDS, which is only a number in the environment.
	maxInherited = 4096
	// nameless is the name of what was given none, as with
	// sd_listen_fds_with_names(3).
	nameless = "unknown"
)

// Inheritance are the sockets that a service manager or a predecessor has passed
// on, until somebody takes them by their name. All methods may be called by any
// goroutine.
type Inheritance struct {
	mu sync.Mutex
	// mu guards the following.
	left   []inherited
	taken  []string // names
	closed bool
}

// inherited is a descriptor that was passed on.
type inherited struct {
	fd   int
	name string
	addr net.Addr // nil: it is no socket we know
	kind inheritedKind
}

// inheritedKind is what a descriptor can be used for.
type inheritedKind int

const (
	kindOther  inheritedKind = iota // no socket, or one of another kind
	kindSilent                      // a stream socket that does not listen
	kindStream
	kindPacket
)

// String says what it is, with the fix for who passes it on.
func (k inheritedKind) String() string {
	switch k {
	case kindSilent:
		return "a stream socket that does not listen (a .socket unit needs Accept=no)"
	case kindStream:
		return "a stream socket (ListenStream=)"
	case kindPacket:
		return "a UDP socket (ListenDatagram=)"
	default:
		return "no socket of a kind that is served"
	}
}

// Inherit takes over what a service manager or a predecessor has passed on
// (LISTEN_FDS, LISTEN_FDNAMES; LISTEN_PID). What has no name is called "unknown".
//
// A LISTEN_PID of another process means that nothing is for us. Unlike
// sd_listen_fds, a missing one is allowed: a parent that starts its successor
// with os/exec does not know the pid beforehand. The variables are removed
// from the environment, so later calls find nothing and children do not take
// the sockets for theirs; nor do children have them, whatever they are.
func Inherit() (*Inheritance, error) {
	fds, err := inheritedFDs(os.LookupEnv, os.Getpid())
	for _, name := range []string{envPID, envFDs, envNames, envPIDFD} {
		_ = os.Unsetenv(name) // fails for impossible names only
	}
	if err != nil {
		return nil, err
	}
	for i := range fds {
		if !fds[i].inspect() {
			return nil, fmt.Errorf("inherit sockets: %s is %d, but descriptor %d was not passed on", envFDs, len(fds), fds[i].fd)
		}
	}
	return &Inheritance{left: fds}, nil
}

// Group takes the listening sockets of that name, which must share one address,
// as a group in the order of their descriptors. It listens, and begins as
// shared: see Group.Share. cfg.Network, Address, Sockets, Backlog, Join and UnixMode
// do not count; the other options are set as on sockets of our own.
func (in *Inheritance) Group(name string, cfg Config) (*Group, error) {
	found, err := in.take(name, kindStream)
	if err != nil {
		return nil, err
	}
	g, err := adoptStreams(found, cfg)
	if err != nil {
		return nil, fmt.Errorf("inherit socket %q: %w", name, err)
	}
	g.name = name
	return g, nil
}

// Packets takes the UDP sockets of that name, which must share one address. Of
// several the order of the descriptors must be that in which they were bound, as a
// service manager does it: connection IDs choose among them. cfg.Network, Address,
// Sockets and Join do not count.
func (in *Inheritance) Packets(name string, cfg PacketConfig) (*PacketGroup, error) {
	found, err := in.take(name, kindPacket)
	if err != nil {
		return nil, err
	}
	g, err := adoptPackets(found, cfg)
	if err != nil {
		return nil, fmt.Errorf("inherit socket %q: %w", name, err)
	}
	return g, nil
}

// Close closes what nobody has taken, and tells what that was. Later calls tell
// nothing, and nothing can be taken any more.
func (in *Inheritance) Close() (unused []string) {
	if in == nil {
		return nil
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, i := range in.left {
		unused = append(unused, i.String())
		i.close()
	}
	in.left, in.closed = nil, true
	return unused
}

// String names it for a log.
func (i inherited) String() string {
	s := fmt.Sprintf("descriptor %d %q, %v", i.fd, i.name, i.kind)
	if i.addr != nil {
		s += " on " + i.addr.String()
	}
	return s
}

// take removes the sockets of a name and a kind from what is left.
func (in *Inheritance) take(name string, kind inheritedKind) (found []inherited, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	var others []inherited
	for _, i := range in.left {
		switch {
		case i.name != name:
		case i.kind == kind:
			found = append(found, i)
		default:
			others = append(others, i)
		}
	}
	if err := in.fault(name, kind, found, others); err != nil {
		return nil, fmt.Errorf("inherit socket %q: %w", name, err)
	}
	in.left = slices.DeleteFunc(in.left, func(i inherited) bool { return i.name == name && i.kind == kind })
	in.taken = append(in.taken, name)
	return found, nil
}

// fault is why found cannot be taken; others have the same name. mu is held.
func (in *Inheritance) fault(name string, kind inheritedKind, found, others []inherited) error {
	if len(found) > 0 {
		for _, i := range found[1:] {
			if i.addr.String() != found[0].addr.String() || i.addr.Network() != found[0].addr.Network() {
				return fmt.Errorf("sockets of that name are on %v and on %v; give each address a name of its own (FileDescriptorName=)", found[0].addr, i.addr)
			}
		}
		return nil
	}
	var names []string
	for _, i := range in.left {
		if !slices.Contains(names, i.name) {
			names = append(names, i.name)
		}
	}
	switch {
	case len(others) > 0:
		return fmt.Errorf("descriptor %d is %v; needed is %v", others[0].fd, others[0].kind, kind)
	case slices.Contains(in.taken, name):
		return errors.New("it was taken before, and can be once")
	case in.closed:
		return errors.New("sockets that nobody used at the start were closed then")
	case len(names) > 0:
		return fmt.Errorf("no such socket was passed on; there are %s", strings.Join(names, ", "))
	case len(in.taken) > 0:
		return errors.New("no such socket was passed on, and all others are in use")
	default:
		return errors.New("no sockets were passed on (" + envFDs + "); start this by a .socket unit with FileDescriptorName=" + name)
	}
}

// inheritedFDs reads the environment.
func inheritedFDs(lookup func(string) (string, bool), pid int) ([]inherited, error) {
	count, ok := lookup(envFDs)
	if !ok {
		return nil, nil
	}
	if s, ok := lookup(envPID); ok {
		p, err := strconv.Atoi(s)
		if err != nil {
			return nil, fmt.Errorf("inherit sockets: %s is no number: %q", envPID, s)
		}
		if p != pid {
			return nil, nil
		}
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > maxInherited {
		return nil, fmt.Errorf("inherit sockets: %s is no number from 0 to %d: %q", envFDs, maxInherited, count)
	}
	var names []string
	if s, ok := lookup(envNames); ok && s != "" {
		if names = strings.Split(s, ":"); len(names) != n {
			return nil, fmt.Errorf("inherit sockets: %s has %d names for %d sockets", envNames, len(names), n)
		}
	}
	fds := make([]inherited, n)
	for i := range fds {
		fds[i] = inherited{fd: firstInherited + i, name: nameless}
		if names != nil {
			fds[i].name = names[i]
		}
	}
	return fds, nil
}
