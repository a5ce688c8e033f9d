// Package certs holds what a TLS listener needs besides its sockets. A Dynamic
// (dynamic.go) answers each handshake, over TCP and QUIC alike, with a
// configuration made beforehand (generation.go), by the name the client asks for:
//
//   - the certificate (sni.go), a pair of files that may change (dynamic_cert.go),
//     or a self-signed one that renews itself, in memory (self_signed.go) or in a
//     folder (cert_dir.go);
//   - the policy (policy.go): which client certificates are asked for, the
//     authorities that they are checked with (client_ca.go), the least version;
//   - the session ticket keys, one rotated set a policy for all listeners of a
//     process (ticket_keys.go).
//
// A Watcher (watch.go) notices changed files: folders are watched, links followed
// (trail.go), and everything is read anew once a minute. What has changed is
// parsed and matched beside what is in use (files.go), and takes its place in one
// step; what cannot be used changes nothing and is told of.
//
// Flags are read by ParseNamedPair, ServingCipherSuites, Curves, TLSVersion and
// ParseClientAuth.
//
// Everything here is safe for concurrent use unless its comment says otherwise.
// A Watcher has one goroutine; nothing else here starts any: renewal and rotation
// happen on the handshake that finds them due.
//
// # Limitations
//
// There is one certificate a name, without a choice by the signature algorithms
// of the client. No OCSP response is stapled. quic-go clones a configuration for
// each of its handshakes, also one made beforehand. Connections made before a
// change of the client CA are not ended.
package certs
