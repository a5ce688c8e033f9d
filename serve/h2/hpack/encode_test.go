package hpack

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	xhpack "golang.org/x/net/http2/hpack"
)

// link is an encoder with two decoders at its other end: x/net's and ours.
type link struct {
	t    *testing.T
	enc  Encoder
	x    *xhpack.Decoder
	ours Decoder
	got  []Field // by x/net
}

func newLink(t *testing.T) *link {
	l := &link{t: t}
	l.x = xhpack.NewDecoder(DefaultTableSize, func(f xhpack.HeaderField) {
		l.got = append(l.got, Field{f.Name, f.Value, f.Sensitive})
	})
	return l
}

// send encodes a block; both decoders have to make the same fields of it.
func (l *link) send(fields ...Field) []byte {
	l.t.Helper()
	block := l.enc.BeginBlock(nil)
	var want []Field
	for _, f := range fields {
		block = l.enc.AppendField(block, f.Name, f.Value)
		want = append(want, Field{Name: strings.ToLower(f.Name), Value: f.Value})
	}
	l.check(block, want)
	return block
}

func (l *link) check(block []byte, want []Field) {
	l.t.Helper()
	l.got = nil
	if _, err := l.x.Write(block); err != nil || l.x.Close() != nil {
		l.t.Fatalf("x/net refuses %x: %v", block, err)
	}
	got, over, err := l.ours.Decode(nil, block, Limits{Fields: 1 << 20, Bytes: 1 << 30, HardFields: 1 << 20})
	if err != nil || over || !slices.Equal(got, l.got) {
		l.t.Fatalf("%x: got %v, %v, %v, x/net has %v", block, got, over, err, l.got)
	}
	for i := range got {
		got[i].Sensitive = false
	}
	if !slices.Equal(got, want) {
		l.t.Fatalf("got %v, want %v", got, want)
	}
}

// kind is the representation of a block of one field.
func kind(block []byte) string {
	switch c := block[0]; {
	case c >= 0x80 && len(block) == 1:
		return "indexed"
	case c >= 0x80:
		return "long index"
	case c >= 0x40:
		return "inserted"
	case c >= 0x20:
		return "size update"
	case c >= 0x10:
		return "never"
	}
	return "literal"
}

// TestPolicies: how the same pair is sent the first three times.
func TestPolicies(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        [3]string
	}{
		{"Date", "Mon, 21 Oct 2013 20:13:21 GMT", [3]string{"inserted", "indexed", "indexed"}},
		{"Content-Type", "text/plain", [3]string{"inserted", "indexed", "indexed"}},
		{"content-type", "text/plain", [3]string{"inserted", "indexed", "indexed"}},
		{"CONTENT-TYPE", "text/plain", [3]string{"inserted", "indexed", "indexed"}},
		{"X-XSS-Protection", "0", [3]string{"inserted", "indexed", "indexed"}},
		{"Server", "penstock", [3]string{"inserted", "indexed", "indexed"}},
		{"Cache-Control", "no-cache", [3]string{"inserted", "indexed", "indexed"}},
		{"Vary", "", [3]string{"inserted", "indexed", "indexed"}},
		{"Vary", strings.Repeat("v", maxInserted-entryOverhead-len("Vary")), [3]string{"inserted", "indexed", "indexed"}},
		{"Vary", strings.Repeat("v", maxInserted-entryOverhead-len("Vary")+1), [3]string{"literal", "literal", "literal"}},
		{"X-Unknown", "1", [3]string{"literal", "inserted", "indexed"}},
		{"x-unknown", "1", [3]string{"literal", "inserted", "indexed"}},
		{"X-Request-Id", "1", [3]string{"literal", "inserted", "indexed"}},
		{"", "", [3]string{"literal", "inserted", "indexed"}},
		{":path", "/a", [3]string{"literal", "inserted", "indexed"}},
		{":authority", "example.com", [3]string{"inserted", "indexed", "indexed"}},
		{":method", "GET", [3]string{"indexed", "indexed", "indexed"}},
		{":method", "PUT", [3]string{"inserted", "indexed", "indexed"}},
		{":path", "/", [3]string{"indexed", "indexed", "indexed"}},
		{":scheme", "https", [3]string{"indexed", "indexed", "indexed"}},
		{"Accept-Encoding", "gzip, deflate", [3]string{"indexed", "indexed", "indexed"}},
		{"Content-Length", "5", [3]string{"literal", "literal", "literal"}},
		{"Etag", `"1"`, [3]string{"literal", "literal", "literal"}},
		{"Last-Modified", "Mon, 21 Oct 2013 20:13:21 GMT", [3]string{"literal", "literal", "literal"}},
		{"Location", "/a", [3]string{"literal", "literal", "literal"}},
		{"Content-Range", "bytes 0-1/2", [3]string{"literal", "literal", "literal"}},
		{"Age", "1", [3]string{"literal", "literal", "literal"}},
		{"Expires", "0", [3]string{"literal", "literal", "literal"}},
		// RFC 7541 §7.1.3
		{"Set-Cookie", "a=b", [3]string{"never", "never", "never"}},
		{"Cookie", "a=b", [3]string{"never", "never", "never"}},
		{"Authorization", "Basic YTpi", [3]string{"never", "never", "never"}},
		{"Proxy-Authorization", "Basic YTpi", [3]string{"never", "never", "never"}},
	} {
		t.Run(tt.name+" "+tt.value[:min(len(tt.value), 20)], func(t *testing.T) {
			l := newLink(t)
			for i, want := range tt.want {
				if got := kind(l.send(Field{Name: tt.name, Value: tt.value})); got != want {
					t.Errorf("time %d: got %s, want %s", i+1, got, want)
				}
			}
		})
	}
}

