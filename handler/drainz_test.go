package handler

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func TestDrainz(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status DrainStatus
		want   string
	}{
		{
			"serving",
			DrainStatus{Phase: "Serving", Left: -1},
			`{"phase":"Serving","connections":{},"inFlight":0,"stragglers":[]}`,
		},
		{
			"draining",
			DrainStatus{
				Phase: "NotAcceptingNewRequest", Connections: map[string]int{"h2": 1, "h1": 2}, InFlight: 3, Left: 1500 * time.Millisecond,
				Stragglers: []Straggler{{"/b", 1, time.Second}, {"/\"\n", 2, time.Minute}, {"/a", 1, time.Second}},
			},
			`{"phase":"NotAcceptingNewRequest","connections":{"h1":2,"h2":1},"inFlight":3,"timeLeftSeconds":1.5,"stragglers":[` +
				`{"path":"/\"\n","count":2,"oldestSeconds":60},{"path":"/a","count":1,"oldestSeconds":1},{"path":"/b","count":1,"oldestSeconds":1}]}`,
		},
		{
			"by protocol, and cut",
			DrainStatus{
				Phase: "Stopped", Left: -1, InFlightByProtocol: map[string]int{"h3": 0},
				Cut: &DrainStatus{
					Phase: "x", Connections: map[string]int{"h3": 1}, InFlight: 2, InFlightByProtocol: map[string]int{"h3": 2},
					Stragglers: []Straggler{{"/a", 2, time.Second}}, Cut: &DrainStatus{},
				},
			},
			`{"phase":"Stopped","connections":{},"inFlight":0,"inFlightByProtocol":{"h3":0},"stragglers":[],"cut":{"phase":"x",` +
				`"connections":{"h3":1},"inFlight":2,"inFlightByProtocol":{"h3":2},"timeLeftSeconds":0,"stragglers":[{"path":"/a","count":2,"oldestSeconds":1}]}}`,
		},
		{
			"no time is left",
			DrainStatus{Phase: "x"},
			`{"phase":"x","connections":{},"inFlight":0,"timeLeftSeconds":0,"stragglers":[]}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := get(NewDrainz(func() DrainStatus { return tt.status }), "/drainz")
			servetest.Want(t, "code", w.Code, http.StatusOK)
			servetest.Want(t, "type", w.Header().Get("Content-Type"), "application/json")
			servetest.Want(t, "not cached", w.Header().Get("Cache-Control"), noCache[0])
			servetest.Want(t, "body", w.Body.String(), tt.want+"\n")
		})
	}
}

func TestDrainzBounded(t *testing.T) {
	var status DrainStatus
	for i := range maxStragglers + 5 {
		status.Stragglers = append(status.Stragglers, Straggler{Path: strings.Repeat("ä", maxStragglerPath), Oldest: time.Duration(i)})
	}
	var got struct {
		Stragglers       []struct{ Path string }
		StragglersHidden int
	}
	servetest.Must(t, "JSON", json.Unmarshal(status.JSON(), &got))
	servetest.Want(t, "shown", len(got.Stragglers), maxStragglers)
	servetest.Want(t, "hidden", got.StragglersHidden, 5)
	servetest.Want(t, "path", fmt.Sprint(len(got.Stragglers[0].Path)), fmt.Sprint(maxStragglerPath+len("…")))
}

func TestDrainzMethods(t *testing.T) {
	w := httptest.NewRecorder()
	NewDrainz(func() DrainStatus { return DrainStatus{} }).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/drainz", nil))
	servetest.Want(t, "POST", w.Code, http.StatusMethodNotAllowed)
}

// TestRegistryInFlight: requests in flight by protocol and path, the oldest first.
func TestRegistryInFlight(t *testing.T) { synctest.Test(t, testRegistryInFlight) }

func testRegistryInFlight(t *testing.T) {
	g := NewRegistry()
	release := make(chan struct{})
	c := NewChain(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }), NewWaitGroup(g, WaitGroupOptions{}))
	var all sync.WaitGroup
	for _, r := range []struct {
		path  string
		major int
	}{{"/a", 2}, {"/b", 1}, {"/a", 2}, {"/a", 3}} {
		one := httptest.NewRequest(http.MethodGet, r.path, nil)
		one.ProtoMajor = r.major
		all.Go(func() { c.ServeHTTP(newStubWriter(), one) })
		time.Sleep(time.Second)
	}
	want := func(why, text string) {
		t.Helper()
		now := g.InFlight()
		servetest.Want(t, why, fmt.Sprint(now.Running, now.ByProtocol, now.Stragglers), text)
	}
	want("four", "4 map[h1:1 h2:2 h3:1] [{/a 3 4s} {/b 1 3s}]")
	close(release)
	all.Wait()
	want("none", "0 map[h1:0 h2:0 h3:0] []")
}
