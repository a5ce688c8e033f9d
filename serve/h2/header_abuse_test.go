package h2

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	xhttp2 "golang.org/x/net/http2"
)

// Attacks by header blocks, rules H2-3, H2-4 and H2-10.

// literal is a field that no table keeps and no Huffman code shortens.
func literal(name, value string) []byte {
	b := append([]byte{0}, hpackLength(len(name))...)
	b = append(append(b, name...), hpackLength(len(value))...)
	return append(b, value...)
}

// hpackLength is an integer with a prefix of 7 bits (RFC 7541 §5.1).
func hpackLength(n int) (b []byte) {
	if n < 127 {
		return []byte{byte(n)}
	}
	b = append(b, 127)
	for n -= 127; n >= 128; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// split sends a header block in HEADERS of first bytes, and CONTINUATION of
// rest bytes each.
func (p *peer) split(id uint32, f xhttp2.Flags, block []byte, first, rest int) {
	p.t.Helper()
	together := p.together
	p.together = true
	first = min(first, len(block))
	piece, left := block[:first], block[first:]
	if len(left) > 0 {
		f &^= xhttp2.FlagHeadersEndHeaders
	}
	p.headersFragment(id, f, piece)
	for len(left) > 0 {
		n := min(rest, len(left))
		piece, left = left[:n], left[n:]
		p.fr.WriteContinuation(id, len(left) == 0, piece)
	}
	p.together = together
	p.send()
}

// TestContinuationFlood: H2-3, CVE-2024-28182, CVE-2024-30255.
func TestContinuationFlood(t *testing.T) {
	script(t, "H2-3 eight frames", func(t *testing.T, fm form) {
		c := connect(t, fm, echo)
		block := c.fragment(head4("GET", "/"+strings.Repeat("a", 100))...)
		n := len(block) / (1 + maxContinuations)
		c.split(1, final, block, len(block)-maxContinuations*n, n)
		c.wantAnswer("a request in 9 frames", 1, 200, "GET /"+strings.Repeat("a", 100)+" ")
	})
	script(t, "H2-3 nine", func(t *testing.T, fm form) {
		c := connect(t, fm, unreached(t))
		block := c.fragment(head4("GET", "/"+strings.Repeat("a", 100))...)
		c.split(1, final, block, len(block)-9*5, 5)
		c.wantCalm("a request in 10 frames", ReasonContinuations)
	})
	script(t, "H2-3 without end", func(t *testing.T, fm form) {
		c := connect(t, fm, unreached(t))
		block := append(c.fragment(head4("GET", "/")...), literal("x", strings.Repeat("x", 1<<20))...)
		c.inOne(func() { c.split(1, final, block, 16, 16) })
		c.wantCalm("65,536 frames", ReasonContinuations)
	})
	script(t, "H2-3 as many bytes as may be", func(t *testing.T, fm form) {
		c := connect(t, fm, unreached(t))
		block := c.fragment(head4("GET", "/")...)
		block = append(block, literal("x", strings.Repeat("x", defaultFieldBytes-len(block)-7))...)
		if len(block) != defaultFieldBytes {
			t.Fatalf("the block is %d bytes", len(block))
		}
		c.split(1, final&^more, block[:defaultFieldBytes-1], 16<<10, 16<<10)
		c.wantBounds("the last frame lacks")
		c.forget()
		c.engine(func(e *Conn) {
			if e.block != nil && cap(e.block.bytes) > 2*defaultFieldBytes {
				t.Errorf("%d bytes for a header block", cap(e.block.bytes))
			}
		})
	})
	for _, tt := range []struct {
		name string
		over int
	}{{"64 KiB", 0}, {"64 KiB and a byte", 1}} {
		script(t, "H2-3 "+tt.name, func(t *testing.T, fm form) {
			c := connect(t, fm, unreached(t))
			block := c.fragment(head4("GET", "/")...)
			block = append(block, literal("x", strings.Repeat("x", defaultFieldBytes+tt.over-len(block)-7))...)
			if len(block) != defaultFieldBytes+tt.over {
				t.Fatalf("the block is %d bytes", len(block))
			}
			c.split(1, final, block, 16<<10, 16<<10)
			if tt.over > 0 {
				c.wantCalm("decoding stops", ReasonContinuations)
				return
			}
			c.wantAnswer("too large, but decoded", 1, 431, "")
			c.wantLive("open")
		})
	}
	script(t, "H2-3 a trailer section", func(t *testing.T, fm form) {
		c := connect(t, fm, echo)
		c.post(1, "/")
		block := literal("x-trailer", strings.Repeat("x", 200))
		c.split(1, final, block, len(block)-8*20, 20)
		c.wantAnswer("eight frames", 1, 200, "POST / ")
		c.post(3, "/")
		c.split(3, final, block, len(block)-9*20, 20)
		c.wantCalm("nine frames", ReasonContinuations)
	})
}

// TestHeaderListLimits: H2-4, CVE-2016-6581: fields are counted as they are
// decoded, whatever they cost on the wire.
func TestHeaderListLimits(t *testing.T) {
	count := func(w http.ResponseWriter, r *http.Request) {
		n := 0
		for _, v := range r.Header {
			n += len(v)
		}
		fmt.Fprint(w, n, " ", r.Header.Get("X-Late"))
	}
	// Three ways to many fields: of one byte each, with new names, and crumbs.
	ways := map[string]func(c *peer, n int) []byte{
		"indexed": func(c *peer, n int) []byte { return []byte(strings.Repeat("\x90", n)) }, // accept-encoding
		"tiny": func(c *peer, n int) (b []byte) {
			for i := range n {
				b = append(b, literal(string(rune('a'+i%26)), "")...)
			}
			return b
		},
		"crumbs": func(c *peer, n int) (b []byte) {
			for range n {
				b = append(b, literal("cookie", "a=b")...)
			}
			return b
		},
	}
	for name, fields := range ways {
		script(t, "H2-4 fields/"+name, func(t *testing.T, fm form) {
			c := connect(t, fm, count)
			want := defaultFields - 4
			if name == "crumbs" {
				want = 1
			}
			ask := func(id uint32, n int) {
				block := append(c.fragment(head4("GET", "/")...), fields(c, n-4)...)
				c.split(id, final, block, 16<<10, 16<<10)
			}
			ask(1, defaultFields)
			c.wantAnswer("100 fields", 1, 200, fmt.Sprint(want)+" ")
			ask(3, defaultFields+1)
			c.wantAnswer("101 fields", 3, 431, "")
			// The table is right: what stood behind the limit is in it.
			block := append(c.fragment(head4("GET", "/")...), fields(c, 200)...)
			c.split(5, final, append(block, c.fragment("x-late", "kept")...), 16<<10, 16<<10)
			c.wantAnswer("205 fields, the last of them new", 5, 431, "")
			c.get(7, "/", "x-late", "kept")
			c.wantAnswer("the last, by its index", 7, 200, "1 kept")
			ask(9, hardFields)
			c.wantAnswer("1,000 fields", 9, 431, "")
			if n := c.cfg.Counters.TooLarge.Load(); n != 3 {
				t.Errorf("TooLarge = %d, want 3", n)
			}
			c.wantLive("open")
			ask(11, hardFields+1)
			c.wantCalm("1,001 fields", ReasonHeaderList)
		})
	}
	script(t, "H2-4 bytes", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, len(r.Header.Get("X"))) })
		fixed := 0
		for _, f := range append(head4("GET", "/"), "x") {
			fixed += len(f)
		}
		rest := defaultFieldBytes - fixed - 5*32
		ask := func(id uint32, n int) {
			c.split(id, final, c.fragment(head4("GET", "/", "x", strings.Repeat("a", n))...), 16<<10, 16<<10)
		}
		ask(1, rest)
		c.wantAnswer("64 KiB as HPACK counts", 1, 200, fmt.Sprint(rest))
		ask(3, rest+1)
		c.wantAnswer("a byte more", 3, 431, "")
		c.get(5, "/", "x", "4")
		c.wantAnswer("afterwards", 5, 200, "1")
	})
	script(t, "H2-4 an HPACK bomb", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, len(r.Header["X"])) })
		bomb := func(id uint32, n int) {
			// One entry of almost the table's size, and n times its index.
			b := c.fragment(head4("GET", "/", "x", strings.Repeat("a", 3900))...)
			c.split(id, final, append(b, strings.Repeat("\xbe", n)...), 16<<10, 16<<10)
		}
		bomb(1, 15)
		c.wantAnswer("16 times 4 KB", 1, 200, "16")
		bomb(3, 16)
		c.wantAnswer("17 times 4 KB from a few bytes", 3, 431, "")
		bomb(5, 900)
		c.wantAnswer("900 times", 5, 431, "")
		c.engine(func(e *Conn) {
			if e.memo != nil {
				t.Error("a connection that is idle keeps what a bomb was decoded to")
			}
		})
		bomb(7, 2000)
		c.wantCalm("2,000 times", ReasonHeaderList)
	})
	script(t, "H2-4 with content", func(t *testing.T, fm form) {
		c := connect(t, fm, unreached(t))
		block := append(c.fragment(head4("POST", "/")...), strings.Repeat("\x90", 97)...)
		c.headersFragment(1, more, block)
		c.wantAnswer("101 fields", 1, 431, "")
		c.wantReset("the content is not wanted", 1, xhttp2.ErrCodeNo)
		c.dataEnd(1, "on its way")
		c.wantLive("open")
	})
	script(t, "H2-4 crumbs are one field", func(t *testing.T, fm form) {
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header["Cookie"]) })
		c.get(1, "/", "cookie", "a=1", "x", "y", "cookie", "b=2", "cookie", "c=3")
		c.wantAnswer("three crumbs", 1, 200, "[a=1; b=2; c=3]")
	})
}

