package suite

import "time"

const (
	// startLimit is long: a server that ends is seen at once, and a busy machine
	// takes its time.
	startLimit = time.Minute
	stopLimit  = 3 * time.Second
)
