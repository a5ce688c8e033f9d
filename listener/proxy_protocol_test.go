package listener

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const (
	v4From, v4To = "192.0.2.1", "198.51.100.7"
	v6From, v6To = "2001:db8::1", "2001:db8::7"
)

// block is a header of version 2.
func block(cmd, family byte, content ...string) string {
	rest := strings.Join(content, "")
	head := append([]byte(v2Signature), cmd, family)
	return string(binary.BigEndian.AppendUint16(head, uint16(len(rest)))) + rest
}

// addresses are those of a block of family inet or inet6.
func addresses(from, to string, ports ...byte) string {
	b := append(netip.MustParseAddr(from).AsSlice(), netip.MustParseAddr(to).AsSlice()...)
	return string(append(b, ports...))
}

func tlv(kind byte, value string) string {
	return string(binary.BigEndian.AppendUint16([]byte{kind}, uint16(len(value)))) + value
}

// checksummed puts the right value into the checksum of a block, the first TLV of
// its kind that has four zeros.
func checksummed(b string) string {
	at := strings.LastIndex(b, tlv(v2CRC32C, "\x00\x00\x00\x00")) + v2TLVHead
	sum := crc32.Checksum([]byte(b), crc32.MakeTable(crc32.Castagnoli))
	return b[:at] + string(binary.BigEndian.AppendUint32(nil, sum)) + b[at+4:]
}

const ports = "\xdc\x04\x01\xbb" // 56324, 443

