package hpack

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	xhpack "golang.org/x/net/http2/hpack"
)

// unlimited is what x/net is compared with: it has no limits of this kind.
var unlimited = Limits{Fields: 1 << 20, Bytes: 1 << 30, HardFields: 1 << 20}

func addBlocks(f *testing.F) {
	for _, c := range appendixC {
		var all []byte
		for _, s := range c.steps {
			b, err := hex.DecodeString(strings.Join(strings.Fields(s.block), ""))
			if err != nil {
				f.Fatal(err)
			}
			all = append(append(all, byte(len(b))), b...)
		}
		f.Add(all)
	}
	for _, s := range []string{"", "80", "ff80808080808000", "3fe11f82", "202082", "20202082", "82203fe11f", "4001610162be7e0163", "40016182ffff", "1001610162"} {
		b, err := hex.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append([]byte{byte(len(b))}, b...))
	}
	for _, c := range benchBlocks() {
		f.Add(slices.Concat([]byte{byte(len(c.first))}, c.first, []byte{byte(len(c.block))}, c.block))
	}
}

// cutBlocks reads blocks, each behind an octet with its length.
func cutBlocks(in []byte) (blocks [][]byte) {
	for len(in) > 0 {
		n := min(int(in[0]), len(in)-1)
		blocks, in = append(blocks, in[1:1+n]), in[1+n:]
	}
	return blocks
}

// FuzzDecode: the same verdict as x/net and the same fields, save where we are
// stricter, or x/net is, on purpose or by mistake.
func FuzzDecode(f *testing.F) {
	addBlocks(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		var ours Decoder
		var theirs []Field
		x := xhpack.NewDecoder(DefaultTableSize, func(f xhpack.HeaderField) {
			theirs = append(theirs, Field{f.Name, f.Value, f.Sensitive})
		})
		for _, block := range cutBlocks(in) {
			theirs = nil
			generation := ours.Generation()
			got, over, err := ours.Decode(nil, block, unlimited)
			_, xerr := x.Write(block)
			if xerr == nil {
				xerr = x.Close()
			}
			switch {
			case over:
				t.Fatal("over without limits")
			case err != nil && xerr == nil:
				// What x/net takes and we do not.
				if err != errInteger && err != errSizeUpdateLate && err != errSizeUpdateMany {
					t.Fatalf("%x: we refuse: %v", block, err)
				}
				return
			case err == nil && xerr != nil:
				// x/net refuses a second size update if the first leaves entries.
				if len(block) == 0 || block[0]>>5 != 1 || !strings.Contains(xerr.Error(), "table size update MUST") {
					t.Fatalf("%x: x/net refuses: %v", block, xerr)
				}
				return
			case err != nil:
				return
			}
			if !slices.Equal(got, theirs) {
				t.Fatalf("%x: got %v, want %v", block, got, theirs)
			}
			checkAgain(t, &ours, block, got, generation)
		}
	})
}

// checkAgain: if the generation says so, the block decodes to the same fields;
// and limits change nothing but which of them are kept.
func checkAgain(t *testing.T, d *Decoder, block []byte, want []Field, generation uint32) {
	t.Helper()
	if d.table.size > DefaultTableSize || len(d.table.entries) > maxEntries {
		t.Fatalf("%d octets in a ring of %d", d.table.size, len(d.table.entries))
	}
	if d.Generation() != generation {
		return
	}
	got, _, err := d.Decode(nil, block, unlimited)
	if err != nil || !slices.Equal(got, want) || d.Generation() != generation {
		t.Fatalf("%x, again: got %v, %v, want %v", block, got, err, want)
	}
	lim := Limits{Fields: 1 + len(want)/2, Bytes: 64 + 16*len(want), HardFields: 1 << 20}
	got, over, err := d.Decode(nil, block, lim)
	if err != nil || len(got) > len(want) || !slices.Equal(got, want[:len(got)]) || over != (len(got) < len(want)) {
		t.Fatalf("%x, limited: got %v, %v, %v, want the first of %v", block, got, over, err, want)
	}
	if d.Generation() != generation {
		t.Fatalf("%x: limits change the table", block)
	}
}

// FuzzDecodeAnything: no panic and no more than the limits, whatever comes.
func FuzzDecodeAnything(f *testing.F) {
	addBlocks(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		var d Decoder
		lim := Limits{Fields: 10, Bytes: 1000, HardFields: 20}
		for _, block := range cutBlocks(in) {
			before := slices.Clone(block)
			got, _, err := d.Decode(nil, block, lim)
			size := 0
			for _, f := range got {
				size += len(f.Name) + len(f.Value) + entryOverhead
			}
			if len(got) > lim.Fields || size > lim.Bytes || !bytes.Equal(block, before) {
				t.Fatalf("%x: %d fields of %d octets", before, len(got), size)
			}
			if err != nil {
				return
			}
		}
	})
}

