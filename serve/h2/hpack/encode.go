package hpack

// Encoder encodes the header blocks of one connection, in their order. The zero
// value is ready; its table is made when the first field that may be worth an
// entry comes. One goroutine at a time may use it.
//
// A block is BeginBlock, then AppendStatus (or the pseudo-fields of a request)
// and AppendField, each appending to dst.
type Encoder struct {
	table *encoderTable // nil: nothing inserted, nothing remembered

	// How far below DefaultTableSize these are, so that zero is right at first:
	below  uint16 // the size in force
	next   uint16 // the size that the next block announces
	lowest uint16 // the smallest size since the last block, likewise
}

// SetPeerTableSize applies the peer's SETTINGS_HEADER_TABLE_SIZE; our table is
// min(n, DefaultTableSize). It takes effect, and is announced, with the next
// block, which must not be sent before the acknowledgement of the settings (RFC
// 9113 §4.3.1, RFC 7541 §4.2, §6.3).
func (e *Encoder) SetPeerTableSize(n uint32) {
	e.next = uint16(DefaultTableSize - min(n, DefaultTableSize))
	e.lowest = max(e.lowest, e.next)
}

// BeginBlock begins a header block: the size updates that are due. Every block
// has to begin with it.
func (e *Encoder) BeginBlock(dst []byte) []byte {
	if e.table != nil {
		e.table.evicted = false
	}
	if e.lowest == e.below && e.next == e.below {
		return dst
	}
	// RFC 7541 §4.2: if the size was smaller in between, that MUST be signalled
	// too, so that both sides evict alike. RFC 9113 §4.3.1 takes any size up to the
	// smallest; we say 0, because x/net's decoder refuses a second update unless
	// the first has emptied the table (TestSizeUpdates).
	if e.lowest > e.below && e.lowest > e.next {
		dst = e.resize(dst, DefaultTableSize)
	}
	if e.next != e.below {
		dst = e.resize(dst, e.next)
	}
	e.lowest = e.next
	return dst
}

func (e *Encoder) resize(dst []byte, below uint16) []byte {
	e.below = below
	size := e.max()
	if e.table != nil {
		e.table.evict(size)
	}
	return appendInteger(dst, 0x20, 5, uint32(size))
}

func (e *Encoder) max() int { return DefaultTableSize - int(e.below) }

// AppendStatus appends :status. The seven of the static table are one octet; the
// others are five, without indexing: looking for them in the table would cost
// more time than four octets do (BenchmarkAppendStatus). A status of other than
// three digits is not one (RFC 9110 §15) and is sent as 500.
func (e *Encoder) AppendStatus(dst []byte, status int) []byte {
	switch status {
	case 200:
		return append(dst, 0x80|staticStatus)
	case 204:
		return append(dst, 0x80|staticStatus+1)
	case 206:
		return append(dst, 0x80|staticStatus+2)
	case 304:
		return append(dst, 0x80|staticStatus+3)
	case 400:
		return append(dst, 0x80|staticStatus+4)
	case 404:
		return append(dst, 0x80|staticStatus+5)
	}
	if status < 100 || status > 999 || status == 500 {
		return append(dst, 0x80|staticStatus+6)
	}
	return append(dst, staticStatus, 3, byte('0'+status/100), byte('0'+status/10%10), byte('0'+status%10))
}

// AppendField appends a field. name may be in any letter case, as net/http writes
// it or with the colon of a pseudo-field; it is sent in lower case. The caller
// has checked both strings. Their bytes are copied where they are kept.
func (e *Encoder) AppendField(dst []byte, name, value string) []byte {
	if dst, ok := e.AppendHit(dst, name, value); ok {
		return dst
	}
	return e.AppendMiss(dst, name, value)
}

