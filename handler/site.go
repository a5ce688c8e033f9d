package handler

import (
	_ "embed"
	"net/http"
	"strings"
)

var (
	//go:embed site/index.html
	siteIndex []byte
	//go:embed site/404.html
	siteNotFound []byte
)

// siteCSP lets the pages use their own inline styles and nothing else.
var siteCSP = []string{"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}

// Site is the small embedded site of a server started without configuration:
// an index page, /version, the health groups, and a 404 page for all else. It
// makes the promise of RecycleRequests; the pages allocate nothing.
type Site struct {
	index, notFound *page
	version         *Version
	groups          []*HealthGroup
}

// NewSite makes the site. The groups should not have HealthOptions.Details:
// the site is public.
func NewSite(version *Version, groups ...*HealthGroup) *Site {
	return &Site{
		index:    newPage(http.StatusOK, textHTML, siteIndex),
		notFound: newPage(http.StatusNotFound, textHTML, siteNotFound),
		version:  version,
		groups:   groups,
	}
}

// ServeHTTP routes by exact path.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/", "/index.html":
		if onlyGetAndHead(w, r) {
			s.servePage(w, r, s.index)
		}
		return
	case "/version":
		s.version.ServeHTTP(w, r)
		return
	}
	for _, g := range s.groups {
		if strings.HasPrefix(r.URL.Path, "/") && r.URL.Path[1:] == g.name {
			g.ServeHTTP(w, r)
			return
		}
	}
	s.servePage(w, r, s.notFound)
}

// RecycleRequests tells the engine that nothing of a request is kept.
func (s *Site) RecycleRequests() bool { return true }

func (s *Site) servePage(w http.ResponseWriter, r *http.Request, p *page) {
	h := w.Header()
	h["Cache-Control"] = noCache
	h["Content-Security-Policy"] = siteCSP
	p.serve(w, r)
}
