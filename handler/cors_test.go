package handler

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/penstock-edge/penstock/serve/servetest"
)

const anyExample = `^(https?://)?example\.com(:[0-9]+)?$`

func newTestCORS(t *testing.T, o CORSOptions) *CORS {
	t.Helper()
	c, err := NewCORS(o)
	servetest.Must(t, "options", err)
	return c
}

// The table of kube-apiserver's filters/cors_test.go, with its patterns pinned.
func TestCORSAllowedOrigins(t *testing.T) {
	for _, c := range []struct {
		name             string
		patterns, origin []string
		allowed          bool
	}{
		{"empty list", nil, []string{"example.com"}, false},
		{"no Origin", []string{anyExample}, []string{""}, false},
		{"a match", []string{anyExample}, []string{"http://example.com", "example.com", "https://example.com:8443"}, true},
		{"no match", []string{anyExample}, []string{"http://not-allowed.com", "not-allowed.com"}, false},
		{"several patterns", []string{`^not-matching\.com$`, anyExample}, []string{"http://example.com", "example.com"}, true},
		{"wildcard", []string{"^.*$"}, []string{"http://example.com", "example.com"}, true},
		{"CVE-2022-1996", []string{anyExample}, []string{"http://example.com.hacker.org", "http://example.com.hacker.org:8080"}, false},
		{"another name's end", []string{anyExample}, []string{"http://hacker-example.com", "http://example.com@hacker.org"}, false},
	} {
		for _, origin := range c.origin {
			t.Run(c.name+" "+origin, func(t *testing.T) {
				s := newTestCORS(t, CORSOptions{AllowedOrigins: c.patterns, AllowCredentials: true})
				r := request("GET", "/version")
				r.Header.Set("Origin", origin)
				w := through(plainOK, r, s)
				servetest.Want(t, "the handler answers", w.Body.String(), "ok")
				want := []string{"", "", "", "", ""}
				if c.allowed {
					want = []string{
						origin, "POST, GET, OPTIONS, PUT, DELETE, PATCH",
						"Content-Type, Content-Length, Accept-Encoding, X-CSRF-Token, Authorization, X-Requested-With, If-Modified-Since",
						"Date", "true",
					}
				}
				for i, name := range []string{"Origin", "Methods", "Headers"} {
					wantField(t, w, "Access-Control-Allow-"+name, want[i])
				}
				wantField(t, w, "Access-Control-Expose-Headers", want[3])
				wantField(t, w, "Access-Control-Allow-Credentials", want[4])
				vary := "Origin"
				if c.patterns == nil {
					vary = ""
				}
				wantField(t, w, "Vary", vary)
			})
		}
	}
}

func TestCORSPreflight(t *testing.T) {
	s := newTestCORS(t, CORSOptions{AllowedOrigins: []string{anyExample}, AllowedMethods: []string{"GET", "POST"}, MaxAge: 90 * time.Second})
	w := through(plainOK, request("OPTIONS", "/x", "Origin: http://example.com", "Access-Control-Request-Method: PATCH"), s)
	servetest.Want(t, "status", w.Code, http.StatusNoContent)
	servetest.Want(t, "body", w.Body.Len(), 0)
	wantField(t, w, "Access-Control-Allow-Methods", "GET, POST")
	wantField(t, w, "Access-Control-Max-Age", "90")
	wantField(t, w, "Access-Control-Allow-Credentials", "")
	wantField(t, w, "Vary", "Origin")

	w = through(plainOK, request("OPTIONS", "/x", "Origin: http://other.com"), s)
	servetest.Want(t, "another origin is the handler's", w.Body.String(), "ok")
	wantField(t, w, "Access-Control-Allow-Methods", "")
	w = through(plainOK, request("OPTIONS", "/x"), s)
	servetest.Want(t, "none is the handler's", w.Body.String(), "ok")

	s = newTestCORS(t, CORSOptions{AllowedOrigins: []string{anyExample}, MaxAge: -1})
	wantField(t, through(plainOK, request("OPTIONS", "/x", "Origin: http://example.com"), s), "Access-Control-Max-Age", "0")
	s = newTestCORS(t, CORSOptions{AllowedOrigins: []string{anyExample}})
	wantField(t, through(plainOK, request("OPTIONS", "/x", "Origin: http://example.com"), s), "Access-Control-Max-Age", "")
}

