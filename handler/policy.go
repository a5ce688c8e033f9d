package handler

import "net/http"

// policySlots is what the stages of this package that speak for the operator
// (CORS, CacheControl, Authentication, Authorization, Audit) keep for a request.
type policySlots struct {
	corsOrigin  []string   // CORS: the allowed Origin, as the answer carries it
	builtIn     bool       // CacheControl: a built-in endpoint answers
	auditLevel  AuditLevel // Audit: what is written of this request
	auditReason string     // Audit: why the request was refused
}

// A Predicate picks requests. It is called once for each, in Begin, by many
// goroutines at once.
type Predicate func(x *Exchange) bool

// AllRequests is the Predicate that picks each request.
func AllRequests(*Exchange) bool { return true }

// ExactPaths picks requests by their whole path. There are no patterns: a prefix
// also picks /readyzfoo.
func ExactPaths(paths ...string) Predicate {
	set := make(map[string]struct{}, len(paths))
	for _, p := range paths {
		set[p] = struct{}{}
	}
	return func(x *Exchange) bool {
		_, ok := set[x.Request.URL.Path]
		return ok
	}
}

// setDefault sets a field that the answer does not have. A handler that wants
// none sets it to nil. values is shared: it goes into the map as it is.
func setDefault(h http.Header, name string, values []string) {
	if _, ok := h[name]; !ok {
		h[name] = values
	}
}
