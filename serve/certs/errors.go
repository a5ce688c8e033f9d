package certs

import "fmt"

// A PairError tells which of the two files of a pair is wrong, how, and what
// repairs it. Its text is one line.
type PairError struct {
	File    string // the file to look at
	Problem string // what is wrong with it
	Fix     string // what to do about it
	Err     error  // the cause, or nil
}

// Error names the file, the problem and the fix.
func (e *PairError) Error() string {
	return fmt.Sprintf("%s: %s; %s", e.File, e.Problem, e.Fix)
}

// Unwrap gives the cause.
func (e *PairError) Unwrap() error { return e.Err }
