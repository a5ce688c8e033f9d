package upstream

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Query is what a name stands for in the options.
type Query struct {
	Name string
	// Port goes with each address; of a service it is 0.
	Port uint16
	// SRV says that Name is a service's.
	SRV bool
	// Network is ip, ip4 or ip6.
	Network string
}

// Address is one answer.
type Address struct {
	// Address is IP:PORT.
	Address string
	// Authority is the host that was found for a service, HOST:PORT. If empty, the
	// target's own.
	Authority string
	// Priority: only the lowest of those with endpoints that are up is used.
	Priority uint16
	// Weight multiplies the target's. If zero, 1.
	Weight int
}

// Discovery looks a name up. ttl is how long the answer holds; zero: unknown. With
// an error, addresses are what was found nevertheless: they are used only where
// nothing is known yet. Other look-ups run at the same time.
type Discovery interface {
	Resolve(ctx context.Context, q Query) (addresses []Address, ttl time.Duration, err error)
}

// Resolver is what DNS needs of a *net.Resolver.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupSRV(ctx context.Context, service, proto, name string) (cname string, records []*net.SRV, err error)
}

// DNS looks names up with Go's resolver, which does not tell for how long an answer
// holds: so Resolve.Interval decides.
type DNS struct {
	// Resolver is net.DefaultResolver if nil.
	Resolver Resolver
}

// maxSRVHosts bounds the look-ups that one answer can cause.
const maxSRVHosts = 64

var errNoService = errors.New("the service is decidedly not available at this domain (RFC 2782)")

// Resolve looks q up. The time is always zero.
func (d DNS) Resolve(ctx context.Context, q Query) ([]Address, time.Duration, error) {
	r := d.Resolver
	if r == nil {
		r = net.DefaultResolver
	}
	if q.SRV {
		addresses, err := lookupService(ctx, r, q)
		return addresses, 0, err
	}
	ips, err := r.LookupNetIP(ctx, q.Network, q.Name)
	if err != nil {
		return nil, 0, fmt.Errorf("look up %s: %w", q.Name, err)
	}
	return addressesOf(ips, q.Port), 0, nil
}

// addressesOf are ips with a port. IPv4 addresses may come as ::ffff:a.b.c.d.
func addressesOf(ips []netip.Addr, port uint16) []Address {
	addresses := make([]Address, len(ips))
	for i, ip := range ips {
		addresses[i].Address = netip.AddrPortFrom(ip.Unmap(), port).String()
	}
	return addresses
}

// lookupService asks for the records, and then for their hosts, side by side.
func lookupService(ctx context.Context, r Resolver, q Query) ([]Address, error) {
	_, records, err := r.LookupSRV(ctx, "", "", q.Name)
	if err != nil {
		return nil, fmt.Errorf("look up service %s: %w", q.Name, err)
	}
	if len(records) == 1 && records[0].Target == "." {
		return nil, fmt.Errorf("look up service %s: %w", q.Name, errNoService)
	}
	records = records[:min(len(records), maxSRVHosts)]
	found := make([][]Address, len(records))
	failed := make([]error, len(records))
	var hosts sync.WaitGroup
	for i, record := range records {
		hosts.Go(func() { found[i], failed[i] = lookupHost(ctx, r, q, record) })
	}
	hosts.Wait()
	var all []Address
	for _, addresses := range found {
		all = append(all, addresses...)
	}
	return all, errors.Join(failed...)
}

func lookupHost(ctx context.Context, r Resolver, q Query, record *net.SRV) ([]Address, error) {
	host := strings.TrimSuffix(record.Target, ".")
	ips, err := r.LookupNetIP(ctx, q.Network, host)
	if err != nil {
		return nil, fmt.Errorf("look up %s of service %s: %w", host, q.Name, err)
	}
	addresses := addressesOf(ips, record.Port)
	for i := range addresses {
		a := &addresses[i]
		a.Authority = net.JoinHostPort(host, strconv.Itoa(int(record.Port)))
		a.Priority = record.Priority
		// RFC 2782: a weight of 0 is a very small chance, beside others.
		a.Weight = max(1, int(record.Weight))
	}
	return addresses, nil
}