// TestChangingValues: a value that is new in each answer stays out of the table,
// so what repeats stays in.
func TestChangingValues(t *testing.T) {
	for _, tt := range []struct {
		name       string
		insertions uint32 // at most
	}{
		{"X-Request-Id", 0},
		{"X-Unknown", 0},
		{"Cache-Control", maxUnused}, // atOnce, until it turns out to be of no use
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLink(t)
			l.send(answerFields...)
			before := l.enc.table.inserted
			for i := range 1000 {
				changing := Field{Name: tt.name, Value: "value " + strconv.Itoa(i)}
				block := l.send(append(slices.Clone(answerFields), changing)...)
				for j := range answerFields {
					if block[j] < 0x80 {
						t.Fatalf("answer %d: %s is not indexed: %x", i, answerFields[j].Name, block)
					}
				}
			}
			if got := l.enc.table.inserted - before; got > tt.insertions {
				t.Errorf("%d insertions in 1000 answers, want %d", got, tt.insertions)
			}
		})
	}
}

// TestDate: one insertion a second, however many answers.
func TestDate(t *testing.T) {
	l := newLink(t)
	for second := range 100 {
		date := Field{Name: "Date", Value: fmt.Sprintf("Mon, 21 Oct 2013 20:%02d:%02d GMT", second/60, second%60)}
		for i := range 3 {
			want := "indexed"
			if i == 0 {
				want = "inserted"
			}
			if got := kind(l.send(date)); got != want {
				t.Fatalf("second %d, answer %d: got %s, want %s", second, i+1, got, want)
			}
		}
	}
	// The same, where there is one answer in a second: nothing is gained by inserting.
	before := l.enc.table.inserted
	for second := range 100 {
		l.send(Field{Name: "Date", Value: fmt.Sprintf("Tue, 22 Oct 2013 20:%02d:%02d GMT", second/60, second%60)})
	}
	if got := l.enc.table.inserted - before; got > maxUnused {
		t.Errorf("%d insertions, want %d", got, maxUnused)
	}
}

// TestManyRepeating: unknown names get in although there are more of them than
// the encoder remembers at once, and no more work is done for those that do not fit.
func TestManyRepeating(t *testing.T) {
	for _, n := range []int{20, maxEncoderEntries, 2 * maxEncoderEntries} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			l := newLink(t)
			var fields []Field
			for i := range n {
				fields = append(fields, Field{Name: fmt.Sprintf("X-Name-%d", i), Value: "value " + strconv.Itoa(i)})
			}
			for range 100 {
				l.send(fields...)
			}
			before := l.enc.table.inserted
			block := l.send(fields...)
			if n <= maxEncoderEntries && len(block) != n {
				t.Errorf("%d octets for %d fields that repeat", len(block), n)
			}
			if got := l.enc.table.inserted - before; got > 1 {
				t.Errorf("%d insertions in one block that evict others, want 1", got)
			}
		})
	}
}