// TestTrailerLimits: H1-7, as far as HTTP/2 has it.
func TestTrailerLimits(t *testing.T) {
	const overhead = 32 // RFC 7541 §4.1
	ask := func(c *peer, id uint32, n, size int) {
		c.post(id, "/")
		var fields []string
		for i := range n {
			fields = append(fields, fmt.Sprintf("x-%02d", i), strings.Repeat("v", size))
		}
		c.split(id, final, c.fragment(fields...), 16<<10, 16<<10)
	}
	count := func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		fmt.Fprint(w, len(r.Trailer), err)
	}
	script(t, "H2-4 fields", func(t *testing.T, fm form) {
		c := connect(t, fm, count)
		ask(c, 1, maxTrailers, 1)
		c.wantAnswer("32 fields", 1, 200, "32 <nil>")
		ask(c, 3, maxTrailers+1, 1)
		c.wantReset("33 fields", 3, xhttp2.ErrCodeProtocol)
		ask(c, 5, hardFields, 0)
		c.wantReset("1,000 fields", 5, xhttp2.ErrCodeProtocol)
		ask(c, 7, 1, 1)
		c.wantAnswer("the table is right", 7, 200, "1 <nil>")
		ask(c, 9, hardFields+1, 0)
		c.wantCalm("1,001 fields", ReasonHeaderList)
	})
	script(t, "H2-4 bytes", func(t *testing.T, fm form) {
		c := connect(t, fm, count)
		ask(c, 1, 2, maxTrailerBytes/2-overhead-4)
		c.wantAnswer("8 KiB", 1, 200, "2 <nil>")
		ask(c, 3, 2, maxTrailerBytes/2-overhead-3)
		c.wantReset("two bytes more", 3, xhttp2.ErrCodeProtocol)
		c.wantLive("open")
	})
}

