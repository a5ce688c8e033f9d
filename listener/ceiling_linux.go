package listener

import (
	"math"

	"golang.org/x/sys/unix"
)

// ConnectionCeiling is half of RLIMIT_NOFILE, the number of connections to
// hold at most (rule S-4): the other half is for upstreams, files and the rest
// of the process. Package os has raised the soft limit to the hard one by the
// time it is read.
func ConnectionCeiling() int {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return fallbackCeiling
	}
	return int(min(max(lim.Cur/2, 1), math.MaxInt32))
}

// fallbackCeiling is half of the usual limit, for a kernel that does not tell.
const fallbackCeiling = 512
