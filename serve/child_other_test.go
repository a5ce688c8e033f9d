//go:build !linux

package serve_test

func childDescriptors() int { return 99 }
