package listener

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
	"strconv"
)

// The PROXY protocol (HAProxy's proxy-protocol.txt, sections cited as §): a proxy
// that passes bytes on writes before them whose they are. Version 1 is a line,
// version 2 a block:
//
//	PROXY TCP4 192.0.2.1 198.51.100.1 56324 443 CR LF
//
//	 0            12       13        14     16
//	┌────────────┬────────┬─────────┬──────┬───────────┬─────────────────┐
//	│ signature  │ 2, cmd │ family, │ len  │ addresses │ TLVs            │
//	│            │        │ kind    │      │ └──── len bytes together ───┘
//	└────────────┴────────┴─────────┴──────┴───────────┴─────────────────┘
const (
	// MaxProxyHeader is what a header may have: it fits the least segment that
	// each host takes (§2), and rule P-4 allows no more.
	MaxProxyHeader = 536

	v1Prefix  = "PROXY "
	v1Unknown = "PROXY UNKNOWN\r\n" // the shortest of all headers
	v1TCP4    = "PROXY TCP4 "
	v1TCP6    = "PROXY TCP6 "
	v1Line    = 107 // §2.1: the longest line, CRLF included
	// The shortest lines with addresses.
	v1LeastTCP4 = len("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n")
	v1LeastTCP6 = len("PROXY TCP6 :: :: 0 0\r\n")

	v2Signature = "\r\n\r\n\x00\r\nQUIT\n"
	v2Fixed     = 16
	v2TLVHead   = 3
	v2CRC32C    = 0x03
)

// Commands, families and kinds of version 2 (§2.2).
const (
	v2Local = 0x20
	v2Proxy = 0x21

	familyUnspec, familyInet, familyInet6, familyUnix = 0, 1, 2, 3
	kindUnspec, kindDgram                             = 0, 2
)

// v2Addresses is how many bytes the addresses of a family have.
var v2Addresses = [...]int{familyUnspec: 0, familyInet: 12, familyInet6: 36, familyUnix: 216}

// ProxyHeader is what a PROXY header tells: whom the connection was made for.
type ProxyHeader struct {
	// Source is the client's address, Destination the one it has connected to.
	// Both are unmapped and have no zone. Both are zero where the connection's own
	// addresses hold: the proxy speaks for itself (LOCAL), does not know (UNKNOWN,
	// UNSPEC), or its client came over a unix socket of the proxy's machine.
	Source, Destination netip.AddrPort
}

// Errors of a header. A peer that gets one is cut off; nothing behind is read.
var (
	errProxyNone     = errors.New("PROXY protocol: the connection does not begin with a header")
	errProxySize     = errors.New("PROXY protocol: the header is too long")
	errProxyLine     = errors.New("PROXY protocol: malformed line (§2.1)")
	errProxyBlock    = errors.New("PROXY protocol: malformed block (§2.2)")
	errProxyChecksum = errors.New("PROXY protocol: the checksum is wrong (§2.2.3)")
)

// ParseProxyHeader reads the PROXY header, version 1 or 2, that b begins with. n is
// its size. While n is above len(b) it is not whole: n is then what it has at
// least, so whoever reads up to n bytes takes nothing of what comes behind. An
// error is final. b is not kept.
func ParseProxyHeader(b []byte) (h ProxyHeader, n int, err error) {
	switch {
	case agree(b, v1Prefix): // also where nothing is there yet: a line may be the shorter one
		return parseProxyV1(b)
	case agree(b, v2Signature):
		return parseProxyV2(b)
	default: // §2.2: "otherwise the connection must be dropped"
		return h, 0, errProxyNone
	}
}

// agree reports whether b and s are the same as far as the shorter one goes.
func agree(b []byte, s string) bool {
	n := min(len(b), len(s))
	return string(b[:n]) == s[:n]
}

// parseProxyV1 reads a line (§2.1).
func parseProxyV1(b []byte) (h ProxyHeader, n int, err error) {
	end := bytes.IndexAny(b[:min(len(b), v1Line)], "\r\n")
	switch {
	case end < 0 && len(b)+2 > v1Line, end+2 > v1Line:
		return h, 0, errProxySize
	case end < 0:
		return h, max(len(b)+2, leastLine(b)), nil
	case b[end] == '\n', end+1 < len(b) && b[end+1] != '\n', end+2 < leastLine(b):
		return h, 0, errProxyLine // §2.1: a single CR or LF must not end the line
	case end+2 > len(b):
		return h, end + 2, nil
	}
	h, err = parseProxyLine(b[:end])
	if err != nil {
		return ProxyHeader{}, 0, err
	}
	return h, end + 2, nil
}

// leastLine is how long the line that begins with b is at least.
func leastLine(b []byte) int {
	switch {
	case bytes.HasPrefix(b, []byte(v1TCP4)):
		return v1LeastTCP4
	case bytes.HasPrefix(b, []byte(v1TCP6)):
		return v1LeastTCP6
	}
	return len(v1Unknown)
}

