//go:build !linux

package suite

import (
	"errors"
	"time"
)

// The suite pins processes and reads /proc: there is no form of it elsewhere.

type process struct{}

var errLinux = errors.New("the suite runs on Linux alone")

func startProcess(string, []string, ...string) (*process, error) { return nil, errLinux }

func (p *process) waitPort(int) error { return errLinux }
func (p *process) stop()              {}
func (p *process) cpu() time.Duration { return 0 }
func (p *process) memory() int64      { return 0 }

type tool struct{}

func attach(counter, *process) (*tool, error) { return nil, errLinux }

func (t *tool) interrupt() string { return "" }
