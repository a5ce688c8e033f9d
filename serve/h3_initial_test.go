package serve_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"testing"

	"github.com/quic-go/quic-go/quicvarint"

	"github.com/penstock-edge/penstock/serve/h3"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// initialCrafter makes first packets of QUIC handshakes by the thousand, cheaper
// than any client: each opens a handshake that the server can begin and nobody
// goes on with. They share a ClientHello and nothing else.
type initialCrafter struct {
	source []byte // our connection ID
	hello  []byte
}

// packet types of RFC 9000 §17.2, as they stand in the first byte
const (
	longInitial = 0
	longRetry   = 3
)

// longType is the packet's type, if it has a long header; else -1.
func longType(b []byte) int {
	if len(b) < 5 || b[0]&0x80 == 0 {
		return -1
	}
	return int(b[0] >> 4 & 3)
}

func newInitialCrafter(t *testing.T) *initialCrafter {
	t.Helper()
	c := &initialCrafter{source: []byte("us!!")}
	conf := clientTLS()
	conf.NextProtos = []string{h3.ALPN}
	conf.MinVersion = tls.VersionTLS13
	conf.CurvePreferences = []tls.CurveID{tls.X25519} // short enough for one packet
	q := tls.QUICClient(&tls.QUICConfig{TLSConfig: conf})
	defer q.Close()
	// RFC 9000 §18.2: initial_source_connection_id.
	q.SetTransportParameters(append([]byte{0x0f, byte(len(c.source))}, c.source...))
	servetest.Must(t, "ClientHello", q.Start(t.Context()))
	for e := q.NextEvent(); e.Kind != tls.QUICNoEvent; e = q.NextEvent() {
		if e.Kind == tls.QUICWriteData && e.Level == tls.QUICEncryptionLevelInitial {
			c.hello = append(c.hello, e.Data...)
		}
	}
	if len(c.hello) == 0 || len(c.hello) > 1000 {
		t.Fatalf("a ClientHello of %d bytes", len(c.hello))
	}
	return c
}

// datagram is one with an Initial packet and size bytes, for a connection ID
// that nobody has (RFC 9000 §17.2.2, RFC 9001 §5).
func (c *initialCrafter) datagram(size int, token []byte) []byte {
	id := make([]byte, 8)
	rand.Read(id)
	head := []byte{0xc3, 0, 0, 0, 1, byte(len(id))} // packet number of 4 bytes, version 1
	head = append(head, id...)
	head = append(head, byte(len(c.source)))
	head = append(head, c.source...)
	head = quicvarint.Append(head, uint64(len(token)))
	head = append(head, token...)
	const pnLen, tag = 4, 16
	rest := size - len(head) - 2 // of it the length takes two bytes
	head = quicvarint.AppendWithLen(head, uint64(rest), 2)
	head = append(head, 0, 0, 0, 0) // packet number 0

	payload := quicvarint.Append([]byte{0x06, 0}, uint64(len(c.hello))) // CRYPTO, offset 0
	payload = append(payload, c.hello...)
	payload = append(payload, make([]byte, rest-pnLen-tag-len(payload))...) // PADDING

	key, iv, hp := initialKeys(id)
	out := gcm(key).Seal(head, iv, payload, head)
	mask := make([]byte, aes.BlockSize)
	sample := out[len(head)-pnLen+4:]
	block(hp).Encrypt(mask, sample[:aes.BlockSize])
	out[0] ^= mask[0] & 0x0f
	for i := range pnLen {
		out[len(head)-pnLen+i] ^= mask[1+i]
	}
	return out
}

// initialKeys are the client's for the connection ID it has chosen (RFC 9001 §5.2).
func initialKeys(id []byte) (key, iv, hp []byte) {
	salt := []byte{
		0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17,
		0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb, 0x7f, 0x0a,
	}
	initial, err := hkdf.Extract(sha256.New, id, salt)
	if err != nil {
		panic(err)
	}
	client := expandLabel(initial, "client in", 32)
	return expandLabel(client, "quic key", 16), expandLabel(client, "quic iv", 12), expandLabel(client, "quic hp", 16)
}

// expandLabel is HKDF-Expand-Label of RFC 8446 §7.1, without context.
func expandLabel(secret []byte, label string, length int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(length))
	info = append(info, byte(len("tls13 ")+len(label)))
	info = append(info, "tls13 "+label...)
	info = append(info, 0)
	out, err := hkdf.Expand(sha256.New, secret, string(info), length)
	if err != nil {
		panic(err)
	}
	return out
}

func block(key []byte) cipher.Block {
	b, err := aes.NewCipher(key)
	if err != nil {
		panic(err)
	}
	return b
}

func gcm(key []byte) cipher.AEAD {
	a, err := cipher.NewGCM(block(key))
	if err != nil {
		panic(err)
	}
	return a
}
