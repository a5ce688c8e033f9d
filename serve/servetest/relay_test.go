package servetest

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// relayed starts r in front of a server socket, and a client socket behind it.
func relayed(t *testing.T, r *Relay) (server, client *net.UDPConn) {
	t.Helper()
	CheckLeaks(t)
	listen := func() *net.UDPConn {
		c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		Must(t, "listen", err)
		Must(t, "deadline", c.SetDeadline(time.Now().Add(patience)))
		t.Cleanup(func() { c.Close() })
		return c
	}
	server, client = listen(), listen()
	r.Server = addrPortOf(server)
	Must(t, "start", r.Start())
	t.Cleanup(func() { r.Close() })
	return server, client
}

func sendRelayed(t *testing.T, r *Relay, client *net.UDPConn, payload string) {
	t.Helper()
	_, err := client.WriteToUDP([]byte(payload), r.Addr())
	Must(t, "send", err)
}

func receiveRelayed(t *testing.T, c *net.UDPConn) (string, netip.AddrPort) {
	t.Helper()
	buf := make([]byte, 2048)
	n, from, err := c.ReadFromUDPAddrPort(buf)
	Must(t, "receive", err)
	return string(buf[:n]), unmapped(from)
}

func TestRelay(t *testing.T) {
	r := &Relay{}
	server, client := relayed(t, r)
	sendRelayed(t, r, client, "question")
	got, via := receiveRelayed(t, server)
	Want(t, "the datagram arrives", got, "question")
	Want(t, "from the client's address at the relay", slices.Equal(r.Vias(addrPortOf(client)), []netip.AddrPort{via}), true)
	_, err := server.WriteToUDPAddrPort([]byte("answer!"), via)
	Must(t, "answer", err)
	got, from := receiveRelayed(t, client)
	Want(t, "the answer arrives", got, "answer!")
	Want(t, "from where the client sent to", from, addrPortOf(r.front))

	Must(t, "inject", r.Inject(addrPortOf(client), []byte("foreign")))
	got, from = receiveRelayed(t, server)
	Want(t, "what is injected arrives", got, "foreign")
	Want(t, "as if from the client", from, via)
	WantErr(t, "nobody's datagram", r.Inject(addrPortOf(server), nil), errNoRoute)

	var up, down RelayCount
	WantSoon(t, "all is counted", func() bool {
		up, down = r.Counts()
		return up.SentDatagrams == 2 && down.SentDatagrams == 1
	})
	Want(t, "up", up, RelayCount{Datagrams: 1, Bytes: 8, SentDatagrams: 2, SentBytes: 15})
	Want(t, "down", down, RelayCount{Datagrams: 1, Bytes: 7, SentDatagrams: 1, SentBytes: 7})
}

func TestRelayRebind(t *testing.T) {
	for _, keep := range []bool{false, true} {
		r := &Relay{KeepOld: keep}
		server, client := relayed(t, r)
		sendRelayed(t, r, client, "one")
		_, old := receiveRelayed(t, server)
		via, err := r.Rebind(addrPortOf(client))
		Must(t, "rebind", err)
		sendRelayed(t, r, client, "two")
		_, from := receiveRelayed(t, server)
		Want(t, "the server sees the new address", from, via)
		Want(t, "which is another one", via != old, true)
		Want(t, "both are known", slices.Equal(r.Vias(addrPortOf(client)), []netip.AddrPort{old, via}), true)

		_, err = server.WriteToUDPAddrPort([]byte("to the old"), old)
		Must(t, "send to the old address", err)
		if keep {
			got, _ := receiveRelayed(t, client)
			Want(t, "the old address is kept", got, "to the old")
		}
		_, err = server.WriteToUDPAddrPort([]byte("to the new"), via)
		Must(t, "send to the new address", err)
		got, _ := receiveRelayed(t, client)
		Want(t, "the old address is dead, the new one is not", got, "to the new")
		WantSoon(t, "what came to the dead one is counted as lost", func() bool {
			_, down := r.Counts()
			return down.Datagrams == 2 && down.Lost == 2-down.SentDatagrams
		})
	}
	_, err := (&Relay{}).Rebind(netip.AddrPort{})
	WantErr(t, "rebind of nobody", err, errNoRoute)
}

func TestRelayTap(t *testing.T) {
	r := &Relay{Tap: func(d Datagram) bool { return d.Up && string(d.Payload) != "bad" }}
	server, client := relayed(t, r)
	sendRelayed(t, r, client, "bad")
	sendRelayed(t, r, client, "good")
	got, _ := receiveRelayed(t, server)
	Want(t, "what the tap refuses is lost", got, "good")
	up, _ := r.Counts()
	Want(t, "and counted", up.Lost, 1)
}

// Each fault at its utmost, so that nothing is left to chance.
func TestRelayFaults(t *testing.T) {
	t.Run("loss", func(t *testing.T) {
		r := &Relay{Up: Faults{Loss: 1}}
		_, client := relayed(t, r)
		sendRelayed(t, r, client, "x")
		WantSoon(t, "the datagram is lost", func() bool { up, _ := r.Counts(); return up.Lost == 1 })
		up, _ := r.Counts()
		Want(t, "and not sent", up.SentDatagrams, 0)
	})
	t.Run("duplicate", func(t *testing.T) {
		r := &Relay{Up: Faults{Duplicate: 1}}
		server, client := relayed(t, r)
		sendRelayed(t, r, client, "x")
		for range 2 {
			got, _ := receiveRelayed(t, server)
			Want(t, "it comes twice", got, "x")
		}
	})
	t.Run("reorder", func(t *testing.T) {
		r := &Relay{Up: Faults{Reorder: 1}}
		server, client := relayed(t, r)
		sendRelayed(t, r, client, "x")
		got, _ := receiveRelayed(t, server)
		Want(t, "what nothing overtakes arrives as well", got, "x")
		up, _ := r.Counts()
		Want(t, "after it was held", up.Held, 1)
	})
}

// The lane alone: what is held is overtaken, nothing is lost, and a seed gives
// the same run again.
func TestRelayLane(t *testing.T) { synctest.Test(t, testRelayLane) }

func testRelayLane(t *testing.T) {
	run := func(seed uint64, f Faults) string {
		var out strings.Builder
		r := &Relay{Seed: seed}
		l := r.newLane(&f, &r.up, func(b []byte) { out.Write(b) })
		for c := 'a'; c <= 'z'; c++ {
			l.pass([]byte(string(c)))
		}
		l.flush()
		l.close()
		l.pass([]byte("late"))
		return out.String()
	}
	straight := "abcdefghijklmnopqrstuvwxyz"
	Want(t, "without faults", run(1, Faults{}), straight)
	mixed := run(1, Faults{Reorder: 0.3})
	Want(t, "some are overtaken", mixed != straight, true)
	letters := []byte(mixed)
	slices.Sort(letters)
	Want(t, "all arrive", string(letters), straight)

	all := Faults{Loss: 0.2, Duplicate: 0.2, Reorder: 0.2}
	Want(t, "the same seed", run(1, all), run(1, all))
	Want(t, "another seed", run(2, all) != run(1, all), true)
}
