//go:build !linux

package handler

import "os"

// openStdout is standard output. A dead pipe on it ends the process, unless the
// command takes SIGPIPE.
func openStdout() (f *os.File, own bool, err error) { return os.Stdout, false, nil }
