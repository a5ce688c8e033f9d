package qpack

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/h2/hpack"
)

// check: quic-go and we make the fields of a section.
func check(tb testing.TB, block []byte, want []hpack.Field) {
	tb.Helper()
	got, over, err := Decode(nil, block, unlimited)
	if err != nil || over {
		tb.Fatalf("we refuse %x: %v, %v", block, over, err)
	}
	for i := range got {
		if _, secret := hpack.FindName(got[i].Name); got[i].Sensitive && !secret {
			tb.Fatalf("%s is sent as sensitive", got[i].Name)
		}
		got[i].Sensitive = false
	}
	theirs, err := decodeQUIC(block)
	if err != nil || !slices.Equal(theirs, got) {
		tb.Fatalf("%x: got %v, quic-go has %v, %v", block, got, theirs, err)
	}
	if !slices.Equal(got, want) {
		tb.Fatalf("got %v, want %v", got, want)
	}
}

// TestAppendField: the octets of each representation.
func TestAppendField(t *testing.T) {
	for _, tt := range []struct {
		name, field, value string
		want               string
	}{
		{"4.5.2 pair of the table", "content-type", "text/plain", "f5"},
		{"4.5.2 pair of the table, as net/http writes it", "Content-Type", "text/plain", "f5"},
		{"4.5.2 the first pair", ":authority", "", "c0"},
		{"4.5.2 index of two octets", "Accept-Language", "", "ff09"},
		{"4.5.2 pair behind others of its name", "Access-Control-Allow-Headers", "*", "ff0c"},
		{"4.5.2 empty secret", "Cookie", "", "c5"},
		{"4.5.4 name of the table", ":path", "/a", "51 02 2f61"},
		{"4.5.4 name index of two octets", "Server", "ab", "5f4d 02 6162"},
		{"4.5.4 value in Huffman code", ":authority", "www.example.com", "50 8c f1e3c2e5f23a6ba0ab90f4ff"},
		{"4.5.4 never indexed", "Authorization", "a", "7f45 01 61"},
		{"4.5.4 never indexed", "cookie", "a", "75 01 61"},
		{"4.5.4 never indexed", "SET-COOKIE", "a", "7e 01 61"},
		{"4.5.6 never indexed", "Proxy-Authorization", "a", "3f07 aec3f9f4b0ed4ce7b0dec6931eaf 01 61"},
		{"4.5.6 short name", "X", "", "2178 00"},
		{"4.5.6 name in Huffman code", "Custom-Key", "custom-value", "2f01 25a849e95ba97d7f 89 25a849e95bb8e8b4bf"},
		{"4.5.6 empty", "", "", "20 00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			block := AppendField(AppendPrefix(nil), tt.field, tt.value)
			if got := hex.EncodeToString(block[2:]); got != strings.ReplaceAll(tt.want, " ", "") {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			check(t, block, []hpack.Field{{Name: strings.ToLower(tt.field), Value: tt.value}})
		})
	}
	t.Run("names of all lengths", func(t *testing.T) {
		for n := range 300 {
			name := strings.Repeat("Xa-", 100)[:n]
			value := strings.Repeat("\x00", n) // longer in Huffman code
			check(t, AppendField(AppendPrefix(nil), name, value), []hpack.Field{{Name: strings.ToLower(name), Value: value}})
		}
	})
	t.Run("appends", func(t *testing.T) {
		if got := AppendField([]byte("before"), ":method", "GET"); string(got) != "before\xd1" {
			t.Errorf("got %q", got)
		}
	})
}

// TestSecrets: RFC 9204 §7.1.3: never indexed, whoever sends them on.
func TestSecrets(t *testing.T) {
	for _, name := range []string{"Authorization", "Cookie", "Set-Cookie", "Proxy-Authorization"} {
		var c Cache
		for range 3 {
			got, _, err := Decode(nil, c.appendField(AppendPrefix(nil), name, "secret"), hpack.Limits{})
			if err != nil || len(got) != 1 || !got[0].Sensitive || got[0].Value != "secret" {
				t.Errorf("%s: got %v, %v", name, got, err)
			}
		}
		if c.sets != nil {
			t.Errorf("%s is in the cache", name)
		}
	}
}

// TestAppendStatus: every status, and those that are none.
func TestAppendStatus(t *testing.T) {
	indexed := map[int]bool{}
	for _, e := range staticTable {
		if e.name == ":status" {
			status, err := strconv.Atoi(e.value)
			if err != nil {
				t.Fatal(err)
			}
			indexed[status] = true
		}
	}
	for status := -1; status < 1100; status++ {
		block := AppendStatus(AppendPrefix(nil), status)
		want := status
		if status < 100 || status > 999 {
			want = 500
		}
		check(t, block, []hpack.Field{{Name: ":status", Value: strconv.Itoa(want)}})
		if got := block[2]&0x80 != 0; got != indexed[want] {
			t.Errorf("%d: indexed is %v, want %v", status, got, indexed[want])
		}
	}
}

