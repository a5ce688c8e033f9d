package handler

import (
	"net/http"
	"testing"
)

func TestCacheControl(t *testing.T) {
	s := NewCacheControl(ExactPaths("/version"))
	for _, c := range []struct {
		name, path string
		h          http.Handler
		want       string
	}{
		{"built-in", "/version", plainOK, "no-cache, private"},
		{"built-in, an error", "/version", NotFound{}, "no-cache, private"},
		{"built-in with its own", "/version", setting("Cache-Control", "max-age=1"), "max-age=1"},
		{"built-in that wants none", "/version", setting("Cache-Control"), ""},
		{"other", "/file.css", plainOK, ""},
		{"other with its own", "/file.css", setting("Cache-Control", "immutable"), "immutable"},
		{"looks like one", "/version/", plainOK, ""},
		{"another path later", "/version", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.URL.Path = "/elsewhere"
			w.WriteHeader(http.StatusOK)
		}), "no-cache, private"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantField(t, through(c.h, request("GET", c.path), s), "Cache-Control", c.want)
		})
	}
	wantField(t, through(plainOK, request("GET", "/version"), NewCacheControl(nil)), "Cache-Control", "")
}
