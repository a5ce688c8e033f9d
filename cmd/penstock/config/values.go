package config

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// A text is a value that is written as one scalar.
type text interface {
	parse(s string) error
	String() string
}

// off switches a limit or a wait off.
const off = "off"

// Duration is a time, as "10s" or "1h30m". Zero: not given. Negative: "off".
type Duration time.Duration

func (d *Duration) parse(s string) error {
	if s == off {
		*d = -1
		return nil
	}
	v, err := time.ParseDuration(s)
	switch {
	case err != nil && isNumber(s):
		return fmt.Errorf("a time has a unit: write %ss or %sms", s, s)
	case err != nil:
		return errors.New("a time is written as 10s, 500ms, 1h30m, or off")
	case v < 0:
		return errors.New("a time is not negative; off switches it off")
	}
	*d = Duration(v)
	return nil
}

func (d *Duration) String() string {
	if *d < 0 {
		return off
	}
	s := time.Duration(*d).String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

// Value is the time, under the contract of options: zero is the default, negative
// none.
func (d *Duration) Value() time.Duration { return time.Duration(*d) }

// Size is a number of bytes, as "64KiB". Zero: not given. Negative: "off".
type Size int64

var sizeUnits = []struct {
	name  string
	bytes int64
}{
	{"KiB", 1 << 10},
	{"MiB", 1 << 20},
	{"GiB", 1 << 30},
	{"TiB", 1 << 40},
	{"KB", 1e3},
	{"MB", 1e6},
	{"GB", 1e9},
	{"TB", 1e12},
	{"B", 1},
}

func (z *Size) parse(s string) error {
	if s == off {
		*z = -1
		return nil
	}
	digits := strings.TrimRight(s, "KMGTiB")
	unit := int64(1)
	known := digits == s
	for _, u := range sizeUnits {
		if s[len(digits):] == u.name {
			unit, known = u.bytes, true
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	switch {
	case err != nil || !known || n < 0 || digits[0] == '+':
		return errors.New("a size is written as 512, 64KiB, 10MB, or off")
	case n > math.MaxInt64/unit:
		return errors.New("the size is larger than any")
	}
	*z = Size(n * unit)
	return nil
}

func (z *Size) String() string {
	if *z < 0 {
		return off
	}
	for i := 3; i >= 0; i-- {
		if u := sizeUnits[i]; *z >= Size(u.bytes) && int64(*z)%u.bytes == 0 {
			return strconv.FormatInt(int64(*z)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(*z), 10)
}

// Value is the number of bytes, under the contract of options.
func (z *Size) Value() int64 { return int64(*z) }

// Count is a number of things. Zero: not given. Negative: "off".
type Count int

func (c *Count) parse(s string) error {
	if s == off {
		*c = -1
		return nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || s[0] == '+' {
		return errors.New("a number from 0 on, or off")
	}
	if *c = Count(n); n == 0 {
		*c = -1 // none is what nothing is
	}
	return nil
}

func (c *Count) String() string {
	if *c < 0 {
		return off
	}
	return strconv.Itoa(int(*c))
}

// Value is the number, under the contract of options.
func (c *Count) Value() int { return int(*c) }

// Address is where something listens: ":443", "[::1]:8080", "unix:/run/p.sock",
// "fd:NAME".
type Address string

func (a *Address) parse(s string) error {
	*a = Address(s)
	switch {
	case strings.HasPrefix(s, "unix:") && len(s) > len("unix:"), strings.HasPrefix(s, "fd:") && len(s) > len("fd:"):
		return nil
	}
	at := strings.LastIndexByte(s, ':')
	if at < 0 {
		return errors.New("an address is written as :443, 127.0.0.1:8080, [::1]:8080, unix:PATH or fd:NAME")
	}
	port, err := strconv.ParseUint(s[at+1:], 10, 16)
	if err != nil {
		return fmt.Errorf("%q is no port: 0 to 65535", s[at+1:])
	}
	_ = port
	if host := s[:at]; host != "" && strings.Contains(host, ":") && (host[0] != '[' || host[len(host)-1] != ']') {
		return errors.New("an IPv6 address stands in brackets, as [::1]:8080")
	}
	return nil
}

func (a *Address) String() string { return string(*a) }

// AddressOrOff is an Address, or "off": none.
type AddressOrOff string

func (a *AddressOrOff) parse(s string) error {
	*a = AddressOrOff(s)
	if s == off {
		return nil
	}
	var address Address
	return address.parse(s)
}

func (a *AddressOrOff) String() string { return string(*a) }

// Prefix is an address or a range, as "10.0.0.0/8".
type Prefix netip.Prefix

func (p *Prefix) parse(s string) error {
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		addr, aerr := netip.ParseAddr(s)
		if aerr != nil || addr.Zone() != "" {
			return errors.New("an address or a range is written as 192.0.2.1 or 10.0.0.0/8")
		}
		prefix = netip.PrefixFrom(addr, addr.BitLen())
	}
	if prefix != prefix.Masked() {
		return fmt.Errorf("bits are set behind the mask; write %s", prefix.Masked())
	}
	*p = Prefix(prefix)
	return nil
}

func (p *Prefix) String() string { return netip.Prefix(*p).String() }

// Prefixes are ranges as package netip has them.
func Prefixes(list []Prefix) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i := range list {
		out[i] = netip.Prefix(list[i])
	}
	return out
}

// Peer is a Prefix as it is written, or "unix": whoever comes over a Unix socket.
type Peer string

// overUnix is the Peer without an address.
const overUnix Peer = "unix"

func (p *Peer) parse(s string) error {
	if Peer(s) == overUnix {
		*p = overUnix
		return nil
	}
	var prefix Prefix
	if err := prefix.parse(s); err != nil {
		return fmt.Errorf("%w, or unix", err)
	}
	*p = Peer(prefix.String())
	return nil
}

func (p *Peer) String() string { return string(*p) }

// Peers are ranges as package netip has them, and whether Unix sockets are among
// them.
func Peers(list []Peer) (ranges []netip.Prefix, unix bool) {
	for _, p := range list {
		if prefix, err := netip.ParsePrefix(string(p)); err == nil { // parse has made it
			ranges = append(ranges, prefix)
		}
		unix = unix || p == overUnix
	}
	return ranges, unix
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}
