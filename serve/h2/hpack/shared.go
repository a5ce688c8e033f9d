package hpack

// What QPACK (RFC 9204) has in common with HPACK, for serve/h3/qpack: the names,
// the Huffman code, and literals that become one string. Both packages decode to
// the same Field within the same Limits.

// KnownNames is above every number that FindName returns.
const KnownNames = len(nameTable{}.all)

// FindName returns the number of a name that is common, which may be in any
// letter case; 0: it is not. sensitive: its values are never indexed (RFC 7541
// §7.1.3, RFC 9204 §7.1.3).
func FindName(name string) (number uint8, sensitive bool) {
	number = names.find(name, hashName(name))
	return number, names.all[number].policy == secret
}

// KnownName returns the name with a number of FindName, in lower case; for other
// numbers below KnownNames it is empty.
func KnownName(number uint8) string { return names.all[number].lower }

// AppendLower appends name with its letters in lower case.
func AppendLower(dst []byte, name string) []byte { return appendLower(dst, name) }

// HuffmanLen is how many octets AppendHuffman appends for s.
func HuffmanLen(s string) int { return huffmanLen(s) }

// FieldSize is what a field counts towards Limits.Bytes (RFC 7541 §4.1, RFC 9204
// §3.2.1, RFC 9114 §4.2.2).
func FieldSize(name, value string) int { return len(name) + len(value) + entryOverhead }

// Literals holds the strings of a block that is being decoded, so that they
// become one allocation. The zero value is ready, and costs nothing until a
// string comes; Release has to follow. It belongs to one Decode.
type Literals struct{ s *scratch }

// Len is how many octets are held.
func (l *Literals) Len() int {
	if l.s == nil {
		return 0
	}
	return len(l.s.text)
}

// Append takes a string literal, which may be in Huffman code (RFC 7541 §5.2).
func (l *Literals) Append(src []byte, coded bool) error {
	if l.s == nil {
		l.s = scratches.Get().(*scratch)
	}
	if !coded {
		l.s.text = append(l.s.text, src...)
		return nil
	}
	text, err := huffman.decode(l.s.text, src)
	l.s.text = text
	if err != nil {
		return err // not below: a nil *Error is no nil error
	}
	return nil
}

// Intern replaces the octets from the given one on by the constant that they
// spell. ok false: they spell none, and stay.
func (l *Literals) Intern(from int) (name string, ok bool) {
	if name, ok = names.intern(l.s.text[from:]); ok {
		l.s.text = l.s.text[:from]
	}
	return name, ok
}

// Drop forgets the octets from the given one on.
func (l *Literals) Drop(from int) { l.s.text = l.s.text[:from] }

// Keep tells that the octets from the given one on are of the field with the
// given index: of its name, if any, up to mid, then of its value.
func (l *Literals) Keep(field, from, mid int) {
	if to := len(l.s.text); from < to {
		l.s.pending = append(l.s.pending, pending{field, from, mid, to})
	}
}

// Cut makes one string of all that is held, and sets the fields to their parts.
func (l *Literals) Cut(fields []Field) {
	if l.s != nil {
		l.s.cut(fields)
	}
}

// Release gives the memory back. The fields keep their strings.
func (l *Literals) Release() {
	if l.s != nil {
		l.s.release()
		l.s = nil
	}
}
