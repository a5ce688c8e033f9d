package hpack

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// TestDecodeRefused: every error, by its clause. first fills the table.
func TestDecodeRefused(t *testing.T) {
	for _, tt := range []struct {
		name, first, block string
		want               *Error
	}{
		{"2.3.3 index 0", "", "80", errIndex},
		{"2.3.3 index behind the static table", "", "be", errIndex},
		{"2.3.3 index behind the dynamic table", "4001610162", "bf", errIndex},
		{"2.3.3 index of two octets behind the dynamic table", "", "ff00", errIndex},
		{"2.3.3 the largest index", "", "ff80ffffff0f", errIndex},
		{"2.3.3 index of an evicted entry", "4001610162", "20be", errIndex},
		{"4.2 size update behind a field", "", "8220", errSizeUpdateLate},
		{"4.2 size update behind a field, the table being empty", "", "823fe11f", errSizeUpdateLate},
		{"4.2 three size updates", "", "202020", errSizeUpdateMany},
		{"5.1 six continuation octets", "", "ff808080808000", errInteger},
		{"5.1 six continuation octets of a length", "", "0001617f808080808000", errInteger},
		{"5.1 above 2^32", "", "ff81ffffff0f", errInteger},
		{"5.1 far above 2^32", "", "ffffffffff7f", errInteger},
		{"5.1 index ends early", "", "ff", errTruncated},
		{"5.1 index ends in its continuation", "", "ff80", errTruncated},
		{"5.1 name index ends early", "", "0f", errTruncated},
		{"5.2 no name", "", "40", errTruncated},
		{"5.2 name ends early", "", "400561", errTruncated},
		{"5.2 no value", "", "400161", errTruncated},
		{"5.2 value ends early", "", "4001610262", errTruncated},
		{"5.2 value of 2^32-1 octets", "", "4001617f80ffffff0f62", errTruncated},
		{"5.2 length above 2^32", "", "4001617f81ffffff0f62", errInteger},
		{"5.2 name with EOS", "", "4084ffffffff00", errHuffman},
		{"5.2 value with bad padding", "", "4001618100", errHuffman},
		{"5.2 value with 8 bits of padding", "", "00016182ffff", errHuffman},
		{"5.2 value with EOS behind another literal", "", "0001610162 00016184ffffffff", errHuffman},
		{"6.2.1 name index behind the tables", "", "7e00", errIndex},
		{"6.2.2 name index behind the tables", "", "0f2f00", errIndex},
		{"6.2.3 name index behind the tables", "", "1f2f00", errIndex},
		{"6.2.1 no value", "", "41", errTruncated},
		{"6.2.2 no value", "", "04", errTruncated},
		{"6.2.3 no value", "", "14", errTruncated},
		{"6.3 above the limit", "", "3fe21f", errSizeUpdate},
		{"6.3 2^32-1", "", "3fe0ffffff0f", errSizeUpdate},
		{"6.3 ends early", "", "3f", errTruncated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var d Decoder
			if _, _, err := d.Decode(nil, unhex(t, tt.first), Limits{}); err != nil {
				t.Fatal(err)
			}
			got, _, err := d.Decode(nil, unhex(t, tt.block), Limits{})
			if err != tt.want {
				t.Errorf("got %v, %v, want %v", got, err, tt.want)
			}
			if tt.want.Error() != "hpack: "+tt.want.Reason {
				t.Error(tt.want.Error())
			}
		})
	}
}

