package bench

import "time"

// Schema is the version of Result's JSON form. It grows when a field changes
// its meaning or goes; new fields alone do not change it.
const Schema = 1

// Mode tells how requests were scheduled.
type Mode string

// Modes of a run.
const (
	ClosedLoop Mode = "closed"
	OpenLoop   Mode = "open"
)

// Result is what a run found. Its JSON form is what --json writes and compare
// reads. Counts are of the measured time alone, without the warm-up.
type Result struct {
	Schema  int       `json:"schema"`
	Started time.Time `json:"started"` // of the measured time
	// Seconds is how long was measured.
	Seconds float64 `json:"seconds"`
	// Interrupted tells that the run was ended before its time.
	Interrupted bool `json:"interrupted,omitempty"`

	Target Target `json:"target"`
	Load   Load   `json:"load"`

	// Requests were sent, Completed answered in full with whatever status,
	// Failed not (each has a kind in Errors), Abandoned in flight at the end.
	// Requests = Completed + Failed + Abandoned.
	Requests  int64 `json:"requests"`
	Completed int64 `json:"completed"`
	Failed    int64 `json:"failed"`
	Abandoned int64 `json:"abandoned"`
	// Rate is Completed by Seconds.
	Rate float64 `json:"rate"`
	// Late counts intended starts that no connection was free for at the end
	// (open loop): load that was not offered.
	Late int64 `json:"late,omitempty"`

	// Bytes on the wire, TLS and framing included, as the sockets carried them
	// (HTTP/3: bytes of streams). BodyBytes are of answers' bodies.
	BytesRead    int64 `json:"bytes_read"`
	BytesWritten int64 `json:"bytes_written"`
	BodyBytes    int64 `json:"body_bytes"`

	// Status counts answers by status code, Errors failures by kind.
	Status map[int]int64       `json:"status"`
	Errors map[ErrorKind]int64 `json:"errors,omitempty"`
	// FirstError of each kind, as text.
	FirstError map[ErrorKind]string `json:"first_error,omitempty"`

	Connections Connections `json:"connections"`

	// Latency is from the intended start (open loop) or from the start of
	// sending (closed loop) to the last byte of the answer. Service is from the
	// start of sending in either. FirstByte ends with the answer's head.
	Latency   *Histogram `json:"latency"`
	Service   *Histogram `json:"service,omitempty"`
	FirstByte *Histogram `json:"first_byte,omitempty"`
	// Connect is from connect(2) to a connection that can be asked, TLS included.
	Connect *Histogram `json:"connect,omitempty"`
	// Lag is the generator's own scheduling error (open loop): from a request's
	// intended start, or from when a connection had room for it if that was later,
	// until it began to be sent. It is part of Latency. The clock is read once for
	// each connection that is written to; an answer that came while the loop was busy
	// counts as if it had come when that began, so that the figure is rather too high.
	Lag *Histogram `json:"lag,omitempty"`

	// Series has a point for each interval of the measured time.
	Series []Point `json:"series"`

	Generator Generator `json:"generator"`
	// Server is the target's own view, if it was asked for one.
	Server *Server `json:"server,omitempty"`
	// Environment is the machine the generator ran on.
	Environment Environment `json:"environment"`
}

// Target is what was asked, and what was negotiated with it.
type Target struct {
	URL      string   `json:"url"` // the first
	URLs     int      `json:"urls"`
	Method   string   `json:"method"`
	Address  string   `json:"address"` // as connected
	Protocol Protocol `json:"protocol"`
	// TLS version, cipher suite and key exchange by their standard names; empty
	// when clear. Resumed counts handshakes with a ticket.
	TLSVersion  string `json:"tls_version,omitempty"`
	CipherSuite string `json:"cipher_suite,omitempty"`
	KeyExchange string `json:"key_exchange,omitempty"`
	Resumed     int64  `json:"resumed,omitempty"`
	ServerName  string `json:"server,omitempty"` // the Server field of the first answer
}

