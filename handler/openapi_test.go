package handler

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func testRoutes() []APIRoute {
	return []APIRoute{
		{Path: "/version", Summary: "what runs here", Responses: []APIResponse{{Status: 200, ContentType: "application/json"}}},
		{
			Path: "/livez/{check}", Methods: []string{"GET", "HEAD"},
			Parameters: []APIParameter{
				{Name: "check", In: "path"},
				{Name: "verbose", Type: "boolean"},
				{Name: "exclude", Repeated: true, Description: "checks left out"},
			},
			Responses: []APIResponse{{Status: 200, ContentType: "text/plain"}, {Status: 500, Description: "not alive", ContentType: "text/plain"}},
		},
		{Path: "/", Description: "all paths"},
		{Path: "/apis/x/v1", Group: "apis/x/v1"},
	}
}

func newTestOpenAPI(t *testing.T) *OpenAPI {
	t.Helper()
	a := NewOpenAPI(OpenAPIOptions{Version: "v1", Routes: testRoutes})
	servetest.Must(t, "build", a.Build())
	return a
}

func decode(t *testing.T, body io.Reader) (v map[string]any) {
	t.Helper()
	servetest.Must(t, "JSON", json.NewDecoder(body).Decode(&v))
	return v
}

// at walks into a document.
func at(v any, path ...string) any {
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

func TestOpenAPIBuiltOnce(t *testing.T) {
	built := 0
	a := NewOpenAPI(OpenAPIOptions{Routes: func() []APIRoute { built++; return testRoutes() }})
	servetest.Want(t, "before the first request", built, 0)
	first := get(a, "/openapi/v2").Body.String()
	servetest.Want(t, "the same bytes", get(a, "/swagger.json").Body.String(), first)
	get(a, "/openapi/v3")
	servetest.Want(t, "after three", built, 1)
	servetest.Want(t, "the table is let go", a.o.Routes == nil, true)
	again := NewOpenAPI(OpenAPIOptions{Routes: testRoutes})
	servetest.Want(t, "the same in another process", get(again, "/openapi/v2").Body.String(), first)
}

func TestOpenAPIV2(t *testing.T) {
	w := get(newTestOpenAPI(t), "/openapi/v2")
	wantField(t, w, "Content-Type", "application/json")
	wantField(t, w, "Vary", "Accept")
	servetest.Want(t, "ETag is 128 digits in quotes", len(w.Header().Get("Etag")), 130)
	d := decode(t, w.Body)
	servetest.Want(t, "version", at(d, "swagger"), any("2.0"))
	servetest.Want(t, "title", at(d, "info", "title"), any("penstock"))
	servetest.Want(t, "summary", at(d, "paths", "/version", "get", "summary"), any("what runs here"))
	servetest.Want(t, "id", at(d, "paths", "/livez/{check}", "head", "operationId"), any("headLivezCheck"))
	p := at(d, "paths", "/livez/{check}", "get", "parameters").([]any)
	servetest.Want(t, "in the path it is required", at(p[0], "required"), any(true))
	servetest.Want(t, "type", at(p[1], "type"), any("boolean"))
	servetest.Want(t, "repeated", at(p[2], "collectionFormat"), any("multi"))
	servetest.Want(t, "response", at(d, "paths", "/livez/{check}", "get", "responses", "500", "description"), any("not alive"))
}

func TestOpenAPIV3(t *testing.T) {
	a := newTestOpenAPI(t)
	w := get(a, "/openapi/v3")
	index := decode(t, w.Body)
	servetest.Want(t, "groups", len(at(index, "paths").(map[string]any)), 4)
	for _, group := range []string{"version", "livez", "root", "apis/x/v1"} {
		link, _ := at(index, "paths", group, "serverRelativeURL").(string)
		path, hash, _ := strings.Cut(link, "?hash=")
		servetest.Want(t, "path of "+group, path, "/openapi/v3/"+group)
		w := get(a, link)
		servetest.Want(t, "status", w.Code, 200)
		wantField(t, w, "Cache-Control", "public, immutable")
		wantField(t, w, "Etag", `"`+hash+`"`)
		expires, err := http.ParseTime(w.Header().Get("Expires"))
		servetest.Must(t, "Expires", err)
		servetest.Want(t, "Expires is far", expires.IsZero(), false)
		servetest.Want(t, "openapi", at(decode(t, w.Body), "openapi"), any("3.0.0"))

		w = get(a, path+"?hash="+strings.Repeat("0", 128))
		servetest.Want(t, "wrong hash", w.Code, http.StatusMovedPermanently)
		wantField(t, w, "Location", link)
		w = get(a, path)
		servetest.Want(t, "no hash", w.Code, 200)
		wantField(t, w, "Cache-Control", "")
		wantField(t, w, "Expires", "")
		wantField(t, w, "Etag", `"`+hash+`"`)
	}
	d := decode(t, get(a, "/openapi/v3/livez").Body)
	p := at(d, "paths", "/livez/{check}", "get", "parameters").([]any)
	servetest.Want(t, "schema", at(p[2], "schema", "items", "type"), any("string"))
	_, typed := at(d, "paths", "/livez/{check}", "get", "responses", "200", "content", "text/plain").(map[string]any)
	servetest.Want(t, "content type", typed, true)
}

func TestOpenAPIHostile(t *testing.T) {
	a := newTestOpenAPI(t)
	etag := get(a, "/openapi/v2").Header().Get("Etag")
	for _, c := range []struct {
		name, method, target string
		fields               []string
		status               int
	}{
		{"unknown group", "GET", "/openapi/v3/nope", nil, 404},
		{"no group", "GET", "/openapi/v3/", nil, 404},
		{"group with a slash too many", "GET", "/openapi/v3/version/", nil, 404},
		{"other path", "GET", "/openapi", nil, 404},
		{"POST", "POST", "/openapi/v2", nil, 405},
		{"HEAD", "HEAD", "/openapi/v2", nil, 200},
		{"protobuf only", "GET", "/openapi/v2", []string{"Accept: application/com.github.proto-openapi.spec.v2@v1.0+protobuf"}, 406},
		{"protobuf only, v3", "GET", "/openapi/v3/version", []string{"Accept: application/x-protobuf"}, 406},
		{"both", "GET", "/openapi/v2", []string{"Accept: application/x-protobuf", "Accept: application/json;q=0.1"}, 200},
		{"none match", "GET", "/openapi/v2", []string{`If-None-Match: "x"`}, 200},
		{"match", "GET", "/openapi/v2", []string{"If-None-Match: " + etag}, 304},
		{"weak match in a list", "GET", "/openapi/v2", []string{`If-None-Match: "x", W/` + etag}, 304},
		{"any", "HEAD", "/openapi/v2", []string{"If-None-Match: *"}, 304},
		{"semicolons in the query", "GET", "/openapi/v3/version?a;b", nil, 400},
		{"broken escape", "GET", "/openapi/v3/version?hash=%zz", nil, 400},
		{"long query", "GET", "/openapi/v3/version?hash=" + strings.Repeat("a", maxOpenAPIQuery), nil, 400},
		{"another query", "GET", "/openapi/v3/version?timeout=32s", nil, 200},
		{"empty hash", "GET", "/openapi/v3/version?hash=", nil, 200},
		{"query where none matters", "GET", "/openapi/v2?timeout=32s;", nil, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := through(a, request(c.method, c.target, c.fields...))
			servetest.Want(t, "status", w.Code, c.status)
			servetest.Want(t, "body", w.Body.Len() > 0, c.status != 304 && c.method != "HEAD")
		})
	}
}

