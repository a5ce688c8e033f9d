package semantics

import "net/http"

// Method returns the method as a string; known ones are interned. Methods are
// case-sensitive (RFC 9110 §9.1). false: not a token.
func Method(b []byte) (string, bool) {
	switch string(b) { // compiled without a copy
	case http.MethodGet:
		return http.MethodGet, true
	case http.MethodPost:
		return http.MethodPost, true
	case http.MethodHead:
		return http.MethodHead, true
	case http.MethodPut:
		return http.MethodPut, true
	case http.MethodDelete:
		return http.MethodDelete, true
	case http.MethodPatch:
		return http.MethodPatch, true
	case http.MethodOptions:
		return http.MethodOptions, true
	}
	if !IsToken(b) {
		return "", false
	}
	return string(b), true
}
