package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// zone is a Resolver that answers from memory.
type zone struct {
	hosts    map[string][]netip.Addr
	services map[string][]*net.SRV
}

var errNoSuchHost = errors.New("no such host")

func (z zone) LookupNetIP(_ context.Context, network, host string) (list []netip.Addr, err error) {
	for _, ip := range z.hosts[host] {
		if network == "ip" || (network == "ip4") == ip.Unmap().Is4() {
			list = append(list, ip)
		}
	}
	if len(list) == 0 {
		return nil, errNoSuchHost
	}
	return list, nil
}

func (z zone) LookupSRV(_ context.Context, service, proto, name string) (string, []*net.SRV, error) {
	if service != "" || proto != "" { // else the name would get them once more
		return "", nil, errors.New("not asked as it is")
	}
	if records, ok := z.services[name]; ok {
		return name, records, nil
	}
	return "", nil, errNoSuchHost
}

func ips(list ...string) (out []netip.Addr) {
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func TestDNS(t *testing.T) {
	d := DNS{zone{hosts: map[string][]netip.Addr{"api.test": ips("::ffff:10.0.0.1", "2001:db8::1")}}}
	for network, want := range map[string][]Address{
		"ip":  {{Address: "10.0.0.1:80"}, {Address: "[2001:db8::1]:80"}},
		"ip4": {{Address: "10.0.0.1:80"}},
		"ip6": {{Address: "[2001:db8::1]:80"}},
	} {
		got, ttl, err := d.Resolve(t.Context(), Query{Name: "api.test", Port: 80, Network: network})
		servetest.Must(t, network, err)
		servetest.Want(t, "Go does not tell a TTL", ttl, 0)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", network, got, want)
		}
	}
	_, _, err := d.Resolve(t.Context(), Query{Name: "none.test", Port: 80, Network: "ip"})
	servetest.WantErr(t, "no such host", err, errNoSuchHost)
	servetest.Want(t, "the error names it", err.Error(), "look up none.test: no such host")
}

func TestSRV(t *testing.T) {
	z := zone{
		hosts: map[string][]netip.Addr{"a.test": ips("10.0.0.1"), "b.test": ips("10.0.0.2", "10.0.0.3")},
		services: map[string][]*net.SRV{
			"_api._tcp.test":  {{Target: "a.test.", Port: 81, Priority: 1, Weight: 10}, {Target: "b.test.", Port: 82, Priority: 2}},
			"_half._tcp.test": {{Target: "a.test.", Port: 81}, {Target: "none.test.", Port: 82}},
			"_not._tcp.test":  {{Target: "."}},
		},
	}
	for range 500 {
		z.services["_many._tcp.test"] = append(z.services["_many._tcp.test"], &net.SRV{Target: "a.test.", Port: 81})
	}
	ask := func(name string) ([]Address, error) {
		got, _, err := DNS{z}.Resolve(t.Context(), Query{Name: name, SRV: true, Network: "ip"})
		return got, err
	}
	got, err := ask("_api._tcp.test")
	servetest.Must(t, "a service", err)
	want := []Address{
		{"10.0.0.1:81", "a.test:81", 1, 10}, {"10.0.0.2:82", "b.test:82", 2, 1}, {"10.0.0.3:82", "b.test:82", 2, 1},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	got, err = ask("_half._tcp.test")
	servetest.WantErr(t, "a host is not found", err, errNoSuchHost)
	servetest.Want(t, "the other is", len(got), 1)
	_, err = ask("_not._tcp.test")
	servetest.WantErr(t, "RFC 2782: the target is the root", err, errNoService)
	_, err = ask("_none._tcp.test")
	servetest.WantErr(t, "no such service", err, errNoSuchHost)
	got, err = ask("_many._tcp.test")
	servetest.Must(t, "a long answer", err)
	servetest.Want(t, "has a bound", len(got), maxSRVHosts)
}

func TestOrderly(t *testing.T) {
	var many []Address
	for i := range 1000 {
		many = append(many, Address{Address: fmt.Sprintf("10.0.%d.%d:80", i%250, i/250)})
	}
	servetest.Want(t, "an answer has a bound", len(orderly(many)), maxAddresses)
	got := orderly([]Address{{"b:1", "", 1, 0}, {"a:1", "", 2, 0}, {"a:1", "", 1, 3}, {"a:1", "", 1, 5}, {"a:1", "x", 1, 0}})
	want := []Address{{"a:1", "", 1, 5}, {"b:1", "", 1, 0}, {"a:1", "x", 1, 0}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
