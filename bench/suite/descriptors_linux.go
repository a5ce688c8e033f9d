package suite

import "syscall"

// raiseDescriptors lets this process and all it starts open n files, if the system
// allows it, and answers how many they may. Setting the limit also has Go pass it on
// to children, which else get what this process began with.
func raiseDescriptors(n uint64) uint64 {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0
	}
	want := syscall.Rlimit{Cur: max(l.Cur, l.Max), Max: l.Max}
	if want.Max < n {
		want.Cur, want.Max = n, n // root's right
	}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &want) == nil {
		return want.Cur
	}
	want = syscall.Rlimit{Cur: l.Max, Max: l.Max}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &want) == nil {
		return want.Cur
	}
	return l.Cur
}
