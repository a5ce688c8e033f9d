package h2

import (
	"github.com/penstock-edge/penstock/serve/h2/hpack"
	"github.com/penstock-edge/penstock/serve/message"
)

// memos remember the last header blocks of a connection: a client sends the
// same bytes again and again, and as long as the dynamic table is the same,
// equal bytes need no new decoding, checks and strings (BenchmarkServe).
type memos struct {
	slots [2]memo
	next  int
	large bool // they hold more than an idle connection may
}

type memo struct {
	bytes      []byte // empty: not of use again
	generation uint32
	head       message.Head
	fields     []hpack.Field
}

// decode reads the header block of a request. The head is valid until the next
// but one. ok false: the connection is over.
func (c *Conn) decode(fragment []byte) (m *message.Head, ok bool) {
	if c.memo == nil {
		c.memo = new(memos)
	}
	generation := c.dec.Generation()
	for i := range c.memo.slots {
		k := &c.memo.slots[i]
		if len(k.bytes) > 0 && k.generation == generation && string(k.bytes) == string(fragment) {
			return &k.head, true
		}
	}
	k := &c.memo.slots[c.memo.next]
	c.memo.next ^= 1
	k.bytes = k.bytes[:0]
	fields, over, ok := c.decodeFields(k.fields[:0], fragment, hpack.Limits{
		Fields: c.cfg.Fields, Bytes: c.cfg.FieldBytes, HardFields: max(hardFields, c.cfg.Fields),
	})
	if !ok {
		return nil, false
	}
	k.fields = fields
	k.head.Read(fields, over, c.cfg.rules())
	c.memo.large = c.memo.large || textOf(fields) > maxMemoText
	if c.dec.Generation() == generation && len(fragment) <= maxMemoBlock {
		k.bytes, k.generation = append(k.bytes, fragment...), generation
	}
	return &k.head, true
}

// textOf is how many bytes of strings fields refer to.
func textOf(fields []hpack.Field) (n int) {
	for i := range fields {
		n += len(fields[i].Name) + len(fields[i].Value)
	}
	return n
}

// rules are what the configuration says of a request's head.
func (cfg *Config) rules() message.Rules {
	return message.Rules{TargetBytes: cfg.TargetBytes, MethodBytes: maxMethodBytes, Server: cfg.Server}
}
