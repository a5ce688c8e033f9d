// Package wire is the HTTP/1.1 message syntax of RFC 9112 as pure codecs:
// bytes in, values out; no connection, no clock, no goroutine. The server
// engine and the proxy's client share it, so both are equally strict.
//
// It may change before v1.
package wire
