package hpack

import (
	"net/textproto"
	"testing"
	"unsafe"

	xhpack "golang.org/x/net/http2/hpack"
)

// TestStaticTable: Appendix A, as x/net has it.
func TestStaticTable(t *testing.T) {
	if staticEntries != 61 {
		t.Fatalf("%d entries, want 61", staticEntries)
	}
	for i := 1; i <= staticEntries; i++ {
		var x xhpack.HeaderField
		xd := xhpack.NewDecoder(0, func(f xhpack.HeaderField) { x = f })
		if _, err := xd.Write([]byte{0x80 | byte(i)}); err != nil {
			t.Fatal(err)
		}
		if got := staticTable[i]; got.name != x.Name || got.value != x.Value {
			t.Errorf("%d: got %v, want %v", i, got, x)
		}
	}
}

func TestNames(t *testing.T) {
	t.Run("found", func(t *testing.T) {
		for id := 1; id < names.n; id++ {
			n := names.all[id]
			if want := textproto.CanonicalMIMEHeaderKey(n.lower); n.canonical != want {
				t.Errorf("%s: canonical form is %s, want %s", n.lower, n.canonical, want)
			}
			for _, s := range []string{n.lower, n.canonical, upperAll(n.lower)} {
				if got := names.find(s, hashName(s)); int(got) != id {
					t.Errorf("find(%q) = %d, want %d", s, got, id)
				}
			}
			got, ok := names.intern([]byte(n.lower))
			if !ok || unsafe.StringData(got) != unsafe.StringData(n.lower) {
				t.Errorf("intern(%q) = %q, %v", n.lower, got, ok)
			}
		}
	})
	t.Run("unknown", func(t *testing.T) {
		if names.all[0] != (knownName{}) {
			t.Errorf("unknown names have %v: a policy for a name that is not listed?", names.all[0])
		}
		for _, s := range []string{"", "x", "Content-Typ", "content-typf", "c\x8fntent-type", "content\rtype"} {
			if id := names.find(s, hashName(s)); id != 0 {
				t.Errorf("find(%q) = %d, want 0", s, id)
			}
			if got, ok := names.intern([]byte(s)); ok {
				t.Errorf("intern(%q) = %q", s, got)
			}
		}
		// What is not in lower case stays as it is: the caller refuses it.
		if got, ok := names.intern([]byte("Content-Type")); ok {
			t.Errorf("intern(Content-Type) = %q", got)
		}
	})
	t.Run("probes", func(t *testing.T) {
		total := 0
		for id := 1; id < names.n; id++ {
			probes := 1
			for i := hashName(names.all[id].lower) >> indexShift; int(names.index[i]) != id; i = (i + 1) % uint32(len(names.index)) {
				probes++
			}
			if total += probes; probes > 4 {
				t.Errorf("%s: %d probes, want 4 at most", names.all[id].lower, probes)
			}
		}
		if total > names.n*5/4 {
			t.Errorf("%d probes for %d names, want 1.25 each at most", total, names.n)
		}
		t.Logf("%d probes for %d names", total, names.n-1)
	})
}

func upperAll(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] = upper(b[i])
	}
	return string(b)
}

// TestSizes: ten thousand idle connections hold one of each.
func TestSizes(t *testing.T) {
	if got := unsafe.Sizeof(Decoder{}); got > 64 {
		t.Errorf("a Decoder has %d octets, want 64 at most", got)
	}
	if got := unsafe.Sizeof(Encoder{}); got > 64 {
		t.Errorf("an Encoder has %d octets, want 64 at most", got)
	}
	t.Logf("Decoder %d, Encoder %d, encoderTable %d, encoded %d octets", unsafe.Sizeof(Decoder{}), unsafe.Sizeof(Encoder{}), unsafe.Sizeof(encoderTable{}), unsafe.Sizeof(encoded{}))
}
