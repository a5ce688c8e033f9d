package config

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// noEnv is an environment with nothing in it.
func noEnv(string) (string, bool) { return "", false }

func decode(data string) (*File, error) {
	return Decode("penstock.yaml", []byte(data), Options{Lookup: noEnv})
}

func example(t testing.TB) *File {
	t.Helper()
	f, err := Load(filepath.Join("testdata", "front.yaml"), Options{Lookup: noEnv})
	servetest.Must(t, "the example", err)
	return f
}

func TestExample(t *testing.T) {
	c := example(t).Config
	servetest.Want(t, "delay", c.Shutdown.Delay.Value(), 5*time.Second)
	servetest.Want(t, "memory", c.Limits.Memory.Value(), 2<<30)
	servetest.Want(t, "listeners", len(c.Listeners), 2)
	servetest.Want(t, "redirect", c.Listeners["web"].Redirect.Status, 308)
	servetest.Want(t, "client auth", c.Certificates["api"].ClientAuth, "require")
	servetest.Want(t, "hosts", len(c.Hosts), 3)
	servetest.Want(t, "a host's limit", c.Hosts[2].Limits.MaxBody.Value(), 16<<20)
	servetest.Want(t, "rate", c.Hosts[2].Limits.Rate.PerSecond, 50)
	servetest.Want(t, "a route's timeout", c.Hosts[2].Routes[0].Proxy.Timeouts.Idle.Value(), 10*time.Minute)
	servetest.Want(t, "weight", c.Upstreams["api"].Targets[1].Weight.Value(), 2)
	servetest.Want(t, "expect", c.Upstreams["api"].Health.Expect, "200-299")
	servetest.Want(t, "origin", example(t).Origin("limits.memory").String(), "file:5")
	servetest.Want(t, "origin of what is not there", example(t).Origin("limits.max_body").String(), "default")
}

