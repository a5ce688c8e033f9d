package listener

import (
	"fmt"
	"io/fs"
	"log/slog"
	"runtime"
	"strings"
	"time"
)

// Config says where a Group listens and with which socket options. The zero
// value of every field but Address is good for a server at the edge. A Config
// is only read; it may be used for several groups.
type Config struct {
	// Network is "tcp" (IPv4 and IPv6), "tcp4", "tcp6" or "unix". If empty, "tcp".
	Network string
	// Address is "host:port" as in package net, or the path of a unix socket
	// ("@name" is in Linux's abstract namespace). With network "tcp" an empty
	// host is one IPv6 socket that takes IPv4 as well, or an IPv4 socket where
	// the system has no IPv6. With port 0 the first socket picks the port and
	// the others share it.
	Address string
	// Sockets is the number of sockets in the group, each with its own accept
	// queue; more than one share the port by SO_REUSEPORT. If zero or
	// negative, GOMAXPROCS. Unix sockets, and systems other than Linux, always
	// have one.
	Sockets int
	// Backlog is the length of each accept queue; the kernel cuts it to
	// net.core.somaxconn. If zero or negative, 4096 (rule S-4).
	Backlog int
	// Join lets the group share its port with sockets of other processes of the
	// same user (SO_REUSEPORT). If false, an address on which anybody
	// listens is refused with an *InUseError.
	Join bool

	// KeepAliveIdle is the silence after which the kernel probes the peer, in
	// whole seconds. If zero, 60 s. If negative, no keep-alive at all.
	KeepAliveIdle time.Duration
	// KeepAliveInterval is the time between two probes, in whole seconds. If
	// zero or negative, 15 s.
	KeepAliveInterval time.Duration
	// KeepAliveCount is the number of unanswered probes that end a connection.
	// If zero or negative, 4.
	KeepAliveCount int
	// UserTimeout bounds how long sent bytes may stay unacknowledged, and how
	// long the peer may keep its window shut, before the kernel ends the
	// connection (TCP_USER_TIMEOUT, RFC 5482), in milliseconds. If zero, the
	// time in which keep-alive finds a silent peer dead: KeepAliveIdle +
	// KeepAliveCount * KeepAliveInterval, 2 min by default. (Linux then
	// ends a probed connection by this time rather than by KeepAliveCount, so
	// the two should agree.) If negative, none: about 15 minutes for
	// unacknowledged bytes, for ever with a shut window.
	UserTimeout time.Duration
	// NotSentLowat is how many bytes may wait in the kernel unsent before a
	// connection counts as not writable (TCP_NOTSENT_LOWAT): what is written
	// later can still be put in order of priority, at the price of more
	// wake-ups for a fast peer. If zero or negative, the system's own
	// (net.ipv4.tcp_notsent_lowat, unlimited).
	NotSentLowat int
	// DeferAccept completes a connection only when its first bytes are there,
	// or after about this time (TCP_DEFER_ACCEPT, whole seconds). It spares a
	// wake-up, but breaks protocols in which the server speaks first and
	// keeps preconnected clients out of sight of the drain. If zero or
	// negative, off.
	DeferAccept time.Duration
	// Nagle leaves Nagle's algorithm on. If false, TCP_NODELAY is set.
	Nagle bool
	// UnixMode is the permission of a unix socket's file. If zero, what the
	// umask leaves.
	UnixMode fs.FileMode

	// ErrorLog receives what Accept cannot return: that accepting is backing
	// off, at most one line a second. If nil, slog.Default().
	ErrorLog *slog.Logger

	// setReusePort stands in for the system call in tests.
	setReusePort func(fd int) error
	// shedAfter is ShedAfter, less in tests.
	shedAfter time.Duration
}

// Defaults of Config.
const (
	defaultBacklog           = 4096
	defaultKeepAliveIdle     = 60 * time.Second
	defaultKeepAliveInterval = 15 * time.Second
	defaultKeepAliveCount    = 4
)

// complete returns a copy with the defaults filled in.
func (c Config) complete() (Config, error) {
	if c.Network == "" {
		c.Network = "tcp"
	}
	switch c.Network {
	case "tcp", "tcp4", "tcp6", "unix":
	default:
		return c, fmt.Errorf("listen %s: unknown network %q (tcp, tcp4, tcp6 or unix)", c.Address, c.Network)
	}
	if c.Address == "" {
		return c, fmt.Errorf("listen: no address given")
	}
	if c.Sockets <= 0 {
		c.Sockets = runtime.GOMAXPROCS(0)
	}
	if c.isUnix() {
		c.Sockets = 1
	}
	if c.Backlog <= 0 {
		c.Backlog = defaultBacklog
	}
	if c.KeepAliveIdle == 0 {
		c.KeepAliveIdle = defaultKeepAliveIdle
	}
	if c.KeepAliveInterval <= 0 {
		c.KeepAliveInterval = defaultKeepAliveInterval
	}
	if c.KeepAliveCount <= 0 {
		c.KeepAliveCount = defaultKeepAliveCount
	}
	if c.UserTimeout == 0 {
		idle := c.KeepAliveIdle
		if idle < 0 {
			idle = defaultKeepAliveIdle
		}
		c.UserTimeout = idle + time.Duration(c.KeepAliveCount)*c.KeepAliveInterval
	}
	if c.shedAfter == 0 {
		c.shedAfter = ShedAfter
	}
	if c.ErrorLog == nil {
		c.ErrorLog = slog.Default()
	}
	return c, nil
}

func (c *Config) isUnix() bool { return c.Network == "unix" }

// abstract reports whether a unix address has no file.
func (c *Config) abstract() bool { return strings.HasPrefix(c.Address, "@") }

// sharesPort reports whether the sockets need SO_REUSEPORT.
func (c *Config) sharesPort() bool { return !c.isUnix() && (c.Sockets > 1 || c.Join) }

// wholeSeconds rounds up, since the kernel counts seconds and refuses 0.
func wholeSeconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
