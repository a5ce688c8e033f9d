package listener

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want ErrorClass
	}{
		{"no error", nil, ClassNone},
		{"queue empty", syscall.EAGAIN, ClassAgain},
		{"signal", syscall.EINTR, ClassRetry},
		{"peer gone", syscall.ECONNABORTED, ClassRetry},
		{"pending network error", syscall.EHOSTUNREACH, ClassRetry},
		{"process out of descriptors", syscall.EMFILE, ClassBackOff},
		{"system out of descriptors", syscall.ENFILE, ClassBackOff},
		{"out of buffers", syscall.ENOBUFS, ClassBackOff},
		{"out of memory", syscall.ENOMEM, ClassBackOff},
		{"firewall", syscall.EPERM, ClassBackOff},
		{"unknown number", syscall.Errno(4000), ClassBackOff},
		{"unknown error", errors.New("odd"), ClassBackOff},
		{"not listening", syscall.EINVAL, ClassFatal},
		{"closed descriptor", syscall.EBADF, ClassFatal},
		{"closed listener", net.ErrClosed, ClassFatal},
		{"wrapped by os", os.NewSyscallError("accept4", syscall.EMFILE), ClassBackOff},
		{"wrapped by net", &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.ECONNABORTED)}, ClassRetry},
		{"wrapped by fmt", fmt.Errorf("x: %w", net.ErrClosed), ClassFatal},
	} {
		want(t, c.name, Classify(c.err), c.want)
	}
}

func TestErrorClassNames(t *testing.T) {
	seen := make(map[string]bool)
	for c := ClassNone; c <= ClassFatal; c++ {
		seen[c.String()] = true
	}
	want(t, "distinct names", len(seen), 5)
}

func TestBackoff(t *testing.T) {
	var b Backoff
	now := time.Unix(1000, 0)
	start, lines := now, 0
	for _, ms := range []time.Duration{5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000} {
		delay, log := b.Next(now, syscall.EMFILE)
		want(t, "delay", delay, ms*time.Millisecond)
		if log {
			lines++
		}
		now = now.Add(delay)
	}
	if limit := int(now.Sub(start)/time.Second) + 1; lines < 2 || lines > limit {
		t.Errorf("%d lines in %v, want 2 to %d", lines, now.Sub(start), limit)
	}
	_, _ = b.Next(now, syscall.EMFILE)
	b.Reset()
	delay, log := b.Next(now.Add(time.Millisecond), syscall.EMFILE)
	want(t, "delay after Reset", delay, 5*time.Millisecond)
	want(t, "Reset does not bring a line forward", log, false)
}

func TestInUseErrorText(t *testing.T) {
	err := &InUseError{Network: "tcp", Address: ":80", Err: syscall.EADDRINUSE, Holders: []Holder{
		{PID: 7, Program: "nginx"}, {UID: 33}, {UID: -1}, {PID: os.Getpid(), Program: "x"},
	}}
	for _, part := range []string{"listen tcp :80", "nginx (pid 7)", "user id 33", "may not see", "this process"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q lacks %q", err, part)
		}
	}
	want(t, "wraps EADDRINUSE", errors.Is(err, syscall.EADDRINUSE), true)
}