// TestProblems: each line has its place and what is wrong; all come at once.
func TestProblems(t *testing.T) {
	host := func(route string) string {
		return "version: 1\nhosts:\n- names: [a]\n  routes:\n  - " + route + "\n"
	}
	for _, c := range []struct {
		name, file string
		want       []string
	}{
		{"empty", "", []string{"penstock.yaml: the file is empty"}},
		{"no YAML", "version: 1\n a: [", []string{"penstock.yaml:2:1: no YAML"}},
		{"two documents", "version: 1\n---\nversion: 1\n", []string{"a second document"}},
		{"no mapping", "[1]", []string{"penstock.yaml:1:1: a list stands where keys are expected"}},
		{"no version", "limits: {}", []string{"version is missing"}},
		{"other version", "version: 2", []string{`penstock.yaml:1:10: version: "2": must be 1`}},
		{"unknown key", "version: 1\nlimits: {conections: 3}", []string{`penstock.yaml:2:10: limits: unknown key "conections"; did you mean "connections"?`}},
		{"unknown key, nothing near", "version: 1\nxyzzy: 3", []string{`unknown key "xyzzy"; known are version, admin`}},
		{"twice", "version: 1\nlog: {level: info}\nlog: {}", []string{"penstock.yaml:3:1: log: the key was given before, in line 2"}},
		{"merge", "version: 1\nlog: &l {level: info}\nadmin: {<<: *l}", []string{"penstock.yaml:3:9: admin: merge keys"}},
		{"empty value", "version: 1\nlog: {level: }", []string{"the value is empty"}},
		{"no unit", "version: 1\nshutdown: {timeout: 30}", []string{"write 30s or 30ms"}},
		{"bad time", "version: 1\nshutdown: {timeout: soon}", []string{"a time is written as 10s"}},
		{"negative time", "version: 1\nshutdown: {timeout: -1s}", []string{"not negative"}},
		{"bad size", "version: 1\nlimits: {memory: 3Kib}", []string{"a size is written as 512"}},
		{"large size", "version: 1\nlimits: {memory: 99999999999TiB}", []string{"larger than any"}},
		{"bad count", "version: 1\nlimits: {connections: 1.5}", []string{"a number from 0 on"}},
		{"bad bool", "version: 1\nadmin: {pprof: yes}", []string{"must be true or false"}},
		{"bad address", "version: 1\nlisteners: {a: {address: \"80\"}}", []string{"an address is written as"}},
		{"bad port", "version: 1\nlisteners: {a: {address: \":http\"}}", []string{`"http" is no port`}},
		{"brackets", "version: 1\nlisteners: {a: {address: \"::1:80\"}}", []string{"in brackets"}},
		{"bad range", "version: 1\nforwarded: {trust: [10.0.0.1/8]}", []string{"write 10.0.0.0/8"}},
		{"enum", "version: 1\nlog: {level: inof}", []string{`must be debug, info, warn, error; did you mean "info"?`}},
		{"list", "version: 1\nforwarded: {trust: 10.0.0.0/8}", []string{"write [ ] around it"}},
		{"no environment", "version: 1\nlog: {access: \"${DIR}/a\"}", []string{"the environment has no DIR"}},
		{"environment, no end", "version: 1\nlog: {access: \"${DIR\"}", []string{"has no end"}},
		{"self", "version: 1\nhosts: &h [*h]", []string{"a list stands where keys are expected"}},
		{"all at once", "version: 1\nfoo: 1\nlog: {level: 7}\nshutdown: {timeout: 3}", []string{"unknown key", "must be debug", "write 3s"}},

		{"two kinds", host(`{id: a, match: {path: /}, respond: {}, redirect: {to: /}}`), []string{"this one has 2"}},
		{"no kind", host(`{id: a, match: {path: /}}`), []string{"this one has 0"}},
		{"no match", host(`{id: a, match: {}, respond: {}}`), []string{"either path or prefix"}},
		{"relative", host(`{id: a, match: {path: a}, respond: {}}`), []string{"begins with /"}},
		{"no id", host(`{match: {path: /}, respond: {}}`), []string{"id is missing"}},
		{"no upstream", host(`{id: a, match: {path: /}, proxy: {to: apl}}`) + "upstreams: {api: {targets: [{url: \"http://a\"}]}}", []string{`there is no upstream "apl"; did you mean "api"?`}},
		{"rewrite without proxy", host(`{id: a, match: {path: /}, respond: {}, rewrite: {add_prefix: /x}}`), []string{"stands beside proxy"}},
		{"status", host(`{id: a, match: {path: /}, respond: {status: 101}}`), []string{"between 200 and 599"}},
		{"redirect", host(`{id: a, match: {path: /}, redirect: {to: "{hots}"}}`), []string{"{host}, {uri} and {path}"}},
		{"field name", host(`{id: a, match: {path: /}, respond: {}, headers: {set: {"a b": x}}}`), []string{"no field name"}},
		{"our field", host(`{id: a, match: {path: /}, respond: {}, headers: {remove: [content-length]}}`), []string{"the server's to say"}},
		{"method", host(`{id: a, match: {path: /, methods: [get]}, respond: {}}`), []string{"upper case"}},
		{"host name", "version: 1\nhosts:\n- names: [A.org, \"a b\", \"*.*\"]\n  routes: [{id: a, match: {path: /}, respond: {}}]", []string{"lower case", "no host name", "no host name"}},
		{"no routes", "version: 1\nhosts: [{names: [a], routes: []}]", []string{"answers nothing"}},
		{"http3 without tls", "version: 1\nlisteners: {a: {address: \":80\", http3: true}}", []string{"always encrypted"}},
		{"same address", "version: 1\nlisteners: {a: {address: \":80\"}, b: {address: \":80\"}}", []string{"is the address of listener a too"}},
		{"no certificate", "version: 1\nlisteners: {a: {address: \":80\", tls: {certificates: [x]}}}", []string{`there is no certificate "x"`}},
		{"no targets", "version: 1\nupstreams: {a: {targets: []}}", []string{"at least one target"}},
		{"hash without balance", "version: 1\nupstreams: {a: {targets: [{url: \"http://a\"}], hash: {by: path}}}", []string{"without balance: hash"}},
		{"client auth", "version: 1\ncertificates: {a: {cert_file: a, key_file: b, client_auth: require}}", []string{"needs client_ca_file"}},
		{"no bound", "version: 1\nhttp: {max_head: off}", []string{"penstock.yaml:2:18: http.max_head: what is kept of a head must have a bound"}},
		{"tag", "version: 1\nlog: {level: !!str info}", []string{"penstock.yaml:2:14: log.level: tags are not taken"}},
		{"two spellings", host(`{id: a, match: {path: /}, respond: {}, headers: {set: {x-a: "1", X-A: "2"}}}`), []string{"is the same field"}},
		{"admin's address", "version: 1\nadmin: {listen: \"127.0.0.1:80\"}\nlisteners: {a: {address: \"127.0.0.1:80\"}}", []string{"is the address of admin too"}},
		{"http3 without a port", "version: 1\nlisteners: {a: {address: \"unix:/a\", http3: true, tls: {certificates: [x]}}}", []string{"no UDP port", "no certificate"}},
		{"PROXY from nobody", "version: 1\nlisteners: {a: {address: \":80\", proxy_protocol: {from: []}}}", []string{"listeners.a.proxy_protocol.from: nobody would be believed"}},
		{"PROXY without from", "version: 1\nlisteners: {a: {address: \":80\", proxy_protocol: {timeout: 1s}}}", []string{"from is missing"}},
		{"PROXY from a name", "version: 1\nlisteners: {a: {address: \":80\", proxy_protocol: {from: [balancer]}}}", []string{"an address or a range is written as 192.0.2.1 or 10.0.0.0/8, or unix"}},
		{"PROXY from where nobody comes from", "version: 1\nlisteners: {a: {address: \":80\", proxy_protocol: {from: [unix]}}, b: {address: \"unix:/a\", proxy_protocol: {from: [10.0.0.0/8]}}}", []string{"nobody comes to :80 over a Unix socket", "write unix"}},
		{"PROXY without a bound", "version: 1\nlisteners: {a: {address: \":80\", proxy_protocol: {from: [10.0.0.1], timeout: off}}}", []string{"must have a bound"}},
		{"redirect of an address", "version: 1\nlisteners: {a: {address: \":80\", redirect: {to: \"{hots}\"}}}", []string{"{host}, {uri} and {path}"}},
		{"delay", "version: 1\nshutdown: {delay: 30s, timeout: 30s}", []string{"less than shutdown.timeout"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := decode(c.file)
			if err == nil {
				t.Fatalf("it was taken, want %q", c.want)
			}
			rest := err.Error()
			for _, part := range c.want {
				_, after, ok := strings.Cut(rest, part)
				if !ok {
					t.Errorf("got %q, want in order %q", err, c.want)
					break
				}
				rest = after
			}
		})
	}
}

