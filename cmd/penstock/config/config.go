package config

// Config is the whole file.
type Config struct {
	Version   int       `yaml:"version" doc:"version of the format; required" enum:"1"`
	Admin     Admin     `yaml:"admin" doc:"where health, metrics, status and profiles are"`
	Log       Log       `yaml:"log" doc:"what is written down"`
	Shutdown  Shutdown  `yaml:"shutdown" doc:"how the server stops"`
	Limits    Limits    `yaml:"limits" doc:"bounds of the whole server"`
	Timeouts  Timeouts  `yaml:"timeouts" doc:"how long clients may take"`
	HTTP      HTTP      `yaml:"http" doc:"HTTP/1, HTTP/2 and HTTP/3"`
	Forwarded Forwarded `yaml:"forwarded" doc:"whose word on the client counts"`

	Listeners    map[string]*Listener    `yaml:"listeners" doc:"addresses, by a name"`
	Certificates map[string]*Certificate `yaml:"certificates" doc:"certificates, by a name"`
	Hosts        []*Host                 `yaml:"hosts" doc:"sites"`
	Upstreams    map[string]*Upstream    `yaml:"upstreams" doc:"services that requests are passed on to, by a name"`
}

// Admin is the address for operators.
type Admin struct {
	Listen    AddressOrOff `yaml:"listen" doc:"loopback address, or off" default:"127.0.0.1:9901"`
	Socket    string       `yaml:"socket" doc:"path of a Unix socket, for its owner alone, beside listen; only there a reload can be asked for"`
	PProf     *bool        `yaml:"pprof" doc:"profiles below /debug/pprof/" default:"true"`
	Contended *bool        `yaml:"contention" doc:"profiles of blocking and of contended locks too" default:"false"`
}

// Log is what is written down.
type Log struct {
	Access string `yaml:"access" doc:"file of the access log, - for standard output, or off" default:"off"`
	Audit  string `yaml:"audit" doc:"file of the audit log"`
	Level  string `yaml:"level" doc:"least level of the server's own log" enum:"debug|info|warn|error" default:"info"`
}

// Shutdown is how the server stops.
type Shutdown struct {
	Delay   Duration `yaml:"delay" doc:"serve on for so long behind the signal, while /readyz fails" default:"0s"`
	Timeout Duration `yaml:"timeout" doc:"limit of the whole stop, the delay included; what is left is cut" default:"30s"`
	Grace   Duration `yaml:"long_running_grace" doc:"what long requests have to end, once they are told to" default:"0s"`
	Removed Duration `yaml:"reload_grace" doc:"how long connections of an address, and tunnels of an upstream or target, live on that a reload has taken away" default:"10m"`
}

// Limits are bounds of the whole server.
type Limits struct {
	Connections          Count `yaml:"connections" doc:"connections at a time (without it: half of the descriptors)"`
	ConnectionsPerClient Count `yaml:"connections_per_client" doc:"of one address, or one IPv6 /64; loopback is exempt" default:"256"`
	RequestsInFlight     Count `yaml:"requests_in_flight" doc:"reading requests that run at a time; others wait for none: 429" default:"400"`
	ChangesInFlight      Count `yaml:"changes_in_flight" doc:"changing requests that run at a time" default:"200"`
	Memory               Size  `yaml:"memory" doc:"soft limit of the process' memory, as GOMEMLIMIT"`
	MaxBody              Size  `yaml:"max_body" doc:"largest body of a request where its host and route say nothing; of proxied ones none" default:"3MiB"`
}

// Timeouts are how long clients may take.
type Timeouts struct {
	TLSHandshake Duration `yaml:"tls_handshake" doc:"TLS from accept on" default:"10s"`
	RequestHead  Duration `yaml:"request_head" doc:"a request's head from its first byte" default:"10s"`
	Body         Duration `yaml:"body" doc:"wait for a byte of a request's body" default:"60s"`
	Write        Duration `yaml:"write" doc:"wait for a client that takes nothing" default:"60s"`
	KeepAlive    Duration `yaml:"keep_alive" doc:"wait for the next request on a connection" default:"75s"`
	MaxAge       Duration `yaml:"max_age" doc:"age of a connection, after which it ends with an answer, ±10 %" default:"1h"`
	Request      Duration `yaml:"request" doc:"a whole request where its route says nothing" default:"off"`
}

// HTTP is what concerns versions of HTTP.
type HTTP struct {
	MaxStreams Count `yaml:"max_streams" doc:"streams at a time on an HTTP/2 or HTTP/3 connection" default:"100"`
	MaxTarget  Size  `yaml:"max_target" doc:"longest request target" default:"16KiB"`
	MaxHead    Size  `yaml:"max_head" doc:"field lines of a head in sum" default:"64KiB"`
	MaxFields  Count `yaml:"max_fields" doc:"field lines of a head" default:"100"`
}

// Forwarded says whose word on the client counts.
type Forwarded struct {
	Trust    []Prefix `yaml:"trust" doc:"addresses of proxies in front, whose X-Forwarded-* and Forwarded count" default:"[]"`
	Standard *bool    `yaml:"standard" doc:"send Forwarded (RFC 7239) to upstreams too" default:"false"`
}

// Listener is one address.
type Listener struct {
	Address       Address        `yaml:"address" doc:":443, 127.0.0.1:8080, [::1]:8080, unix:PATH or fd:NAME; required"`
	TLS           *ListenerTLS   `yaml:"tls" doc:"HTTPS; without it clear HTTP"`
	HTTP3         *bool          `yaml:"http3" doc:"HTTP/3 on the UDP port of the same number; needs tls" default:"false"`
	Redirect      *Redirect      `yaml:"redirect" doc:"answer every request for a known host so"`
	ProxyProtocol *ProxyProtocol `yaml:"proxy_protocol" doc:"PROXY protocol, version 1 and 2, from these balancers; not over UDP"`
}

// ListenerTLS is the TLS of an address.
type ListenerTLS struct {
	MinVersion   string   `yaml:"min_version" doc:"least version of TLS" enum:"1.2|1.3" default:"1.2"`
	UnknownSNI   string   `yaml:"unknown_sni" doc:"names that no certificate has: the first certificate, or an alert" enum:"default|reject" default:"default"`
	Certificates []string `yaml:"certificates" doc:"names of certificates, the default one first; required"`
	CipherSuites []string `yaml:"cipher_suites" doc:"cipher suites of TLS 1.2 (without it: all that are safe)"`
}

// ProxyProtocol is the PROXY protocol, version 1 and 2.
type ProxyProtocol struct {
	From    []Peer   `yaml:"from" doc:"addresses whose connections must begin with a header, which is believed; unix for those of a Unix socket; required"`
	Timeout Duration `yaml:"timeout" doc:"wait for the header, from accept on" default:"3s"`
}

// Certificate is a pair, and who may come with which certificate of their own.
type Certificate struct {
	CertFile     string   `yaml:"cert_file" doc:"PEM chain, the server's own certificate first; required"`
	KeyFile      string   `yaml:"key_file" doc:"PEM key; required"`
	Names        []string `yaml:"names" doc:"server names it is for (without it: those in the certificate)"`
	ClientCAFile string   `yaml:"client_ca_file" doc:"PEM authorities of client certificates"`
	ClientAuth   string   `yaml:"client_auth" doc:"who has no client certificate is anonymous, or refused; needs client_ca_file" enum:"none|request|require" default:"none"`
}
