//go:build race

package frame_test

// raceEnabled: the race detector allocates on its own.
const raceEnabled = true
