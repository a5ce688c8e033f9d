package app

import (
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/penstock-edge/penstock/handler"
)

// The built-in endpoints of serve, which --public-endpoints chooses from.
const (
	endpointSite    = "site"
	endpointVersion = "version"
	endpointOpenAPI = "openapi"
	endpointHealth  = "health"
	endpointEcho    = "echo"
	endpointRespond = "respond"
)

// CoreConfig says which built-in endpoints there are on public addresses.
type CoreConfig struct {
	// Endpoints are some of those above. If nil, all.
	Endpoints []string
}

func allEndpoints() []string {
	return []string{endpointSite, endpointVersion, endpointOpenAPI, endpointHealth, endpointEcho, endpointRespond}
}

func (c CoreConfig) has(endpoint string) bool {
	return c.Endpoints == nil || slices.Contains(c.Endpoints, endpoint)
}

// newSitePages is the embedded site: an index page, and a 404 page for all else.
func newSitePages() http.Handler { return handler.NewSite(handler.NewVersion(handler.BuildVersion())) }

// notFound is the end of the chain: the site's page, if there is a site.
func (c CoreConfig) notFound(site http.Handler) http.Handler {
	if !c.has(endpointSite) {
		return handler.NotFound{}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/version" { // the site would answer that, too
			handler.NotFound{}.ServeHTTP(w, r)
			return
		}
		site.ServeHTTP(w, r)
	})
}

// routes are those of the endpoints but health, which needs the whole server.
// list tells the paths for the index.
func (c CoreConfig) routes(log *slog.Logger, site http.Handler, list func() []string) ([]handler.Route, error) {
	fixed, err := handler.NewRespond(handler.RespondOptions{Body: []byte("ok\n")})
	if err != nil {
		return nil, err
	}
	version := handler.BuildVersion()
	front := &frontPage{site: site, index: handler.NewIndex(list)}
	openAPI := handler.NewOpenAPI(handler.OpenAPIOptions{Version: version.Version, Routes: c.apiRoutes, ErrorLog: log})
	var routes []handler.Route
	for _, e := range []struct {
		endpoint string
		route    handler.Route
	}{
		{endpointSite, handler.Route{Path: "/", Handler: front}},
		{endpointSite, handler.Route{Path: "/index.html", Handler: front}},
		{endpointVersion, handler.Route{Path: "/version", Handler: handler.NewVersion(version)}},
		{endpointOpenAPI, handler.Route{Path: "/swagger.json", Handler: openAPI}},
		{endpointOpenAPI, handler.Route{Path: "/openapi/v2", Handler: openAPI}},
		{endpointOpenAPI, handler.Route{Path: "/openapi/v3", Handler: openAPI}},
		{endpointOpenAPI, handler.Route{Path: "/openapi/v3/", Handler: openAPI, Prefix: true}},
		{endpointEcho, handler.Route{Path: "/echo", Handler: http.HandlerFunc(echo)}},
		{endpointRespond, handler.Route{Path: "/respond", Handler: fixed}},
	} {
		if c.has(e.endpoint) {
			routes = append(routes, e.route)
		}
	}
	return routes, nil
}

// builtInPaths are those whose answers no cache may keep. The OpenAPI documents
// say themselves how long they may be kept.
func builtInPaths() []string {
	return []string{"/version", "/echo", "/respond", "/healthz", "/livez", "/readyz"}
}

// rules name the routes in metrics and logs, probes among them if they are public.
// Those of front replace them, as its routes come first.
func (c CoreConfig) rules(front []handler.PathRule) []handler.PathRule {
	rules := slices.Clone(front)
	var probes []handler.PathRule // else front may have a route for all paths: it is not exempt
	if c.has(endpointHealth) {
		probes = handler.PublicProbeRules()
	}
	for _, r := range append(probes, []handler.PathRule{
		{Pattern: "/index.html", Name: "site"},
		{Pattern: "/version"},
		{Pattern: "/swagger.json", Name: "openapi"},
		{Pattern: "/openapi/", Name: "openapi"},
		{Pattern: "/echo"},
		{Pattern: "/respond"},
	}...) {
		if !slices.ContainsFunc(front, func(f handler.PathRule) bool { return f.Pattern == r.Pattern }) {
			rules = append(rules, r)
		}
	}
	return rules
}

// apiRoutes is the table that the OpenAPI documents are made of.
func (c CoreConfig) apiRoutes() []handler.APIRoute {
	text := func(status int) handler.APIResponse {
		return handler.APIResponse{Status: status, ContentType: "text/plain"}
	}
	health := func(path, summary string) handler.APIRoute {
		return handler.APIRoute{
			Path: path, Group: "health", Summary: summary,
			Parameters: []handler.APIParameter{
				{Name: "verbose", Description: "list the checks"},
				{Name: "exclude", Description: "leave out a check", Repeated: true},
			},
			Responses: []handler.APIResponse{text(http.StatusOK), text(http.StatusInternalServerError)},
		}
	}
	ok := func(contentType string) []handler.APIResponse {
		return []handler.APIResponse{{Status: http.StatusOK, ContentType: contentType}}
	}
	var routes []handler.APIRoute
	add := func(endpoint string, some ...handler.APIRoute) {
		if c.has(endpoint) {
			routes = append(routes, some...)
		}
	}
	add(endpointSite, handler.APIRoute{Path: "/", Summary: "the embedded site, or the list of paths as JSON", Responses: ok("text/html")})
	add(endpointVersion, handler.APIRoute{Path: "/version", Group: "root", Summary: "what the binary was built from", Responses: ok("application/json")})
	add(endpointEcho, handler.APIRoute{
		Path: "/echo", Group: "root", Methods: []string{http.MethodPost}, Summary: "the content of the request", Responses: ok("application/octet-stream"),
	})
	add(endpointRespond, handler.APIRoute{Path: "/respond", Group: "root", Summary: "a fixed answer", Responses: ok("text/plain")})
	add(
		endpointHealth, health("/healthz", "all checks"), health("/livez", "does the process work?"), health("/readyz", "should it get traffic?"),
	)
	return routes
}

// frontPage is the site, for who prefers JSON the index of paths.
type frontPage struct {
	site  http.Handler
	index *handler.Index
}

func (p *frontPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header()["Vary"] = varyAccept
	accept := r.Header.Get("Accept")
	if strings.Contains(accept, "application/json") && !strings.Contains(accept, "text/html") {
		p.index.ServeHTTP(w, r)
		return
	}
	p.site.ServeHTTP(w, r)
}

// varyAccept is shared; nobody may change it.
var varyAccept = []string{"Accept"}

// echo sends a request's content back, as bytes that no browser shows as a page.
func echo(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "405 method not allowed", http.StatusMethodNotAllowed)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("X-Content-Type-Options", "nosniff")
	// Content comes and goes at one time; who cannot gets it as far as it can.
	_ = http.NewResponseController(w).EnableFullDuplex()
	// Not by ReadFrom: a client may wait for 100 (Continue), which a head that is
	// sent before the first read would withhold.
	if _, err := io.Copy(struct{ io.Writer }{w}, r.Body); err != nil {
		panic(http.ErrAbortHandler) // the answer must not look whole
	}
}
