package static

import "syscall"

// openFlags: a FIFO without a writer must not block, a terminal not become
// ours. os sets O_CLOEXEC by itself.
const openFlags = syscall.O_NONBLOCK | syscall.O_NOCTTY