func TestOpenAPIBadTable(t *testing.T) {
	for name, r := range map[string]APIRoute{
		"no slash":             {Path: "version"},
		"empty path":           {},
		"method":               {Path: "/a", Methods: []string{"get"}},
		"place":                {Path: "/a", Parameters: []APIParameter{{Name: "a", In: "cookie"}}},
		"type":                 {Path: "/a", Parameters: []APIParameter{{Name: "a", Type: "int"}}},
		"name":                 {Path: "/a", Parameters: []APIParameter{{}}},
		"not in the path":      {Path: "/a", Parameters: []APIParameter{{Name: "b", In: "path"}}},
		"undescribed variable": {Path: "/a/{b}"},
		"open brace":           {Path: "/a/{b"},
		"twice":                {Path: "/version"},
	} {
		a := NewOpenAPI(OpenAPIOptions{
			Routes:   func() []APIRoute { return append(testRoutes(), r) },
			ErrorLog: slog.New(slog.DiscardHandler),
		})
		servetest.Want(t, name, a.Build() != nil, true)
		servetest.Want(t, name, get(a, "/openapi/v2").Code, 500)
	}
}

func TestAcceptsJSON(t *testing.T) {
	for _, c := range []struct {
		accept []string
		want   bool
	}{
		{nil, true},
		{[]string{""}, true},
		{[]string{" , "}, true},
		{[]string{"*/*"}, true},
		{[]string{"application/*"}, true},
		{[]string{"Application/JSON"}, true},
		{[]string{"text/html", "*/*;q=0.1"}, true},
		{[]string{"text/html"}, false},
		{[]string{"*/*;q=0"}, false},
		{[]string{"application/json;q=0, */*"}, false},
		{[]string{"*/*", "application/json; q=0.000"}, false},
		{[]string{"application/*;q=0, application/json"}, true},
		{[]string{"application/json;q=0, application/json"}, true},
		{[]string{"application/json;as=Table"}, false},
		{[]string{"application/json;as=Table, application/json"}, true},
		{[]string{"application/json;q=0.5;ext=1"}, true},
		{[]string{"application/json;q=2"}, false},
		{[]string{"application/json;q=1.001"}, false},
		{[]string{"application/json;q=0.0001"}, false},
		{[]string{"application/json;q="}, false},
		{[]string{"*"}, false},
		{[]string{"*/json"}, false},
		{[]string{"application"}, false},
	} {
		servetest.Want(t, strings.Join(c.accept, " | "), acceptsJSON(c.accept), c.want)
	}
}

// The order of ranges does not matter, nor how they are spread over lines.
func FuzzAcceptsJSON(f *testing.F) {
	f.Add("application/json;q=0", "*/*")
	f.Add("text/html", "application/*;q=0.5;a=b")
	f.Fuzz(func(t *testing.T, a, b string) {
		want := acceptsJSON([]string{a, b})
		for _, other := range [][]string{{b, a}, {a + "," + b}, {b + ", " + a}, {a, "", b}} {
			if acceptsJSON(other) != want {
				t.Fatalf("%q is %v, %q is not", []string{a, b}, want, other)
			}
		}
	})
}

func TestOpenAPIAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	a := newTestOpenAPI(t)
	for _, target := range []string{"/openapi/v2", "/openapi/v3", "/openapi/v3/version"} {
		servetest.Want(t, target, allocations(a, request("GET", target, "Accept: application/json, */*;q=0.1")), 0)
	}
}
