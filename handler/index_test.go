package handler

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func TestIndex(t *testing.T) {
	list := []string{"/version", "/a", "/version", "/<b>"}
	i := NewIndex(func() []string { return list })
	const body = "{\n  \"paths\": [\n    \"/\\u003cb\\u003e\",\n    \"/a\",\n    \"/version\"\n  ]\n}\n"
	for _, tt := range []struct {
		method, path string
		status       int
		body         string
	}{
		{http.MethodGet, "/", 200, body},
		{http.MethodGet, "/index.html", 200, body},
		{http.MethodHead, "/", 200, ""},
		{http.MethodPost, "/", 405, "405 method not allowed\n"},
		{http.MethodGet, "/index.htm", 404, body},
		{http.MethodPost, "/x", 404, body},
	} {
		w := httptest.NewRecorder()
		i.ServeHTTP(w, httptest.NewRequest(tt.method, tt.path, nil))
		servetest.Want(t, tt.method+" "+tt.path, w.Code, tt.status)
		servetest.Want(t, "body of "+tt.path, w.Body.String(), tt.body)
	}
	servetest.Want(t, "type", get(i, "/").Header().Get("Content-Type"), "application/json")
	list = nil
	servetest.Want(t, "a list that changed", get(i, "/").Body.String(), "{\n  \"paths\": []\n}\n")
}

func TestIndexAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	list := []string{"/a", "/b"}
	i := NewIndex(func() []string { return list })
	servetest.Want(t, "allocations", allocations(i, httptest.NewRequest(http.MethodGet, "/", nil)), 0)
}
