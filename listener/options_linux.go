package listener

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// option is one setsockopt call.
type option struct {
	name       string
	level, opt int
	value      int
	wanted     bool
}

// setOptions sets everything on the listening socket, from which accepted ones
// inherit it: no connection costs a setsockopt.
func setOptions(fd int, cfg *Config, e endpoint) error {
	if cfg.isUnix() {
		return nil
	}
	if err := setFamilyOptions(fd, e); err != nil {
		return err
	}
	if cfg.sharesPort() {
		set := setReusePort
		if cfg.setReusePort != nil {
			set = cfg.setReusePort
		}
		if err := set(fd); err != nil {
			return os.NewSyscallError("setsockopt SO_REUSEPORT", err)
		}
	}
	return setAll(fd, connOptions(cfg))
}

// connOptions are what connections inherit from their listening socket.
func connOptions(cfg *Config) []option {
	if cfg.isUnix() {
		return nil
	}
	alive := cfg.KeepAliveIdle > 0
	return []option{
		{"TCP_NODELAY", unix.IPPROTO_TCP, unix.TCP_NODELAY, 1, !cfg.Nagle},
		{"SO_KEEPALIVE", unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1, alive},
		{"TCP_KEEPIDLE", unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, wholeSeconds(cfg.KeepAliveIdle), alive},
		{"TCP_KEEPINTVL", unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, wholeSeconds(cfg.KeepAliveInterval), alive},
		{"TCP_KEEPCNT", unix.IPPROTO_TCP, unix.TCP_KEEPCNT, cfg.KeepAliveCount, alive},
		{"TCP_USER_TIMEOUT", unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int((cfg.UserTimeout + time.Millisecond - 1) / time.Millisecond), cfg.UserTimeout > 0},
		{"TCP_NOTSENT_LOWAT", unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, cfg.NotSentLowat, cfg.NotSentLowat > 0},
		{"TCP_DEFER_ACCEPT", unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, wholeSeconds(cfg.DeferAccept), cfg.DeferAccept > 0},
	}
}

// setKnown sets the options that a socket of somebody else's making has; of those it
// has not (MPTCP, for one, lacks some) it returns the names.
func setKnown(fd int, options []option) (lacks []string, err error) {
	for _, o := range options {
		err := setAll(fd, []option{o})
		switch {
		case errors.Is(err, unix.ENOPROTOOPT), errors.Is(err, unix.EOPNOTSUPP):
			lacks = append(lacks, o.name)
		case err != nil:
			return nil, err
		}
	}
	return lacks, nil
}

// setFamilyOptions sets what decides which addresses collide.
func setFamilyOptions(fd int, e endpoint) error {
	v6only := 0
	if e.v6only {
		v6only = 1
	}
	return setAll(fd, []option{
		// Set either way: net.ipv6.bindv6only moves the default.
		{"IPV6_V6ONLY", unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, v6only, e.family == unix.AF_INET6},
		{"SO_REUSEADDR", unix.SOL_SOCKET, unix.SO_REUSEADDR, 1, true}, // a restart need not wait for TIME_WAIT
	})
}

func setReusePort(fd int) error {
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
}

// setAll stops at the first option the system refuses.
func setAll(fd int, options []option) error {
	for _, o := range options {
		if !o.wanted {
			continue
		}
		if err := unix.SetsockoptInt(fd, o.level, o.opt, o.value); err != nil {
			return os.NewSyscallError("setsockopt "+o.name, err)
		}
	}
	return nil
}