// TestLetterCase: all are the same name.
func TestLetterCase(t *testing.T) {
	l := newLink(t)
	for i, name := range []string{"Content-Type", "content-type", "CONTENT-TYPE", "cOnTeNt-tYpE", "Content-Type"} {
		want := "indexed"
		if i == 0 {
			want = "inserted"
		}
		if got := kind(l.send(Field{Name: name, Value: "text/plain"})); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	// These differ in the bit that tells letter cases apart.
	for range 3 {
		l.send(fieldsOf("x-^: 1", "x-~: 1", "X-~: 1", "x-@: 1", "x-`: 1", "x-\x0d: 1", "x--: 1")...)
	}
}

// TestSizeUpdates: RFC 7541 §4.2, §6.3.
func TestSizeUpdates(t *testing.T) {
	for _, tt := range []struct {
		name  string
		sizes [][]uint32 // the peer's settings before each block
		want  []string
	}{
		{"4.2 nothing changes", [][]uint32{nil, {4096}, {65536}, {1<<32 - 1}}, []string{"", "", "", ""}},
		{"4.2 before the first block", [][]uint32{{100}, nil}, []string{"3f45", ""}},
		{"4.2 none at all", [][]uint32{{0}, nil, {0}}, []string{"20", "", ""}},
		{"4.2 shrink", [][]uint32{nil, {100}, {50}}, []string{"", "3f45", "3f13"}},
		{"4.2 shrink, then grow", [][]uint32{nil, {100}, {200}, {4096}}, []string{"", "3f45", "3fa901", "3fe11f"}},
		{"4.2 shrink and grow between blocks", [][]uint32{nil, {100, 200}, {0, 65536}}, []string{"", "203fa901", "203fe11f"}},
		{"4.2 shrink and back between blocks", [][]uint32{nil, {100, 4096}, {5000, 0, 8000, 50, 4096}}, []string{"", "203fe11f", "203fe11f"}},
		{"4.2 grow and back between blocks", [][]uint32{{100}, {4096, 100}}, []string{"3f45", ""}},
		{"4.2 shrink twice between blocks", [][]uint32{nil, {100, 50}}, []string{"", "3f13"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLink(t)
			fields := append(fieldsOf("x-a: 1", "x-b: 2"), answerFields...)
			for i, sizes := range tt.sizes {
				for _, n := range sizes {
					l.enc.SetPeerTableSize(n)
				}
				if got, want := l.enc.BeginBlock(nil), unhex(t, tt.want[i]); !bytes.Equal(got, want) {
					t.Errorf("block %d begins with %x, want %x", i+1, got, want)
				} else if len(got) > 0 {
					l.check(got, nil)
				}
				for range 3 {
					l.send(fields...)
				}
				if got := int(l.ours.table.size); got > l.enc.max() {
					t.Errorf("%d octets in a table of %d", got, l.enc.max())
				}
			}
		})
	}
}

// TestSizeZero: such a peer gets literals, and costs no table.
func TestSizeZero(t *testing.T) {
	l := newLink(t)
	l.enc.SetPeerTableSize(0)
	for range 3 {
		l.send(answerFields...)
	}
	if l.enc.table != nil || l.ours.table.entries != nil {
		t.Error("there is a table of size 0")
	}
}

func TestAppendStatus(t *testing.T) {
	l := newLink(t)
	for status := -1; status <= 1001; status++ {
		want := status
		if status < 100 || status > 999 {
			want = 500
		}
		block := l.enc.AppendStatus(l.enc.BeginBlock(nil), status)
		l.check(block, []Field{{Name: ":status", Value: strconv.Itoa(want)}})
		if static := slices.Contains([]int{200, 204, 206, 304, 400, 404, 500}, want); static != (len(block) == 1) {
			t.Errorf("%d: %x", status, block)
		}
	}
}

// TestEncoderKeepsCopies: entries do not keep the caller's larger strings alive.
func TestEncoderKeepsCopies(t *testing.T) {
	large := strings.Repeat("Content-Type: text/plain; X-Name: value;", 100)
	var e Encoder
	for range 2 {
		e.AppendField(nil, large[:12], large[14:24])
		e.AppendField(nil, large[26:32], large[34:39])
	}
	if e.table.live != 2 {
		t.Fatalf("%d entries, want 2", e.table.live)
	}
	from := uintptr(unsafe.Pointer(unsafe.StringData(large)))
	for age := range e.table.live {
		f := e.table.at(age + 1)
		for _, s := range []string{f.name, f.value} {
			if at := uintptr(unsafe.Pointer(unsafe.StringData(s))); at >= from && at < from+uintptr(len(large)) {
				t.Errorf("%q is a part of the caller's string", s)
			}
		}
	}
}

// TestEncodeAllocs: what repeats, and what is never inserted, costs none.
func TestEncodeAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates on its own")
	}
	var e Encoder
	buf := make([]byte, 0, 1024)
	ids := requestIDs(512)
	i := 0
	answer := func() {
		buf = e.BeginBlock(buf[:0])
		buf = e.AppendStatus(buf, 302)
		for _, f := range answerFields {
			buf = e.AppendField(buf, f.Name, f.Value)
		}
		buf = e.AppendField(buf, "X-Application-Name", "some value")
		buf = e.AppendField(buf, "X-Request-Id", ids[i])
		buf = e.AppendField(buf, "Content-Length", "12345")
		buf = e.AppendField(buf, "Location", "/somewhere/else")
		buf = e.AppendField(buf, "Set-Cookie", "a=b")
		i++
	}
	answer()
	answer()
	if got := testing.AllocsPerRun(100, answer); got != 0 {
		t.Errorf("%v allocations an answer, want 0", got)
	}
}

// TestInsertedForm: the shortest that the tables allow, as it is sent once and
// read by every later answer's peer.
func TestInsertedForm(t *testing.T) {
	l := newLink(t)
	for _, tt := range []struct {
		name  string
		field Field
		times int // that it is sent; the last is the insertion
		want  string
	}{
		{"name from the static table, value in Huffman code", Field{Name: "Content-Type", Value: "text/html"}, 1, "5f 87 497ca589d34d1f"},
		{"value that Huffman code does not shorten", Field{Name: "Server", Value: "&&"}, 1, "76 02 2626"},
		{"new name", Field{Name: "X-Name", Value: "value"}, 2, "40 06 782d6e616d65 84 ee3a2d2f"},
		{"name from the dynamic table", Field{Name: "X-Name", Value: "other"}, 2, "7e 84 3a672d9f"},
	} {
		var block []byte
		for range tt.times {
			block = l.send(tt.field)
		}
		if got, want := block, unhex(t, tt.want); !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", tt.name, got, want)
		}
	}
}
