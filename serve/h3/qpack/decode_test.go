package qpack

import (
	"bytes"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/penstock-edge/penstock/serve/h2/hpack"
)

// TestDecodeRefused: every error, by its clause.
func TestDecodeRefused(t *testing.T) {
	for _, tt := range []struct {
		name, block string
		want        *Error
	}{
		{"4.5.1 nothing", "", errTruncated},
		{"4.5.1 half a prefix", "00", errTruncated},
		{"4.5.1.1 count ends early", "ff", errTruncated},
		{"4.5.1.1 count of 1", "0200", errInsert},
		{"4.5.1.1 count of an octet and more", "ff0000", errInsert},
		{"4.5.1.1 count above 2^62", "ffffffffffffffffffff00", errInteger},
		{"4.5.1.2 negative Base", "0080", errBase},
		{"4.5.1.2 more negative Base", "0081", errBase},
		{"4.5.1.2 Base ends early", "007f", errTruncated},
		{"4.5.2 dynamic", "0000 80", errDynamic},
		{"4.5.2 dynamic, of more octets", "0000 bf00", errDynamic},
		{"3.1 index behind the static table", "0000 ff24", errIndex},
		{"3.1 the largest index", "0000 ff c0ffffffffffffff3f", errIndex},
		{"4.5.2 index ends early", "0000 ff", errTruncated},
		{"4.5.2 index ends in its continuation", "0000 ff80", errTruncated},
		{"4.5.3 post-Base", "0000 10", errDynamic},
		{"4.5.4 dynamic name", "0000 4000", errDynamic},
		{"4.5.4 dynamic name, never indexed", "0000 6000", errDynamic},
		{"3.1 name index behind the static table", "0000 5f54 00", errIndex},
		{"4.5.4 name index ends early", "0000 5f", errTruncated},
		{"4.5.4 no value", "0000 51", errTruncated},
		{"4.5.5 post-Base name", "0000 0000", errDynamic},
		{"4.5.6 name ends early", "0000 2261", errTruncated},
		{"4.5.6 name length ends early", "0000 27", errTruncated},
		{"4.5.6 no value", "0000 2161", errTruncated},
		{"4.5.6 value ends early", "0000 2161 0262", errTruncated},
		{"4.5.6 value of 2^62-1 octets", "0000 2161 7f 80ffffffffffffff3f 62", errTruncated},
		{"4.1.1 above 2^62", "0000 ff ffffffffffffffff7f", errInteger},
		{"4.1.1 a little above 2^62", "0000 ff c1ffffffffffffff3f", errInteger},
		{"4.1.1 ten continuation octets", "0000 ff 80808080808080808000", errInteger},
		{"4.1.2 name with EOS", "0000 2cffffffff 00", errHuffman},
		{"4.1.2 value with bad padding", "0000 2161 8100", errHuffman},
		{"4.1.2 value with 8 bits of padding", "0000 2161 82ffff", errHuffman},
		{"4.1.2 value with EOS behind another literal", "0000 21610162 216184ffffffff", errHuffman},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := fieldsOf("be: fore")
			got, _, err := Decode(before, unhex(t, tt.block), hpack.Limits{})
			if err != tt.want || !slices.Equal(got, before) {
				t.Errorf("got %v, %v, want %v", got, err, tt.want)
			}
			if tt.want.Error() != "qpack: "+tt.want.Reason {
				t.Error(tt.want.Error())
			}
		})
	}
}

