package listener

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

func TestProxiesTrust(t *testing.T) {
	prefix := netip.MustParsePrefix
	proxies := NewProxies(ProxyConfig{From: []netip.Prefix{prefix("10.0.0.0/8"), prefix("2001:db8::/64"), prefix("fe80::/64")}})
	unix := NewProxies(ProxyConfig{Unix: true})
	for _, c := range []struct {
		name    string
		proxies *Proxies
		peer    string // empty: a unix socket
		want    bool
	}{
		{"nobody", nil, "10.0.0.1:1", false},
		{"nobody, unix", nil, "", false},
		{"empty", NewProxies(ProxyConfig{}), "10.0.0.1:1", false},
		{"listed", proxies, "10.0.0.1:1", true},
		{"listed, mapped", proxies, "[::ffff:10.0.0.1]:1", true},
		{"not listed", proxies, "192.0.2.1:1", false},
		{"IPv6", proxies, "[2001:db8::7]:1", true},
		{"another net", proxies, "[2001:db8:0:1::7]:1", false},
		{"with a zone", proxies, "[fe80::7%2]:1", true},
		{"unix not listed", proxies, "", false},
		{"unix", unix, "", true},
		{"unix alone", unix, "10.0.0.1:1", false},
	} {
		var peer netip.AddrPort
		addr := net.Addr(&net.UnixAddr{Net: "unix"})
		if c.peer != "" {
			peer = netip.MustParseAddrPort(c.peer)
			addr = net.TCPAddrFromAddrPort(peer)
		}
		want(t, c.name, c.proxies.Trusts(peer), c.want)
		want(t, c.name+", as net.Addr", c.proxies.TrustsAddr(addr), c.want)
	}
	want(t, "another kind of address", unix.TrustsAddr(&net.IPAddr{}), false)

	want(t, "timeout", proxies.Timeout(), 3*time.Second)
	proxies.Set(ProxyConfig{From: []netip.Prefix{prefix("192.0.2.0/24")}, Timeout: time.Second})
	want(t, "before", proxies.Trusts(netip.MustParseAddrPort("10.0.0.1:1")), false)
	want(t, "after", proxies.Trusts(netip.MustParseAddrPort("192.0.2.1:1")), true)
	want(t, "timeout", proxies.Timeout(), time.Second)
	proxies.Set(ProxyConfig{})
	want(t, "nobody any more", proxies.Trusts(netip.MustParseAddrPort("192.0.2.1:1")), false)
}

// Whatever pieces it comes in, not one byte behind the header is taken.
func TestReadProxyHeader(t *testing.T) {
	for _, c := range proxyHeaders {
		for _, slow := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader} {
			in := strings.NewReader(c.header + "rest")
			h, err := ReadProxyHeader(slow(in))
			want(t, c.name, told(h, err), c.want)
			rest, _ := io.ReadAll(in)
			if err == nil && string(rest) != "rest" {
				t.Errorf("%s: %q is left", c.name, rest)
			}
		}
	}
	_, err := ReadProxyHeader(strings.NewReader(""))
	want(t, "nothing", err, io.EOF)
	_, err = ReadProxyHeader(strings.NewReader("PROXY TCP4 1"))
	want(t, "a part", err, io.ErrUnexpectedEOF)
}

// What a connection with a client's addresses can do is what it could do without.
func TestIntroduce(t *testing.T) {
	g := listen(t, Config{Sockets: 1})
	client := dial(t, g)
	conn, err := g.Accept()
	must(t, "Accept", err)
	defer conn.Close()
	if got := (ProxyHeader{}).Introduce(conn); got != conn {
		t.Errorf("without addresses: %T", got)
	}
	h := ProxyHeader{netip.MustParseAddrPort("192.0.2.1:56324"), netip.MustParseAddrPort("[2001:db8::7]:443")}
	c := h.Introduce(conn)
	want(t, "remote", c.RemoteAddr().String(), h.Source.String())
	want(t, "local", c.LocalAddr().String(), h.Destination.String())
	n, err := c.(io.ReaderFrom).ReadFrom(strings.NewReader("hello"))
	must(t, "ReadFrom", err)
	want(t, "sent", n, 5)
	must(t, "CloseWrite", c.(interface{ CloseWrite() error }).CloseWrite())
	got, err := io.ReadAll(client)
	must(t, "read", err)
	want(t, "received", string(got), "hello")
	_, err = io.WriteString(client, "back")
	must(t, "write", err)
	must(t, "half", client.(*net.TCPConn).CloseWrite())
	var sink strings.Builder
	_, err = c.(io.WriterTo).WriteTo(&sink)
	must(t, "WriteTo", err)
	want(t, "back", sink.String(), "back")
	_, err = c.(syscall.Conn).SyscallConn()
	must(t, "SyscallConn", err)
	if err := c.(interface{ CloseRead() error }).CloseRead(); errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("CloseRead: %v", err) // both halves are closed already, which it may tell
	}

	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	plain := h.Introduce(a)
	_, err = plain.(syscall.Conn).SyscallConn()
	for _, err := range []error{err, plain.(interface{ CloseWrite() error }).CloseWrite(), plain.(interface{ CloseRead() error }).CloseRead()} {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("of a pipe: %v", err)
		}
	}
}

// A client that is known only later is counted from then on as if it had come so.
func TestGateIdentify(t *testing.T) {
	gate := NewGate(GateConfig{Total: 4, PerClient: 1, Exempt: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	client, trusted, loop := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("127.0.0.1")
	for range 4 {
		want(t, "nobody's", gate.Admit(netip.Addr{}), Admitted)
	}
	want(t, "the total holds", gate.Admit(netip.Addr{}), RefusedTotal)
	want(t, "a client", gate.Identify(client), Admitted)
	want(t, "its second", gate.Identify(client), RefusedClient)
	want(t, "an exempt one", gate.Identify(trusted), Admitted)
	want(t, "loopback", gate.Identify(loop), Admitted)
	want(t, "none was added", gate.Open(), 4)
	for _, addr := range []netip.Addr{client, {}, trusted, loop} {
		gate.Release(addr)
	}
	want(t, "all have gone", gate.Open(), 0)
	want(t, "the client's place is free", gate.Admit(client), Admitted)
}
