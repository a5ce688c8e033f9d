//go:build !linux

package shard

import (
	"errors"
	"os"
	"syscall"
)

// Supported tells whether this system has the event loop. Here the portable
// form serves every connection; New fails, and nothing below is reached.
const Supported = false

const (
	evIn = 1 << iota
	evOut
	evRdhup
	evHup
	evErr
)

type event struct{ mask, slot, gen uint32 }

const batchSize = 64

type poller struct{}

func newPoller() (*poller, error) { return nil, errors.ErrUnsupported }

func pollable(int, string) (*os.File, syscall.RawConn, error) {
	return nil, nil, errors.ErrUnsupported
}

func (*poller) close()                           {}
func (*poller) harvest(*[batchSize]event) int    { return 0 }
func (*poller) wait(bool) error                  { return errors.ErrUnsupported }
func (*poller) wake()                            {}
func (*poller) add(int, uint32, uint32) error    { return errors.ErrUnsupported }
func (*poller) addOut(int, uint32, uint32) error { return errors.ErrUnsupported }
func (*poller) remove(int)                       {}
func (*poller) addListener(int, uint32) error    { return errors.ErrUnsupported }
func (*poller) pauseListener(int, uint32)        {}
func (*poller) resumeListener(int, uint32)       {}
