// Package semantics holds what all HTTP versions share (RFC 9110): the grammar
// of fields, methods, hosts, targets and lengths, status lines, trailers,
// content types and the Date field, and the priorities of RFC 9218. One parser
// per thing: h1, h2, h3, router, log and proxy use these and no other.
//
// Everything here is pure: bytes in, values out.
package semantics
