package qpack

import (
	"testing"
	"unsafe"

	quic "github.com/quic-go/qpack"

	"github.com/penstock-edge/penstock/serve/h2/hpack"
)

// TestStaticTable: Appendix A, as quic-go has it.
func TestStaticTable(t *testing.T) {
	if len(staticTable) != 99 {
		t.Fatalf("%d entries, want 99", len(staticTable))
	}
	for i, e := range staticTable {
		block := appendInteger(AppendPrefix(nil), 0xc0, 6, i)
		want, err := quic.NewDecoder().Decode(block)()
		if err != nil || e.name != want.Name || e.value != want.Value {
			t.Errorf("%d: got %v, want %v, %v", i, e, want, err)
		}
	}
}

// TestNames: every pair and every name of the table is found, by its first index.
func TestNames(t *testing.T) {
	firsts := map[string]int{}
	for i, e := range staticTable {
		number, _ := hpack.FindName(e.name)
		if got, ok := names.static(number, e.value); !ok || got != i {
			t.Errorf("%v: got %d, %v, want %d", e, got, ok, i)
		}
		if _, ok := names.static(number, "no such value"); ok {
			t.Errorf("%s: a value that is not there is found", e.name)
		}
		if first, ok := firsts[e.name]; !ok {
			firsts[e.name] = i
		} else if i < first {
			t.Errorf("%s: %d before %d", e.name, i, first)
		}
	}
	for number := range hpack.KnownNames {
		name := hpack.KnownName(uint8(number))
		first, ok := firsts[name]
		if got := int(names.first[number]); ok && got != first+1 || !ok && got != 0 {
			t.Errorf("%q: first index is %d-1, want %d", name, got, first)
		}
		if (names.begin[number] == "") != (name == "") {
			t.Errorf("%q begins with %x", name, names.begin[number])
		}
	}
	if _, ok := names.static(0, ""); ok {
		t.Error("the unknown name is in the table")
	}
}

// TestSizes: a connection has one of each stream.
func TestSizes(t *testing.T) {
	if got := unsafe.Sizeof(EncoderStream{}) + unsafe.Sizeof(DecoderStream{}); got > 32 {
		t.Errorf("the streams of a connection have %d octets, want 32 at most", got)
	}
	t.Logf("Cache %d, and its pairs %d octets", unsafe.Sizeof(Cache{}), unsafe.Sizeof(*Cache{}.sets))
}
