package serve_test

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/hex"
	"hash"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// trafficKeys write TLS 1.3 records. crypto/tls has no way to ask for a
// KeyUpdate, so the test takes the secret from the key log and goes on by itself.
type trafficKeys struct {
	hash   func() hash.Hash
	secret []byte
	keyLen int
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
}

// expandLabel is HKDF-Expand-Label with an empty context (RFC 8446 §7.1).
func (k *trafficKeys) expandLabel(t *testing.T, label string, n int) []byte {
	t.Helper()
	label = "tls13 " + label
	info := append([]byte{byte(n >> 8), byte(n), byte(len(label))}, label...)
	out, err := hkdf.Expand(k.hash, k.secret, string(append(info, 0)), n)
	servetest.Must(t, "expand", err)
	return out
}

func (k *trafficKeys) use(t *testing.T, secret []byte) {
	t.Helper()
	k.secret, k.seq = secret, 0
	block, err := aes.NewCipher(k.expandLabel(t, "key", k.keyLen))
	servetest.Must(t, "AES", err)
	k.aead, err = cipher.NewGCM(block)
	servetest.Must(t, "GCM", err)
	k.iv = k.expandLabel(t, "iv", 12)
}

// update goes to the next generation (RFC 8446 §7.2).
func (k *trafficKeys) update(t *testing.T) {
	t.Helper()
	k.use(t, k.expandLabel(t, "traffic upd", k.hash().Size()))
}

// record encrypts content of a type (RFC 8446 §5.2).
func (k *trafficKeys) record(kind byte, content []byte) []byte {
	n := len(content) + 1 + k.aead.Overhead()
	head := []byte{23, 3, 3, byte(n >> 8), byte(n)}
	nonce := bytes.Clone(k.iv)
	for i := range 8 {
		nonce[11-i] ^= byte(k.seq >> (8 * i))
	}
	k.seq++
	return append(head, k.aead.Seal(nil, nonce, append(bytes.Clone(content), kind), head)...)
}

// clientKeys finds the client's keys of an established connection that has
// sent no application data.
func clientKeys(t *testing.T, c *tls.Conn, log string) *trafficKeys {
	t.Helper()
	k := &trafficKeys{}
	switch c.ConnectionState().CipherSuite {
	case tls.TLS_AES_128_GCM_SHA256:
		k.hash, k.keyLen = sha256.New, 16
	case tls.TLS_AES_256_GCM_SHA384:
		k.hash, k.keyLen = sha512.New384, 32
	default:
		t.Skip("SKIPPED: ChaCha20 was chosen, which the standard library does not export; KeyUpdate is not tested here")
	}
	for line := range strings.Lines(log) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "CLIENT_TRAFFIC_SECRET_0" {
			secret, err := hex.DecodeString(f[2])
			servetest.Must(t, "secret", err)
			k.use(t, secret)
			return k
		}
	}
	t.Fatal("no secret in the key log")
	return nil
}

// TestKeyUpdate: a client changes its keys between requests and in the middle
// of one, and asks the server to change too (RFC 8446 §4.6.3).
func TestKeyUpdate(t *testing.T) {
	for _, form := range tlsForms {
		t.Run(form.name, func(t *testing.T) {
			r := startServer(t, echo, true, serve.ServerOptions{EventLoop: form.loop})
			var log bytes.Buffer
			cfg := only(tls.VersionTLS13)
			cfg.KeyLogWriter = &log
			var wire net.Conn
			c := overTLS(t, r.addr, cfg, func(c net.Conn) net.Conn { wire = c; return c })
			k := clientKeys(t, c, log.String())
			// What c would write by itself (its answer to a KeyUpdate, an alert)
			// has stale keys: the server is not asked to be asked.
			br := bufio.NewReader(c)
			const handshake, data = 22, 23
			send := func(records ...[]byte) {
				for _, b := range records {
					_, err := wire.Write(b)
					servetest.Must(t, "write", err)
				}
			}
			keyUpdate := func(ask byte) []byte {
				b := k.record(handshake, []byte{24, 0, 0, 1, ask})
				k.update(t)
				return b
			}
			ask := func(why, head, body string, between ...[]byte) {
				t.Helper()
				send(between...)
				send(k.record(data, []byte(head)), k.record(data, []byte(body)))
				resp, got := answer(t, why, br)
				if resp.StatusCode != http.StatusOK || got != "body" {
					t.Errorf("%s: %s %q", why, resp.Status, got)
				}
			}
			const head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n"
			ask("first keys", head, "body")
			ask("new keys", head, "body", keyUpdate(0))
			ask("new keys of both", head, "body", keyUpdate(1))
			ask("again", head, "body")
			send(k.record(data, []byte(head+"bo")), keyUpdate(1), k.record(data, []byte("dy")))
			_, got := answer(t, "in the middle of a body", br)
			servetest.Want(t, "body", got, "body")
			send(k.record(data, []byte("GET / HT")), keyUpdate(0), keyUpdate(1), k.record(data, []byte("TP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")))
			answer(t, "in the middle of a head", br)
			if _, err := br.ReadByte(); err != io.EOF {
				t.Errorf("after close: %v", err)
			}
		})
	}
}
