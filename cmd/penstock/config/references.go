package config

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/penstock-edge/penstock/serve/semantics"
)

// references finds what can be told from the file alone: names that lead nowhere,
// keys that exclude each other.
func (f *File) references() *problems {
	s := &problems{}
	c := f.Config
	for _, name := range slices.Sorted(maps.Keys(c.Certificates)) {
		cert := c.Certificates[name]
		if cert.ClientAuth != "" && cert.ClientAuth != "none" && cert.ClientCAFile == "" {
			f.fault(s, "certificates."+name+".client_auth", "%s needs client_ca_file beside it", cert.ClientAuth)
		}
	}
	f.listeners(s)
	for _, bound := range []struct {
		key string
		off bool
	}{
		{"max_target", c.HTTP.MaxTarget < 0},
		{"max_head", c.HTTP.MaxHead < 0},
		{"max_fields", c.HTTP.MaxFields < 0},
	} {
		if bound.off {
			f.fault(s, "http."+bound.key, "what is kept of a head must have a bound")
		}
	}
	for i, h := range c.Hosts {
		f.host(s, h, "hosts["+strconv.Itoa(i)+"]")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Upstreams)) {
		f.upstream(s, c.Upstreams[name], "upstreams."+name)
	}
	if d, t := c.Shutdown.Delay.Value(), c.Shutdown.Timeout.Value(); d > 0 && t > 0 && d >= t {
		f.fault(s, "shutdown.delay", "must be less than shutdown.timeout, which includes it")
	}
	return s
}

func (f *File) listeners(s *problems) {
	c := f.Config
	taken := make(map[Address]string)
	if a := c.Admin.Listen; a != "" && a != off {
		taken[Address(a)] = adminAddress
	}
	if c.Admin.Socket != "" {
		taken[Address("unix:"+c.Admin.Socket)] = adminAddress
	}
	for _, name := range slices.Sorted(maps.Keys(c.Listeners)) {
		l, path := c.Listeners[name], "listeners."+name
		if other := taken[l.Address]; other != "" && !strings.HasSuffix(string(l.Address), ":0") {
			f.fault(s, path+".address", "%s is the address of %s too", l.Address, other)
		}
		taken[l.Address] = "listener " + name
		if l.Redirect != nil {
			f.redirect(s, path+".redirect.to", l.Redirect.To)
		}
		if l.HTTP3 != nil && *l.HTTP3 && l.TLS == nil {
			f.fault(s, path+".http3", "HTTP/3 is always encrypted; add tls")
		}
		if l.HTTP3 != nil && *l.HTTP3 && strings.HasPrefix(string(l.Address), "unix:") {
			f.fault(s, path+".http3", "a Unix socket has no UDP port; leave it out")
		}
		if l.ProxyProtocol != nil {
			f.proxyProtocol(s, path+".proxy_protocol", l)
		}
		if l.TLS == nil {
			continue
		}
		if len(l.TLS.Certificates) == 0 {
			f.fault(s, path+".tls.certificates", "name at least one of certificates")
		}
		for i, cert := range l.TLS.Certificates {
			if c.Certificates[cert] == nil {
				f.noSuch(s, path+".tls.certificates["+strconv.Itoa(i)+"]", "certificate", cert, slices.Collect(maps.Keys(c.Certificates)))
			}
		}
	}
}

func (f *File) proxyProtocol(s *problems, path string, l *Listener) {
	ranges, unix := Peers(l.ProxyProtocol.From)
	from := path + ".from"
	switch address := string(l.Address); {
	case len(l.ProxyProtocol.From) == 0:
		f.fault(s, from, "nobody would be believed; name the balancers")
	case strings.HasPrefix(address, "fd:"): // of either kind
	case strings.HasPrefix(address, "unix:") && !unix:
		f.fault(s, from, "who comes over a Unix socket has no address; write unix")
	case !strings.HasPrefix(address, "unix:") && len(ranges) == 0:
		f.fault(s, from, "nobody comes to %s over a Unix socket; name the balancers' addresses", address)
	}
	if l.ProxyProtocol.Timeout < 0 {
		f.fault(s, path+".timeout", "the wait for a header must have a bound")
	}
}

// adminAddress is who has the address of the admin.
const adminAddress = "admin"

// noSuch is a reference that leads nowhere.
func (f *File) noSuch(s *problems, path, kind, name string, known []string) {
	at := f.marks[path]
	p := &Problem{File: f.name, Line: at.line, Column: at.column, Path: path, What: fmt.Sprintf("there is no %s %q", kind, name)}
	slices.Sort(known)
	if guess := nearest(name, known); guess != "" {
		p.Fix = fmt.Sprintf("did you mean %q?", guess)
	} else if len(known) > 0 {
		p.Fix = "there are " + strings.Join(known, ", ")
	}
	s.add(p)
}

func (f *File) host(s *problems, h *Host, path string) {
	for i, name := range h.Names {
		f.hostName(s, path+".names["+strconv.Itoa(i)+"]", name)
	}
	f.edits(s, path+".headers", &h.Headers)
	if len(h.Routes) == 0 {
		f.fault(s, path, "a host without routes answers nothing; add routes")
	}
	f.rate(s, path+".limits.rate", h.Limits.Rate)
	own := make(map[string]bool)
	for i, r := range h.Routes {
		below := path + ".routes[" + strconv.Itoa(i) + "]"
		if own[r.ID] {
			f.fault(s, below+".id", "another route of the host is called %q", r.ID)
		}
		own[r.ID] = true
		f.route(s, r, below)
	}
}

