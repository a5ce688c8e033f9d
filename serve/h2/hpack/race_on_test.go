//go:build race

package hpack

// raceEnabled: the race detector allocates on its own.
const raceEnabled = true
