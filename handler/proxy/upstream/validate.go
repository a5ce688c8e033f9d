package upstream

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Validate returns all that is wrong with the options, joined; nil: New takes
// them.
func (o Options) Validate() error {
	var p problems
	o = o.complete()
	p.targets(o.Targets)
	p.balance(o)
	p.health(o.Health)
	p.rest(o)
	return errors.Join(p...)
}

// problems collects what Validate finds.
type problems []error

func (p *problems) add(format string, args ...any) { *p = append(*p, fmt.Errorf(format, args...)) }

func (p *problems) targets(targets []Target) {
	switch {
	case len(targets) == 0:
		p.add("targets: none is given")
	case len(targets) > maxTargets:
		p.add("targets: %d are more than %d", len(targets), maxTargets)
		return
	}
	first := make(map[string]int, len(targets))
	for i, t := range targets {
		parsed, err := parseTarget(t)
		if err != nil {
			p.add("targets[%d]: %w", i, err)
			continue
		}
		if was, double := first[parsed.url]; double {
			p.add("targets[%d]: %s is targets[%d] already", i, parsed.url, was)
		} else {
			first[parsed.url] = i
		}
		if t.Weight > maxWeight {
			p.add("targets[%d]: weight %d is more than %d", i, t.Weight, maxWeight)
		}
	}
}

func (p *problems) balance(o Options) {
	switch o.Balance {
	case P2C, RoundRobin, LeastRequest, HashKey:
	default:
		p.add("balance: %q is none of p2c, round_robin, least_request, hash", o.Balance)
	}
	switch o.Hash.By {
	case "client", "path":
	case "header", "cookie":
		if o.Hash.Name == "" {
			p.add("hash: a key by %s needs its name", o.Hash.By)
		}
	default:
		p.add("hash: %q is none of client, path, header, cookie", o.Hash.By)
	}
	if o.Hash.LoadPercent >= 0 && o.Hash.LoadPercent <= 100 {
		p.add("hash: a load of %d %% leaves no room: it must be above 100", o.Hash.LoadPercent)
	}
}

func (p *problems) health(h Health) {
	if h.Path != "" && !plainPath(h.Path) {
		p.add("health: path %q does not begin with / or has bytes that no request line carries", h.Path)
	}
	if h.Host != "" && strings.ContainsFunc(h.Host, notField) {
		p.add("health: host %q has bytes that no field carries", h.Host)
	}
	if _, err := parseStatuses(h.Expect); err != nil {
		p.add("health: expect: %w", err)
	}
	if h.enabled() && h.Interval < 100*time.Millisecond {
		p.add("health: an interval of %v is a load of its own: 100ms at least", h.Interval)
	}
}

// rest judges what needs a line each.
func (p *problems) rest(o Options) {
	if o.Eject.MaxPercent > 100 {
		p.add("eject: %d %% is more than all", o.Eject.MaxPercent)
	}
	if o.Retry.Attempts >= MaxAttempts {
		p.add("retry: %d further attempts are more than %d", o.Retry.Attempts, MaxAttempts-1)
	}
	if o.Retry.BudgetPercent > 100 {
		p.add("retry: a budget of %d %% is more than all", o.Retry.BudgetPercent)
	}
	for _, m := range o.Retry.Methods {
		// RFC 9110 §9.2.2: only idempotent methods may be repeated unasked.
		if !slices.Contains([]string{"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}, m) {
			p.add("retry: method %q is none of GET, HEAD, OPTIONS, PUT, DELETE", m)
		}
	}
	switch o.Resolve.Network {
	case "ip", "ip4", "ip6":
	default:
		p.add("resolve: network %q is none of ip, ip4, ip6", o.Resolve.Network)
	}
}

func plainPath(s string) bool { return s[0] == '/' && !strings.ContainsFunc(s, notField) }

// notField tells of runes that may stand neither in a target nor in Host.
func notField(r rune) bool { return r <= ' ' || r >= 0x7f || r == '#' }

// statusRange is from 200 to 299, say, both included.
type statusRange struct{ from, to int }

// parseStatuses reads "200-299,304".
func parseStatuses(s string) ([]statusRange, error) {
	var ranges []statusRange
	for part := range strings.SplitSeq(s, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			high = low
		}
		from, err1 := strconv.Atoi(low)
		to, err2 := strconv.Atoi(high)
		if err1 != nil || err2 != nil || from < 100 || to > 599 || from > to {
			return nil, fmt.Errorf("%q is no status or range of statuses within 100-599", part)
		}
		ranges = append(ranges, statusRange{from, to})
	}
	return ranges, nil
}
