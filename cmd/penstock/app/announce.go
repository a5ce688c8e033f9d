package app

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
)

// announce tells where the server can be reached, in a form to click on.
func (p *Prepared) announce(w io.Writer) {
	var b strings.Builder
	b.WriteString("penstock is serving\n")
	for _, s := range p.secure {
		fmt.Fprintf(&b, "  %s   certificate: %s%s\n", s.url("https"), p.own.certs.note, p.http3Note(s))
	}
	for _, s := range p.plain {
		fmt.Fprintf(&b, "  %s\n", s.url("http"))
	}
	for _, s := range p.admin {
		fmt.Fprintf(&b, "  %s   admin\n", s.url("http"))
	}
	fmt.Fprintf(&b, "stop with Ctrl-C or kill -TERM %d\n", os.Getpid())
	_, _ = io.WriteString(w, b.String()) // a closed stdout is no reason not to serve
}

// http3Note tells that an address serves HTTP/3 too.
func (p *Prepared) http3Note(s bound) string {
	for _, b := range p.packets {
		if b.spec == s.spec {
			return ", also HTTP/3"
		}
	}
	return ""
}

// url is the address with the port that was really taken. An address that
// stands for all interfaces is shown as localhost.
func (b bound) url(scheme string) string {
	if b.network == "unix" {
		return unixPrefix + b.address
	}
	_, port, err := net.SplitHostPort(b.group.Addr().String())
	if err != nil {
		return scheme + "://" + b.group.Addr().String()
	}
	host := b.host()
	if addr, err := netip.ParseAddr(host); host == "" || err == nil && addr.IsUnspecified() {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
