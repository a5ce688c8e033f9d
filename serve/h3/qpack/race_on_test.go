//go:build race

package qpack

// raceEnabled: the race detector allocates on its own.
const raceEnabled = true
