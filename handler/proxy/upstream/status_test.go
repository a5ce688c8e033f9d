package upstream

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func TestStatus(t *testing.T) { synctest.Test(t, testStatus) }

func testStatus(t *testing.T) {
	var b book
	b.set("api.test", nil, "10.0.1.1:80")
	list := append(targets(2), Target{URL: "http://api.test"}, Target{URL: "http://unix:/run/p.sock", Weight: -1})
	g := newGroup(t, Options{Targets: list, Balance: RoundRobin}, Hooks{Discovery: &b})
	servetest.Want(t, "a name that was not looked up has no time", g.Status(time.Now()).Names[0].At.IsZero(), true)
	g.Start(t.Context())
	synctest.Wait()
	e := mustPick(t, g, time.Now())
	e.Observe(time.Now(), Outcome{Latency: 20 * time.Millisecond})
	mustPick(t, g, time.Now())
	fail(g.at(1), time.Now(), 5)
	g.TryRetry(time.Now())

	s := g.Status(time.Now())
	text, err := json.Marshal(s)
	servetest.Must(t, "marshal", err)
	// The bubble's clock begins in 2000.
	const since = `"since":"2000-01-01T00:00:00Z"`
	got := strings.ReplaceAll(string(text), time.Now().Format(`"since":"`+time.RFC3339Nano+`"`), since)
	got = strings.ReplaceAll(got, time.Now().Format(`"at":"`+time.RFC3339Nano+`"`), `"at":"2000-01-01T00:00:00Z"`)
	want := `{"name":"api","balance":"round_robin","endpoints":[` +
		`{"target":"http://10.0.0.1:80","address":"10.0.0.1:80","authority":"10.0.0.1","state":"up",` + since +
		`,"weight":1,"in_flight":1,"latency_seconds":0.02,"picks":1,"failures":0,"ejections":0},` +
		`{"target":"http://10.0.0.2:80","address":"10.0.0.2:80","authority":"10.0.0.2","state":"down",` +
		`"why":"ejected: too many failures in a row",` + since +
		`,"weight":1,"in_flight":1,"latency_seconds":60,"picks":1,"failures":5,"ejections":1},` +
		`{"target":"http://api.test:80","address":"10.0.1.1:80","authority":"api.test","state":"up",` + since +
		`,"weight":1,"in_flight":0,"latency_seconds":0,"picks":0,"failures":0,"ejections":0},` +
		`{"target":"http://unix:/run/p.sock","address":"/run/p.sock","authority":"localhost","state":"draining",` +
		`"why":"weight below zero",` + since +
		`,"weight":1,"in_flight":0,"latency_seconds":0,"picks":0,"failures":0,"ejections":0}],` +
		`"names":[{"target":"http://api.test:80","addresses":1,"at":"2000-01-01T00:00:00Z"}],` +
		`"queue":{"waiting":0,"served":0,"refused":0,"late":0},"retries":{"left":2,"granted":1,"refused":0}}`
	servetest.Want(t, "as JSON", got, want)
	servetest.Want(t, "the name of an endpoint", g.at(0).String()+" "+g.at(3).String(), "http://10.0.0.1:80 http://unix:/run/p.sock")
	g.Close()
}
