package qpack

import "github.com/penstock-edge/penstock/serve/h2/hpack"

// names has, by the numbers of hpack.FindName, how a known name is sent. It is
// made once.
var names = newNames()

type nameTable struct {
	// begin are the octets of a literal field line before its value (RFC 9204
	// §4.5.4, §4.5.6).
	begin [hpack.KnownNames]string
	// first is one more than the first index of the name in the static table; 0:
	// it is not there.
	first [hpack.KnownNames]uint8
	// next is likewise the next index with the same name, which need not follow.
	next [len(staticTable)]uint8
}

func newNames() *nameTable {
	t := new(nameTable)
	for i := len(staticTable) - 1; i >= 0; i-- {
		number, _ := hpack.FindName(staticTable[i].name)
		if number == 0 {
			panic("BUG: qpack: a name of the static table is not known: " + staticTable[i].name)
		}
		t.next[i], t.first[number] = t.first[number], uint8(i)+1
	}
	for number := range hpack.KnownNames {
		if name := hpack.KnownName(uint8(number)); name != "" {
			t.begin[number] = t.newBegin(uint8(number), name)
		}
	}
	return t
}

func (t *nameTable) newBegin(number uint8, name string) string {
	never := byte(0)
	if _, secret := hpack.FindName(name); secret {
		never = 1
	}
	if first := t.first[number]; first != 0 {
		return string(appendInteger(nil, 0x50|never<<5, 4, int(first)-1))
	}
	return string(appendName(nil, 0x20|never<<4, name))
}

// static finds the pair in the static table.
func (t *nameTable) static(number uint8, value string) (index int, ok bool) {
	for i := t.first[number]; i != 0; i = t.next[i-1] {
		if staticTable[i-1].value == value {
			return int(i) - 1, true
		}
	}
	return 0, false
}