// parseProxyLine reads a line without its end.
func parseProxyLine(line []byte) (h ProxyHeader, err error) {
	kind, rest, more := bytes.Cut(line[len(v1Prefix):], []byte(" "))
	switch string(kind) {
	case "UNKNOWN": // §2.1: anything up to CRLF is ignored
		return h, nil
	case "TCP4", "TCP6":
	default:
		return h, errProxyLine
	}
	fields := bytes.Split(rest, []byte(" "))
	if !more || len(fields) != 4 {
		return h, errProxyLine
	}
	v6 := string(kind) == "TCP6"
	source, ok1 := parseProxyAddr(fields[0], fields[2], v6)
	destination, ok2 := parseProxyAddr(fields[1], fields[3], v6)
	if !ok1 || !ok2 {
		return h, errProxyLine
	}
	return ProxyHeader{source, destination}, nil
}

// parseProxyAddr reads an address of the family of its line, and a port. IPv4
// addresses that are mapped into IPv6 may be written with dots: nginx does.
func parseProxyAddr(host, port []byte, v6 bool) (netip.AddrPort, bool) {
	addr, err := netip.ParseAddr(string(host)) // takes no leading zeros
	if err != nil || addr.Zone() != "" || addr.Is6() != v6 {
		return netip.AddrPort{}, false
	}
	if len(port) == 0 || port[0] == '+' || port[0] == '0' && len(port) > 1 {
		return netip.AddrPort{}, false
	}
	n, err := strconv.ParseUint(string(port), 10, 16)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), err == nil
}

// parseProxyV2 reads a block (§2.2).
func parseProxyV2(b []byte) (h ProxyHeader, n int, err error) {
	if len(b) > 12 && b[12] != v2Local && b[12] != v2Proxy {
		return h, 0, errProxyBlock // §2.2: another version, or an unassigned command
	}
	if len(b) < v2Fixed {
		return h, v2Fixed, nil
	}
	n = v2Fixed + int(binary.BigEndian.Uint16(b[14:]))
	local := b[12] == v2Local
	family, kind := int(b[13]>>4), int(b[13]&0xf)
	known := family <= familyUnix && kind <= kindDgram
	switch {
	case n > MaxProxyHeader:
		return h, 0, errProxySize
	case !local && (!known || n-v2Fixed < v2Addresses[family]):
		return h, 0, errProxyBlock
	case n > len(b):
		return h, n, nil
	}
	b = b[:n]
	if !known || n-v2Fixed < v2Addresses[family] {
		return h, n, nil // LOCAL: the family is ignored, the block skipped
	}
	// §2.2.3: a checksum counts also where the addresses do not. What is no list
	// of TLVs there is skipped like the addresses.
	opaque := local || family == familyUnspec
	if err := checkTLVs(b, v2Fixed+v2Addresses[family]); err != nil && (!opaque || errors.Is(err, errProxyChecksum)) {
		return h, 0, err
	}
	if local || kind == kindUnspec {
		return h, n, nil
	}
	switch at := b[v2Fixed:]; family {
	case familyInet:
		h.Source = proxyAddrPort(at[0:4], at[8:10])
		h.Destination = proxyAddrPort(at[4:8], at[10:12])
	case familyInet6:
		h.Source = proxyAddrPort(at[0:16], at[32:34])
		h.Destination = proxyAddrPort(at[16:32], at[34:36])
	}
	return h, n, nil
}

func proxyAddrPort(addr, port []byte) netip.AddrPort {
	a, _ := netip.AddrFromSlice(addr) // 4 or 16 bytes
	return netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(port))
}

// checkTLVs walks the TLVs of a whole block from at on: each must end within it, and
// a checksum must be right. They tell nothing that is used.
func checkTLVs(b []byte, at int) error {
	sum := 0 // where the checksum is
	for at < len(b) {
		if len(b)-at < v2TLVHead {
			return errProxyBlock
		}
		size := int(binary.BigEndian.Uint16(b[at+1:]))
		value := at + v2TLVHead
		if size > len(b)-value {
			return errProxyBlock
		}
		if b[at] == v2CRC32C {
			if size != crc32.Size || sum != 0 {
				return errProxyBlock
			}
			sum = value
		}
		at = value + size
	}
	if sum != 0 && proxyChecksum(b, sum) != binary.BigEndian.Uint32(b[sum:]) {
		return errProxyChecksum
	}
	return nil
}

// proxyChecksum is the CRC32c of a block whose checksum, at sum, counts as zero.
func proxyChecksum(b []byte, sum int) uint32 {
	castagnoli := crc32.MakeTable(crc32.Castagnoli) // made once
	crc := crc32.Update(0, castagnoli, b[:sum])
	crc = crc32.Update(crc, castagnoli, make([]byte, crc32.Size))
	return crc32.Update(crc, castagnoli, b[sum+crc32.Size:])
}
