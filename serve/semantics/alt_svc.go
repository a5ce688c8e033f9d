package semantics

import "sync/atomic"

// AltSvc is the value of the Alt-Svc field (RFC 7838 §3) that answers carry
// while an alternative really serves. The zero value, and nil, say nothing; any
// number of goroutines may use one.
type AltSvc struct{ value atomic.Pointer[string] }

// Set makes answers carry value from now on; empty: none.
func (a *AltSvc) Set(value string) {
	if value == "" {
		a.value.Store(nil)
		return
	}
	a.value.Store(&value)
}

// Value is what answers carry now; empty: nothing.
func (a *AltSvc) Value() string {
	if a == nil {
		return ""
	}
	if v := a.value.Load(); v != nil {
		return *v
	}
	return ""
}
