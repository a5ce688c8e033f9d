package debug

import "time"

// Bounds of this package, and the test that crosses each.
const (
	// A recording takes one second at least, for the runtime keeps whole
	// generations: 10 s hold a request of the usual deadlines.
	defaultFlightAge = 10 * time.Second
	// The runtime's hint for the window. On a busy server one generation alone may
	// be more.
	defaultFlightBytes = 10 << 20

	// Files of recordings that are kept: enough to compare, and a bound for a
	// route that breaks its objective for days (TestFlightFilesAreBounded).
	defaultFlightFiles = 16
	// All of them together, and one recording alone, also one that is sent to a
	// client from memory (TestFlightFilesAreBounded, TestFlightRecordingIsBounded).
	defaultFlightDirBytes = 256 << 20
	// Each dump flushes the buffers of all threads, so a server in trouble is to
	// be asked seldom (TestFlightRateLimit).
	defaultFlightEvery = time.Minute

	// A temporary file older than this is of a process that has died
	// (TestFlightRemovesOldTemporaries).
	flightTemporaryAge = time.Hour
	// How long a client may take to fetch a recording: it holds the memory of
	// one, and keeps the others out (TestFlightOneAtATime).
	flightSendTimeout = time.Minute

	// Contention profiles see one event for this much blocked time, and one of so
	// many contended mutexes: little enough for a server under load
	// (BenchmarkContention).
	defaultBlockRate     = 10 * time.Microsecond
	defaultMutexFraction = 100
)
