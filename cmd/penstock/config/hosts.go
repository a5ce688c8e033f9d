package config

// Host is a site.
type Host struct {
	Names    []string    `yaml:"names" doc:"host names, *.example.org for all below one; none: all names that no other host has"`
	Headers  HeaderEdits `yaml:"headers" doc:"changes of answers"`
	Limits   RouteLimits `yaml:"limits" doc:"bounds of its requests"`
	Compress *bool       `yaml:"compress" doc:"compress answers that are worth it (zstd, gzip)" default:"false"`
	Routes   []*Route    `yaml:"routes" doc:"who answers; required"`
}

// Route is who answers some requests. It has one of proxy, files, respond, redirect.
type Route struct {
	ID       string    `yaml:"id" doc:"its name in metrics and logs; required, once in a host"`
	Match    Match     `yaml:"match" doc:"which requests; required"`
	Proxy    *Proxy    `yaml:"proxy" doc:"pass them on"`
	Files    *Files    `yaml:"files" doc:"files of a directory"`
	Respond  *Respond  `yaml:"respond" doc:"a fixed answer"`
	Redirect *Redirect `yaml:"redirect" doc:"another address"`

	Headers     HeaderEdits   `yaml:"headers" doc:"changes of answers, behind those of the host"`
	Request     HeaderEdits   `yaml:"request_headers" doc:"changes of requests"`
	Rewrite     Rewrite       `yaml:"rewrite" doc:"changes of the path that is passed on; with proxy"`
	Limits      RouteLimits   `yaml:"limits" doc:"bounds, in place of the host's"`
	Timeouts    RouteTimeouts `yaml:"timeouts" doc:"how long its requests may take"`
	Compress    *bool         `yaml:"compress" doc:"in place of the host's"`
	LongRunning *bool         `yaml:"long_running" doc:"answers that stream or stay: not timed, and not waited for by a drain" default:"false"`
}

// Match says which requests. All that is given must hold.
type Match struct {
	Path    string            `yaml:"path" doc:"one path"`
	Prefix  string            `yaml:"prefix" doc:"all paths below one; /api takes /api too, /api/ does not"`
	Methods []string          `yaml:"methods" doc:"one of these; GET takes HEAD too"`
	Headers map[string]string `yaml:"headers" doc:"fields that have this value, or any if it is *"`
	Query   map[string]string `yaml:"query" doc:"parameters that have this value, or any if it is *"`
}

// HeaderEdits are changes of fields: removed ones first, then set, then added ones.
type HeaderEdits struct {
	Set    map[string]string `yaml:"set" doc:"fields with one value, whatever was there"`
	Add    map[string]string `yaml:"add" doc:"further lines"`
	Remove []string          `yaml:"remove" doc:"fields that go"`
}

// RouteLimits are bounds of requests.
type RouteLimits struct {
	MaxBody  Size  `yaml:"max_body" doc:"largest body, else 413"`
	Rate     *Rate `yaml:"rate" doc:"requests of each client, else 429"`
	InFlight Count `yaml:"requests_in_flight" doc:"requests that run at a time, else 429"`
}

// Rate is how often a client may ask.
type Rate struct {
	Key       string  `yaml:"key" doc:"what is a client: its address (IPv6: /64)" enum:"client" default:"client"`
	PerSecond float64 `yaml:"per_second" doc:"requests a second in the long run; required"`
	Burst     Count   `yaml:"burst" doc:"requests at once (without it: one second's)"`
}

// RouteTimeouts are how long requests may take.
type RouteTimeouts struct {
	Request Duration `yaml:"request" doc:"a whole request, to the end of the answer" default:"off"`
}

// Redirect sends clients elsewhere.
type Redirect struct {
	To     string `yaml:"to" doc:"address; {host}, {uri} (path and query) and {path} stand for the request's; required"`
	Status int    `yaml:"status" doc:"status" enum:"301|302|303|307|308" default:"308"`
}

// Respond is a fixed answer.
type Respond struct {
	Status  int               `yaml:"status" doc:"status, 200 to 599" default:"200"`
	Body    string            `yaml:"body" doc:"content"`
	Headers map[string]string `yaml:"headers" doc:"fields"`
	Delay   Duration          `yaml:"delay" doc:"wait so long before the answer, for tests" default:"off"`
}

// Files are those of a directory.
type Files struct {
	Root          string   `yaml:"root" doc:"directory; required"`
	StripPrefix   string   `yaml:"strip_prefix" doc:"what is cut off the path (without it: nothing)"`
	Index         []string `yaml:"index" doc:"names that answer for a directory" default:"[index.html]"`
	NotFound      string   `yaml:"not_found" doc:"page below the root that is sent with 404"`
	CacheControl  string   `yaml:"cache_control" doc:"Cache-Control of files"`
	Precompressed []string `yaml:"precompressed" doc:"siblings that are sent to who takes them: zstd, br, gzip, the best first" default:"[]"`
	Browse        *bool    `yaml:"browse" doc:"list directories without an index" default:"false"`
	Cache         Duration `yaml:"cache" doc:"how long a file is trusted to be unchanged, or off" default:"1s"`
}

// Proxy passes requests on.
type Proxy struct {
	To       string        `yaml:"to" doc:"name of an upstream; required"`
	Host     string        `yaml:"host" doc:"Host of the request: the client's, or the upstream's own" enum:"keep|upstream" default:"keep"`
	Via      *bool         `yaml:"via" doc:"say Via to the upstream" default:"true"`
	Upgrades []string      `yaml:"upgrades" doc:"protocols that clients may upgrade to" default:"[websocket]"`
	Buffer   Size          `yaml:"buffer_request" doc:"read bodies of up to so much before an upstream is asked" default:"off"`
	Timeouts ProxyTimeouts `yaml:"timeouts" doc:"in place of the upstream's"`
}

// ProxyTimeouts are those of a route's upstream requests.
type ProxyTimeouts struct {
	ResponseHead Duration `yaml:"response_head" doc:"wait for the head of an answer (without it: the upstream's)"`
	Idle         Duration `yaml:"idle" doc:"each wait for bytes of an answer (without it: the upstream's)"`
	TunnelIdle   Duration `yaml:"tunnel_idle" doc:"end of a tunnel that nothing goes through" default:"1h"`
}

// Rewrite changes the path.
type Rewrite struct {
	StripPrefix string `yaml:"strip_prefix" doc:"what is taken off the path's begin"`
	AddPrefix   string `yaml:"add_prefix" doc:"what is put before it then"`
	Path        string `yaml:"path" doc:"what stands in place of the whole path"`
}