// TestBounds: what is too much is an error, in little time and memory.
func TestBounds(t *testing.T) {
	bomb := "version: 1\nlog: {access: x}\n"
	bomb += "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := range 8 {
		bomb += strings.NewReplacer("N", string(rune('1'+i)), "P", string(rune('0'+i))).Replace("aN: &aN [*aP,*aP,*aP,*aP,*aP,*aP,*aP,*aP,*aP,*aP]\n")
	}
	bomb += "forwarded: {trust: *a8}\n"
	for name, file := range map[string]string{
		"size":    "version: 1 #" + strings.Repeat("x", maxFile),
		"aliases": bomb,
		"depth":   "version: 1\nforwarded: {trust: " + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "}",
		"many":    "version: 1\nforwarded: {trust: [" + strings.Repeat("x,", 200_000) + "x]}",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := decode(file)
			if err == nil {
				t.Fatal("it was taken")
			}
			if n := strings.Count(err.Error(), "\n"); n > maxProblems {
				t.Errorf("%d lines of errors, want %d at most", n, maxProblems)
			}
		})
	}
}

// TestExpand: a value from the environment cannot change the structure.
func TestExpand(t *testing.T) {
	env := map[string]string{"EVIL": "x\nlimits: {connections: 1}", "PORT": "8080", "SET": ""}
	f, err := Decode("f", []byte(`version: 1
log: {access: "${EVIL}", audit: "$$ $x ${SET}${NONE:-d}"}
listeners: {a: {address: ":${PORT}"}}`), Options{Lookup: func(name string) (string, bool) { v, ok := env[name]; return v, ok }})
	servetest.Must(t, "decode", err)
	servetest.Want(t, "the value", f.Config.Log.Access, env["EVIL"])
	servetest.Want(t, "no limit came of it", f.Config.Limits.Connections.Value(), 0)
	servetest.Want(t, "dollars and defaults", f.Config.Log.Audit, "$ $x d")
	servetest.Want(t, "address", f.Config.Listeners["a"].Address, ":8080")
	servetest.Want(t, "origin", f.Origin("listeners.a.address").String(), "env, file:3")
}

