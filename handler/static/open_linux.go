package static

import (
	"os"
	"syscall"
)

// openFlags: a FIFO without a writer must not block, a terminal not become
// ours. os sets O_CLOEXEC by itself.
const openFlags = syscall.O_NONBLOCK | syscall.O_NOCTTY

// descriptorLimit is how many descriptors this process may have.
func descriptorLimit() int64 {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return otherDescriptorLimit
	}
	return int64(min(l.Cur, 1<<62))
}

// stamp is what shows that an open file was written to: size and time. It is asked
// without the allocation of os.File.Stat.
func stamp(fd uintptr, _ *os.File) (size, mtime int64, err error) {
	var st syscall.Stat_t
	for {
		if err = syscall.Fstat(int(fd), &st); err != syscall.EINTR {
			return st.Size, syscall.TimespecToNsec(st.Mtim), err
		}
	}
}
