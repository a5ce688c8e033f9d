//go:build !linux

package static

// openFlags: these systems' files are opened as os does it.
const openFlags = 0
