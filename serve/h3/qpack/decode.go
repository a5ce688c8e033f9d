package qpack

import "github.com/penstock-edge/penstock/serve/h2/hpack"

// Decode decodes a whole encoded field section and appends its fields to fields;
// block may be overwritten afterwards. Names are as sent (lower case is the
// caller's to check), and the strings are the caller's for ever. over: a limit
// of lim was passed and fields are incomplete (the caller answers 431). The error
// is an *Error; after one, out is fields.
//
// The same block decodes to the same fields, always and everywhere.
func Decode(fields []hpack.Field, block []byte, lim hpack.Limits) (out []hpack.Field, over bool, err error) {
	lim = lim.WithDefaults()
	b := blockReader{
		src: block, out: fields,
		fields: lim.Fields, bytes: lim.Bytes, hard: lim.HardFields,
	}
	e := b.read()
	if e == nil {
		b.literals.Cut(b.out)
	}
	b.literals.Release()
	if e != nil {
		return fields, b.over, e
	}
	return b.out, b.over, nil
}

// blockReader is the state of one Decode; it stays on the stack.
type blockReader struct {
	src      []byte
	pos      int
	out      []hpack.Field
	literals hpack.Literals

	fields, bytes, hard int // what the limits have left
	over                bool
}

func (b *blockReader) read() *Error {
	if err := b.prefix(); err != nil {
		return err
	}
	for b.pos < len(b.src) {
		if b.hard--; b.hard < 0 {
			return ErrTooManyFields
		}
		if err := b.field(); err != nil {
			return err
		}
	}
	return nil
}

// prefix takes what begins every section (RFC 9204 §4.5.1).
func (b *blockReader) prefix() *Error {
	count, pos, err := readInteger(b.src, 0, 8)
	if err != nil {
		return err
	}
	// RFC 9204 §2.2.1, §4.5.1.1: without a table no count but 0 can be encoded;
	// MUST be QPACK_DECOMPRESSION_FAILED.
	if count != 0 {
		return errInsert
	}
	_, next, err := readInteger(b.src, pos, 7)
	if err != nil {
		return err
	}
	// RFC 9204 §4.5.1.2: a Sign bit of 1 with a count not above Delta Base MUST be
	// invalid. With 0 any Base may be used, there being nothing that it changes.
	if b.src[pos]&0x80 != 0 {
		return errBase
	}
	b.pos = next
	return nil
}

// field takes one field line, however it is represented.
func (b *blockReader) field() *Error {
	switch c := b.src[b.pos]; {
	case c >= 0xc0: // RFC 9204 §4.5.2, static
		return b.indexed()
	case c >= 0x80: // dynamic
		return errDynamic
	case c >= 0x40: // §4.5.4
		if c&0x10 == 0 { // dynamic
			return errDynamic
		}
		return b.nameReference(c&0x20 != 0)
	case c >= 0x20: // §4.5.6
		return b.literalName(c&0x10 != 0)
	default: // §4.5.3 and §4.5.5: post-Base, which only the dynamic table has
		return errDynamic
	}
}

// indexed takes a field from the static table: no allocation (RFC 9204 §4.5.2).
func (b *blockReader) indexed() *Error {
	e, err := b.static(6)
	if err != nil {
		return err
	}
	if b.room(hpack.FieldSize(e.name, e.value)) {
		b.out = hpack.AppendDecoded(b.out, e.name, e.value, false)
	}
	return nil
}

// static reads an index into the static table.
func (b *blockReader) static(bits uint) (*entry, *Error) {
	i, next, err := readInteger(b.src, b.pos, bits)
	if err != nil {
		return nil, err
	}
	// RFC 9204 §3.1: an invalid static index MUST be QPACK_DECOMPRESSION_FAILED.
	if i >= uint64(len(staticTable)) {
		return nil, errIndex
	}
	b.pos = next
	return &staticTable[i], nil
}

// nameReference takes a field whose value only is spelled out (RFC 9204 §4.5.4).
func (b *blockReader) nameReference(sensitive bool) *Error {
	e, err := b.static(4)
	if err != nil {
		return err
	}
	from := b.literals.Len()
	if err := b.readString(7, 0x80); err != nil {
		return err
	}
	b.keep(e.name, from, from, sensitive)
	return nil
}

// literalName takes a field that is spelled out (RFC 9204 §4.5.6).
func (b *blockReader) literalName(sensitive bool) *Error {
	from := b.literals.Len()
	if err := b.readString(3, 0x08); err != nil {
		return err
	}
	name, _ := b.literals.Intern(from)
	mid := b.literals.Len()
	if err := b.readString(7, 0x80); err != nil {
		return err
	}
	b.keep(name, from, mid, sensitive)
	return nil
}

// readString adds a string literal whose length has a prefix of the given bits,
// and whose flag of Huffman code is coded (RFC 9204 §4.1.2). The length is
// checked against the section first; Huffman code adds at most 3/5 to it.
func (b *blockReader) readString(bits uint, coded byte) *Error {
	n, from, err := readInteger(b.src, b.pos, bits)
	if err != nil {
		return err
	}
	if n > uint64(len(b.src)-from) {
		return errTruncated
	}
	flags := b.src[b.pos]
	b.pos = from + int(n)
	if b.literals.Append(b.src[from:b.pos], flags&coded != 0) != nil {
		return errHuffman
	}
	return nil
}

// keep takes a field whose strings, but for a name that is known, are the
// literals from the given octet on.
func (b *blockReader) keep(name string, from, mid int, sensitive bool) {
	if !b.room(hpack.FieldSize(name, "") + b.literals.Len() - from) {
		b.literals.Drop(from)
		return
	}
	b.literals.Keep(len(b.out), from, mid)
	b.out = hpack.AppendDecoded(b.out, name, "", sensitive)
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