// Load is how hard was asked.
type Load struct {
	Mode              Mode    `json:"mode"`
	Connections       int     `json:"connections"`
	Streams           int     `json:"streams"`
	Workers           int     `json:"workers"`
	Rate              float64 `json:"rate,omitempty"`           // asked for, requests a second
	Duration          float64 `json:"duration,omitempty"`       // asked for, seconds
	RequestLimit      int64   `json:"request_limit,omitempty"`  // asked for
	Warmup            float64 `json:"warmup_seconds,omitempty"` // before, not counted
	BodyBytes         int     `json:"body_bytes,omitempty"`     // of each request
	ConnectPerRequest bool    `json:"connect_per_request,omitempty"`
	NoKeepAlive       bool    `json:"no_keep_alive,omitempty"`
}

// Connections counts TCP or QUIC connections of the measured time.
type Connections struct {
	Opened int64 `json:"opened"`
	Failed int64 `json:"failed"` // of those tried: refused, timed out, TLS
	Closed int64 `json:"closed"` // by the server
}

// ErrorKind is why a request failed.
type ErrorKind string

// Kinds of failure.
const (
	ErrorResolve  ErrorKind = "resolve"
	ErrorConnect  ErrorKind = "connect"
	ErrorTLS      ErrorKind = "tls"
	ErrorTimeout  ErrorKind = "timeout"
	ErrorReset    ErrorKind = "reset"    // of the connection, or of the stream by the server
	ErrorClosed   ErrorKind = "closed"   // before the answer was complete
	ErrorRefused  ErrorKind = "refused"  // stream not processed: REFUSED_STREAM, GOAWAY, H3_REQUEST_REJECTED
	ErrorProtocol ErrorKind = "protocol" // what was read is no valid answer
	ErrorLength   ErrorKind = "length"   // body longer or shorter than its Content-Length
	ErrorCheck    ErrorKind = "check"    // Options.Check
)

// Point is one interval of a run.
type Point struct {
	// At is the end of the interval, in seconds since the measured time began;
	// negative during the warm-up.
	At        float64 `json:"at"`
	Seconds   float64 `json:"seconds"` // its length
	Completed int64   `json:"completed"`
	Failed    int64   `json:"failed"`
	InFlight  int64   `json:"in_flight"`
	// Latencies of the interval, in seconds.
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
	// GeneratorCPU is the generator's use of cores in the interval: 1 is one core.
	GeneratorCPU float64 `json:"generator_cpu"`
}

// Generator is what the run itself cost.
type Generator struct {
	UserSeconds   float64 `json:"user_seconds"`
	SystemSeconds float64 `json:"system_seconds"`
	Cores         int     `json:"cores"` // it could use
	// Busy is CPU time by measured time and cores; from 0.9 on the figures may
	// be the generator's and not the server's.
	Busy float64 `json:"busy"`
	// MicrosPerRequest is CPU time by completed requests.
	MicrosPerRequest float64 `json:"micros_per_request"`
	Version          string  `json:"version,omitempty"` // of penstock
}

// Server is the target's own view of the run, from its admin listener.
type Server struct {
	Version          string  `json:"version,omitempty"`
	CPUSeconds       float64 `json:"cpu_seconds"`
	MicrosPerRequest float64 `json:"micros_per_request"`
	Requests         int64   `json:"requests"`
	// Latency by the server's own clock, in seconds, from its metrics' buckets.
	P50 float64 `json:"p50,omitempty"`
	P90 float64 `json:"p90,omitempty"`
	P99 float64 `json:"p99,omitempty"`
	// Lowest is the bound of the lowest bucket: a percentile that is the same may
	// be less.
	Lowest float64 `json:"lowest,omitempty"`
	// ResidentBytes at the end.
	ResidentBytes int64 `json:"resident_bytes,omitempty"`
}

// Environment is the machine of a run.
type Environment struct {
	GoVersion string `json:"go"`
	OS        string `json:"os"`
	Arch      string `json:"arch"`
	Kernel    string `json:"kernel,omitempty"`
	CPU       string `json:"cpu,omitempty"`
	Cores     int    `json:"cores"`
	// LoadAverage of one minute at the begin; a busy machine explains outliers.
	LoadAverage float64 `json:"load_average,omitempty"`
}
