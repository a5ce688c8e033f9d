package app

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestWrongCommandLines(t *testing.T) {
	tests := []struct {
		name string
		args []string
		want []string // one for each line of stderr
	}{
		{"unknown command", []string{"servee"}, []string{`unknown command "servee", did you mean "serve"; see 'penstock --help'`}},
		{"unknown flag", []string{"serve", "--foo"}, []string{`unknown flag: --foo; see 'penstock serve --help'`}},
		{"unknown short flag", []string{"serve", "-x"}, []string{`unknown shorthand flag: 'x' in -x; see 'penstock serve --help'`}},
		{"argument", []string{"serve", "x"}, []string{`serve takes no arguments, got "x"; see 'penstock serve --help'`}},
		{"flag of later times", []string{"serve", "--upgrade"}, []string{"unknown flag: --upgrade"}},
		{"no such configuration", []string{"serve", "-c", "/none.yaml"}, []string{"open /none.yaml: no such file"}},
		{"no configuration", []string{"validate"}, []string{"-c is missing"}},
		{"no upstream", []string{"reverse-proxy"}, []string{"--to is missing"}},
		{"no URL", []string{"reverse-proxy", "--to", "x", "--forwarded-trust", "y"}, []string{`--forwarded-trust "y"`, `"x" is no URL`}},
		{"value missing", []string{"serve", "--listen"}, []string{"flag needs an argument: --listen"}},
		{"no number", []string{"serve", "--listeners", "x"}, []string{`--listeners "x": must be a whole number; see`}},
		{"no duration", []string{"serve", "--shutdown-timeout", "5"}, []string{`--shutdown-timeout "5": must be a duration with its unit`}},
		{"neither on nor off", []string{"serve", "--event-loop", "yes"}, []string{`--event-loop "yes": must be on or off`}},
		{"no size", []string{"respond", "--body-size", "1x"}, []string{`--body-size "1x": a size is a whole number with`}},
		{"port alone", []string{"serve", "--listen", "8080"}, []string{`--listen "8080": write it with a colon, :8080`}},
		{"scheme", []string{"serve", "--tls-listen", "https://localhost:1"}, []string{`--tls-listen "https://localhost:1": write HOST:PORT without a scheme`}},
		{"IPv6 without brackets", []string{"serve", "--listen", "::1:8080"}, []string{`write an IPv6 address in brackets`}},
		{"port too large", []string{"serve", "--listen", ":65536"}, []string{`the port must be a number from 0 to 65535`}},
		{"port by name", []string{"serve", "--listen", ":http"}, []string{`the port must be a number`}},
		{"sockets without a name", []string{"serve", "--listen", "fd:"}, []string{`--listen "fd:": write the name that the .socket unit gives`}},
		{"sockets twice", []string{"serve", "--listen", "fd:web", "--tls-listen", "fd:web"}, []string{"--tls-listen fd:web: the address is already given with --listen"}},
		{"unix without path", []string{"serve", "--listen", "unix:"}, []string{`the path is missing`}},
		{"same address twice", []string{"serve", "--listen", ":8080", "--tls-listen", ":8080"}, []string{`--tls-listen :8080: the address is already given with --listen`}},
		{"admin on the plain address", []string{"serve", "--listen", "127.0.0.1:9901"}, []string{`--admin 127.0.0.1:9901: the address is already given with --listen`}},
		{"public admin", []string{"serve", "--admin", "0.0.0.0:9901"}, []string{`--admin 0.0.0.0:9901: only loopback`}},
		{"admin on all interfaces", []string{"serve", "--admin", ":9901"}, []string{`--admin :9901: only loopback`}},
		{"certificate without key", []string{"serve", "--tls-cert-file", "x"}, []string{"--tls-cert-file needs --tls-private-key-file beside it"}},
		{"key without certificate", []string{"serve", "--tls-private-key-file", "x"}, []string{"--tls-private-key-file needs --tls-cert-file beside it"}},
		{"certificate without HTTPS", []string{"respond", "--tls-cert-file", "x", "--tls-private-key-file", "y"}, []string{"--tls-cert-file has no effect without --tls-listen"}},
		{"negative listeners", []string{"serve", "--listeners", "-1"}, []string{"--listeners -1: give 1 to 256"}},
		{"too many listeners", []string{"serve", "--listeners", "257"}, []string{"--listeners 257: give 1 to 256"}},
		{"no protocol", []string{"serve", "--disable-http1-serving", "--disable-http2-serving"}, []string{"--disable-http1-serving and --disable-http2-serving leave no protocol"}},
		{"HTTP/3 without HTTPS", []string{"respond", "--http3"}, []string{"--http3 needs a --tls-listen HOST:PORT, whose UDP port it takes; add --tls-listen :8443"}},
		{"HTTP/3 beside plain HTTP alone", []string{"serve", "--http3", "--listen", ":8080"}, []string{"--http3 needs a --tls-listen HOST:PORT"}},
		{"HTTP/3 on a unix socket", []string{"serve", "--http3", "--tls-listen", "unix:/run/x"}, []string{"--http3 needs a --tls-listen HOST:PORT"}},
		{"HTTP/3 on a port alone", []string{"serve", "--http3", "--tls-listen", "8443"}, []string{`--tls-listen "8443": write it with a colon, :8443`}},
		{"HTTP/3 with a value", []string{"serve", "--http3=maybe"}, []string{`--http3 "maybe": must be true or false`}},
		{"negative streams", []string{"serve", "--http2-max-streams-per-connection", "-1"}, []string{"--http2-max-streams-per-connection -1: give 1 to 10000"}},
		{"no time to stop", []string{"serve", "--shutdown-timeout", "0s"}, []string{"--shutdown-timeout 0s: must be above 0"}},
		{"flag with underscores", []string{"serve", "--shutdown_timeout", "0s"}, []string{"--shutdown-timeout 0s: must be above 0"}},
		{"no body size", []string{"serve", "--max-request-body", "x"}, []string{`--max-request-body "x": a size is a whole number with`}},
		{"negative delay", []string{"serve", "--shutdown-delay-duration", "-1s"}, []string{"--shutdown-delay-duration -1s: must not be negative"}},
		{"delay eats the timeout", []string{"serve", "--shutdown-delay-duration", "30s"}, []string{"--shutdown-delay-duration 30s: must be less than --shutdown-timeout (30s)"}},
		{"certificate twice", []string{"serve", "--cert-dir", "x", "--tls-cert-file", "a", "--tls-private-key-file", "b"}, []string{"--cert-dir x: is for the certificate that --tls-cert-file replaces"}},
		{"names without files", []string{"serve", "--tls-sni-cert-key", "a:x.example"}, []string{`--tls-sni-cert-key "a:x.example": want a certificate file, a comma and a key file`}},
		{"no server name", []string{"serve", "--tls-sni-cert-key", "a,b:*x"}, []string{`"*x" is neither a host name, nor a wildcard`}},
		{"old TLS", []string{"serve", "--tls-min-version", "VersionTLS11"}, []string{"--tls-min-version VersionTLS11: VersionTLS11 is not served any more: want VersionTLS12 or VersionTLS13"}},
		{"unknown cipher suite", []string{"serve", "--tls-cipher-suites", "X"}, []string{`--tls-cipher-suites X: cipher suite "X" is not known; give some of TLS_ECDHE_`}},
		{"weak cipher suite", []string{"serve", "--tls-cipher-suites", "TLS_RSA_WITH_AES_128_GCM_SHA256"}, []string{"is not served: it lacks forward secrecy"}},
		{"unknown curve", []string{"serve", "--tls-curve-preferences", "1"}, []string{"--tls-curve-preferences: curve 1 is not known: want 23 (CurveP256)"}},
		{"curve by name", []string{"serve", "--tls-curve-preferences", "X25519"}, []string{`--tls-curve-preferences "X25519": must be a whole number`}},
		{"client authentication without CA", []string{"serve", "--client-auth", "require"}, []string{"--client-auth require needs --client-ca-file beside it"}},
		{"unknown client authentication", []string{"serve", "--client-ca-file", "x", "--client-auth", "maybe"}, []string{`--client-auth "maybe": must be request or require`}},
		{"HTTPS flags without HTTPS", []string{"respond", "--client-ca-file", "x", "--tls-min-version", "VersionTLS13"}, []string{"--tls-min-version has no effect without --tls-listen", "--client-ca-file has no effect without --tls-listen"}},
		{"negative timeout", []string{"serve", "--request-timeout", "-1s"}, []string{"--request-timeout -1s: must not be negative"}},
		{"negative limits", []string{"serve", "--max-requests-inflight", "-1", "--max-mutating-requests-inflight", "-2"}, []string{"--max-requests-inflight -1: must not be negative", "--max-mutating-requests-inflight -2: must not be negative"}},
		{"too many GOAWAYs", []string{"serve", "--goaway-chance", "0.03"}, []string{"--goaway-chance 0.03: must be from 0 to 0.02"}},
		{"no chance", []string{"serve", "--goaway-chance", "NaN"}, []string{"--goaway-chance NaN: must be from 0 to 0.02"}},
		{"unknown HSTS directive", []string{"serve", "--strict-transport-security-directives", "max-age=1,x"}, []string{`--strict-transport-security-directives max-age=1,x: HSTS directive "x": allowed are`}},
		{"origin not pinned", []string{"serve", "--cors-allowed-origins", "example.com"}, []string{`--cors-allowed-origins: CORS origin "example.com": not pinned at its start`}},
		{"negative graces", []string{"serve", "--livez-grace-period", "-1s", "--shutdown-watch-termination-grace-period", "-2s"}, []string{"--shutdown-watch-termination-grace-period -2s: must not be negative", "--livez-grace-period -1s: must not be negative"}},
		{"watches eat the timeout", []string{"serve", "--shutdown-watch-termination-grace-period", "30s"}, []string{"must be less than --shutdown-timeout (30s)"}},
		{"contention without profiles", []string{"serve", "--profiling=false", "--contention-profiling"}, []string{"--contention-profiling has no effect with --profiling=false"}},
		{"contention without admin", []string{"respond", "--contention-profiling"}, []string{"--contention-profiling has no effect with --admin off"}},
		{"two ways to say where", []string{"serve", "--secure-port", "1", "--tls-listen", ":2"}, []string{"--bind-address and --secure-port cannot stand beside --tls-listen"}},
		{"PROXY from a name", []string{"serve", "--proxy-protocol-from", "balancer,unix"}, []string{`--proxy-protocol-from "balancer,unix": write an address or a range`}},
		{"no IP", []string{"serve", "--bind-address", "example.org"}, []string{`--bind-address "example.org": must be an IP address`}},
		{"no port", []string{"serve", "--secure-port", "65536"}, []string{`--secure-port "65536": must be a number from 0 to 65535`}},
		{"address without HTTPS", []string{"serve", "--secure-port", "0", "--bind-address", "::1"}, []string{"--bind-address has no effect with --secure-port 0"}},
		{"negative limits of connections", []string{"serve", "--idle-timeout", "-1s", "--max-connections", "-1", "--min-transfer-rate", "-1"}, []string{"--idle-timeout -1s: must not be negative", "--min-transfer-rate -1: must not be negative", "--max-connections -1: must not be negative"}},
		{"heads without a limit", []string{"serve", "--max-header-bytes", "0", "--max-header-fields", "0", "--max-target", "2MiB"}, []string{"--max-header-bytes 0: give 256 to 1048576", "--max-header-fields 0: give 1 to 10000", "--max-target 2097152: give 256 to 1048576"}},
		{"half a second", []string{"serve", "--tcp-keep-alive", "500ms"}, []string{"--tcp-keep-alive 500ms: must be a second or more"}},
		{"no rate", []string{"serve", "--rate-limit", "-1"}, []string{"--rate-limit -1: must be from 0"}},
		{"burst without rate", []string{"serve", "--rate-limit-burst", "5"}, []string{"--rate-limit-burst 5 has no effect without --rate-limit"}},
		{"tokens of nobody", []string{"serve", "--jwt-audience", "x"}, []string{"--jwt-issuer is missing", "--jwt-jwks-file is missing"}},
		{"shared secret", []string{"serve", "--jwt-issuer", "i", "--jwt-audience", "x", "--jwt-jwks-file", "f", "--jwt-signing-algs", "HS256"}, []string{"--jwt-issuer i: "}},
		{"level without a name", []string{"serve", "--priority-level", "shares=1"}, []string{`--priority-level "shares=1": it begins with a name`}},
		{"unknown key", []string{"serve", "--priority-level", "a,share=1"}, []string{`"share" is not known`}},
		{"no share", []string{"serve", "--priority-level", "a,shares=0"}, []string{"shares=0: give a whole number from 1"}},
		{"level behind all", []string{"serve", "--priority-level", "a", "--priority-level", "b"}, []string{"--priority-level a: takes all requests"}},
		{"level twice", []string{"serve", "--priority-level", "a,user=x", "--priority-level", "a"}, []string{"--priority-level a: given twice"}},
		{"negative time for streams", []string{"serve", "--min-request-timeout", "-1s"}, []string{"--min-request-timeout -1s: must not be negative"}},
		{"objective without a place", []string{"serve", "--latency-objective", "1s"}, []string{"--latency-objective 1s has no effect without a place for recordings"}},
		{"place without an objective", []string{"serve", "--flight-recorder-dir", "x"}, []string{"--flight-recorder-dir x: nothing says when to write there"}},
		{"unknown level of the log", []string{"serve", "--log-level", "loud"}, []string{`--log-level "loud": must be debug, info, warn or error`}},
		{"socket without profiles", []string{"serve", "--debug-socket-path", "x", "--profiling=false"}, []string{"--debug-socket-path has no effect with --profiling=false"}},
		{"half of the admin's TLS", []string{"serve", "--admin-client-ca-file", "x"}, []string{"--admin-tls-cert-file is missing", "--admin-tls-private-key-file is missing"}},
		{"unknown endpoint", []string{"serve", "--public-endpoints", "version,metrics"}, []string{`--public-endpoints "metrics": give some of site, version, openapi, health, echo, respond, or none`}},
		{"no access log", []string{"serve", "--access-log", ""}, []string{`--access-log "": give a file`}},
		{
			"missing files",
			[]string{"respond", "--tls-listen", anyPort, "--client-ca-file", "/none/ca", "--token-auth-file", "/none/tokens", "--access-log", "/none/access", "--audit-log-path", "/none/audit", "--authorization-policy-file", "/none/policy", "--jwt-issuer", "i", "--jwt-audience", "a", "--jwt-jwks-file", "/none/jwks"},
			[]string{"--client-ca-file /none/ca: no such file", "--token-auth-file /none/tokens: ", "--jwt-jwks-file /none/jwks: ", "--authorization-policy-file /none/policy: ", "--access-log /none/access: ", "--audit-log-path /none/audit: "},
		},
		{"status", []string{"respond", "--status", "99"}, []string{"respond: status 99: a final status is between 200 and 599"}},
		{"status zero", []string{"respond", "--status", "0"}, []string{"respond: status 0"}},
		{"body twice", []string{"respond", "--body", "x", "--body-size", "1"}, []string{"respond: a body and a body size exclude each other"}},
		{"header without colon", []string{"respond", "--header", "x"}, []string{`--header "x": write "Name: value"`}},
		{"framing header", []string{"respond", "--header", "Content-Length: 5"}, []string{"respond: header Content-Length is the server's own"}},
		{"missing root", []string{"file-server", "--root", "/none"}, []string{"--root /none: no such directory"}},
		{
			"all errors at once",
			[]string{"respond", "--listen", "8080", "--listen", "9090", "--listeners", "-1", "--shutdown-timeout", "-1s", "--tls-cert-file", "x", "--header", "y", "--status", "42"},
			[]string{`"8080"`, `"9090"`, "--tls-cert-file", "--listeners", "--shutdown-timeout", `--header "y"`, "status 42"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { wantRefused(t, test.args, test.want) })
	}
}

// wantRefused fails the test unless a command line is refused, and each line of
// stderr has its text of want in it.
func wantRefused(t *testing.T, args, want []string) {
	t.Helper()
	code, stdout, stderr := runHere(args...)
	if code != ExitError || stdout != "" {
		t.Errorf("exit %d, stdout %q", code, stdout)
	}
	lines := strings.Split(strings.TrimSuffix(stderr, "\n"), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d: %q", len(lines), len(want), stderr)
	}
	for i, line := range lines {
		if !strings.HasPrefix(line, "penstock: ") || !strings.Contains(line, want[i]) {
			t.Errorf("line %d is %q, want %q in it", i+1, line, want[i])
		}
	}
}

func TestRootIsAFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := runHere("file-server", "--root", name); code != ExitError || !strings.Contains(stderr, "not a directory") {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

func TestHelp(t *testing.T) {
	for _, command := range []string{"", "serve", "respond", "file-server", "reverse-proxy", "validate", "version"} {
		args := strings.Fields(command + " --help")
		code, stdout, stderr := runHere(args...)
		if code != ExitClean || stderr != "" {
			t.Errorf("%v: exit %d, stderr %q", args, code, stderr)
		}
		for _, want := range []string{"Usage:", "Examples:\n  penstock " + command, "--help"} {
			if !strings.Contains(stdout, want) {
				t.Errorf("%v: %q is missing", args, want)
			}
		}
	}
	if code, stdout, _ := runHere(); code != ExitClean || !strings.Contains(stdout, "Exit codes:") {
		t.Errorf("without arguments: exit %d, %q", code, stdout)
	}
}

// What the help of a serving command promises.
func TestServingFlags(t *testing.T) {
	common := []string{
		"access-log", "admin", "audit-log-path", "cert-dir", "client-auth", "client-ca-file", "contention-profiling", "cors-allowed-origins",
		"disable-http1-serving", "disable-http2-serving", "event-loop", "goaway-chance", "help", "http2-max-streams-per-connection", "http3",
		"listen", "listeners", "livez-grace-period", "max-mutating-requests-inflight", "max-request-body", "max-requests-inflight", "permit-port-sharing", "profiling",
		"request-timeout", "shutdown-delay-duration", "shutdown-send-retry-after", "shutdown-timeout", "shutdown-watch-termination-grace-period",
		"strict-transport-security-directives", "tls-cert-file", "tls-cipher-suites", "tls-curve-preferences", "tls-listen", "tls-min-version",
		"tls-private-key-file", "tls-sni-cert-key", "token-auth-file",
		"bind-address", "secure-port", "proxy-protocol-from", "authorization-policy-file", "priority-level", "rate-limit", "rate-limit-burst", "min-request-timeout",
		"jwt-audience", "jwt-groups-claim", "jwt-groups-prefix", "jwt-issuer", "jwt-jwks-file", "jwt-signing-algs", "jwt-username-claim", "jwt-username-prefix",
		"tls-handshake-timeout", "read-header-timeout", "body-idle-timeout", "write-idle-timeout", "min-transfer-rate", "idle-timeout",
		"max-connection-age", "max-requests-per-connection", "max-header-bytes", "max-header-fields", "max-target", "max-connections",
		"max-connections-per-client", "tcp-keep-alive", "tcp-user-timeout", "http2-ping-interval",
		"admin-client-ca-file", "admin-tls-cert-file", "admin-tls-private-key-file", "debug-socket-path", "latency-objective", "flight-recorder-dir", "log-level", "pid-file",
	}
	for name, own := range map[string][]string{
		"serve":         {"config", "public-endpoints"},
		"respond":       {"body", "body-size", "delay", "header", "status"},
		"file-server":   {"browse", "precompressed", "root"},
		"reverse-proxy": {"balance", "forwarded-trust", "health-path", "host-upstream", "to"},
	} {
		cmd, _, err := NewServerCommand(nil).Find([]string{name})
		if err != nil {
			t.Fatal(err)
		}
		cmd.InitDefaultHelpFlag()
		var got []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { got = append(got, f.Name) })
		slices.Sort(got)
		want := append(slices.Clone(common), own...)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: flags %v, want %v", name, got, want)
		}
	}
}

