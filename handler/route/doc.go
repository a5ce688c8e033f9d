// Package route sends requests to handlers by host, path, method, fields and query:
// the table of a front that serves several sites.
//
// A Table never changes. A Router holds the present one, and a reload swaps it:
// each request sees one table from begin to end.
//
// # Who gets a request
//
// The host first: one that is named, then the longest suffix of a wildcard
// ("*.example.org", one label or more), then the host without names. No host: 421.
// Within a host the path: the equal one, then the longest prefix that has a route
// for the request. Where several routes have one path, that with most conditions
// (methods, fields, query) of those that hold. The order of routes is never asked:
// two that could both be meant are an error of New (rule F-4).
//
// A path is decoded once, by the engine; what is matched is what the handlers see.
// Dot segments, empty ones but the last, and encoded slashes, backslashes and NULs
// mean different things to different servers, and are answered 400 (rule F-1).
//
// It may change before v1.
package route
