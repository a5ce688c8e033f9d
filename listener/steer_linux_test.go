package listener

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// steered makes a group of n sockets, or skips where the system steers nothing.
func steered(t *testing.T, cfg PacketConfig) *PacketGroup {
	t.Helper()
	g := bindPacketsForTest(t, cfg)
	if g.unsteered != nil {
		t.Skipf("SKIPPED: this system steers no packets: %v", g.unsteered)
	}
	want(t, "sockets", len(g.Conns()), cfg.Sockets)
	return g
}

// sequence numbers datagrams, so that none is taken for another.
type sequence uint32

// short is a datagram with a short header, a connection ID of 8 bytes whose
// byte at is b, and a number.
func (s *sequence) short(at int, b byte) []byte {
	*s++
	p := append([]byte{0x40}, bytes.Repeat([]byte{^b}, 8)...)
	p[1+at] = b
	return binary.BigEndian.AppendUint32(p, uint32(*s))
}

// long is a datagram with a long header; the byte that would steer is b.
func (s *sequence) long(b byte) []byte {
	*s++
	return binary.BigEndian.AppendUint32([]byte{0xc0, b, b, b, b}, uint32(*s))
}

func TestSteerShortHeaders(t *testing.T) {
	for _, c := range []struct {
		address, host string
		sockets, at   int
	}{
		{"127.0.0.1:0", "", 4, 0},
		{"127.0.0.1:0", "", 3, 0},
		{"127.0.0.1:0", "", 2, 5},
		{"[::1]:0", "", 4, 0},
		{":0", "127.0.0.1", 3, 0}, // IPv4 on an IPv6 socket
		{":0", "::1", 3, 7},
	} {
		t.Run(fmt.Sprintf("%s %s sockets=%d byte=%d", c.address, c.host, c.sockets, c.at), func(t *testing.T) {
			g := steered(t, PacketConfig{Address: c.address, Sockets: c.sockets, SteerByte: c.at})
			ch := receive(t, g)
			var clients []net.Conn // each with a port, so a hash, of its own
			for range 3 {
				clients = append(clients, dialPackets(t, g, c.host))
			}
			var seq sequence
			for b := range 256 {
				for _, client := range clients {
					r := exchange(t, client, ch, seq.short(c.at, byte(b)))
					if r.index != b%c.sockets {
						t.Fatalf("ID byte %d from %s came to socket %d, want %d", b, client.LocalAddr(), r.index, b%c.sockets)
					}
				}
			}
		})
	}
}

// A program that steered long headers too would send all of a client's to one
// socket, or those of one port to several.
func TestSteerLongHeadersByHash(t *testing.T) {
	const ports = 128 // by chance the hash leaves out one of 4 sockets once in 10^15 runs
	for _, sockets := range []int{3, 4} {
		g := steered(t, PacketConfig{Sockets: sockets})
		ch := receive(t, g)
		var seq sequence
		hits := make([]int, sockets)
		for range ports {
			client := dialPackets(t, g, "")
			first := exchange(t, client, ch, seq.long(0)).index
			hits[first]++
			for b := range 2 * sockets {
				if r := exchange(t, client, ch, seq.long(byte(b))); r.index != first {
					t.Fatalf("long headers from %s came to sockets %d and %d", client.LocalAddr(), first, r.index)
				}
			}
			// A short header does not follow the hash.
			b := byte((first + 1) % sockets)
			want(t, "short header after long ones", exchange(t, client, ch, seq.short(0, b)).index, int(b))
		}
		for i, n := range hits {
			if n == 0 {
				t.Errorf("socket %d of %d got the packets of none of %d ports", i, sockets, ports)
			}
		}
	}
}

// What is too short for a load goes to socket 0; a long header needs one byte.
func TestSteerTooShort(t *testing.T) {
	g := steered(t, PacketConfig{Sockets: 4, SteerByte: 2})
	ch := receive(t, g)
	for range 8 {
		client := dialPackets(t, g, "")
		for _, b := range [][]byte{{}, {0x40}, {0x40, 3, 3}} {
			want(t, "too short", exchange(t, client, ch, b).index, 0)
		}
		want(t, "just long enough", exchange(t, client, ch, []byte{0x40, 0, 0, 3}).index, 3)
	}
}

// Without the program there is one socket, which nobody may join.
func TestSteerRefused(t *testing.T) {
	var log bytes.Buffer
	cfg := PacketConfig{
		Sockets: 4, ErrorLog: slog.New(slog.NewTextHandler(&log, nil)), ReadBuffer: -1, WriteBuffer: -1,
		steer: func(int, int, int) error { return os.NewSyscallError("setsockopt", unix.ENOPROTOOPT) },
	}
	g := bindPacketsForTest(t, cfg)
	want(t, "sockets", len(g.Conns()), 1)
	want(t, "steered", g.Steered(), false)
	want(t, "lines", strings.Count(log.String(), "\n"), 1)
	for _, part := range []string{"one UDP socket", unix.ENOPROTOOPT.Error(), g.Addr().String()} {
		if !strings.Contains(log.String(), part) {
			t.Errorf("%q lacks %q", log.String(), part)
		}
	}
	_, err := BindPackets(t.Context(), PacketConfig{Address: g.Addr().String(), Join: true})
	wantHolder(t, "Join", err, g.Addr().String(), os.Getpid())
	cfg.Address = g.Addr().String()
	_, err = BindPackets(t.Context(), cfg)
	wantHolder(t, "second group", err, g.Addr().String(), os.Getpid())
}
