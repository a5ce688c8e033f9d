// Package servetest helps the tests of the other packages. It knows the
// standard library only, so that every package may use it, and is imported by
// _test.go files alone (cmd/penstock/app/layers_test.go sees to it).
//
//   - want.go: comparisons whose failure reads as a sentence.
//   - leak.go: goroutines and descriptors that outlive a test or a test binary.
//   - load.go, client.go, outcome.go: a bounded closed-loop HTTP/1.1 client,
//     written apart from the project's own codecs.
//   - drip.go: many slow clients that send a byte at a time.
//   - relay.go, relay_route.go: a relay of datagrams that loses, reorders,
//     doubles, and changes addresses.
//
// # Limitations
//
// The client wants Content-Length (or no body by its status) in every answer
// and sends one fixed request. It does not check field grammar: that is what
// the conformance cases are for.
package servetest
