package hpack

import "slices"

// Field is one decoded field; Name is as sent (lower case is the caller's to
// check). Its strings are the caller's for ever.
type Field struct {
	Name, Value string
	Sensitive   bool // never-indexed literal (RFC 7541 §7.1.3): whoever sends it on must do likewise
}

// Decoder decodes the header blocks of one connection, in their order. The zero
// value is ready: a table of DefaultTableSize, which is what we advertise. Its
// memory is made at the first insertion. One goroutine at a time may use it.
type Decoder struct{ table dynamicTable }

// Generation changes whenever the dynamic table changes. If it is the same
// before and after a Decode, the same bytes decode to the same fields until it
// changes: the caller may keep the result and skip Decode.
func (d *Decoder) Generation() uint32 { return d.table.generation }

// Decode decodes a whole header block and appends its fields to fields; block
// may be overwritten afterwards. over: a limit of lim was passed and fields are
// incomplete, but the table is right (the caller answers 431). Every error is a
// connection error COMPRESSION_ERROR except ErrTooManyFields; after one, out is
// fields and the Decoder must not be used.
func (d *Decoder) Decode(fields []Field, block []byte, lim Limits) (out []Field, over bool, err error) {
	lim = lim.WithDefaults()
	b := blockReader{
		table: &d.table, src: block, out: fields,
		fields: lim.Fields, bytes: lim.Bytes, hard: lim.HardFields,
	}
	e := b.read()
	if b.scratch != nil {
		if e == nil {
			b.scratch.cut(b.out)
		}
		b.scratch.release()
	}
	if e != nil {
		return fields, b.over, e
	}
	return b.out, b.over, nil
}

// blockReader is the state of one Decode; it stays on the stack.
type blockReader struct {
	table   *dynamicTable
	src     []byte
	pos     int
	out     []Field
	scratch *scratch // nil until a literal comes

	fields, bytes, hard int // what the limits have left
	over                bool
}

func (b *blockReader) read() *Error {
	if err := b.sizeUpdates(); err != nil {
		return err
	}
	for b.pos < len(b.src) {
		b.indexedRun()
		if b.pos == len(b.src) {
			break
		}
		if b.hard--; b.hard < 0 {
			return ErrTooManyFields
		}
		if err := b.field(); err != nil {
			return err
		}
	}
	return nil
}

// indexedRun takes fields of one octet that are kept, as long as they come. They
// are most of what a client sends (BenchmarkDecode/indexed); what is out of the
// ordinary in any way is left to field.
func (b *blockReader) indexedRun() {
	src, pos, out, t := b.src, b.pos, b.out, b.table
	// An octet of all ones begins a longer index: 126 is the last of one octet.
	live := min(uint32(t.live), 126-uint32(staticEntries))
	newest, mask := t.inserted+uint32(staticEntries), uint32(len(t.entries)-1)
	n, bytes := min(b.fields, b.hard), b.bytes
	for pos < len(src) && n > 0 && !b.over {
		i := uint32(src[pos]) - 0x80
		var e *entry
		if age := i - uint32(staticEntries); age-1 < live {
			e = &t.entries[(newest-i)&mask]
		} else if i-1 < uint32(staticEntries) {
			e = &staticTable[i]
		} else {
			break // no index of one octet, or none at all
		}
		if bytes -= len(e.name) + len(e.value) + entryOverhead; bytes < 0 {
			break
		}
		out = AppendDecoded(out, e.name, e.value, false)
		b.bytes = bytes
		pos++
		n--
	}
	b.fields -= pos - b.pos
	b.hard -= pos - b.pos
	b.pos, b.out = pos, out
}

// field takes one field, however it is represented.
func (b *blockReader) field() *Error {
	switch c := b.src[b.pos]; {
	case c >= 0x80: // RFC 7541 §6.1
		return b.indexed()
	case c >= 0x40: // §6.2.1
		return b.literal(6, true, false)
	case c >= 0x20: // §6.3
		return errSizeUpdateLate
	default: // §6.2.2 without indexing, §6.2.3 never indexed
		return b.literal(4, false, c >= 0x10)
	}
}

// sizeUpdates may only begin a block (RFC 7541 §4.2). Two suffice whatever
// happened between the blocks: the smallest size and the last ("at most two").
// Each further one would be work that no encoder has a reason to ask for.
func (b *blockReader) sizeUpdates() *Error {
	for n := 0; b.pos < len(b.src) && b.src[b.pos]>>5 == 1; n++ {
		if n == maxSizeUpdates {
			return errSizeUpdateMany
		}
		size, next, err := readInteger(b.src, b.pos, 5)
		if err != nil {
			return err
		}
		// RFC 7541 §6.3: above SETTINGS_HEADER_TABLE_SIZE MUST be an error.
		if size > DefaultTableSize {
			return errSizeUpdate
		}
		b.table.setMax(int(size))
		b.pos = next
	}
	return nil
}