// TestDecodeAccepted: what is odd but right.
func TestDecodeAccepted(t *testing.T) {
	for _, tt := range []struct {
		name, block string
		want        []hpack.Field
	}{
		{"4.5.1 no fields", "0000", nil},
		{"4.5.1.2 any Base", "0010 d1", fieldsOf(":method: GET")},
		{"4.5.1.2 the largest Base", "007f 80ffffffffffffff3f d1", fieldsOf(":method: GET")},
		{"4.5.2 the last index of one octet", "0000 fe", fieldsOf("x-xss-protection: 1; mode=block")},
		{"4.5.2 the first of two", "0000 ff00", fieldsOf(":status: 100")},
		{"4.5.2 the last index", "0000 ff23", fieldsOf("x-frame-options: sameorigin")},
		{"4.5.4 the last index", "0000 5f530161", fieldsOf("x-frame-options: a")},
		{"4.5.4 never indexed", "0000 75 0161", []hpack.Field{{Name: "cookie", Value: "a", Sensitive: true}}},
		{"4.5.6 never indexed", "0000 3161 0162", []hpack.Field{{Name: "a", Value: "b", Sensitive: true}}},
		{"4.5.6 empty name and value", "0000 2000", []hpack.Field{{}}},
		{"4.5.6 name only", "0000 216100 200161", []hpack.Field{{Name: "a"}, {Value: "a"}}},
		{"4.5.6 known name", "0000 2463 6f6f6b 0161", fieldsOf("cook: a")},
		{"4.1.1 leading zeros", "0000 ff 808080808080808000", fieldsOf(":status: 100")},
		{"4.1.2 Huffman code of nothing", "0000 2880", []hpack.Field{{}}},
		{"4.1.2 Huffman code", "0000 2f01 25a849e95ba97d7f 8925a849e95bb8e8b4bf", fieldsOf("custom-key: custom-value")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, over, err := Decode(nil, unhex(t, tt.block), hpack.Limits{})
			if err != nil || over || !slices.Equal(got, tt.want) {
				t.Errorf("got %v, %v, %v, want %v", got, over, err, tt.want)
			}
		})
	}
}

// TestDecodePrefixes: a section that ends early is refused, or ends behind a field.
func TestDecodePrefixes(t *testing.T) {
	for _, c := range benchBlocks() {
		whole, _, err := Decode(nil, c.block, hpack.Limits{})
		if err != nil || len(whole) != c.want {
			t.Fatal(len(whole), err)
		}
		last := 0
		for n := range len(c.block) {
			got, over, err := Decode(nil, c.block[:n:n], hpack.Limits{})
			switch {
			case over:
				t.Fatalf("%s: over after %d octets", c.name, n)
			case err != nil && (err != errTruncated || len(got) != 0):
				t.Fatalf("%s: after %d octets: %d fields, %v", c.name, n, len(got), err)
			case err == nil && (!slices.Equal(got, whole[:len(got)]) || len(got) < last):
				t.Fatalf("%s: after %d octets: %v", c.name, n, got)
			}
			if err == nil {
				last = len(got)
			}
		}
		if last != len(whole)-1 {
			t.Errorf("%s: %d fields before the last octet, want %d", c.name, last, len(whole)-1)
		}
	}
}

// TestLimits: as in serve/h2/hpack.
func TestLimits(t *testing.T) {
	const get, literal, reference = "d1", "21610162", "510162" // 42, 34 and 38 octets
	for _, tt := range []struct {
		name  string
		block string
		lim   hpack.Limits
		want  int
		over  bool
		err   *Error
	}{
		{"fields/just", strings.Repeat(literal, 100), hpack.Limits{}, 100, false, nil},
		{"fields/one more", strings.Repeat(literal, 101), hpack.Limits{}, 100, true, nil},
		{"fields/indexed is dropped", literal + get, hpack.Limits{Fields: 1}, 1, true, nil},
		{"fields/reference is dropped", get + reference, hpack.Limits{Fields: 1}, 1, true, nil},
		{"fields/literal is dropped", get + literal, hpack.Limits{Fields: 1}, 1, true, nil},
		{"bytes/just", get + literal + reference, hpack.Limits{Bytes: 114}, 3, false, nil},
		{"bytes/one less", get + literal + reference, hpack.Limits{Bytes: 113}, 2, true, nil},
		{"bytes/indexed", literal + reference + get, hpack.Limits{Bytes: 113}, 2, true, nil},
		{"bytes/literal", get + reference + literal, hpack.Limits{Bytes: 113}, 2, true, nil},
		{"bytes/nothing behind the first that is dropped", literal + "21610c" + strings.Repeat("62", 12) + get, hpack.Limits{Bytes: 34 + 44}, 1, true, nil},
		{"bytes/what is dropped is checked", literal + "2161 8100", hpack.Limits{Bytes: 34}, 0, false, errHuffman},
		{"hard/just", strings.Repeat(get, 1000), hpack.Limits{}, 100, true, nil},
		{"hard/one more", strings.Repeat(get, 1001), hpack.Limits{}, 0, true, ErrTooManyFields},
		{"hard/literals", strings.Repeat(literal, 11), hpack.Limits{HardFields: 10}, 0, false, ErrTooManyFields},
		{"hard/below fields", strings.Repeat(get, 11), hpack.Limits{HardFields: 10}, 0, false, ErrTooManyFields},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := hpack.Field{Name: "before"} // what is there already does not count
			got, over, err := Decode([]hpack.Field{before}, unhex(t, "0000"+tt.block), tt.lim)
			if len(got) != tt.want+1 || over != tt.over || (err == nil) != (tt.err == nil) || err != nil && err != tt.err {
				t.Errorf("got %d fields, %v, %v, want %d, %v, %v", len(got)-1, over, err, tt.want, tt.over, tt.err)
			}
			if got[0] != before {
				t.Error("the caller's fields are gone")
			}
		})
	}
}

