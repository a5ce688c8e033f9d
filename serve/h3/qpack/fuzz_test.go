package qpack

import (
	"bytes"
	"encoding/hex"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/h2/hpack"
)

// unlimited is what quic-go is compared with: it has no limits of this kind.
var unlimited = hpack.Limits{Fields: 1 << 20, Bytes: 1 << 30, HardFields: 1 << 20}

// FuzzDecode: the same verdict as quic-go and the same fields, save where we are
// stricter, or it is, on purpose; and limits change nothing but which are kept.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		"", "0000", "0080", "0010d1", "0000ff23", "0000ff24", "0000d175016121610162", "0381 10 11", "00002161 82ffff",
		"0000ff80808080808080808000", "00002f0125a849e95ba97d7f8925a849e95bb8e8b4bf", "00003f07aec3f9f4b0ed4ce7b0dec6931eaf0161",
	} {
		f.Add(unhex(f, s))
	}
	for _, c := range benchBlocks() {
		f.Add(c.block)
	}
	f.Fuzz(func(t *testing.T, block []byte) {
		before := slices.Clone(block)
		got, over, err := Decode(nil, block, unlimited)
		theirs, qerr := decodeQUIC(block)
		switch {
		case over || !bytes.Equal(block, before):
			t.Fatal("over without limits, or the block is changed")
		case err != nil && qerr == nil:
			if err != errInteger && err != errBase { // quic-go does not look at the sign
				t.Fatalf("%x: we refuse: %v", block, err)
			}
			return
		case err == nil && qerr != nil:
			if block[1]&0x7f == 0 { // quic-go takes no Base but 0
				t.Fatalf("%x: quic-go refuses: %v", block, qerr)
			}
			return
		case err != nil:
			return
		}
		for i := range got {
			if i < len(theirs) && (got[i].Name != theirs[i].Name || got[i].Value != theirs[i].Value) || len(got) != len(theirs) {
				t.Fatalf("%x: got %v, want %v", block, got, theirs)
			}
		}
		checkLimited(t, block, got)
	})
}

func checkLimited(t *testing.T, block []byte, want []hpack.Field) {
	t.Helper()
	lim := hpack.Limits{Fields: 1 + len(want)/2, Bytes: 64 + 16*len(want), HardFields: 1 << 20}
	got, over, err := Decode(nil, block, lim)
	if err != nil || len(got) > len(want) || !slices.Equal(got, want[:len(got)]) || over != (len(got) < len(want)) {
		t.Fatalf("%x, limited: got %v, %v, %v, want the first of %v", block, got, over, err, want)
	}
	size := 0
	for _, f := range got {
		size += hpack.FieldSize(f.Name, f.Value)
	}
	if len(got) > lim.Fields || size > lim.Bytes {
		t.Fatalf("%x: %d fields of %d octets", block, len(got), size)
	}
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
func (s *script) field() hpack.Field {
	c := s.next()
	if c < 0xc0 {
		e := staticTable[c%len(staticTable)]
		if c&1 == 0 {
			e.name = textproto.CanonicalMIMEHeaderKey(e.name)
		}
		if n := s.next() & 7; n < 6 {
			e.value = strings.Repeat("value ", n)
		}
		return hpack.Field{Name: e.name, Value: e.value}
	}
	return hpack.Field{Name: s.text(c & 0x3f), Value: s.text(s.next())}
}

// FuzzEncode: what we encode, with a cache or without, quic-go and we decode alike.
func FuzzEncode(f *testing.F) {
	f.Add([]byte("\x1f\x02\x1f\x02\x20\x03\x1f\x02\x1f\x02\x20\x03\x1f\x02\x1f\x02\x20\x03"))
	f.Add([]byte("\xc4Name\x05value\xc4Name\x05value\xc4name\x05value\xc4nAme\x05value\x05\x02\x05\x06"))
	f.Add([]byte("\xff" + strings.Repeat("X-Name", 11)))
	f.Fuzz(func(t *testing.T, in []byte) {
		var c Cache
		plain, cached := AppendPrefix(nil), AppendPrefix(nil)
		var want []hpack.Field
		for s := (script{in}); len(s.in) > 0; {
			field := s.field()
			lower := string(hpack.AppendLower(nil, field.Name))
			want = append(want, hpack.Field{Name: lower, Value: field.Value})
			plain = AppendField(plain, field.Name, field.Value)
			cached = c.appendField(cached, field.Name, field.Value)
		}
		check(t, plain, want)
		if !bytes.Equal(plain, cached) {
			t.Fatalf("cached: got %x, want %x", cached, plain)
		}
	})
}

// FuzzStreams: however the octets come, the verdict is that on the whole.
func FuzzStreams(f *testing.F) {
	for _, s := range []string{"", "2020", "2021", "3fbd01", "c00f77", "02", "40447f8001", "7fc0ffffffffffffff3f", "7fc1ffffffffffffff3f", "84", "01", "7f8000ff"} {
		b, err := hex.DecodeString(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		testStream(t, func() writer { return new(EncoderStream) }, in, encoderVerdict(in))
		testStream(t, func() writer { return new(DecoderStream) }, in, decoderVerdict(in))
	})
}

// encoderVerdict reads instruction by instruction, as one that has all of them.
func encoderVerdict(in []byte) *Error {
	for n, c := range in {
		switch {
		case c>>6 != 0:
			return errInsertion
		case c>>5 == 0:
			return errDuplicate
		case c&0x1f != 0:
			return errCapacity
		case n == maxCapacityUpdates:
			return errCapacityMany
		}
	}
	return nil
}

func decoderVerdict(in []byte) *Error {
	for pos := 0; pos < len(in); {
		if in[pos]>>7 != 0 {
			return errAcknowledgment
		}
		if in[pos]>>6 == 0 {
			return errIncrement
		}
		_, next, err := readInteger(in, pos, 6)
		if err == errTruncated {
			return nil // the rest is to come
		}
		if err != nil {
			return err
		}
		pos = next
	}
	return nil
}
