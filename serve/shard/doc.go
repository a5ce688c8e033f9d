// Package shard is the per-core event loop: what an nginx worker is, inside
// one Go process. A Shard owns its listening sockets, an epoll set, its
// connections, timers and counters; nothing on the hot path is shared with
// another shard, and a connection never changes its shard.
//
// # Process model
//
// One goroutine at a time leads a shard. The leader harvests ready
// connections, and for each runs a step of its Driver: read, parse, handler,
// answer. Handlers run inline, so a handler that blocks would stop the loop.
// Leadership therefore moves away from a handler that does not come back:
//
//   - knowingly: a call that must wait (WaitReadable, WaitWritable, Lead)
//     passes leadership on first;
//   - unknowingly: a standby goroutine, woken by the scheduler's own poll when
//     the leader's goroutine parks, or by the watchdog, takes over.
//
// Who leads is decided by one atomic word (token.go) and by nothing else. The
// calls of a handler never ask who runs: each half of a connection is guarded
// by a lock of its engine, and what those calls touch here is either the
// connection's own or safe for any goroutine. A goroutine that was overtaken
// learns it from EndHandler, finishes its own connection and gives it back
// through the inbox. A shared connection (turn.go), for protocols with several
// exchanges on one, does not wait for it: the next leader steps it at once, and
// the goroutine that was overtaken keeps its own exchange only.
//
// # Reading path
//
// Sockets are edge-triggered (IN, RDHUP). A short read ends a step without the
// read that would answer EAGAIN; after RDHUP, HUP or ERR, and on Unix sockets,
// reading goes on to EAGAIN or the end.
//
// # Writing path
//
// Write goes to the socket at once. What the socket does not take is kept in a
// pooled buffer (cork.go) and leaves with EPOLLOUT. While corked (TLS), bytes
// gather and leave in one system call.
//
// # Limits
//
// A batch is 64 events, an accept burst 64 connections, the kept goroutines
// are bounded (maxSpares), and waits have deadlines: the write progress rule
// is enforced here (timer.go), the others by the engine through SetTimer.
//
// # Limitations
//
// A handler that returns with runtime.LockOSThread held keeps its thread with
// the goroutine that ran it, which may later lead the shard. On one core a
// handler that computes is not interrupted before the runtime preempts it
// (10 ms).
package shard
