//go:build !unix

package app

import "os"

// notifyRotated: there is no such signal here.
func notifyRotated(chan<- os.Signal) {}
