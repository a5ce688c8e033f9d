// Package certs holds what a TLS listener needs besides its sockets: a pair of
// certificate and key read from files (pair.go), a self-signed one for a
// server started without files (self_signed.go), and the one set of session
// ticket keys that all listeners of a process share (ticket_keys.go).
//
// Everything here is safe for concurrent use unless its comment says
// otherwise, and nothing here starts a goroutine: renewal and rotation happen
// on the handshake that finds them due.
//
// # Limitations
//
// Files are read once; a changed file is not noticed. There is one certificate
// per source, without a choice by server name.
package certs
