// Package debug is what an operator looks at a running process with: pprof on
// a mux of its own, the recording of the last seconds (FlightRecorder), and
// Guard, which keeps web pages in the operator's browser away from the admin
// address.
//
// Serve it on a loopback address or a Unix socket only: profiles tell what the
// process holds in memory. It never serves http.DefaultServeMux. (Importing
// net/http/pprof registers there as well, so nobody else should serve it
// either.)
package debug
