package config

// Upstream is a service that requests are passed on to.
type Upstream struct {
	Targets   []*Target        `yaml:"targets" doc:"its servers; required"`
	Protocol  string           `yaml:"protocol" doc:"version of HTTP; auto is HTTP/2 for h2c and gRPC, else HTTP/1.1" enum:"auto|h1|h2" default:"auto"`
	Balance   string           `yaml:"balance" doc:"who gets a request" enum:"p2c|round_robin|least_request|hash" default:"p2c"`
	Hash      Hash             `yaml:"hash" doc:"what hash goes by"`
	Health    *Health          `yaml:"health" doc:"active checks; without it none"`
	Eject     Eject            `yaml:"eject" doc:"passive checks"`
	Retry     Retry            `yaml:"retry" doc:"further attempts"`
	Hedge     Hedge            `yaml:"hedge" doc:"a second attempt beside one that is late, at another server and from the budget of retries; the first answer counts"`
	Pool      Pool             `yaml:"pool" doc:"connections and queue"`
	Timeouts  UpstreamTimeouts `yaml:"timeouts" doc:"how long it may take"`
	TLS       UpstreamTLS      `yaml:"tls" doc:"of https targets"`
	SlowStart Duration         `yaml:"slow_start" doc:"how long one that is new or comes back takes less" default:"10s"`
	Resolve   Resolve          `yaml:"resolve" doc:"how names become addresses"`
}

// Target is a server of a service.
type Target struct {
	URL    string `yaml:"url" doc:"http, https or h2c, ://HOST[:PORT] or ://unix:PATH; required"`
	Weight Count  `yaml:"weight" doc:"part of the load; off: it drains" default:"1"`
	SRV    *bool  `yaml:"srv" doc:"the host is the name of SRV records" default:"false"`
}

// Hash is what hash goes by.
type Hash struct {
	By   string `yaml:"by" doc:"address of the client, path, or a value it sends" enum:"client|path|header|cookie" default:"client"`
	Name string `yaml:"name" doc:"of the header or cookie"`
}

// Health are active checks.
type Health struct {
	Path     string   `yaml:"path" doc:"what is asked for; required"`
	Host     string   `yaml:"host" doc:"Host of checks (without it: the target's)"`
	Interval Duration `yaml:"interval" doc:"time between two checks, ±10 %" default:"5s"`
	Timeout  Duration `yaml:"timeout" doc:"limit of a check" default:"2s"`
	Fall     Count    `yaml:"fall" doc:"failed checks in a row that take it down" default:"3"`
	Rise     Count    `yaml:"rise" doc:"good checks in a row that bring it back" default:"2"`
	Expect   string   `yaml:"expect" doc:"good statuses, as 200-299,304" default:"200-399"`
}

// Eject are passive checks.
type Eject struct {
	After      Count    `yaml:"after" doc:"failures in a row that eject, or off" default:"5"`
	For        Duration `yaml:"for" doc:"how long, times how often lately" default:"30s"`
	Max        Duration `yaml:"max" doc:"how long at most" default:"5m"`
	MaxPercent Count    `yaml:"max_percent" doc:"part of the service that may be ejected at a time" default:"50"`
}

// Retry are further attempts.
type Retry struct {
	Attempts      Count    `yaml:"attempts" doc:"how many, each at another server" default:"2"`
	BudgetPercent Count    `yaml:"budget_percent" doc:"part of the requests of 10 s that may be tried again" default:"20"`
	PerSecond     Count    `yaml:"min_per_second" doc:"tried again whatever the budget says" default:"3"`
	Methods       []string `yaml:"methods" doc:"what an upstream may see twice" default:"[GET, HEAD, OPTIONS]"`
}

// Hedge is a second attempt.
type Hedge struct {
	After Duration `yaml:"after" doc:"how long the first one may go without the head of an answer" default:"off"`
}

// Pool is connections and queue.
type Pool struct {
	Max         Count    `yaml:"max" doc:"busy connections to a server" default:"512"`
	MaxRequests Count    `yaml:"max_requests" doc:"requests at a server at a time" default:"off"`
	Idle        Count    `yaml:"idle" doc:"connections that are kept, for each server and event loop" default:"64"`
	IdleTimeout Duration `yaml:"idle_timeout" doc:"how long one is kept" default:"60s"`
	MaxAge      Duration `yaml:"max_age" doc:"how long one is used, ±10 %" default:"1h"`
	Queue       Count    `yaml:"queue" doc:"requests that wait for a place" default:"1024"`
}

// UpstreamTimeouts are how long an upstream may take.
type UpstreamTimeouts struct {
	Connect      Duration `yaml:"connect" doc:"connecting, and waiting in the queue" default:"3s"`
	TLS          Duration `yaml:"tls" doc:"TLS handshake" default:"5s"`
	ResponseHead Duration `yaml:"response_head" doc:"wait for the head of an answer" default:"60s"`
	Idle         Duration `yaml:"idle" doc:"each wait for bytes of an answer" default:"60s"`
}

// UpstreamTLS is the TLS of https targets.
type UpstreamTLS struct {
	CAFile     string `yaml:"ca_file" doc:"PEM authorities (without it: the system's)"`
	ServerName string `yaml:"server_name" doc:"name that is asked for and verified (without it: the target's host)"`
	CertFile   string `yaml:"cert_file" doc:"PEM chain of our own certificate"`
	KeyFile    string `yaml:"key_file" doc:"PEM key of it"`
}

// Resolve is how names become addresses.
type Resolve struct {
	Interval Duration `yaml:"interval" doc:"time between two look-ups of a name, 1s to 60s; off: until it is known" default:"10s"`
	Network  string   `yaml:"network" doc:"kind of addresses" enum:"ip|ip4|ip6" default:"ip"`
}
