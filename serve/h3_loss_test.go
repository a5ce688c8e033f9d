package serve_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/penstock-edge/penstock/serve/h3"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// 5 % of the datagrams are lost both ways, as many overtaken or doubled: no
// request fails, and every body is right (edge-rules, figure 18).
func TestH3Loss(t *testing.T) {
	const clients, each = 8, 25
	faults := servetest.Faults{Loss: 0.05, Reorder: 0.05, Duplicate: 0.02}
	s := newWireServer(t, steeredSockets(t, 1), serverTLS(), h3.Config{HandshakeTimeout: patience})
	relay := startRelay(t, &servetest.Relay{Server: s.addr, Up: faults, Down: faults, Seed: 18})
	upload, download := wireBody(100<<10), wireBody(1<<20)
	var group sync.WaitGroup
	for range clients {
		c := newWireClient(t, relay.Addr())
		group.Go(func() {
			for i := range each {
				if err := askLossy(c, i, upload, download); err != nil {
					t.Errorf("request %d: %v", i, err)
					return
				}
			}
			servetest.Want(t, "the connection was never dialled again", c.dials.Load(), 1)
		})
	}
	group.Wait()
	servetest.WantSoon(t, "every request is counted, once", func() bool { return s.counters.Requests.Load() == clients*each })
	up, down := relay.Counts()
	t.Logf("up %+v, down %+v", up, down)
	for name, n := range map[string]servetest.RelayCount{"up": up, "down": down} {
		servetest.Want(t, name+": datagrams were lost, overtaken and doubled", n.Lost > 0 && n.Held > 0 && n.Duplicated > 0, true)
		// Far below what is expected, far above nothing.
		servetest.Want(t, name+": at least 2 % were lost", n.Lost*50 > n.Datagrams, true)
	}
}

// askLossy makes the i-th request of a client: a download of 1 MB, uploads of
// 100 KB, small ones.
func askLossy(c *wireClient, i int, upload, download []byte) error {
	switch {
	case i%12 == 0:
		got, err := c.get("/give/" + strconv.Itoa(len(download)))
		if err == nil && got != string(download) {
			err = fmt.Errorf("the download is not what was sent: %d bytes", len(got))
		}
		return err
	case i%2 == 0:
		sum := sha256.Sum256(upload)
		got, err := c.post("/take", bytes.NewReader(upload))
		if err == nil && got != hex.EncodeToString(sum[:]) {
			err = fmt.Errorf("the upload is not what was sent: sum %s", got)
		}
		return err
	default:
		_, err := c.where()
		return err
	}
}

// what has the right connection ID and cannot be decrypted does no harm,
// from the client's address or another.
func TestH3Garbage(t *testing.T) {
	const rounds, each = 20, 200
	s := newWireServer(t, steeredSockets(t, wireSockets), serverTLS(), h3.Config{})
	var mu sync.Mutex
	var id []byte // of the connection, as the wire shows it
	relay := startRelay(t, &servetest.Relay{Server: s.addr, Tap: func(d servetest.Datagram) bool {
		if b := d.Payload; d.Up && len(b) > 1+connectionID && b[0]&0x80 == 0 {
			mu.Lock()
			defer mu.Unlock()
			id = bytes.Clone(b[1 : 1+connectionID])
		}
		return true
	}})
	c := newWireClient(t, relay.Addr())
	var was netip.AddrPort
	var err error
	for range 5 { // the client leaves its first connection ID when it has others
		was, err = c.where()
		servetest.Must(t, "request", err)
	}
	stranger := wireUDP(t)
	random := rand.NewChaCha8([32]byte{4})
	garbage := make([]byte, 1400)
	for round := range rounds {
		for i := range each {
			mu.Lock()
			junk := shortGarbage(garbage, random, id)
			mu.Unlock()
			if i%4 == 0 {
				_, err = stranger.WriteToUDPAddrPort(junk, s.addr)
			} else {
				err = relay.Inject(c.at(), junk)
			}
			servetest.Must(t, "send garbage", err)
		}
		got, err := c.where()
		servetest.Must(t, fmt.Sprintf("request after %d packets of garbage", (round+1)*each), err)
		servetest.Want(t, "the client's address stays", got, was)
	}
	servetest.Want(t, "the connection was never dialled again", c.dials.Load(), 1)
	servetest.Want(t, "connections", s.counters.Accepted.Load(), 1)
	servetest.Want(t, "errors of connections", s.counters.Errors.Load(), 0)
	peers := s.total()
	servetest.Want(t, "the garbage has come", peers[was].in > rounds*each/2, true)
	servetest.Want(t, "a stranger gets nothing", peers[stranger.LocalAddr().(*net.UDPAddr).AddrPort()].outBytes, 0)
}

// shortGarbage makes a packet with a short header for id in buf, of random
// length and content.
func shortGarbage(buf []byte, random *rand.ChaCha8, id []byte) []byte {
	junk := buf[:9+int(random.Uint64()%uint64(len(buf)-9))]
	random.Read(junk)
	junk[0] = junk[0]&0x3f | 0x40 // RFC 9000 §17.3.1
	copy(junk[1:], id)
	return junk
}

// bounds on connection IDs, path challenges and gaps in streams,
// and care with undecryptable packets, are the library's, from this version on.
func TestH3LibraryVersion(t *testing.T) {
	const module, least = "github.com/quic-go/quic-go", "v0.59.1"
	versions := map[string]string{}
	mod, err := os.ReadFile("../go.mod")
	servetest.Must(t, "read go.mod", err)
	for line := range strings.Lines(string(mod)) {
		if fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require ")); len(fields) >= 2 && fields[0] == module {
			versions["go.mod"] = fields[1]
		}
	}
	servetest.Want(t, "go.mod names a version", versions["go.mod"] != "", true)
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == module {
				servetest.Want(t, "the library is not replaced", dep.Replace == nil, true)
				versions["this binary"] = dep.Version
			}
		}
	}
	t.Log(versions)
	for where, version := range versions {
		servetest.Want(t, fmt.Sprintf("%s of %s is %s or later", version, where, least), atLeast(version, least), true)
	}
}

// atLeast compares versions of the form v1.2.3; what is behind a hyphen is
// before the version itself.
func atLeast(version, least string) bool {
	number := func(s string) (n [4]int) {
		s, pre, _ := strings.Cut(strings.TrimPrefix(s, "v"), "-")
		for i, part := range strings.SplitN(s, ".", 3) {
			n[i], _ = strconv.Atoi(part)
		}
		if pre == "" {
			n[3] = 1
		}
		return n
	}
	a, b := number(version), number(least)
	return slices.Compare(a[:], b[:]) >= 0
}

func TestH3AtLeast(t *testing.T) {
	for _, c := range []struct {
		version string
		want    bool
	}{
		{"v0.59.1", true},
		{"v0.59.2", true},
		{"v0.60.0", true},
		{"v0.100.0", true},
		{"v1.0.0", true},
		{"v0.59.0", false},
		{"v0.9.9", false},
		{"v0.59.1-0.20260101000000-abcdefabcdef", false},
		{"", false},
	} {
		servetest.Want(t, c.version, atLeast(c.version, "v0.59.1"), c.want)
	}
}
