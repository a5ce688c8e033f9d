package shard

import (
	"net/http"
	"net/netip"

	"github.com/penstock-edge/penstock/listener"
)

// Proxied tells that the connection begins with a PROXY header. Until the driver
// has read it and called Introduce nobody knows whose the connection is: its
// observer has not heard of it, and the gate counts it as nobody's.
func (c *Conn) Proxied() bool { return c.proxied }

// Introduce tells what the PROXY header said. From here on the connection is that of
// the client, for addresses, observer and gate alike. False: the client has as many
// connections as it may, and this one is to end. Leader only.
func (c *Conn) Introduce(h listener.ProxyHeader) (admitted bool) {
	if h.Source.IsValid() {
		if c.gated {
			if c.svc.Gate.Identify(h.Source.Addr()) != listener.Admitted {
				c.sh.counters.Refused.Add(1)
				return false
			}
			c.nameless = false
		}
		c.remote, c.local = h.Source, &h.Destination
	}
	c.proxied = false
	c.SetState(http.StateNew)
	return true
}

// counted is the address that the gate counts the connection by.
func (c *Conn) counted() netip.Addr {
	if c.nameless {
		return netip.Addr{}
	}
	return c.remote.Addr()
}

// Ended tells that the peer's end was seen: nothing comes that is not here.
func (c *Conn) Ended() bool { return c.toEnd.Load() }

// Again asks for one more step in this round, as for a connection that was just
// accepted: one that missed the drain is told of it then. Leader only, in a step.
func (c *Conn) Again() { c.sh.fresh = append(c.sh.fresh, c) }
