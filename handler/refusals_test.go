package handler

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func TestRetryValues(t *testing.T) {
	for _, c := range []struct {
		name           string
		opts           RetryOptions
		busy, draining string
	}{
		{"defaults", RetryOptions{}, "1", "5"},
		{"given", RetryOptions{Busy: 3 * time.Second, Draining: 10 * time.Second}, "3", "10"},
		{"rounded up", RetryOptions{Busy: time.Millisecond, Draining: 1001 * time.Millisecond}, "1", "2"},
		{"none", RetryOptions{Busy: -1, Draining: -1}, "", ""},
	} {
		first := func(v []string) string {
			if v == nil {
				return ""
			}
			return v[0]
		}
		servetest.Want(t, c.name+": busy", first(c.opts.busy()), c.busy)
		servetest.Want(t, c.name+": draining", first(c.opts.draining()), c.draining)
	}
}

func TestRefusalForms(t *testing.T) {
	c := NewChain(NotFound{}, NewRetryAfter(func() bool { return true }, RetryOptions{}))
	for _, q := range []struct {
		name, method, accept, contentType string
		empty                             bool
	}{
		{"plain", http.MethodGet, "*/*", "text/plain; charset=utf-8", false},
		{"JSON", http.MethodPost, "application/yaml, application/json;q=0.5", "application/json", false},
		{"HEAD", http.MethodHead, "application/json", "application/json", true},
	} {
		r := httptest.NewRequest(q.method, "/", http.NoBody)
		r.Header.Set("Accept", q.accept)
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		servetest.Want(t, q.name+": type", w.Header().Get("Content-Type"), q.contentType)
		servetest.Want(t, q.name+": not to be kept", w.Header().Get("Cache-Control"), "no-cache, private")
		servetest.Want(t, q.name+": no content", w.Body.Len() == 0, q.empty)
		if q.name != "JSON" {
			continue
		}
		var status struct {
			Kind, Status, Message, Reason string
			Code                          int
		}
		servetest.Must(t, "JSON", json.Unmarshal(w.Body.Bytes(), &status))
		servetest.Want(t, "the status object", status, struct {
			Kind, Status, Message, Reason string
			Code                          int
		}{"Status", "Failure", "The server is shutting down, please try again later.", "TooManyRequests", 429})
	}
}

func TestRetryAfter(t *testing.T) {
	draining := false
	c := NewChain(NotFound{}, infos, NewRetryAfter(func() bool { return draining }, RetryOptions{}))
	for _, path := range []string{"/read", "/long", "/exempt"} {
		servetest.Want(t, path+": served before", get(c, path).Code, http.StatusNotFound)
	}
	draining = true
	for _, path := range []string{"/read", "/long"} {
		got := get(c, path)
		servetest.Want(t, path+": status", got.Code, http.StatusTooManyRequests)
		servetest.Want(t, path+": Retry-After", got.Header().Get("Retry-After"), "5")
		servetest.Want(t, path+": Connection", got.Header().Get("Connection"), "close")
	}
	got := get(c, "/exempt")
	servetest.Want(t, "exempt ones are served", got.Code, http.StatusNotFound)
	servetest.Want(t, "and keep their connection", got.Header().Get("Connection"), "")
}

func TestMaxInFlight(t *testing.T) { synctest.Test(t, testMaxInFlight) }

func testMaxInFlight(t *testing.T) {
	refused := 0
	b := newBlocking()
	s := NewMaxInFlight(2, 1, MaxInFlightOptions{Refused: func(Info) { refused++ }})
	c := NewChain(b, infos, s)
	for _, path := range []string{"/read", "/read", "/mutating", "/long", "/long", "/exempt", "/exempt"} {
		b.run(c, path)
	}
	reading, mutating := s.(*MaxInFlight).InFlight()
	servetest.Want(t, "places taken", [2]int{reading, mutating}, [2]int{2, 1})
	for _, path := range []string{"/read", "/mutating"} {
		got := get(c, path)
		servetest.Want(t, path+": one too many", got.Code, http.StatusTooManyRequests)
		servetest.Want(t, path+": Retry-After", got.Header().Get("Retry-After"), "1")
	}
	servetest.Want(t, "refusals told", refused, 2)
	b.end()
	servetest.Want(t, "room again", get(c, "/read").Code, http.StatusOK)
	reading, mutating = s.(*MaxInFlight).InFlight()
	servetest.Want(t, "all places are back", [2]int{reading, mutating}, [2]int{})
}

func TestMaxInFlightOff(t *testing.T) {
	servetest.Want(t, "no limits, no stage", NewMaxInFlight(0, 0, MaxInFlightOptions{}) == nil, true)
	b := newBlocking()
	c := NewChain(b, infos, NewMaxInFlight(0, 1, MaxInFlightOptions{}))
	for range 10 {
		b.run(c, "/read")
	}
	b.run(c, "/mutating")
	servetest.Want(t, "the other limit holds", get(c, "/mutating").Code, http.StatusTooManyRequests)
	b.end()
}

func TestGoaway(t *testing.T) {
	for _, bad := range []float64{-0.001, 0.021, 1} {
		_, err := NewGoaway(bad)
		servetest.Want(t, "out of range", err != nil, true)
	}
	off, err := NewGoaway(0)
	servetest.Want(t, "no chance, no stage", off == nil && err == nil, true)
	s, err := NewGoaway(0.02)
	servetest.Must(t, "in range", err)
	for _, q := range []struct {
		name  string
		major int
		path  string
		draw  float64
		want  string
	}{
		{"HTTP/1", 1, "/read", 0, ""},
		{"HTTP/2, drawn", 2, "/read", 0.0199, "close"},
		{"HTTP/2, not drawn", 2, "/read", 0.02, ""},
		{"HTTP/3, drawn", 3, "/exempt", 0, "close"},
		{"HTTP/2, long-running", 2, "/long", 0, ""},
	} {
		s.(*Goaway).draw = func() float64 { return q.draw }
		r := httptest.NewRequest(http.MethodGet, q.path, http.NoBody)
		r.ProtoMajor = q.major
		w := httptest.NewRecorder()
		NewChain(NotFound{}, infos, s).ServeHTTP(w, r)
		servetest.Want(t, q.name, w.Header().Get("Connection"), q.want)
		servetest.Want(t, q.name+": served", w.Code, http.StatusNotFound)
	}
}