// TestDecodeAccepted: what is odd but right.
func TestDecodeAccepted(t *testing.T) {
	for _, tt := range []struct {
		name, first, block string
		want               []Field
	}{
		{"2.3.2 duplicate entries", "4001610162", "4001610162bebf", fieldsOf("a: b", "a: b", "a: b")},
		{"4.1 empty name and value", "", "400000be", []Field{{}, {}}},
		{"4.2 no fields", "", "", nil},
		{"4.2 size updates only", "", "203fe11f", nil},
		{"4.2 two size updates", "", "203fe11f82", fieldsOf(":method: GET")},
		{"4.3 shrinking keeps what fits", "40016101624001630164", "3f03be", fieldsOf("c: d")}, // 34 octets: one entry
		{"4.4 name of an entry that is evicted for it", "3f034001610162", "7e0163be", fieldsOf("a: c", "a: c")},
		{"5.1 leading zeros", "", "0f8080808000" + "0161", fieldsOf("accept-charset: a")},
		{"5.2 Huffman code of nothing", "", "408080", []Field{{}}},
		{"6.2.1 name from the dynamic table", "4001610162", "7e0163be", fieldsOf("a: c", "a: c")},
		{"6.2.2 name from the dynamic table", "4001610162", "0f2f0163be", fieldsOf("a: c", "a: b")},
		{"6.2.3 never indexed", "4001610162", "1f2f0163be", []Field{{"a", "c", true}, {"a", "b", false}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var d Decoder
			if _, _, err := d.Decode(nil, unhex(t, tt.first), Limits{}); err != nil {
				t.Fatal(err)
			}
			got, over, err := d.Decode(nil, unhex(t, tt.block), Limits{})
			if err != nil || over || !slices.Equal(got, tt.want) {
				t.Errorf("got %v, %v, %v, want %v", got, over, err, tt.want)
			}
		})
	}
}

// TestDecodeIndexOfTwoOctets: entries 66 and older take two octets, and the
// octet that begins them is no index by itself.
func TestDecodeIndexOfTwoOctets(t *testing.T) {
	var d Decoder
	var block []byte
	for i := range 100 {
		block = appendInserted(block, &knownName{}, 0, fmt.Sprint("n", i), "")
	}
	if _, over, err := d.Decode(nil, block, Limits{}); err != nil || over {
		t.Fatal(over, err)
	}
	block = nil
	for i := range 100 {
		block = appendInteger(block, 0x80, 7, uint32(staticEntries+100-i))
	}
	got, _, err := d.Decode(nil, block, Limits{})
	if err != nil || len(got) != 100 {
		t.Fatal(len(got), err)
	}
	for i, f := range got {
		if want := fmt.Sprint("n", i); f.Name != want {
			t.Errorf("entry of age %d: got %q, want %q", 100-i, f.Name, want)
		}
	}
}

// TestDecodeLargeEntry: RFC 7541 §4.4: an entry above the maximum size empties
// the table; the field is there all the same.
func TestDecodeLargeEntry(t *testing.T) {
	var d Decoder
	decode(t, &d, "4001610162")
	value := strings.Repeat("v", DefaultTableSize-entryOverhead)
	for _, tt := range []struct {
		name  string
		field Field
		live  uint8
	}{
		{"as large as the table", Field{Name: "n", Value: value[1:]}, 1},
		{"one octet more", Field{Name: "n", Value: value}, 0},
		{"and another, the table being empty", Field{Name: "n", Value: value}, 0},
	} {
		block := appendRaw([]byte{0x40}, tt.field.Name)
		got, over, err := d.Decode(nil, appendRaw(block, tt.field.Value), Limits{})
		if err != nil || over || !slices.Equal(got, []Field{tt.field}) {
			t.Errorf("%s: got %d fields, %v, %v", tt.name, len(got), over, err)
		}
		if d.table.live != tt.live {
			t.Errorf("%s: %d entries, want %d", tt.name, d.table.live, tt.live)
		}
	}
}

// TestDecodeMany crosses every size of the ring, with evictions, and keeps the
// strings of all fields that came by.
func TestDecodeMany(t *testing.T) {
	var d Decoder
	var all []Field
	for i := range 1000 {
		f := Field{Name: fmt.Sprint("n", i), Value: strings.Repeat("v", i*7%90)}
		var err error
		if all, _, err = d.Decode(all, appendRaw(appendRaw([]byte{0x40}, f.Name), f.Value), Limits{}); err != nil {
			t.Fatal(err)
		}
		if last := all[len(all)-1]; last != f {
			t.Fatalf("got %v, want %v", last, f)
		}
		for age, e := range tableOf(&d) {
			if want := all[len(all)-1-age]; e != want {
				t.Fatalf("after %d fields, age %d: got %v, want %v", i, age+1, e, want)
			}
		}
	}
	if d.table.size > DefaultTableSize || len(d.table.entries) > maxEntries {
		t.Errorf("%d octets in a ring of %d", d.table.size, len(d.table.entries))
	}
}

func appendRaw(dst []byte, s string) []byte {
	return append(appendInteger(dst, 0, 7, uint32(len(s))), s...)
}