// TestEffective: what is written is valid input that means the same, in YAML and in
// JSON.
func TestEffective(t *testing.T) {
	f := example(t)
	for _, opts := range []EffectiveOptions{{}, {JSON: true}, {Defaults: true}, {JSON: true, Defaults: true}} {
		var b bytes.Buffer
		servetest.Must(t, "write", f.Effective(&b, opts))
		again, err := decode(b.String())
		if err != nil {
			t.Fatalf("%+v: %v in\n%s", opts, err, b.String())
		}
		if d := Diff(f.Config, again.Config); !opts.Defaults && len(d) > 0 {
			t.Errorf("%+v: it means another thing: %v", opts, d)
		}
		if !opts.JSON && (!strings.Contains(b.String(), "# file:5") || opts.Defaults != strings.Contains(b.String(), "# default")) {
			t.Errorf("%+v: the origins are wrong in\n%s", opts, b.String())
		}
	}
}

func TestSchemaAndReference(t *testing.T) {
	for name, got := range map[string]string{"schema.json": string(Schema()), "reference.md": Reference()} {
		file := filepath.Join("testdata", name)
		want, err := os.ReadFile(file)
		if os.Getenv("UPDATE") != "" {
			err = os.WriteFile(file, []byte(got), 0o644)
			want = []byte(got)
		}
		servetest.Must(t, file, err)
		if got != string(want) {
			t.Errorf("%s is not what the schema says; run UPDATE=1 go test ./cmd/penstock/config", file)
		}
	}
}

// TestDocumented: each key has a description, and each default is one that the key
// takes.
func TestDocumented(t *testing.T) {
	var walk func(typ reflect.Type, path string)
	walk = func(typ reflect.Type, path string) {
		typ = indirect(typ)
		if typ.Kind() == reflect.Map || typ.Kind() == reflect.Slice && !isText(typ) {
			walk(typ.Elem(), path)
			return
		}
		if typ.Kind() != reflect.Struct || isText(typ) {
			return
		}
		for _, k := range keysOf(typ) {
			below := join(path, k.name)
			if k.doc == "" || k.name == "" {
				t.Errorf("%s has no description", below)
			}
			if v := reflect.New(indirect(k.typ)).Elem(); k.byDefault != "" && v.Kind() != reflect.Slice {
				if err := setScalar(v, k.byDefault); err != nil {
					t.Errorf("%s: its default %q: %v", below, k.byDefault, err)
				}
			}
			walk(k.typ, below)
		}
	}
	walk(reflect.TypeFor[Config](), "")
}