// proxyHeaders are the cases of the tests, and the seeds of the fuzzing.
var proxyHeaders = []struct {
	name, header string
	want         string // source and destination; "own": those of the connection; else the error
}{
	// §2.1
	{"v1 IPv4", "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n", "192.0.2.1:56324 198.51.100.7:443"},
	{"v1 IPv4, longest", "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535 255.255.255.255:65535"},
	{"v1 IPv4, shortest", "PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n", "0.0.0.0:0 0.0.0.0:0"},
	{"v1 IPv6", "PROXY TCP6 2001:db8::1 2001:DB8::7 56324 443\r\n", "[2001:db8::1]:56324 [2001:db8::7]:443"},
	{"v1 IPv6, shortest", "PROXY TCP6 :: :: 0 0\r\n", "[::]:0 [::]:0"},
	{
		"v1 IPv6, longest", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535 [ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
	},
	{"v1 IPv4 in IPv6", "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:c633:6407 1 2\r\n", "192.0.2.1:1 198.51.100.7:2"},
	{"v1 unknown", "PROXY UNKNOWN\r\n", "own"},
	{"v1 unknown, with more", "PROXY UNKNOWN " + strings.Repeat("\xff", 91) + "\r\n", "own"},
	{"v1 unknown, too long", "PROXY UNKNOWN " + strings.Repeat("\xff", 92) + "\r\n", errProxySize.Error()},
	{"v1 without end", "PROXY TCP4 " + strings.Repeat("1", 100), errProxySize.Error()},
	{"v1 LF alone", "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\n", errProxyLine.Error()},
	{"v1 CR alone", "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\rG", errProxyLine.Error()},
	{"v1 unknown, LF within", "PROXY UNKNOWN a\nb\r\n", errProxyLine.Error()},
	{"v1 another protocol", "PROXY UDP4 192.0.2.1 198.51.100.7 56324 443\r\n", errProxyLine.Error()},
	{"v1 unknown with a tail", "PROXY UNKNOWNS\r\n", errProxyLine.Error()},
	{"v1 lower case", "proxy TCP4 192.0.2.1 198.51.100.7 56324 443\r\n", errProxyNone.Error()},
	{"v1 two spaces", "PROXY  TCP4 192.0.2.1 198.51.100.7 56324 443\r\n", errProxyLine.Error()},
	{"v1 two spaces within", "PROXY TCP4 192.0.2.1  198.51.100.7 56324 443\r\n", errProxyLine.Error()},
	{"v1 space at the end", "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443 \r\n", errProxyLine.Error()},
	{"v1 a field less", "PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n", errProxyLine.Error()},
	{"v1 no fields", "PROXY TCP4\r\n", errProxyLine.Error()},
	{"v1 wrong family", "PROXY TCP4 2001:db8::1 2001:db8::7 56324 443\r\n", errProxyLine.Error()},
	{"v1 wrong family, IPv6", "PROXY TCP6 192.0.2.1 198.51.100.7 56324 443\r\n", errProxyLine.Error()},
	{"v1 mixed families", "PROXY TCP6 2001:db8::1 198.51.100.7 56324 443\r\n", errProxyLine.Error()},
	{"v1 leading zero of an address", "PROXY TCP4 192.0.2.01 198.51.100.7 56324 443\r\n", errProxyLine.Error()},
	{"v1 zone", "PROXY TCP6 fe80::1%eth0 2001:db8::7 56324 443\r\n", errProxyLine.Error()},
	{"v1 leading zero of a port", "PROXY TCP4 192.0.2.1 198.51.100.7 056 443\r\n", errProxyLine.Error()},
	{"v1 port too large", "PROXY TCP4 192.0.2.1 198.51.100.7 65536 443\r\n", errProxyLine.Error()},
	{"v1 signed port", "PROXY TCP4 192.0.2.1 198.51.100.7 +5 443\r\n", errProxyLine.Error()},
	{"v1 name for an address", "PROXY TCP4 localhost 198.51.100.7 1 443\r\n", errProxyLine.Error()},

	// §2.2
	{"v2 IPv4", block(v2Proxy, 0x11, addresses(v4From, v4To), ports), "192.0.2.1:56324 198.51.100.7:443"},
	{"v2 IPv6", block(v2Proxy, 0x21, addresses(v6From, v6To), ports), "[2001:db8::1]:56324 [2001:db8::7]:443"},
	{"v2 IPv4, datagrams", block(v2Proxy, 0x12, addresses(v4From, v4To), ports), "192.0.2.1:56324 198.51.100.7:443"},
	{"v2 IPv4 in IPv6", block(v2Proxy, 0x21, addresses("::ffff:192.0.2.1", v6To), ports), "192.0.2.1:56324 [2001:db8::7]:443"},
	{"v2 unix", block(v2Proxy, 0x31, strings.Repeat("\x00", 216)), "own"},
	{"v2 unspecified", block(v2Proxy, 0x00), "own"},
	{"v2 unspecified, with a block", block(v2Proxy, 0x00, "\x01\x02"), "own"},
	{"v2 unspecified kind", block(v2Proxy, 0x10, addresses(v4From, v4To), ports), "own"},
	{"v2 local", block(v2Local, 0x00), "own"},
	{"v2 local, with addresses", block(v2Local, 0x11, addresses(v4From, v4To), ports), "own"},
	{"v2 local, odd family", block(v2Local, 0xff, "abc"), "own"},
	{"v2 local, short block", block(v2Local, 0x21, "abc"), "own"},
	{"v2 version 1", block(0x11, 0x11, addresses(v4From, v4To), ports), errProxyBlock.Error()},
	{"v2 version 3", block(0x31, 0x11, addresses(v4From, v4To), ports), errProxyBlock.Error()},
	{"v2 command 2", block(0x22, 0x11, addresses(v4From, v4To), ports), errProxyBlock.Error()},
	{"v2 family 4", block(v2Proxy, 0x41, addresses(v4From, v4To), ports), errProxyBlock.Error()},
	{"v2 kind 3", block(v2Proxy, 0x13, addresses(v4From, v4To), ports), errProxyBlock.Error()},
	{"v2 IPv4, short", block(v2Proxy, 0x11, addresses(v4From, v4To)), errProxyBlock.Error()},
	{"v2 IPv6, short", block(v2Proxy, 0x21, addresses(v4From, v4To), ports), errProxyBlock.Error()},
	{"v2 unix, short", block(v2Proxy, 0x31, strings.Repeat("\x00", 215)), errProxyBlock.Error()},
	{"v2 broken signature", v2Signature[:11] + "\r" + "\x21\x11\x00\x00", errProxyNone.Error()},
	{"v2 TLVs", block(v2Proxy, 0x11, addresses(v4From, v4To), ports, tlv(1, "h2"), tlv(4, ""), tlv(0xea, "vpc")), "192.0.2.1:56324 198.51.100.7:443"},
	{"v2 largest", block(v2Proxy, 0x11, addresses(v4From, v4To), ports, tlv(4, strings.Repeat("x", 505))), "192.0.2.1:56324 198.51.100.7:443"},
	{"v2 too large", block(v2Proxy, 0x11, addresses(v4From, v4To), ports, tlv(4, strings.Repeat("x", 506))), errProxySize.Error()},
	{"v2 local, too large", block(v2Local, 0x00, strings.Repeat("x", 521)), errProxySize.Error()},
	{"v2 TLV without length", block(v2Proxy, 0x11, addresses(v4From, v4To), ports, "\x04\x00"), errProxyBlock.Error()},
	{"v2 TLV beyond the end", block(v2Proxy, 0x11, addresses(v4From, v4To), ports, "\x04\x00\x05abcd"), errProxyBlock.Error()},
	// §2.2.3
	{"v2 checksum", checksummed(block(v2Proxy, 0x21, addresses(v6From, v6To), ports, tlv(1, "h2"), tlv(v2CRC32C, "\x00\x00\x00\x00"), tlv(4, "x"))), "[2001:db8::1]:56324 [2001:db8::7]:443"},
	{"v2 wrong checksum", block(v2Proxy, 0x11, addresses(v4From, v4To), ports, tlv(v2CRC32C, "\x00\x00\x00\x01")), errProxyChecksum.Error()},
	{"v2 long checksum", block(v2Proxy, 0x11, addresses(v4From, v4To), ports, tlv(v2CRC32C, "\x00\x00\x00\x00\x00")), errProxyBlock.Error()},
	{"v2 two checksums", checksummed(block(v2Proxy, 0x11, addresses(v4From, v4To), ports, tlv(v2CRC32C, "\x00\x00\x00\x00"), tlv(v2CRC32C, "\x00\x00\x00\x00"))), errProxyBlock.Error()},
	{"v2 local, checksum", checksummed(block(v2Local, 0x00, tlv(v2CRC32C, "\x00\x00\x00\x00"))), "own"},
	{"v2 local, wrong checksum", block(v2Local, 0x00, tlv(v2CRC32C, "\x00\x00\x00\x01")), errProxyChecksum.Error()},
	{"v2 unix, wrong checksum", block(v2Proxy, 0x31, strings.Repeat("\x00", 216), tlv(v2CRC32C, "\x00\x00\x00\x01")), errProxyChecksum.Error()},

	// What is no header.
	{"HTTP/1", "GET / HTTP/1.1\r\n", errProxyNone.Error()},
	{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", errProxyNone.Error()},
	{"TLS", "\x16\x03\x01\x02\x00\x01", errProxyNone.Error()},
	{"empty lines", "\r\n\r\nGET / HTTP/1.1\r\n", errProxyNone.Error()},
}

// told is a result in the words of the table.
func told(h ProxyHeader, err error) string {
	switch {
	case err != nil:
		return err.Error()
	case h == ProxyHeader{}:
		return "own"
	}
	return h.Source.String() + " " + h.Destination.String()
}

func TestParseProxyHeader(t *testing.T) {
	for _, c := range proxyHeaders {
		h, n, err := ParseProxyHeader([]byte(c.header + "\r\nGET"))
		want(t, c.name, told(h, err), c.want)
		if err == nil {
			want(t, c.name+": its size", n, len(c.header))
		}
		checkSplits(t, c.name, []byte(c.header))
	}
	if _, n, err := ParseProxyHeader(nil); n != len(v1Unknown) || err != nil {
		t.Errorf("of nothing: %d, %v", n, err)
	}
}

// checkSplits holds what the answers to the beginnings of b have to do with each
// other, however it arrives.
func checkSplits(t *testing.T, name string, b []byte) {
	t.Helper()
	whole, size, err := ParseProxyHeader(b)
	for k := range b {
		h, n, e := ParseProxyHeader(b[:k])
		switch {
		case e != nil && err == nil:
			t.Fatalf("%s: an error after %d bytes, none after %d", name, k, len(b))
		case e != nil:
			return // errors are final: the rest is not asked
		case n <= k && (err != nil || n != size || h != whole):
			t.Fatalf("%s: whole after %d bytes, otherwise after %d", name, k, len(b))
		case n > k && n > MaxProxyHeader:
			t.Fatalf("%s: wants %d bytes", name, n)
		case n > k && h != (ProxyHeader{}):
			t.Fatalf("%s: addresses after %d bytes of %d", name, k, n)
		case n > k && err == nil && n > size:
			t.Fatalf("%s: after %d bytes it wants %d, and has %d", name, k, n, size)
		}
	}
}

// FuzzParseProxyHeader: no input crashes it, its answers agree however the input is
// cut, and what it says is what a plain reading of the same paragraphs does.
func FuzzParseProxyHeader(f *testing.F) {
	for _, c := range proxyHeaders {
		f.Add([]byte(c.header))
		f.Add([]byte(c.header + "GET / HTTP/1.1\r\n"))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		kept := bytes.Clone(b)
		h, n, err := ParseProxyHeader(b)
		if !bytes.Equal(b, kept) {
			t.Fatal("the input was changed")
		}
		checkSplits(t, "input", b[:min(len(b), 2*MaxProxyHeader)])
		if err == nil && n > len(b) {
			return // not whole
		}
		plain, size := plainProxyHeader(b)
		if (err == nil) != (size > 0) {
			t.Fatalf("%v, a plain reading has %d bytes", err, size)
		}
		if err == nil && (n != size || h != plain) {
			t.Fatalf("%d bytes %v, a plain reading has %d bytes %v", n, h, size, plain)
		}
	})
}

var plainLine = regexp.MustCompile(`^PROXY (?:UNKNOWN(?: [^\r\n]*)?|TCP(4|6) ([0-9a-fA-F:.]+) ([0-9a-fA-F:.]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4}))\r\n`)

// plainProxyHeader is the whole header that b begins with; 0: it is none.
func plainProxyHeader(b []byte) (h ProxyHeader, size int) {
	if m := plainLine.FindSubmatch(b); m != nil && len(m[0]) <= 107 {
		if len(m[1]) == 0 {
			return h, len(m[0])
		}
		endpoint := func(host, port []byte) (a netip.AddrPort, ok bool) {
			addr, err := netip.ParseAddr(string(host))
			n, _ := strconv.Atoi(string(port))
			return netip.AddrPortFrom(addr.Unmap(), uint16(n)), err == nil && n < 1<<16 && addr.Is4() == (m[1][0] == '4')
		}
		var ok1, ok2 bool
		h.Source, ok1 = endpoint(m[2], m[4])
		h.Destination, ok2 = endpoint(m[3], m[5])
		if ok1 && ok2 {
			return h, len(m[0])
		}
		return ProxyHeader{}, 0
	}
	if len(b) < 16 || string(b[:12]) != v2Signature || b[12]&^1 != 0x20 {
		return h, 0
	}
	size = 16 + int(b[14])<<8 + int(b[15])
	if size > 536 || size > len(b) {
		return h, 0
	}
	local, rest := b[12] == 0x20, b[16:size]
	length, known := map[byte]int{0: 0, 1: 12, 2: 36, 3: 216}[b[13]>>4]
	known = known && b[13]&15 <= 2 && length <= len(rest)
	if !known {
		if local {
			return h, size
		}
		return h, 0
	}
	sound, right := plainTLVs(b[:size], 16+length)
	if !right || !sound && !local && b[13]>>4 != 0 {
		return h, 0
	}
	if half := (length - 4) / 2; !local && b[13]&15 != 0 && (length == 12 || length == 36) {
		from, _ := netip.AddrFromSlice(rest[:half])
		to, _ := netip.AddrFromSlice(rest[half : 2*half])
		h.Source = netip.AddrPortFrom(from.Unmap(), binary.BigEndian.Uint16(rest[2*half:]))
		h.Destination = netip.AddrPortFrom(to.Unmap(), binary.BigEndian.Uint16(rest[2*half+2:]))
	}
	return h, size
}

// plainTLVs tells whether a list of TLVs is sound, and its checksum right.
func plainTLVs(b []byte, at int) (sound, right bool) {
	copied := bytes.Clone(b)
	var sums [][]byte
	for rest := copied[at:]; len(rest) > 0; {
		if len(rest) < 3 || len(rest) < 3+int(binary.BigEndian.Uint16(rest[1:])) {
			return false, true
		}
		value := rest[3 : 3+int(binary.BigEndian.Uint16(rest[1:]))]
		if rest[0] == 3 {
			sums = append(sums, value)
			if len(value) != 4 || len(sums) > 1 {
				return false, true
			}
		}
		rest = rest[3+len(value):]
	}
	if len(sums) == 0 {
		return true, true
	}
	told := binary.BigEndian.Uint32(sums[0])
	clear(sums[0])
	return true, told == crc32.Checksum(copied, crc32.MakeTable(crc32.Castagnoli))
}

// Headers that are made at random come back as what they were made of.
func TestProxyHeaderRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func(size int) netip.AddrPort {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		addr, _ := netip.AddrFromSlice(b)
		return netip.AddrPortFrom(addr.Unmap(), uint16(r.Uint32()))
	}
	for range 2000 {
		size, name, family := 4, "TCP4", byte(0x11)
		if r.IntN(2) == 0 {
			size, name, family = 16, "TCP6", 0x21
		}
		from, to := random(size), random(size)
		h := ProxyHeader{from, to}
		line := "PROXY " + name + " " + from.Addr().String() + " " + to.Addr().String() + " " +
			strconv.Itoa(int(from.Port())) + " " + strconv.Itoa(int(to.Port())) + "\r\n"
		bare := string(binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, from.Port()), to.Port()))
		bin := block(v2Proxy, family, addresses(from.Addr().String(), to.Addr().String()), bare, tlv(4, strings.Repeat("n", r.IntN(400))))
		for _, header := range []string{line, bin} {
			got, n, err := ParseProxyHeader([]byte(header))
			if got != h || n != len(header) || err != nil {
				t.Fatalf("%q: %v %d %v, want %v", header, got, n, err, h)
			}
		}
	}
}