func decode(t *testing.T, d *Decoder, block string) []Field {
	t.Helper()
	got, over, err := d.Decode(nil, unhex(t, block), Limits{})
	if err != nil || over {
		t.Fatal(over, err)
	}
	return got
}

// TestLimits: rule H2-4. Whatever is dropped, the table is right afterwards.
func TestLimits(t *testing.T) {
	inserted := "4001610162" // a: b, 34 octets
	for _, tt := range []struct {
		name  string
		block string
		lim   Limits
		want  int
		over  bool
		err   *Error
	}{
		{"fields/just", inserted + strings.Repeat("be", 99), Limits{}, 100, false, nil},
		{"fields/one more", inserted + strings.Repeat("be", 100), Limits{}, 100, true, nil},
		{"fields/insertion is dropped", "82" + inserted, Limits{Fields: 1}, 1, true, nil},
		{"fields/literal is dropped", inserted + "0001610162", Limits{Fields: 1}, 1, true, nil},
		{"bytes/just", inserted + "bebe", Limits{Bytes: 102}, 3, false, nil},
		{"bytes/one less", inserted + "bebe", Limits{Bytes: 101}, 2, true, nil},
		{"bytes/literal", inserted + "00016101620001610162", Limits{Bytes: 101}, 2, true, nil},
		{"bytes/nothing behind the first that is dropped", inserted + "0001610c" + strings.Repeat("62", 12) + "82", Limits{Bytes: 34 + 44}, 1, true, nil},
		{"hard/just", inserted + strings.Repeat("be", 999), Limits{}, 100, true, nil},
		{"hard/one more", inserted + strings.Repeat("be", 1000), Limits{}, 0, true, ErrTooManyFields},
		{"hard/literals", inserted + strings.Repeat("0001610162", 10), Limits{HardFields: 10}, 0, false, ErrTooManyFields},
		{"hard/below fields", inserted + strings.Repeat("be", 10), Limits{HardFields: 10}, 0, false, ErrTooManyFields},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var d Decoder
			before := Field{Name: "before"} // what is there already does not count
			got, over, err := d.Decode([]Field{before}, unhex(t, tt.block), tt.lim)
			if len(got) != tt.want+1 || over != tt.over || (err == nil) != (tt.err == nil) || err != nil && err != tt.err {
				t.Errorf("got %d fields, %v, %v, want %d, %v, %v", len(got)-1, over, err, tt.want, tt.over, tt.err)
			}
			if got[0] != before {
				t.Error("the caller's fields are gone")
			}
			if got := tableOf(&d); !slices.Equal(got, fieldsOf("a: b")) {
				t.Errorf("table: %v", got)
			}
		})
	}
}

// TestGeneration: equal generations mean that a block decodes to the same.
func TestGeneration(t *testing.T) {
	var d Decoder
	for _, step := range []struct {
		name, block string
		changes     bool
	}{
		{"static", "828684", false},
		{"literal", "0001610162", false},
		{"never indexed", "1001610162", false},
		{"insertion", "4001610162", true},
		{"indexed", "be", false},
		{"size update to the present size", "3fe11fbe", false},
		{"smaller size", "3fe01f", true},
		{"smaller size again", "3fe01fbe", false},
		{"size back", "3fe11f", true},
		{"eviction and size back", "203fe11f", true},
		{"nothing to evict", "82", false},
	} {
		before := d.Generation()
		first := decode(t, &d, step.block)
		if got := d.Generation() != before; got != step.changes {
			t.Errorf("%s: generation changes: got %v, want %v", step.name, got, step.changes)
		}
		if !step.changes && !slices.Equal(first, decode(t, &d, step.block)) {
			t.Errorf("%s: the same block decodes to something else", step.name)
		}
	}
}

// TestDecodeStrings: what is returned depends neither on the block nor on later ones.
func TestDecodeStrings(t *testing.T) {
	var d Decoder
	block := unhex(t, "0001610162 4001630164 008825a849e95ba97d7f0165 1001660167 0f2f0168")
	want, _, err := d.Decode(nil, block, Limits{})
	if err != nil || !slices.Equal(want, []Field{
		{"a", "b", false}, {"c", "d", false}, {"custom-key", "e", false}, {"f", "g", true}, {"c", "h", false},
	}) {
		t.Fatal(want, err)
	}
	kept := make([]Field, len(want))
	for i, f := range want {
		kept[i] = Field{strings.Clone(f.Name), strings.Clone(f.Value), f.Sensitive}
	}
	for i := range block {
		block[i] = 0xaa
	}
	for range 100 {
		decode(t, &d, "00017801794001780179")
	}
	if !slices.Equal(want, kept) {
		t.Errorf("got %v, want %v", want, kept)
	}
}

