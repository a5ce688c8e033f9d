package debug

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

func TestPprof(t *testing.T) {
	h := NewPprof()
	for path, want := range map[string]int{
		"/debug/pprof/":                  200,
		"/debug/pprof/goroutine?debug=1": 200,
		"/debug/pprof/heap?debug=1":      200,
		"/debug/pprof/cmdline":           200,
		"/debug/pprof/none":              404,
		"/":                              404,
		"/debug/":                        404,
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
}

// What somebody registers in http.DefaultServeMux must not appear on the admin address.
func TestPprofIsNotTheDefaultMux(t *testing.T) {
	registerSecret()
	w := httptest.NewRecorder()
	NewPprof().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/secret-of-another-package", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("status %d, want 404", w.Code)
	}
}

// registerSecret registers once: -count runs a test again, and patterns stay.
var registerSecret = sync.OnceFunc(func() {
	http.HandleFunc("/secret-of-another-package", func(http.ResponseWriter, *http.Request) {})
})

func TestGuardHost(t *testing.T) {
	h := Guard(ok(), "admin.example.org")
	for host, want := range map[string]int{
		"127.0.0.1:9901":          204,
		"127.0.0.1":               204,
		"[::1]:9901":              204,
		"[::1]":                   204,
		"localhost:9901":          204,
		"LOCALHOST.:9901":         204,
		"Admin.Example.org":       204,
		"10.0.0.1:9901":           204,
		"evil.example":            421,
		"evil.example:9901":       421,
		"127.0.0.1.evil.example":  421,
		"localhost.evil.example":  421,
		"admin.example.org.evil":  421,
		"":                        421,
		":9901":                   421,
		"127.0.0.1@evil.example":  421,
		"evil.example:80:127.0.0": 421,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		if got := serve(h, r); got != want {
			t.Errorf("Host %q: %d, want %d", host, got, want)
		}
	}
}

func TestGuardForeignPages(t *testing.T) {
	tests := []struct {
		name, method, header string // header: "name: value", several with "; "
		want                 int
	}{
		{"no browser", "GET", "", 204},
		{"own page", "GET", "Origin: http://127.0.0.1:9901", 204},
		{"own page posts", "POST", "Origin: http://127.0.0.1:9901", 204},
		{"foreign page posts", "POST", "Origin: https://evil.example", 403},
		{"other port is foreign", "GET", "Origin: http://127.0.0.1:8080", 403},
		{"opaque origin", "POST", "Origin: null", 403},
		{"broken origin", "GET", "Origin: %zz", 403},
		{"typed address", "GET", "Sec-Fetch-Site: none", 204},
		{"foreign image", "GET", "Sec-Fetch-Site: cross-site; Sec-Fetch-Mode: no-cors; Sec-Fetch-Dest: image", 403},
		{"same site, other origin", "GET", "Sec-Fetch-Site: same-site; Sec-Fetch-Mode: cors", 403},
		{"foreign link", "GET", "Sec-Fetch-Site: cross-site; Sec-Fetch-Mode: navigate; Sec-Fetch-Dest: document", 204},
		{"foreign frame", "GET", "Sec-Fetch-Site: cross-site; Sec-Fetch-Mode: navigate; Sec-Fetch-Dest: iframe", 403},
		{"foreign form", "POST", "Sec-Fetch-Site: cross-site; Sec-Fetch-Mode: navigate; Sec-Fetch-Dest: document", 403},
	}
	h := Guard(ok())
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(test.method, "/", nil)
			r.Host = "127.0.0.1:9901"
			if test.header != "" {
				for field := range strings.SplitSeq(test.header, "; ") {
					name, value, _ := strings.Cut(field, ": ")
					r.Header.Add(name, value)
				}
			}
			if got := serve(h, r); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func ok() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
}

func serve(h http.Handler, r *http.Request) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}
