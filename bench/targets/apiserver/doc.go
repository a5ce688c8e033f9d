// Package apiserver measures the handler chain of k8s.io/apiserver, as a peer of
// ours: see bench_test.go. It imports nothing of this repository, and is a module
// of its own, so that nobody who builds penstock downloads it.
package apiserver
