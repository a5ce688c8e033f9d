package listener

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// The protocol of sd_listen_fds(3).
const (
	envPID   = "LISTEN_PID"
	envFDs   = "LISTEN_FDS"
	envNames = "LISTEN_FDNAMES"

	firstInherited = 3
	// maxInherited bounds LISTEN_FDS, which is only a number in the environment.
	maxInherited = 4096
)

// Inherited adopts the listening sockets a service manager or a predecessor
// has passed on (LISTEN_FDS, LISTEN_FDNAMES; LISTEN_PID). Sockets with the same
// name and address form one group, in the order of their descriptors; Group.Name
// tells the name. The groups listen, and begin as shared: see Group.Share.
//
// A LISTEN_PID of another process means that nothing is for us. Unlike
// sd_listen_fds, a missing one is allowed: a parent that starts its successor
// with os/exec does not know the pid beforehand. The variables are removed
// from the environment, so later calls find nothing and children do not take
// the sockets for theirs.
//
// Descriptors that are no listening stream sockets are left open and named in
// the error; the groups beside it are good.
func Inherited() ([]*Group, error) {
	fds, err := inheritedFDs(os.LookupEnv, os.Getpid())
	for _, name := range []string{envPID, envFDs, envNames} {
		_ = os.Unsetenv(name) // fails for impossible names only
	}
	if err != nil {
		return nil, err
	}
	return adoptInherited(fds)
}

// inheritedFD is one descriptor passed on.
type inheritedFD struct {
	fd   int
	name string
}

// inheritedFDs reads the environment.
func inheritedFDs(lookup func(string) (string, bool), pid int) ([]inheritedFD, error) {
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
	fds := make([]inheritedFD, n)
	for i := range fds {
		fds[i].fd = firstInherited + i
		if names != nil {
			fds[i].name = names[i]
		}
	}
	return fds, nil
}