// TestPeerTableSize: our encoder's table is 4,096 bytes at most, though the
// peer allows 4 GiB (H2-4): the peer of these tests decodes with that much.
func TestPeerTableSize(t *testing.T) {
	script(t, "H2-4 2^32-1", func(t *testing.T, fm form) {
		n := 0
		c := connect(t, fm, func(w http.ResponseWriter, r *http.Request) {
			n++
			w.Header().Set("X-New", fmt.Sprint("value ", n))
			w.Header().Set("X-"+fmt.Sprint(n), "a name that is new")
		})
		c.settings(xhttp2.Setting{ID: xhttp2.SettingHeaderTableSize, Val: 1<<32 - 1})
		c.wantSettingsAck("the peer allows 4 GiB")
		for id := uint32(1); id < 2000; id += 2 {
			c.get(id, "/")
			c.wantAnswer("decoded with 4,096 bytes", id, 200, "", "x-new", fmt.Sprint("value ", (id+1)/2))
		}
	})
}

// TestNameCache: there is none that grows (H2-10, CVE-2021-44716).
func TestNameCache(t *testing.T) {
	script(t, "H2-10 endless new names", func(t *testing.T, fm form) {
		c := connect(t, fm, hello)
		for i := range uint32(50) {
			c.inOne(func() {
				for j := range uint32(10) {
					var fields []string
					for k := range 40 {
						fields = append(fields, fmt.Sprintf("x-%d-%d-%d", i, j, k), "v")
					}
					c.get(20*i+2*j+1, "/", fields...)
				}
			})
			c.forget()
		}
		c.engine(func(e *Conn) {
			for _, k := range e.memo.slots {
				if len(k.bytes) > maxMemoBlock || len(k.fields) > defaultFields {
					t.Errorf("a block of %d bytes and %d fields is remembered", len(k.bytes), len(k.fields))
				}
			}
		})
		c.wantLive("20,000 names")
	})
}
