package app

import (
	"slices"

	"github.com/spf13/pflag"

	"github.com/penstock-edge/penstock/cmd/penstock/config"
	"github.com/penstock-edge/penstock/listener"
)

// ProxyProtocolOptions are the flags of the PROXY protocol. Without them nobody's
// header is read.
type ProxyProtocolOptions struct {
	ProxyProtocolFrom []string
}

// fromUnix is who comes over a unix socket.
const fromUnix = "unix"

func (o *ProxyProtocolOptions) addFlags(fs *pflag.FlagSet) {
	repeatable(fs, &o.ProxyProtocolFrom, "proxy-protocol-from", ",", "`CIDR` of balancers whose connections must begin with a PROXY header, version 1 or 2, which tells the client; unix for those of unix sockets; repeatable")
}

// config is what the flags say. All errors are told together.
func (o *ProxyProtocolOptions) config() (c listener.ProxyConfig, err error) {
	c.Unix = slices.Contains(o.ProxyProtocolFrom, fromUnix)
	ranges := slices.DeleteFunc(slices.Clone(o.ProxyProtocolFrom), func(v string) bool { return v == fromUnix })
	c.From, err = parsePrefixes("--proxy-protocol-from", ranges)
	return c, err
}

// proxies are those of --listen and --tls-listen; nil: there are none.
func (o *ProxyProtocolOptions) proxies() *listener.Proxies {
	if len(o.ProxyProtocolFrom) == 0 {
		return nil
	}
	c, _ := o.config() // Validate has read it
	return listener.NewProxies(c)
}

// proxiesOf are those of a listener of a file.
func proxiesOf(l *config.Listener) (c listener.ProxyConfig) {
	if l.ProxyProtocol != nil {
		c.From, c.Unix = config.Peers(l.ProxyProtocol.From)
		c.Timeout = l.ProxyProtocol.Timeout.Value()
	}
	return c
}
