package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"
)

// announceAfter is how long a server that does not get ready waits before it tells
// where it listens all the same.
const announceAfter = time.Second

// announceReady announces once the server is ready: who reads that may ask /readyz.
func (p *Prepared) announceReady(ctx context.Context) {
	late := time.NewTimer(announceAfter)
	defer late.Stop()
	select {
	case <-p.server.Signals().HasBeenReady.Signaled():
	case <-late.C:
	case <-ctx.Done():
		return
	}
	if err := p.pid.write(); err != nil {
		p.life.log.Error("nobody finds this process by its number", slog.Any("error", err))
	}
	p.announce(p.stdout)
}

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
	p.opts.file.announce(&b)
	for _, s := range p.admin {
		fmt.Fprintf(&b, "  %s   admin\n", s.url(p.adminScheme()))
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

func (p *Prepared) adminScheme() string {
	if p.own.admin != nil {
		return "https"
	}
	return "http"
}