func TestVersionCommand(t *testing.T) {
	code, stdout, _ := runHere("version", "--json")
	var v map[string]any
	if err := json.Unmarshal([]byte(stdout), &v); err != nil || code != ExitClean || v["go"] == nil {
		t.Errorf("exit %d, %q: %v", code, stdout, err)
	}
	for _, args := range [][]string{{"version"}, {"--version"}} {
		if code, stdout, _ := runHere(args...); code != ExitClean || !strings.HasPrefix(stdout, "penstock ") || strings.Count(stdout, "\n") != 1 {
			t.Errorf("%v: exit %d, %q", args, code, stdout)
		}
	}
}

// parse gives a command's serving options after flags and environment.
func parse(t *testing.T, defaults servingDefaults, args ...string) (*ServingOptions, error) {
	t.Helper()
	o := newServingOptions(defaults)
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	o.AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return o, applyEnv(fs)
}

func TestEnvironment(t *testing.T) {
	t.Setenv("PENSTOCK_LISTEN", ":1, :2")
	t.Setenv("PENSTOCK_SHUTDOWN_TIMEOUT", "7s")
	t.Setenv("PENSTOCK_EVENT_LOOP", "off")
	t.Setenv("PENSTOCK_ADMIN", "") // as if not set
	t.Setenv("PENSTOCK_LISTENERS", "3")
	t.Setenv("PENSTOCK_HTTP3", "true")
	o, err := parse(t, serveDefaults, "--listeners", "4", "--tls-cert-file", "")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(o.Listen, []string{":1", ":2"}) || o.ShutdownTimeout.String() != "7s" || bool(o.EventLoop) {
		t.Errorf("the environment does not beat defaults: %+v", o)
	}
	if !o.HTTP3 {
		t.Error("PENSTOCK_HTTP3 does not turn HTTP/3 on")
	}
	if o.Listeners != 4 {
		t.Errorf("listeners %d: the flag does not beat the environment", o.Listeners)
	}
	if o.Admin != "127.0.0.1:9901" {
		t.Errorf("admin %q, want the default", o.Admin)
	}
	if o, _ := parse(t, serveDefaults, "--listen", ":9"); !slices.Equal(o.Listen, []string{":9"}) {
		t.Errorf("listen %q: a repeatable flag is added to the environment's", o.Listen)
	}
}