// TestDecodeStrings: what is returned depends neither on the block nor on later
// ones, and known names are constants.
func TestDecodeStrings(t *testing.T) {
	block := unhex(t, "0000 21610162 2f0125a849e95ba97d7f0165 3166 0167 510168 2707") // ends with a name of 14 octets
	block = append(append(block, "sec-fetch-dest"...), 1, 'i')
	want, _, err := Decode(nil, block, hpack.Limits{})
	if err != nil || !slices.Equal(want, []hpack.Field{
		{Name: "a", Value: "b"},
		{Name: "custom-key", Value: "e"},
		{Name: "f", Value: "g", Sensitive: true},
		{Name: ":path", Value: "h"},
		{Name: "sec-fetch-dest", Value: "i"},
	}) {
		t.Fatal(want, err)
	}
	number, _ := hpack.FindName("sec-fetch-dest")
	if unsafe.StringData(want[4].Name) != unsafe.StringData(hpack.KnownName(number)) {
		t.Error("a known name is no constant")
	}
	kept := make([]hpack.Field, len(want))
	for i, f := range want {
		kept[i] = hpack.Field{Name: strings.Clone(f.Name), Value: strings.Clone(f.Value), Sensitive: f.Sensitive}
	}
	for i := range block {
		block[i] = 0xaa
	}
	for range 100 {
		if _, _, err := Decode(nil, unhex(t, "0000 217801792178017921780179"), hpack.Limits{}); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(want, kept) {
		t.Errorf("got %v, want %v", want, kept)
	}
}

// TestDecodeBomb: what a section decodes to is bounded by the limits, and by its
// own octets.
func TestDecodeBomb(t *testing.T) {
	block := AppendPrefix(nil)
	block = append(block, bytes.Repeat([]byte{0xff, 85 - 63}, 999)...) // the longest pair of the table
	fields := make([]hpack.Field, 0, 128)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	fields, over, err := Decode(fields, block, hpack.Limits{})
	runtime.ReadMemStats(&after)
	if err != nil || !over || len(fields) != 100 {
		t.Errorf("got %d fields, %v, %v, want 100", len(fields), over, err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 64<<10 {
		t.Errorf("fields of constants took %d octets", got)
	}
}

// TestDecodeAllocs: one string for all literals.
func TestDecodeAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("sync.Pool drops at random under the race detector")
	}
	for _, c := range benchBlocks() {
		t.Run(c.name, func(t *testing.T) {
			fields := make([]hpack.Field, 0, 16)
			var err error
			got := testing.AllocsPerRun(100, func() {
				fields, _, err = Decode(fields[:0], c.block, hpack.Limits{})
			})
			if got != float64(c.allocs) || err != nil || len(fields) != c.want {
				t.Errorf("%v allocations, want %d; %d fields, %v", got, c.allocs, len(fields), err)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		block := unhex(t, "0000 21610162 80")
		got := testing.AllocsPerRun(100, func() {
			if _, _, err := Decode(nil, block, hpack.Limits{}); err != errDynamic {
				t.Error(err)
			}
		})
		if got > 1 { // the fields
			t.Errorf("%v allocations", got)
		}
	})
}
