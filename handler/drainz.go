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
	// Connections are the open ones by protocol: "h1", "h2", "h3".
	Connections map[string]int
	// InFlight are the requests whose handlers run.
	InFlight int
	// Left is the time until connections are cut. If negative, there is no stop.
	Left time.Duration
	// Stragglers are what the drain waits for.
	Stragglers []Straggler
}

// A Straggler is the requests in flight of one path.
type Straggler struct {
	Path   string        // or route
	Count  int           // of requests
	Oldest time.Duration // the longest that one of them has run
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
	type straggler struct {
		Path          string  `json:"path"`
		Count         int     `json:"count"`
		OldestSeconds float64 `json:"oldestSeconds"`
	}
	body := struct {
		Phase            string         `json:"phase"`
		Connections      map[string]int `json:"connections"`
		InFlight         int            `json:"inFlight"`
		TimeLeftSeconds  *float64       `json:"timeLeftSeconds,omitempty"`
		Stragglers       []straggler    `json:"stragglers"`
		StragglersHidden int            `json:"stragglersHidden,omitempty"`
	}{Phase: s.Phase, Connections: s.Connections, InFlight: s.InFlight, Stragglers: []straggler{}}
	if body.Connections == nil {
		body.Connections = map[string]int{}
	}
	if s.Left >= 0 {
		left := s.Left.Seconds()
		body.TimeLeftSeconds = &left
	}
	list := slices.SortedFunc(slices.Values(s.Stragglers), func(a, b Straggler) int {
		return cmp.Or(cmp.Compare(b.Oldest, a.Oldest), strings.Compare(a.Path, b.Path))
	})
	body.StragglersHidden = max(0, len(list)-maxStragglers)
	for _, one := range list[:min(len(list), maxStragglers)] {
		path := one.Path
		if len(path) > maxStragglerPath {
			path = strings.ToValidUTF8(path[:maxStragglerPath], "") + "…"
		}
		body.Stragglers = append(body.Stragglers, straggler{path, one.Count, one.Oldest.Seconds()})
	}
	out, err := json.Marshal(body)
	if err != nil {
		panic("BUG: a struct of strings and numbers does not marshal: " + err.Error())
	}
	return append(out, '\n')
}