func TestEnvironmentErrorsNameTheVariable(t *testing.T) {
	t.Setenv("PENSTOCK_LISTENERS", "many")
	t.Setenv("PENSTOCK_SHUTDOWN_TIMEOUT", "5")
	code, _, stderr := runHere("serve")
	want := "penstock: PENSTOCK_LISTENERS=\"many\": must be a whole number\n" +
		"penstock: PENSTOCK_SHUTDOWN_TIMEOUT=\"5\": must be a duration with its unit, such as 500ms, 30s or 2m\n"
	if code != ExitError || stderr != want {
		t.Errorf("exit %d, %q, want %q", code, stderr, want)
	}
}

func TestEnvironmentHeaders(t *testing.T) {
	t.Setenv("PENSTOCK_HEADER", "A: 1, 2\nB: 3")
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	var o respondOptions
	o.addFlags(fs)
	if err := applyEnv(fs); err != nil || !slices.Equal(o.headers, []string{"A: 1, 2", "B: 3"}) {
		t.Errorf("%q, %v", o.headers, err)
	}
}

func TestDefaultAddresses(t *testing.T) {
	tests := []struct {
		name      string
		defaults  servingDefaults
		args      []string
		listen    []string
		tlsListen []string
		admin     string
	}{
		{"serve", serveDefaults, nil, []string{":8080"}, []string{":8443"}, "127.0.0.1:9901"},
		{"serve, plain given", serveDefaults, []string{"--listen", ":1"}, []string{":1"}, nil, "127.0.0.1:9901"},
		{"serve, HTTP/3", serveDefaults, []string{"--http3"}, []string{":8080"}, []string{":8443"}, "127.0.0.1:9901"},
		{"serve, HTTP/3 beside a unix socket", serveDefaults, []string{"--http3", "--tls-listen", "unix:/x", "--tls-listen", ":1"}, nil, []string{"unix:/x", ":1"}, "127.0.0.1:9901"},
		{"serve, HTTPS given", serveDefaults, []string{"--tls-listen", ":1"}, nil, []string{":1"}, "127.0.0.1:9901"},
		{"one-liner", oneLinerDefaults, nil, []string{"127.0.0.1:8080"}, nil, "off"},
		{"one-liner, HTTPS given", oneLinerDefaults, []string{"--tls-listen", ":1", "--admin", "unix:/x"}, nil, []string{":1"}, "unix:/x"},
	}
	for _, test := range tests {
		o, err := parse(t, test.defaults, test.args...)
		if err != nil {
			t.Fatal(err)
		}
		c := o.Complete()
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if c.HTTP3 != slices.Contains(test.args, "--http3") {
			t.Errorf("%s: HTTP/3 is %v", test.name, c.HTTP3)
		}
		if !slices.Equal(c.Listen, test.listen) || !slices.Equal(c.TLSListen, test.tlsListen) || c.Admin != test.admin {
			t.Errorf("%s: listen %q, HTTPS %q, admin %q", test.name, c.Listen, c.TLSListen, c.Admin)
		}
	}
}

