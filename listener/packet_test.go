package listener

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// bindPacketsForTest makes a group that ends with the test.
func bindPacketsForTest(t *testing.T, cfg PacketConfig) *PacketGroup {
	t.Helper()
	if cfg.Address == "" {
		cfg.Address = "127.0.0.1:0"
	}
	g, err := BindPackets(t.Context(), cfg)
	must(t, "BindPackets", err)
	t.Cleanup(func() { _ = g.Close() })
	return g
}

// received is a datagram and the index of the socket that got it.
type received struct {
	index   int
	payload []byte
	from    *net.UDPAddr
}

// receive reads all sockets of a group until it closes.
func receive(t *testing.T, g *PacketGroup) <-chan received {
	t.Helper()
	ch := make(chan received)
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	for i, c := range g.Conns() {
		go func() {
			for {
				b := make([]byte, 2048)
				n, from, err := c.ReadFromUDP(b)
				if err != nil {
					return
				}
				select {
				case ch <- received{i, b[:n], from}:
				case <-ctx.Done():
				}
			}
		}()
	}
	return ch
}

// exchange sends a datagram and returns who got it. Nothing else is under way.
func exchange(t *testing.T, c net.Conn, ch <-chan received, payload []byte) received {
	t.Helper()
	_, err := c.Write(payload)
	must(t, "send", err)
	select {
	case r := <-ch:
		if !bytes.Equal(r.payload, payload) {
			t.Fatalf("got datagram %x, sent %x", r.payload, payload)
		}
		return r
	case <-time.After(20 * time.Second):
		t.Fatalf("datagram %x did not arrive", payload)
		return received{}
	}
}

// dialPackets connects a socket of its own to the group; host empty: the group's address.
func dialPackets(t *testing.T, g *PacketGroup, host string) net.Conn {
	t.Helper()
	addr := g.Addr().String()
	if host != "" {
		_, port, err := net.SplitHostPort(addr)
		must(t, "address", err)
		addr = net.JoinHostPort(host, port)
	}
	c, err := net.Dial("udp", addr)
	must(t, "dial", err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestPacketGroup(t *testing.T) {
	for _, c := range []struct {
		network, address string
		hosts            []string
	}{
		{"", "127.0.0.1:0", []string{"127.0.0.1"}},
		{"udp", ":0", []string{"127.0.0.1", "::1"}},
		{"udp", "localhost:0", []string{"127.0.0.1"}},
		{"udp4", ":0", []string{"127.0.0.1"}},
		{"udp6", ":0", []string{"::1"}},
	} {
		t.Run(c.network+" "+c.address, func(t *testing.T) {
			g := bindPacketsForTest(t, PacketConfig{Network: c.network, Address: c.address, Sockets: 3})
			for _, conn := range g.Conns() {
				want(t, "address of each socket", conn.LocalAddr().String(), g.Addr().String())
			}
			ch := receive(t, g)
			for _, host := range c.hosts {
				testPacketEcho(t, g, ch, host)
			}
		})
	}
}

// testPacketEcho sends a datagram to the group and has the answer come back.
func testPacketEcho(t *testing.T, g *PacketGroup, ch <-chan received, host string) {
	client := dialPackets(t, g, host)
	r := exchange(t, client, ch, []byte("\xc0hello, all"))
	want(t, "remote", r.from.String(), client.LocalAddr().String())
	_, err := g.Conns()[r.index].WriteToUDP([]byte("answer"), r.from)
	must(t, "answer", err)
	must(t, "SetReadDeadline", client.SetReadDeadline(time.Now().Add(20*time.Second)))
	b := make([]byte, 100)
	n, err := client.Read(b)
	must(t, "read", err)
	want(t, "answer", string(b[:n]), "answer")
}

func TestPacketSockets(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  PacketConfig
		want int
	}{
		{"default", PacketConfig{}, runtime.GOMAXPROCS(0)},
		{"negative", PacketConfig{Sockets: -1}, runtime.GOMAXPROCS(0)},
		{"one", PacketConfig{Sockets: 1}, 1},
		{"five", PacketConfig{Sockets: 5}, 5},
		{"joined", PacketConfig{Sockets: 5, Join: true}, 1},
	} {
		if runtime.GOOS != "linux" {
			c.want = 1
		}
		var log bytes.Buffer
		c.cfg.ReadBuffer, c.cfg.WriteBuffer = -1, -1 // the log is to be empty
		c.cfg.ErrorLog = slog.New(slog.NewTextHandler(&log, nil))
		g := bindPacketsForTest(t, c.cfg)
		want(t, c.name+": sockets", len(g.Conns()), c.want)
		want(t, c.name+": steered", g.Steered(), c.want > 1)
		want(t, c.name+": log", log.String(), "")
	}
}

func TestPacketConfigLimits(t *testing.T) {
	cfg, err := PacketConfig{Address: ":0", Sockets: maxPacketSockets + 1, ReadBuffer: maxPacketBuffer + 1}.complete()
	must(t, "complete", err)
	want(t, "sockets", cfg.Sockets, maxPacketSockets)
	want(t, "read buffer", cfg.ReadBuffer, maxPacketBuffer)
	want(t, "write buffer", cfg.WriteBuffer, defaultPacketBuffer)
}

func TestPacketConfigErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  PacketConfig
		text string // part of the error
	}{
		{"no address", PacketConfig{}, "no address"},
		{"no port", PacketConfig{Address: "127.0.0.1"}, "listen udp"},
		{"unknown network", PacketConfig{Network: "tcp", Address: ":0"}, `"tcp"`},
		{"port out of range", PacketConfig{Address: ":70000"}, "listen udp"},
		{"wrong family", PacketConfig{Network: "udp4", Address: "[::1]:0"}, "listen udp4"},
		{"not our address", PacketConfig{Address: "192.0.2.1:0"}, "192.0.2.1"},
		{"byte before the ID", PacketConfig{Address: ":0", SteerByte: -1}, "byte -1"},
		{"byte behind the ID", PacketConfig{Address: ":0", SteerByte: 20}, "byte 20"},
	} {
		g, err := BindPackets(t.Context(), c.cfg)
		if err == nil {
			_ = g.Close()
			t.Errorf("%s: no error", c.name)
			continue
		}
		if !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %q lacks %q", c.name, err, c.text)
		}
		want(t, c.name+": operation is named once", strings.Count(err.Error(), "listen"), 1)
	}
}

func TestPacketClose(t *testing.T) {
	g := bindPacketsForTest(t, PacketConfig{Sockets: 3})
	done := make(chan error, len(g.Conns()))
	for _, c := range g.Conns() {
		go func() {
			_, _, err := c.ReadFromUDP(make([]byte, 1))
			done <- err
		}()
	}
	must(t, "Close", g.Close())
	for range g.Conns() {
		want(t, "read ends with net.ErrClosed", errors.Is(<-done, net.ErrClosed), true)
	}
	must(t, "second Close", g.Close())

	again := bindPacketsForTest(t, PacketConfig{Address: g.Addr().String(), Sockets: 2})
	must(t, "Close of the next group", again.Close())
}
