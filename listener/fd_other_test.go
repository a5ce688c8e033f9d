//go:build !linux

package listener

func closeFD(int) {}

func child(string) {}
