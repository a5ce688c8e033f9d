package handler

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Paths of the documents.
const (
	openAPISwagger = "/swagger.json"
	openAPIV2      = "/openapi/v2"
	openAPIV3      = "/openapi/v3"
	openAPIGroup   = openAPIV3 + "/"
	// maxOpenAPIQuery bounds a query that is read; ?hash= has 133 bytes.
	// TestOpenAPIHostile crosses it.
	maxOpenAPIQuery = 1024
	// immutableFor is how long a document that is named by its hash may be kept.
	immutableFor = 365 * 24 * time.Hour
)

// OpenAPIOptions says what the documents describe.
type OpenAPIOptions struct {
	// Title, Version and Description are about the whole API. If empty, "penstock",
	// "unversioned" and none.
	Title, Version, Description string
	// Routes is called once, by the first request for a document, and then let go.
	// An error of the table (see APIRoute) makes each answer 500. Required.
	Routes func() []APIRoute
	// ErrorLog gets that error. If nil, slog.Default().
	ErrorLog *slog.Logger
}

// OpenAPI serves documents of the routes, in JSON: OpenAPI 2.0 at /swagger.json and
// /openapi/v2, the index of OpenAPI 3.0 at /openapi/v3, and each group's document
// below. With the right ?hash= a group's document may be kept for a year; a wrong
// one is redirected to the right one.
//
// Documents are made by the first request, once, and kept as bytes. It makes the
// promise of RecycleRequests, and allocates nothing for a document without ?hash=.
type OpenAPI struct {
	once   sync.Once
	o      OpenAPIOptions // for the first request only
	err    error
	v2, v3 *openAPIDocument
	groups map[string]*openAPIDocument
}

// openAPIDocument is a document as it is sent.
type openAPIDocument struct {
	page     *page
	hash     string
	etag     []string
	location []string // with the hash; nil: it has none
}

// NewOpenAPI makes the handler, and no document.
func NewOpenAPI(o OpenAPIOptions) *OpenAPI { return &OpenAPI{o: o} }

// RecycleRequests tells the engine that nothing of a request is kept.
func (a *OpenAPI) RecycleRequests() bool { return true }

// Build makes the documents now, for a test of the table: requests do it
// themselves.
func (a *OpenAPI) Build() error {
	a.once.Do(func() {
		if a.err = a.build(); a.err != nil {
			logger := a.o.ErrorLog
			if logger == nil {
				logger = slog.Default()
			}
			logger.Error("OpenAPI documents could not be made", "err", a.err)
		}
		a.o = OpenAPIOptions{} // the table is not needed any more
	})
	return a.err
}

// ServeHTTP routes by path.
func (a *OpenAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !onlyGetAndHead(w, r) {
		return
	}
	if a.Build() != nil {
		documentsMissing.serve(w, r)
		return
	}
	switch path := r.URL.Path; {
	case path == openAPISwagger || path == openAPIV2:
		a.v2.serve(w, r)
	case path == openAPIV3:
		a.v3.serve(w, r)
	case strings.HasPrefix(path, openAPIGroup):
		if d, ok := a.groups[path[len(openAPIGroup):]]; ok {
			d.serve(w, r)
			return
		}
		fallthrough
	default:
		notFoundPage.serve(w, r)
	}
}

// serve answers with the document, or why not.
func (d *openAPIDocument) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h["Vary"] = varyAccept
	if !acceptsJSON(r.Header["Accept"]) {
		notAcceptable.serve(w, r)
		return
	}
	if d.location != nil && r.URL.RawQuery != "" {
		hash, ok := hashOf(r.URL.RawQuery)
		switch {
		case !ok:
			badQuery.serve(w, r)
			return
		case hash != "" && hash != d.hash:
			h["Location"] = d.location
			movedToHash.serve(w, r)
			return
		case hash != "":
			h["Cache-Control"] = immutable
			h["Expires"] = []string{time.Now().Add(immutableFor).UTC().Format(http.TimeFormat)}
		}
	}
	h["Etag"] = d.etag
	if matchesETag(r.Header["If-None-Match"], d.etag[0]) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	d.page.serve(w, r)
}

// hashOf is the value of ?hash=, empty without one. Not ok: the query is none.
func hashOf(query string) (hash string, ok bool) {
	if len(query) > maxOpenAPIQuery {
		return "", false
	}
	values, err := url.ParseQuery(query)
	return values.Get("hash"), err == nil
}

// Answers and values of fields that are always the same.
var (
	varyAccept       = []string{"Accept"}
	immutable        = []string{"public, immutable"}
	notFoundPage     = newPage(http.StatusNotFound, textPlain, []byte("404 page not found\n"))
	notAcceptable    = newPage(http.StatusNotAcceptable, textPlain, []byte("406 not acceptable: application/json only\n"))
	badQuery         = newPage(http.StatusBadRequest, textPlain, []byte("400 bad query\n"))
	movedToHash      = newPage(http.StatusMovedPermanently, textPlain, []byte("301 moved to the document's hash\n"))
	documentsMissing = newPage(http.StatusInternalServerError, textPlain, []byte("500 documents could not be made\n"))
)