// AppendHit appends a field if the table has it, so that it was checked when it
// was inserted. ok false: nothing was appended, and it may yet be in the table.
func (e *Encoder) AppendHit(dst []byte, name, value string) (out []byte, ok bool) {
	t := e.table
	if t == nil {
		return dst, false
	}
	// What a connection answers repeats: this is the path of nearly all fields.
	// The slot tells which entry to look at; comparing it decides.
	age := uint8(t.inserted) - t.slots[slot(name, value)]
	if age-1 < t.live {
		if f := t.at(age); f.name == name && f.value == value {
			f.used = true
			return append(dst, indexed(age)), true
		}
	}
	return dst, false
}

// indexed is the representation of an entry of our table: one octet, as ages
// are at most maxEncoderEntries (RFC 7541 §6.1).
func indexed(age uint8) byte { return 0x80 | byte(staticEntries) + age }

// AppendMiss is AppendField for what AppendHit has not found.
func (e *Encoder) AppendMiss(dst []byte, name, value string) []byte {
	hash := hashName(name)
	known := &names.all[names.find(name, hash)]
	if known.policy >= never {
		return appendLiteral(dst, known, name, value)
	}
	// The few static entries with a value; :status has its own method.
	for i := known.static; i != 0 && i <= staticValues && staticTable[i].name == known.lower; i++ {
		if staticTable[i].value == value {
			return append(dst, 0x80|i)
		}
	}
	size := len(name) + len(value) + entryOverhead
	if size > min(maxInserted, e.max()) {
		return appendLiteral(dst, known, name, value)
	}
	if e.table == nil {
		e.table = new(encoderTable)
	}
	t := e.table
	found := t.search(name, value, hash)
	if found.age != 0 {
		t.slots[slot(name, value)] = uint8(t.inserted) - found.age
		t.at(found.age).used = true
		return append(dst, indexed(found.age))
	}
	if known.policy != atOnce || found.unused >= maxUnused {
		if !t.seenBefore(hash, value) {
			return appendLiteral(dst, known, name, value)
		}
	}
	if !t.room(size, e.max()) {
		return appendLiteral(dst, known, name, value)
	}
	dst = appendInserted(dst, known, found.nameAge, name, value)
	t.add(known, name, value, hash, e.max())
	return dst
}

// appendLiteral appends a field that is not inserted (RFC 7541 §6.2.2, §6.2.3).
// It is raw: Huffman code would save a quarter of the octets of what is sent
// once, for several times the time (BenchmarkLiteral).
func appendLiteral(dst []byte, known *knownName, name, value string) []byte {
	first := byte(0)
	if known.policy == secret {
		first = 0x10
	}
	dst = appendInteger(dst, first, 4, uint32(known.static))
	if known.static == 0 {
		dst = appendInteger(dst, 0, 7, uint32(len(name)))
		dst = appendLower(dst, name)
	}
	dst = appendInteger(dst, 0, 7, uint32(len(value)))
	return append(dst, value...)
}

// appendInserted appends a field that becomes an entry (RFC 7541 §6.2.1).
// nameAge is an entry that has its name; 0: none.
func appendInserted(dst []byte, known *knownName, nameAge uint8, name, value string) []byte {
	switch {
	case known.static != 0:
		dst = append(dst, 0x40|known.static) // at most 61, below the prefix's 63
	case nameAge != 0:
		dst = appendInteger(dst, 0x40, 6, uint32(staticEntries)+uint32(nameAge))
	default:
		dst = append(dst, 0x40)
		dst = appendInteger(dst, 0, 7, uint32(len(name)))
		dst = appendLower(dst, name)
	}
	if n := huffmanLen(value); n < len(value) {
		return AppendHuffman(appendInteger(dst, 0x80, 7, uint32(n)), value)
	}
	dst = appendInteger(dst, 0, 7, uint32(len(value)))
	return append(dst, value...)
}

// appendLower: HTTP/2 sends names in lower case (RFC 9113 §8.2).
func appendLower(dst []byte, name string) []byte {
	for i := range len(name) {
		dst = append(dst, lower(name[i]))
	}
	return dst
}