func TestCORSHostile(t *testing.T) {
	s := newTestCORS(t, CORSOptions{AllowedOrigins: []string{"^.*$"}})
	w := through(plainOK, request("GET", "/", "Origin: http://a", "Origin: http://b"), s)
	wantField(t, w, "Access-Control-Allow-Origin", "")
	w = through(plainOK, request("GET", "/", "Origin: http://"+strings.Repeat("a", maxOrigin)), s)
	wantField(t, w, "Access-Control-Allow-Origin", "")

	// A handler that goes on with the values it finds does not reach the request's.
	r := request("GET", "/", "Origin: http://a")
	backing := []string{"http://a", "another field's value"}
	r.Header["Origin"] = backing[:1]
	NewChain(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(200)
		w.Header().Add("Access-Control-Allow-Origin", "x")
	}), s).ServeHTTP(newStubWriter(), r)
	servetest.Want(t, "the slice behind", backing[1], "another field's value")

	w = through(setting("Access-Control-Allow-Origin", "*"), request("GET", "/", "Origin: http://a"), s)
	wantField(t, w, "Access-Control-Allow-Origin", "http://a")
	for _, o := range []CORSOptions{
		{AllowedMethods: []string{"GET, POST"}}, {AllowedHeaders: []string{"a\r\nb"}}, {ExposedHeaders: []string{""}},
	} {
		_, err := NewCORS(o)
		servetest.Want(t, "refused", err != nil, true)
	}
}

func TestCORSVary(t *testing.T) {
	s := newTestCORS(t, CORSOptions{AllowedOrigins: []string{anyExample}})
	for _, c := range []struct {
		given []string
		want  string
	}{
		{nil, "Origin"},
		{[]string{"Accept"}, "Accept | Origin"},
		{[]string{"Accept, origin"}, "Accept, origin"},
		{[]string{"Accept", "Origin"}, "Accept | Origin"},
		{[]string{"*"}, "*"},
	} {
		wantField(t, through(setting("Vary", c.given...), request("GET", "/"), s), "Vary", c.want)
	}
	servetest.Want(t, "the shared value", strings.Join(varyOrigin, "|"), "Origin")
}

func TestCORSPinned(t *testing.T) {
	for pattern, want := range map[string]string{ // empty: accepted
		`^https://example\.com$`:        "",
		`\Ahttps://example\.com\z`:      "",
		`(^https://a\.com$)`:            "",
		`^https://a\.com$|^http://b$`:   "",
		`^(https://a\.com|http://b)$`:   "",
		`^https://(a|b)(:[0-9]+)?$`:     "",
		`(?i)^https://a\.com$`:          "",
		`^(?:https://a$|https://b$)`:    "",
		`(^a|^b)c$`:                     "",
		`example\.com`:                  "start",
		`//example.com(:|$)`:            "start", // kube-apiserver takes it
		`https://example\.com$`:         "start",
		`^https://example\.com`:         "end",
		`^https://example\.com(:|$)`:    "end",
		`(^|https://)example\.com$`:     "start",
		`(^)?https://a$`:                "start",
		`^*https://a$`:                  "start",
		`^{0,1}https://a$`:              "start",
		`(|^)https://a$`:                "start",
		`^https://a$|https://b$`:        "start",
		`^https://a|^https://b$`:        "end",
		`^https://a(/|$)`:               "end",
		`^https://a$?`:                  "end",
		`(?m)^https://a$`:               "start",
		`^https://a(?m)$`:               "end",
		`\^https://a\$`:                 "start",
		`[^a]https://a$`:                "start",
		`^https://a[$]`:                 "end",
		`https?^://a$`:                  "start",
		``:                              "start",
		`^(`:                            "parse",
		`^(?=a)$`:                       "parse",
		strings.Repeat("(", 2000) + "a": "parse",
	} {
		_, err := NewCORS(CORSOptions{AllowedOrigins: []string{pattern}})
		if want == "" {
			servetest.Must(t, pattern, err)
			continue
		}
		servetest.Want(t, pattern+": refused", err != nil, true)
		message := err.Error()
		servetest.Want(t, pattern+": told what is wrong in "+message, strings.Contains(message, want), true)
		servetest.Want(t, pattern+": told the fix in "+message, want == "parse" || strings.Contains(message, `^https://example\.com`), true)
	}
}

// What is accepted never matches a part of a longer origin.
func FuzzCORSPinned(f *testing.F) {
	f.Add(`^https://example\.com$`, "https://example.com")
	f.Add(`(^a|^b)c$`, "ac")
	f.Add(`(^|a)b($|c)`, "ab")
	f.Fuzz(func(t *testing.T, pattern, origin string) {
		re, err := compilePinned(pattern)
		if err != nil {
			return
		}
		for _, s := range []string{origin, "https://" + origin, origin + ".attacker.org", "a" + origin + "b"} {
			if loc := re.FindStringIndex(s); loc != nil && (loc[0] != 0 || loc[1] != len(s)) {
				t.Fatalf("%q matches %q only in part", pattern, s)
			}
		}
		if _, err := regexp.Compile(pattern); err != nil {
			t.Fatalf("%q: accepted, but %v", pattern, err)
		}
	})
}