func TestSize(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "512": 512, "512B": 512, "1kB": 1000, "1KB": 1000, "64KiB": 64 << 10, "3MiB": 3 << 20, "1MB": 1e6,
		"2GiB": 2 << 30, "1GB": 1e9, "10 KiB": 10 << 10, "9223372036854775807": 1<<63 - 1,
	} {
		var s Size
		if err := s.Set(text); err != nil || int64(s) != want {
			t.Errorf("%q: %d, %v, want %d", text, s, err, want)
		}
	}
	for _, text := range []string{"", "x", "KiB", "1K", "1kb", "-1", "-1KiB", "1.5MiB", "1TiB", "9223372036854775808", "9007199254740993MiB", "1 2", "0x10"} {
		var s Size
		if err := s.Set(text); err == nil {
			t.Errorf("%q was taken as %d", text, s)
		}
	}
}

func TestParseEndpoint(t *testing.T) {
	for spec, want := range map[string]endpoint{
		":8080":           {network: "tcp", address: ":8080"},
		"127.0.0.1:0":     {network: "tcp", address: "127.0.0.1:0"},
		"[::1]:443":       {network: "tcp", address: "[::1]:443"},
		"edge.example:80": {network: "tcp", address: "edge.example:80"},
		"unix:/run/x":     {network: "unix", address: "/run/x"},
		":0080":           {network: "tcp", address: ":80"},
	} {
		want.flag, want.spec = "--listen", spec
		if got, err := parseEndpoint("--listen", spec); err != nil || got != want {
			t.Errorf("%s: %+v, %v", spec, got, err)
		}
	}
}

func TestLoopback(t *testing.T) {
	for spec, want := range map[string]bool{
		"127.0.0.1:1": true, "127.8.9.10:1": true, "[::1]:1": true, "localhost:1": true, "unix:/x": true,
		":1": false, "0.0.0.0:1": false, "[::]:1": false, "10.0.0.1:1": false, "localhost.example:1": false, "example.org:1": false,
	} {
		e, err := parseEndpoint("--admin", spec)
		if err != nil || e.loopback() != want {
			t.Errorf("%s: loopback %v, %v, want %v", spec, e.loopback(), err, want)
		}
	}
}
