package h2

import "github.com/penstock-edge/penstock/serve/h2/frame"

// What our own PINGs carry; a peer's answers with other bytes are ignored.
var (
	pingDrain = [8]byte{'d', 'r', 'a', 'i', 'n'} // the round trip of a drain's first GOAWAY
	pingAlive = [8]byte{'a', 'l', 'i', 'v', 'e'} // of the keep-alive
)

// onPing: RFC 9113 §6.7.
func (c *Conn) onPing(h frame.Header, p []byte) {
	data := frame.ParsePing(p)
	if h.Flags&frame.FlagAck == 0 {
		if c.mayControl() {
			out := c.gather(frame.HeaderSize + len(data))
			out.B = frame.AppendPing(out.B, frame.FlagAck, data)
		}
		return
	}
	switch data {
	case pingDrain:
		c.lastGoAway()
	case pingAlive:
		c.pingAt = 0
	}
}

// sendPing gathers a PING of ours.
func (c *Conn) sendPing(data [8]byte) {
	out := c.gather(frame.HeaderSize + len(data))
	out.B = frame.AppendPing(out.B, 0, data)
}
