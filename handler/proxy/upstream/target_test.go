package upstream

import (
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func TestParseTarget(t *testing.T) {
	for _, c := range []struct {
		url, form, authority, address string
	}{
		{"http://10.0.0.1", "http://10.0.0.1:80", "10.0.0.1", "10.0.0.1:80"},
		{"HTTP://10.0.0.1:8080", "http://10.0.0.1:8080", "10.0.0.1:8080", "10.0.0.1:8080"},
		{"https://10.0.0.1", "https://10.0.0.1:443", "10.0.0.1", "10.0.0.1:443"},
		{"https://10.0.0.1:80", "https://10.0.0.1:80", "10.0.0.1:80", "10.0.0.1:80"},
		{"h2c://[::1]", "h2c://[::1]:80", "[::1]", "[::1]:80"},
		{"http://[2001:DB8:0::1]:81", "http://[2001:db8::1]:81", "[2001:db8::1]:81", "[2001:db8::1]:81"},
		{"http://[::ffff:10.0.0.1]:81", "http://10.0.0.1:81", "10.0.0.1:81", "10.0.0.1:81"},
		{"http://API.example.org:81", "http://api.example.org:81", "api.example.org:81", ""},
		{"http://api_1.example.org.", "http://api_1.example.org.:80", "api_1.example.org.", ""},
		{"http://unix:/run/p.sock", "http://unix:/run/p.sock", "localhost", "/run/p.sock"},
		{"h2c://unix:@p", "h2c://unix:@p", "localhost", "@p"},
	} {
		p, err := parseTarget(Target{URL: c.url})
		servetest.Must(t, c.url, err)
		servetest.Want(t, c.url+" in its one form", p.url, c.form)
		servetest.Want(t, "Host of "+c.url, p.authority(), c.authority)
		a, _ := p.fixed()
		servetest.Want(t, "address of "+c.url, a.Address, c.address)
	}
}

func TestParseTargetRefuses(t *testing.T) {
	for _, url := range []string{
		"", "10.0.0.1", "ftp://10.0.0.1", "http://", "http://:80", "http://10.0.0.1:", "http://10.0.0.1:0",
		"http://10.0.0.1:65536", "http://10.0.0.1:+80", "http://10.0.0.1/", "http://10.0.0.1?x", "http://u@10.0.0.1",
		"http://::1", "http://[::1", "http://[::1]x", "http://[::1]:", "http://[10.0.0.1]", "http://[fe80::1%eth0]",
		"http://10.0.0.256", "http://a..b", "http://.a", "http://a b", "http://ä.org", "http://" + strings.Repeat("a", 64),
		"http://" + strings.Repeat("a.", 127), "http://unix:", "http://unix:run/p.sock", "http://unix:/a b",
		"http://unix:/" + strings.Repeat("a", 107), "http://a\r\nb", "http://UNIX", "http://unix:80",
	} {
		if p, err := parseTarget(Target{URL: url}); err == nil {
			t.Errorf("%q was taken as %q", url, p.url)
		}
	}
}

func TestParseService(t *testing.T) {
	p, err := parseTarget(Target{URL: "https://_api._tcp.example.org", SRV: true})
	servetest.Must(t, "a service", err)
	servetest.Want(t, "its one form differs from that of a host", p.url, "srv+https://_api._tcp.example.org")
	_, fixed := p.fixed()
	servetest.Want(t, "a service has no fixed address", fixed, false)
	servetest.Want(t, "what is asked", p.query("ip4"), Query{Name: "_api._tcp.example.org", SRV: true, Network: "ip4"})
	for _, url := range []string{"http://_api._tcp.example.org:80", "http://10.0.0.1", "http://unix:/run/p.sock"} {
		if _, err := parseTarget(Target{URL: url, SRV: true}); err == nil {
			t.Errorf("%q was taken as a service", url)
		}
	}
}

// What is taken has one form, which is taken as itself, and no byte that would end
// a line of a request.
func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{
		"http://10.0.0.1", "h2c://[::ffff:1.2.3.4]:9", "https://A.b:443", "http://unix:@x", "http://unix:/run/a.sock",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, url string) {
		p, err := parseTarget(Target{URL: url})
		if err != nil {
			return
		}
		again, err := parseTarget(Target{URL: p.url})
		if err != nil {
			t.Fatalf("%q became %q, which is refused: %v", url, p.url, err)
		}
		if again != p {
			t.Fatalf("%q became %+v, and that %+v", url, p, again)
		}
		if strings.ContainsAny(p.url+p.authority(), " \r\n\t\x00") {
			t.Fatalf("%q became %q with authority %q", url, p.url, p.authority())
		}
		if a, fixed := p.fixed(); fixed && a.Address == "" {
			t.Fatalf("%q has an empty address", url)
		}
	})
}