// indexed takes a field from the tables: no allocation (RFC 7541 §6.1).
func (b *blockReader) indexed() *Error {
	i, next, err := readInteger(b.src, b.pos, 7)
	if err != nil {
		return err
	}
	b.pos = next
	e := b.lookup(i)
	if e == nil {
		return errIndex
	}
	if b.room(len(e.name) + len(e.value) + entryOverhead) {
		b.out = AppendDecoded(b.out, e.name, e.value, false)
	}
	return nil
}

// AppendDecoded is append(out, Field{name, value, sensitive}), which the compiler
// makes on the stack first and then copies in other widths than it wrote: that
// stalls, and doubles the time of a block (BenchmarkDecode/indexed).
func AppendDecoded(out []Field, name, value string, sensitive bool) []Field {
	n := len(out)
	if n == cap(out) {
		out = slices.Grow(out, 1)
	}
	out = out[:n+1]
	f := &out[n]
	f.Name, f.Value, f.Sensitive = name, value, sensitive
	return out
}

// lookup finds the entry with index i in the joint address space (RFC 7541
// §2.3.3), or nil.
func (b *blockReader) lookup(i uint32) *entry {
	if age := i - uint32(staticEntries); age-1 < uint32(b.table.live) {
		return b.table.at(age)
	}
	if i-1 < uint32(staticEntries) {
		return &staticTable[i]
	}
	return nil
}

// room takes a field of the given size out of the limits, or tells that it must
// not be kept. After the first such field none is kept.
func (b *blockReader) room(size int) bool {
	b.fields--
	b.bytes -= size
	if b.fields < 0 || b.bytes < 0 {
		b.over = true
	}
	return !b.over
}

// literal takes a field whose value, and name unless indexed, is spelled out
// (RFC 7541 §6.2). Both are decoded into the scratch; strings are made of them
// here if they are inserted, else at the end of the block, all at once (cut).
func (b *blockReader) literal(prefix uint, insert, sensitive bool) *Error {
	s := b.useScratch()
	from := len(s.text)
	name, err := b.literalName(prefix, insert)
	if err != nil {
		return err
	}
	mid := len(s.text)
	if err := b.readString(); err != nil {
		return err
	}
	text := s.text[from:]
	size := len(name) + len(text) + entryOverhead
	if insert {
		if size <= b.table.max() {
			b.insert(name, text, mid-from, size)
			s.text = s.text[:from]
			return nil
		}
		// RFC 7541 §4.4: an entry above the maximum size empties the table and is
		// not inserted; that is no error.
		b.table.evict(0)
	}
	if !b.room(size) {
		s.text = s.text[:from]
		return nil
	}
	if len(text) > 0 {
		s.pending = append(s.pending, pending{len(b.out), from, mid, len(s.text)})
	}
	b.out = AppendDecoded(b.out, name, "", sensitive)
	return nil
}

// literalName returns the name if no string has to be made for it; else it is
// appended to the scratch.
func (b *blockReader) literalName(prefix uint, insert bool) (string, *Error) {
	i, next, err := readInteger(b.src, b.pos, prefix)
	if err != nil {
		return "", err
	}
	b.pos = next
	s := b.scratch
	from := len(s.text)
	if i != 0 {
		e := b.lookup(i)
		if e == nil {
			return "", errIndex
		}
		if !insert || i <= uint32(staticEntries) {
			return e.name, nil
		}
		// The name of an older entry is part of that entry's string. A new entry
		// must not keep all of it alive: chains of them would hold many times
		// what the table's size allows (TestNameReferenceMemory).
		s.text = append(s.text, e.name...)
	} else if err := b.readString(); err != nil {
		return "", err
	}
	if name, ok := names.intern(s.text[from:]); ok {
		s.text = s.text[:from]
		return name, nil
	}
	return "", nil
}

// readString appends a string literal to the scratch (RFC 7541 §5.2). Its length
// is checked against the block first; Huffman code adds at most 3/5 to it.
func (b *blockReader) readString() *Error {
	n, from, err := readInteger(b.src, b.pos, 7)
	if err != nil {
		return err
	}
	if uint64(n) > uint64(len(b.src)-from) {
		return errTruncated
	}
	coded := b.src[b.pos]&0x80 != 0
	b.pos = from + int(n)
	s := b.scratch
	if !coded {
		s.text = append(s.text, b.src[from:b.pos]...)
		return nil
	}
	s.text, err = huffman.decode(s.text, b.src[from:b.pos])
	return err
}

// insert makes a new entry's strings, in one allocation, and keeps the field.
// text is the value, after mid octets of name where name is empty.
func (b *blockReader) insert(name string, text []byte, mid, size int) {
	value := string(text)
	if mid > 0 {
		name, value = value[:mid], value[mid:]
	}
	b.table.add(name, value, size)
	if b.room(size) {
		b.out = AppendDecoded(b.out, name, value, false)
	}
}