// TestNameReferenceMemory: an entry that takes its name from an older one does
// not keep the string of that one.
func TestNameReferenceMemory(t *testing.T) {
	var d Decoder
	block := appendRaw([]byte{0x40}, "some-name")
	block = appendRaw(block, strings.Repeat("v", 3000))
	block = appendRaw(append(block, 0x7e), "short")
	got, _, err := d.Decode(nil, block, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	name, value := got[1].Name, got[1].Value
	if unsafe.Add(unsafe.Pointer(unsafe.StringData(name)), len(name)) != unsafe.Pointer(unsafe.StringData(value)) {
		t.Error("name and value are not one string")
	}
}

// TestLazyTables: connections that insert nothing hold nothing.
func TestLazyTables(t *testing.T) {
	var d Decoder
	decode(t, &d, "828684"+"0001610162"+"1001610162")
	if d.table.entries != nil {
		t.Error("the decoder has a table without an insertion")
	}
	decode(t, &d, "4001610162")
	if got := len(d.table.entries); got != minRing {
		t.Errorf("a ring of %d after one insertion, want %d", got, minRing)
	}
	decode(t, &d, "20")
	if d.table.entries != nil {
		t.Error("the decoder has a table of size 0")
	}
	var e Encoder
	block := e.BeginBlock(nil)
	block = e.AppendStatus(block, 200)
	block = e.AppendField(block, "Content-Length", "5")
	block = e.AppendField(block, "Set-Cookie", "a=b")
	if e.table != nil || len(block) == 0 {
		t.Error("the encoder has a table without an insertion")
	}
}

// TestDecodeBomb: what a block decodes to is bounded by the limits, not by what
// its octets stand for (rule H2-4, CVE-2016-6581).
func TestDecodeBomb(t *testing.T) {
	var d Decoder
	block := appendRaw(appendRaw([]byte{0x40}, "n"), strings.Repeat("v", 4000))
	block = append(block, bytes.Repeat([]byte{0xbe}, 999)...)
	fields := make([]Field, 0, 128)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fields, over, err := d.Decode(fields, block, Limits{})
	runtime.ReadMemStats(&after)
	if err != nil || !over || len(fields) != 16 {
		t.Errorf("got %d fields, %v, %v, want 16", len(fields), over, err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 64<<10 {
		t.Errorf("4 MiB of fields took %d octets", got)
	}
}

// TestDecodeAllocs: promises of doc.go and of Decode.
func TestDecodeAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool drops at random under the race detector")
	}
	for _, c := range benchBlocks() {
		want := map[string]float64{
			"indexed=12,path,cookie": 1, // one string for all literals
			"indexed=12,path raw":    1,
			"literals=12":            1,
			"inserted=12":            10, // one per entry; two fields are in the static table
		}[c.name]
		t.Run(c.name, func(t *testing.T) {
			var d Decoder
			_, _, err := d.Decode(nil, c.first, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			fields := make([]Field, 0, 16)
			got := testing.AllocsPerRun(100, func() {
				fields, _, err = d.Decode(fields[:0], c.block, Limits{})
			})
			if got > want || err != nil || len(fields) != c.want {
				t.Errorf("%v allocations, want %v; %d fields, %v", got, want, len(fields), err)
			}
		})
	}
}

// TestScratch: a peer cannot make the pool hold large buffers.
func TestScratch(t *testing.T) {
	s := &scratch{text: make([]byte, maxScratch+1), pending: make([]pending, maxPending+1)}
	s.release()
	if s.text != nil || s.pending != nil {
		t.Errorf("kept %d octets and %d literals", cap(s.text), cap(s.pending))
	}
	s = &scratch{text: make([]byte, maxScratch), pending: make([]pending, maxPending)}
	s.release()
	if cap(s.text) != maxScratch || len(s.text)+len(s.pending) != 0 {
		t.Errorf("kept %d octets, %d in use", cap(s.text), len(s.text))
	}
}