func (f *File) hostName(s *problems, path, name string) {
	bare := strings.TrimPrefix(name, "*.")
	host, err := semantics.ParseHost([]byte(bare))
	switch {
	case err != nil || strings.ContainsAny(bare, ":*"):
		f.fault(s, path, "%q is no host name, or *. before one, without port", name)
	case host != bare:
		f.fault(s, path, "%q: names are written in lower case, without a dot at the end", name)
	}
}

func (f *File) route(s *problems, r *Route, path string) {
	kinds := 0
	for _, given := range []bool{r.Proxy != nil, r.Files != nil, r.Respond != nil, r.Redirect != nil} {
		if given {
			kinds++
		}
	}
	if kinds != 1 {
		f.fault(s, path, "a route has one of proxy, files, respond, redirect; this one has %d", kinds)
	}
	f.oneSpelling(s, path+".match.headers", r.Match.Headers)
	if r.Respond != nil {
		f.oneSpelling(s, path+".respond.headers", r.Respond.Headers)
	}
	if m := &r.Match; (m.Path == "") == (m.Prefix == "") {
		f.fault(s, path+".match", "a match has either path or prefix")
	} else if p := m.Path + m.Prefix; p[0] != '/' {
		f.fault(s, path+".match", "%q: a path begins with /", p)
	}
	f.methods(s, path+".match.methods", r.Match.Methods)
	f.edits(s, path+".headers", &r.Headers)
	f.edits(s, path+".request_headers", &r.Request)
	f.rate(s, path+".limits.rate", r.Limits.Rate)
	if r.Proxy == nil && r.Rewrite != (Rewrite{}) {
		f.fault(s, path+".rewrite", "only what is passed on can be rewritten; it stands beside proxy")
	}
	if r.Proxy != nil && f.Config.Upstreams[r.Proxy.To] == nil {
		f.noSuch(s, path+".proxy.to", "upstream", r.Proxy.To, slices.Collect(maps.Keys(f.Config.Upstreams)))
	}
	if r.Redirect != nil {
		f.redirect(s, path+".redirect.to", r.Redirect.To)
	}
	if r.Respond != nil && r.Respond.Status != 0 && (r.Respond.Status < 200 || r.Respond.Status > 599) {
		f.fault(s, path+".respond.status", "a final status is between 200 and 599")
	}
}

func (f *File) redirect(s *problems, path, to string) {
	plain := strings.NewReplacer("{host}", "", "{uri}", "", "{path}", "").Replace(to)
	switch {
	case strings.ContainsAny(plain, "{}"):
		f.fault(s, path, "%q: {host}, {uri} and {path} are known", to)
	case strings.ContainsFunc(to, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		f.fault(s, path, "%q: an address has no spaces", to)
	}
}

func (f *File) methods(s *problems, path string, methods []string) {
	for i, m := range methods {
		if !semantics.IsToken(m) || m != strings.ToUpper(m) {
			f.fault(s, path+"["+strconv.Itoa(i)+"]", "%q is no method; they are written in upper case", m)
		}
	}
}

func (f *File) rate(s *problems, path string, r *Rate) {
	if r != nil && r.PerSecond <= 0 {
		f.fault(s, path+".per_second", "must be above 0; leave rate out for none")
	}
}

// managed are fields that are the server's to say.
var managed = []string{"Connection", "Content-Length", "Transfer-Encoding", "Upgrade", "Te", "Trailer", "Keep-Alive", "Host"}

func (f *File) edits(s *problems, path string, e *HeaderEdits) {
	check := func(below, name, value string) {
		switch {
		case !semantics.IsToken(name):
			f.fault(s, path+below, "%q is no field name", name)
		case slices.Contains(managed, http.CanonicalHeaderKey(name)):
			f.fault(s, path+below, "%s is the server's to say", name)
		case !semantics.ValidFieldValue([]byte(value)):
			f.fault(s, path+below, "the value has bytes that no field may have")
		}
	}
	f.oneSpelling(s, path+".set", e.Set)
	f.oneSpelling(s, path+".add", e.Add)
	for _, name := range slices.Sorted(maps.Keys(e.Set)) {
		check(".set."+name, name, e.Set[name])
	}
	for _, name := range slices.Sorted(maps.Keys(e.Add)) {
		check(".add."+name, name, e.Add[name])
	}
	for i, name := range e.Remove {
		check(".remove["+strconv.Itoa(i)+"]", name, "")
	}
}

// oneSpelling refuses a field that is given in two ways to write it: which one
// counts would be a matter of chance.
func (f *File) oneSpelling(s *problems, path string, fields map[string]string) {
	known := make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		as := http.CanonicalHeaderKey(name)
		if other, ok := known[as]; ok {
			f.fault(s, path+"."+name, "%s is the same field", other)
		}
		known[as] = name
	}
}

func (f *File) upstream(s *problems, u *Upstream, path string) {
	if len(u.Targets) == 0 {
		f.fault(s, path+".targets", "name at least one target")
	}
	if (u.TLS.CertFile == "") != (u.TLS.KeyFile == "") {
		f.fault(s, path+".tls", "cert_file and key_file are given together")
	}
	if u.Balance != "hash" && (u.Hash.Name != "" || u.Hash.By != "" && u.Hash.By != "client") {
		f.fault(s, path+".hash", "has no effect without balance: hash")
	}
	if u.Hash.By == "header" || u.Hash.By == "cookie" {
		if u.Hash.Name == "" {
			f.fault(s, path+".hash", "%s needs name beside it", u.Hash.By)
		}
	}
	f.methods(s, path+".retry.methods", u.Retry.Methods)
}