func TestDiffAndHashes(t *testing.T) {
	a, b := example(t).Config, example(t).Config
	servetest.Want(t, "equal ones", len(Diff(a, b)), 0)
	before := HashesOf(a)
	b.Hosts = b.Hosts[1:] // another place in the list is no change
	b.Hosts[1].Routes[1].Proxy.Host = "upstream"
	b.Upstreams["api"].Pool.Idle = 1
	b.Upstreams["new"] = &Upstream{Targets: []*Target{{URL: "http://x"}}}
	var got []string
	for _, c := range Diff(a, b) {
		if !strings.Contains(c.Path, "www.example.org") {
			got = append(got, c.String())
		}
	}
	want := []string{
		"added hosts[api.example.org].routes[api].proxy.host: upstream",
		"changed upstreams.api.pool.idle: 64 -> 1",
		"added upstreams.new.targets[http://x].url: http://x",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	after := HashesOf(b)
	servetest.Want(t, "a route that stays", after.Routes["api.example.org/events"], before.Routes["api.example.org/events"])
	if after.Routes["api.example.org/api"] == before.Routes["api.example.org/api"] {
		t.Error("a changed route has its old hash")
	}
	if after.Upstreams["api"] == before.Upstreams["api"] {
		t.Error("a changed upstream has its old hash")
	}
}

// TestDiffOfEmpty: what is given counts, though it is false, empty or nothing.
func TestDiffOfEmpty(t *testing.T) {
	file := func(route string) *Config {
		f, err := decode("version: 1\nhosts: [{names: [a], routes: [{id: r, match: {path: /}, " + route + "}]}]\nupstreams: {u: {targets: [{url: \"http://a\"}]}}")
		servetest.Must(t, route, err)
		return f.Config
	}
	for from, to := range map[string]string{
		"respond: {}":         "respond: {}, compress: false",
		"proxy: {to: u}":      "proxy: {to: u, via: false}",
		"files: {root: /}":    "files: {root: /, index: []}",
		"respond: {body: ''}": "respond: {}, long_running: false",
	} {
		a, b := file(from), file(to)
		servetest.Want(t, from+" -> "+to, len(Diff(a, b)), 1)
		if HashesOf(a).Routes["a/r"] == HashesOf(b).Routes["a/r"] {
			t.Errorf("%s and %s have one hash", from, to)
		}
	}
	var b bytes.Buffer
	f, err := decode("version: 1\nadmin: {listen: off}\nhosts: [{routes: [{id: r, match: {path: /}, respond: {}}]}]")
	servetest.Must(t, "decode", err)
	servetest.Must(t, "write", f.Effective(&b, EffectiveOptions{}))
	_, err = decode(b.String())
	servetest.Must(t, "a route with an empty answer is written as one", err)
}

// TestProxyProtocol: ranges and unix are read, written and told apart.
func TestProxyProtocol(t *testing.T) {
	file := func(from string) *File {
		f, err := decode("version: 1\nlisteners: {a: {address: \"fd:web\", proxy_protocol: {from: [" + from + "]}}}")
		servetest.Must(t, from, err)
		return f
	}
	f := file(`10.0.0.0/8, "2001:db8::1", unix`)
	ranges, unix := Peers(f.Config.Listeners["a"].ProxyProtocol.From)
	servetest.Want(t, "ranges", fmt.Sprint(ranges), "[10.0.0.0/8 2001:db8::1/128]")
	servetest.Want(t, "unix", unix, true)
	var b bytes.Buffer
	servetest.Must(t, "write", f.Effective(&b, EffectiveOptions{}))
	again, err := decode(b.String())
	servetest.Must(t, b.String(), err)
	servetest.Want(t, "differences", len(Diff(f.Config, again.Config)), 0)
	servetest.Want(t, "without unix", fmt.Sprint(Diff(f.Config, file(`10.0.0.0/8, "2001:db8::1"`).Config)),
		"[removed listeners.a.proxy_protocol.from[2]: unix]")
}

// TestCheck: files that are named are looked at.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	f, err := decode(`version: 1
certificates: {a: {cert_file: ` + dir + `/none.pem, key_file: ` + dir + `/none.key, client_ca_file: ` + dir + `/ca.pem}}
hosts: [{routes: [{id: a, match: {path: /}, files: {root: ` + dir + `/none}}, {id: b, match: {path: /b}, files: {root: ` + dir + `}}]}]
upstreams: {u: {targets: [{url: "https://a"}], tls: {ca_file: ` + dir + `/ca.pem}}}`)
	servetest.Must(t, "decode", err)
	err = f.Check(t.Context())
	if err == nil {
		t.Fatal("nothing was found")
	}
	for _, part := range []string{
		"penstock.yaml:2:31: certificates.a.cert_file", "certificates.a.client_ca_file", "hosts[0].routes[0].files.root", "upstreams.u.tls.ca_file",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in\n%v", part, err)
		}
	}
	if n := strings.Count(err.Error(), "penstock.yaml:"); n != 4 {
		t.Errorf("%d problems, want 4:\n%v", n, err)
	}
}

// FuzzDecode: nothing panics; what is taken is written, and taken again, as the same.
func FuzzDecode(f *testing.F) {
	seed, err := os.ReadFile(filepath.Join("testdata", "front.yaml"))
	servetest.Must(f, "seed", err)
	f.Add(string(seed))
	f.Add("version: 1\nlog: {access: \"${A:-$}\"}")
	f.Add("{\"version\": 1, \"limits\": {\"memory\": \"1KiB\"}}")
	f.Add("version: 1\nadmin: &a {listen: \":1\"}\nlisteners: {a: *a}")
	f.Fuzz(func(t *testing.T, data string) {
		file, err := decode(data)
		if err != nil {
			return
		}
		for _, json := range []bool{false, true} {
			var b bytes.Buffer
			servetest.Must(t, "write", file.Effective(&b, EffectiveOptions{JSON: json}))
			again, err := decode(b.String())
			if err != nil {
				t.Fatalf("%v in\n%q\nof\n%q", err, b.String(), data)
			}
			if d := Diff(file.Config, again.Config); len(d) > 0 {
				t.Fatalf("%v in\n%q\nof\n%q", d, b.String(), data)
			}
		}
	})
}
