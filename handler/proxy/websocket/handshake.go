package websocket

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
)

// guid is RFC 6455's, §1.3.
const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// Accept is the value of Sec-WebSocket-Accept that answers a key (RFC 6455 §4.2.2).
// SHA-1 is the protocol's; nothing is kept secret by it.
func Accept(key string) string {
	sum := sha1.Sum([]byte(key + guid))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// NewKey is a value of Sec-WebSocket-Key (RFC 6455 §4.1).
func NewKey() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.StdEncoding.EncodeToString(b[:])
}