// script reads what an encoder is to do from fuzz input.
type script struct{ in []byte }

func (s *script) next() int {
	if len(s.in) == 0 {
		return 0
	}
	c := s.in[0]
	s.in = s.in[1:]
	return int(c)
}

func (s *script) text(n int) string {
	n = min(n, len(s.in))
	t := string(s.in[:n])
	s.in = s.in[n:]
	return t
}

// field is one of a few that repeat, or any.
func (s *script) field() Field {
	c := s.next()
	if c < 0xc0 {
		name := names.all[1+c%(names.n-1)]
		n := name.canonical
		if c&1 == 0 {
			n = name.lower
		}
		return Field{Name: n, Value: strings.Repeat("value ", s.next()&7)}
	}
	return Field{Name: s.text(c & 0xf), Value: s.text(s.next())}
}

func addScripts(f *testing.F) {
	f.Add([]byte("\x03\x1f\x02\x1f\x02\x20\x03\x03\x1f\x02\x1f\x02\x20\x03"))
	f.Add([]byte("\x83\x00\x1f\x02\x1f\x02\x20\x03\x83\xff\xff\x1f\x02\x1f\x02\x20\x03\x03\x1f\x02\x1f\x02\x20\x03"))
	f.Add([]byte("\x02\xc4Name\x05value\xc4Name\x05value\x02\xc4name\x05value\xc4nAme\x05value"))
}

// FuzzEncode: what we encode, over several blocks with changes of the size, x/net
// and we decode alike.
func FuzzEncode(f *testing.F) {
	addScripts(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		l := newLink(t)
		for s := (script{in}); len(s.in) > 0; {
			c := s.next()
			for range c >> 6 {
				l.enc.SetPeerTableSize(uint32(s.next() * 20))
			}
			var fields []Field
			for range c & 0x3f {
				fields = append(fields, s.field())
			}
			for i := range fields { // strings.ToLower would mend what is not UTF-8
				if strings.ToValidUTF8(fields[i].Name, "") != fields[i].Name || strings.ToLower(fields[i].Name) != asciiLower(fields[i].Name) {
					fields[i].Name = "x"
				}
			}
			l.send(fields...)
			if table := l.enc.table; table != nil && (int(table.size) > l.enc.max() || table.live > maxEncoderEntries) {
				t.Fatalf("%d entries of %d octets", table.live, table.size)
			}
		}
	})
}

func asciiLower(s string) string { return string(appendLower(nil, s)) }

// FuzzDecodeEncoded: what x/net encodes, we decode.
func FuzzDecodeEncoded(f *testing.F) {
	addScripts(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		var buf bytes.Buffer
		var d Decoder
		x := xhpack.NewEncoder(&buf)
		for s := (script{in}); len(s.in) > 0; {
			c := s.next()
			for range c >> 6 {
				x.SetMaxDynamicTableSize(uint32(s.next() * 20))
			}
			buf.Reset()
			var want []Field
			for range c & 0x3f {
				f := s.field()
				f.Sensitive = len(f.Value)&3 == 3
				want = append(want, f)
				if err := x.WriteField(xhpack.HeaderField{Name: f.Name, Value: f.Value, Sensitive: f.Sensitive}); err != nil {
					t.Fatal(err)
				}
			}
			got, over, err := d.Decode(nil, buf.Bytes(), unlimited)
			for i := range want { // x/net sends an index if it finds one, sensitive or not
				want[i].Sensitive = i < len(got) && got[i].Sensitive
			}
			if err != nil || over || !slices.Equal(got, want) {
				t.Fatalf("%x: got %v, %v, %v, want %v", buf.Bytes(), got, over, err, want)
			}
		}
	})
}

// FuzzHuffman: any string there and back, and any code as x/net takes it.
func FuzzHuffman(f *testing.F) {
	for _, c := range huffmanTexts {
		f.Add([]byte(c.text))
		f.Add(AppendHuffman(nil, c.text))
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xfc})
	f.Fuzz(func(t *testing.T, in []byte) {
		code := AppendHuffman([]byte("x"), string(in))[1:]
		if want := xhpack.AppendHuffmanString(nil, string(in)); !bytes.Equal(code, want) || huffmanLen(string(in)) != len(want) {
			t.Fatalf("%q: got %x, want %x", in, code, want)
		}
		if got, err := AppendHuffmanDecoded([]byte("x"), code); string(got) != "x"+string(in) || err != nil {
			t.Fatalf("%x: got %q, %v, want %q", code, got, err, in)
		}
		got, err := AppendHuffmanDecoded(nil, in)
		want, xerr := xhpack.HuffmanDecodeToString(in)
		if (err == nil) != (xerr == nil) || err == nil && string(got) != want || len(got) > len(in)*8/5 {
			t.Fatalf("%x: got %q, %v, want %q, %v", in, got, err, want, xerr)
		}
	})
}
