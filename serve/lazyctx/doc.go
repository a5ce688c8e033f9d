// Package lazyctx is the context of a request, for every HTTP version. Most
// handlers never ask for Done, so until somebody does it costs nothing: no
// channel, no goroutine, no watch on the connection, no place among its
// parent's children.
//
// A Context is embedded by value in the state of a request, which is its
// Owner. What can end it before Done was asked (the parent, and the deadline that
// SetDeadline gives it) is looked at when Err is; from then on it is watched.
//
// It may change before v1.
package lazyctx
