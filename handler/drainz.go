package handler

import (
	"cmp"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	// maxStragglers bounds the list: the worst are shown, the rest is a number.
	maxStragglers = 100
	// maxStragglerPath bounds one path in it, in bytes.
	maxStragglerPath = 512
)

// DrainStatus is how far a stop has come, or that there is none.
type DrainStatus struct {
	// Phase is the last signal of the life cycle, "Serving" before the first.
	Phase string
	// Connections are the open ones by protocol: "h1", "h2", "h3", and "handshake"
	// while that is not known.
	Connections map[string]int
	// InFlight are the requests whose handlers run, InFlightByProtocol the same by
	// protocol. If that is nil, it is not known.
	InFlight           int
	InFlightByProtocol map[string]int
	// Left is the time until connections are cut. If negative, there is no stop.
	Left time.Duration
	// Stragglers are what the drain waits for.
	Stragglers []Straggler
	// Cut is what was left when the time was over and connections were cut. If nil,
	// none were.
	Cut *DrainStatus
}

// A Straggler is the requests in flight of one path.
type Straggler struct {
	Path   string        // or route
	Count  int           // of requests
	Oldest time.Duration // the longest that one of them has run
}

// InFlight are the requests whose handlers run.
type InFlight struct {
	Running    int
	ByProtocol map[string]int // "h1", "h2", "h3"
	Stragglers []Straggler    // the requests that have run longest, by path
}

// InFlight are those of the registry. Its stragglers are of the hundred requests that
// have run longest. Paths are clients' bytes.
func (g *Registry) InFlight() InFlight {
	n := InFlight{ByProtocol: make(map[string]int, len(protocolNames))}
	for i, running := range g.protocols() {
		n.Running += running
		if i > 0 || running > 0 { // "other" is not expected
			n.ByProtocol[protocolNames[i]] = running
		}
	}
	byPath := make(map[string]int) // place in Stragglers
	now := time.Now()
	for _, r := range g.Oldest(maxStragglers) {
		i, known := byPath[r.Path]
		if !known {
			i = len(n.Stragglers)
			byPath[r.Path] = i
			n.Stragglers = append(n.Stragglers, Straggler{Path: r.Path, Oldest: now.Sub(r.Received)}) // the oldest come first
		}
		n.Stragglers[i].Count++
	}
	return n
}

// Drainz answers /drainz: what a stop still waits for, as JSON. It is for the
// admin address, since it shows paths.
type Drainz struct{ read func() DrainStatus }

// NewDrainz makes the endpoint. read is called for each request, by many at once;
// what it returns is the endpoint's.
func NewDrainz(read func() DrainStatus) *Drainz { return &Drainz{read} }

// ServeHTTP answers GET and HEAD, whatever the path.
func (d *Drainz) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header()["Cache-Control"] = noCache
	if onlyGetAndHead(w, r) {
		newPage(http.StatusOK, jsonType, d.read().JSON()).serve(w, r)
	}
}

// JSON is the body of /drainz, and the line of a log: times are in seconds, those
// who have waited longest come first, and there is a newline at its end.
func (s DrainStatus) JSON() []byte {
	out, err := json.Marshal(s.body())
	if err != nil {
		panic("BUG: a struct of strings and numbers does not marshal: " + err.Error())
	}
	return append(out, '\n')
}

// drainBody is a DrainStatus as JSON has it.
type drainBody struct {
	Phase              string          `json:"phase"`
	Connections        map[string]int  `json:"connections"`
	InFlight           int             `json:"inFlight"`
	InFlightByProtocol map[string]int  `json:"inFlightByProtocol,omitempty"`
	TimeLeftSeconds    *float64        `json:"timeLeftSeconds,omitempty"`
	Stragglers         []stragglerBody `json:"stragglers"`
	StragglersHidden   int             `json:"stragglersHidden,omitempty"`
	Cut                *drainBody      `json:"cut,omitempty"`
}

type stragglerBody struct {
	Path          string  `json:"path"`
	Count         int     `json:"count"`
	OldestSeconds float64 `json:"oldestSeconds"`
}

func (s DrainStatus) body() *drainBody {
	b := &drainBody{
		Phase: s.Phase, Connections: s.Connections, InFlight: s.InFlight, InFlightByProtocol: s.InFlightByProtocol,
		Stragglers: []stragglerBody{},
	}
	if b.Connections == nil {
		b.Connections = map[string]int{}
	}
	if s.Left >= 0 {
		left := s.Left.Seconds()
		b.TimeLeftSeconds = &left
	}
	list := slices.SortedFunc(slices.Values(s.Stragglers), func(a, b Straggler) int {
		return cmp.Or(cmp.Compare(b.Oldest, a.Oldest), strings.Compare(a.Path, b.Path))
	})
	b.StragglersHidden = max(0, len(list)-maxStragglers)
	for _, one := range list[:min(len(list), maxStragglers)] {
		path := one.Path
		if len(path) > maxStragglerPath {
			path = strings.ToValidUTF8(path[:maxStragglerPath], "") + "…"
		}
		b.Stragglers = append(b.Stragglers, stragglerBody{path, one.Count, one.Oldest.Seconds()})
	}
	if s.Cut != nil {
		cut := *s.Cut
		cut.Cut = nil // it has none of its own, whoever made it
		b.Cut = cut.body()
	}
	return b
}
