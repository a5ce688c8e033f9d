package app

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/penstock-edge/penstock/handler"
)

const priorityUsage = "`NAME[,KEY=VALUE...]`: a class of requests with a share of the server, by shares=N, queues=N (0: none), queue-length=N, exempt, " +
	"and who is in it: user=NAME, group=NAME, path=/x/, method=GET, each repeatable; a request is in the first level that fits, else in the last; repeatable"

// levelRule is a value of --priority-level: a level, and who is in it. Of one key
// one value must fit, and of each key that was given one.
type levelRule struct {
	handler.PriorityLevel
	users, groups, paths, methods []string
}

type levelRules []levelRule

// levels are the values of the flag. A level that takes all requests must be the
// last: those behind it would be empty.
func (o *AccessOptions) levels() (levelRules, error) {
	var rules levelRules
	var errs []error
	for _, text := range o.PriorityLevels {
		r, err := parseLevel(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("--priority-level %q: %w", text, err))
		}
		rules = append(rules, r)
	}
	for i, r := range rules {
		if i < len(rules)-1 && r.takesAll() && len(errs) == 0 {
			errs = append(errs, fmt.Errorf("--priority-level %s: takes all requests, so those behind it have none; give it user=, group=, path= or method=, or put it last", r.Name))
		}
		if slices.ContainsFunc(rules[:i], func(o levelRule) bool { return o.Name == r.Name }) {
			errs = append(errs, fmt.Errorf("--priority-level %s: given twice", r.Name))
		}
	}
	return rules, errors.Join(errs...)
}

func parseLevel(text string) (r levelRule, err error) {
	name, rest, _ := strings.Cut(text, ",")
	if name == "" || strings.ContainsAny(name, "= ") {
		return r, errors.New("it begins with a name, then a comma")
	}
	r.Name = name
	for rest != "" {
		var pair string
		pair, rest, _ = strings.Cut(rest, ",")
		if err := r.set(strings.Cut(pair, "=")); err != nil {
			return r, err
		}
	}
	return r, nil
}

func (r *levelRule) set(key, value string, hasValue bool) error {
	number := func(to *int, least, most int) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < least || n > most {
			return fmt.Errorf("%s=%s: give a whole number from %d to %d", key, value, least, most)
		}
		*to = n
		return nil
	}
	if key == "exempt" && !hasValue {
		r.Exempt = true
		return nil
	}
	if value == "" {
		return fmt.Errorf("%q: write KEY=VALUE with shares, queues, queue-length, user, group, path or method, or exempt alone", key)
	}
	switch key {
	case "shares":
		return number(&r.Shares, 1, 1_000_000)
	case "queues":
		err := number(&r.Queues, 0, 1024)
		if err == nil && r.Queues == 0 {
			r.Queues = -1
		}
		return err
	case "queue-length":
		return number(&r.QueueLength, 1, 1_000_000)
	case "user":
		r.users = append(r.users, value)
	case "group":
		r.groups = append(r.groups, value)
	case "path":
		if value[0] != '/' {
			return fmt.Errorf("path=%s: must begin with a slash", value)
		}
		r.paths = append(r.paths, value)
	case "method":
		r.methods = append(r.methods, value)
	default:
		return fmt.Errorf("%q is not known; there are shares, queues, queue-length, exempt, user, group, path and method", key)
	}
	return nil
}

func (r *levelRule) takesAll() bool {
	return len(r.users)+len(r.groups)+len(r.paths)+len(r.methods) == 0
}

// classify tells level and flow: requests of one user, or of one address where
// nobody is known, wait behind each other.
func (rules levelRules) classify(x *handler.Exchange) (level int, flow string) {
	level = slices.IndexFunc(rules, func(r levelRule) bool { return r.fits(x) })
	if x.User != nil && !x.User.Anonymous() {
		return level, x.User.Name
	}
	at, err := netip.ParseAddrPort(x.Request.RemoteAddr)
	if err != nil {
		return level, x.Request.RemoteAddr
	}
	if at.Addr().Is4() {
		b := at.Addr().As4()
		return level, string(b[:])
	}
	b := at.Addr().As16() // a customer has a /64: all its addresses are one flow
	return level, string(b[:8])
}

func (r *levelRule) fits(x *handler.Exchange) bool {
	var name string
	var groups []string
	if x.User != nil {
		name, groups = x.User.Name, x.User.Groups
	}
	return anyOf(r.users, func(u string) bool { return u == name }) &&
		anyOf(r.groups, func(g string) bool { return slices.Contains(groups, g) }) &&
		anyOf(r.methods, func(m string) bool { return m == x.Request.Method }) &&
		anyOf(r.paths, func(p string) bool { return underPath(p, x.Request.URL.Path) })
}

// anyOf tells whether one of values fits; none given: all do.
func anyOf(values []string, fits func(string) bool) bool {
	return len(values) == 0 || slices.ContainsFunc(values, fits)
}

// underPath tells whether path is pattern, or below one that ends in a slash.
func underPath(pattern, path string) bool {
	return path == pattern || strings.HasSuffix(pattern, "/") && strings.HasPrefix(path, pattern)
}