// TestCache: how a pair is sent and kept.
func TestCache(t *testing.T) {
	for _, tt := range []struct {
		name, field, value string
		kept               bool
	}{
		{"literal", "Content-Type", "text/html; charset=iso-8859-1", true},
		{"pair of the table", "content-type", "text/plain", true},
		{"unknown name", "X-Unknown", "1", true},
		{"empty value", "X-Unknown", "", true},
		{"empty", "", "", true},
		{"as large as may be", "Vary", strings.Repeat("v", maxCached-4), true},
		{"one octet more", "Vary", strings.Repeat("v", maxCached-3), false},
		{"secret", "Cookie", "a=b", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c Cache
			want := string(AppendField([]byte("before"), tt.field, tt.value))
			for i := range 4 {
				got, ok := c.AppendHit([]byte("before"), tt.field, tt.value)
				if ok != (tt.kept && i >= 2) || !ok && string(got) != "before" {
					t.Errorf("time %d: hit is %v, %q", i+1, ok, got)
				}
				if !ok {
					got = c.AppendMiss(got, tt.field, tt.value)
				}
				if string(got) != want {
					t.Errorf("time %d: got %x, want %x", i+1, got, want)
				}
			}
			for _, other := range [][2]string{{tt.field + "x", tt.value}, {tt.field, tt.value + "x"}, {tt.value, tt.field}} {
				if _, ok := c.AppendHit(nil, other[0], other[1]); ok && other[0] != tt.field {
					t.Errorf("%q is a hit", other)
				}
			}
		})
	}
}

// TestCacheReplaces: of three pairs of a set, the one that is used stays.
func TestCacheReplaces(t *testing.T) {
	var c Cache
	var same []string // values that share their set
	for i := 0; len(same) < 3; i++ {
		if v := strconv.Itoa(10000 + i); slot("etag", v) == slot("etag", "10000") {
			same = append(same, v)
		}
	}
	hit := func(v string) bool {
		_, ok := c.AppendHit(nil, "etag", v)
		return ok
	}
	twice := func(v string) {
		c.AppendMiss(nil, "etag", v)
		c.AppendMiss(nil, "etag", v)
	}
	twice(same[0])
	twice(same[1])
	if !hit(same[1]) || !hit(same[0]) {
		t.Error("two pairs do not fit in a set")
	}
	twice(same[2])
	if !hit(same[0]) || hit(same[1]) || !hit(same[2]) {
		t.Errorf("got %v, %v, %v, want the used and the new one", hit(same[0]), hit(same[1]), hit(same[2]))
	}
}

// TestCacheBounds: whatever comes, what is held is bounded, and is not part of
// the caller's strings.
func TestCacheBounds(t *testing.T) {
	var c Cache
	for i := range 5000 {
		pair := strconv.Itoa(10+i) + strings.Repeat("\x00", i%300)
		for range 2 {
			c.AppendMiss(nil, pair[:2], pair[2:])
		}
	}
	pairs, octets := 0, 0
	for i := range c.sets {
		for _, p := range c.sets[i].pairs {
			if p.block != "" {
				pairs++
			}
			octets += len(p.name) + len(p.value) + len(p.block)
		}
	}
	if pairs < cacheSets || octets > 2*cacheSets*(2*maxCached+8) {
		t.Errorf("%d pairs of %d octets", pairs, octets)
	}
}

// TestCacheRequestIDs: what comes once makes no memory, and does not drive out
// what repeats.
func TestCacheRequestIDs(t *testing.T) {
	var c Cache
	for i := range 1000 {
		c.appendField(nil, "X-Request-Id", strconv.Itoa(i))
	}
	if c.sets != nil {
		t.Error("the cache has memory without a repetition")
	}
	hits := 0
	for i := range 1000 {
		c.appendField(nil, "X-Request-Id", strconv.Itoa(1000+i))
		if _, ok := c.AppendHit(nil, "Server", "penstock"); ok {
			hits++
		} else {
			c.AppendMiss(nil, "Server", "penstock")
		}
	}
	if hits < 990 {
		t.Errorf("%d hits of 1000", hits)
	}
}

func TestEncodeAllocs(t *testing.T) {
	var c Cache
	fields := slices.Concat(answerFields, fieldsOf("X-Application-Name: some value", strings.Repeat("X-", maxFolded)+": a", strings.Repeat("X", maxFolded)+": a"))
	buf := make([]byte, 0, 1024)
	for _, tt := range []struct {
		name   string
		append func(dst []byte, name, value string) []byte
	}{{"encoded", AppendField}, {"cached", c.appendField}} {
		for range 50 { // all of them are in the cache by then
			for _, f := range fields {
				buf = tt.append(buf[:0], f.Name, f.Value)
			}
		}
		got := testing.AllocsPerRun(100, func() {
			buf = AppendStatus(AppendPrefix(buf[:0]), 200)
			for i := range fields {
				buf = tt.append(buf, fields[i].Name, fields[i].Value)
			}
		})
		if got != 0 {
			t.Errorf("%s: %v allocations", tt.name, got)
		}
	}
}
