package handler

import (
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

func TestHSTSDirectives(t *testing.T) {
	for _, c := range []struct {
		name       string
		directives []string
		want       string // empty: refused
	}{
		{"seconds alone", []string{"max-age=31536000"}, "max-age=31536000"},
		{"all", []string{"max-age=31536000", "includeSubDomains", "preload"}, "max-age=31536000; includeSubDomains; preload"},
		{"taken back", []string{"max-age=0"}, "max-age=0"},
		{"any order", []string{"preload", "max-age=1"}, "preload; max-age=1"},
		{"empty one", []string{"max-age=1", ""}, ""},
		{"unknown one", []string{"max-age=1", "includeSubdomains"}, ""},
		{"without max-age", []string{"includeSubDomains"}, ""},
		{"max-age twice", []string{"max-age=1", "max-age=2"}, ""},
		{"preload twice", []string{"max-age=1", "preload", "preload"}, ""},
		{"no seconds", []string{"max-age="}, ""},
		{"no equals sign", []string{"max-age"}, ""},
		{"negative", []string{"max-age=-1"}, ""},
		{"signed", []string{"max-age=+1"}, ""},
		{"not a number", []string{"max-age=1y"}, ""},
		{"too large", []string{"max-age=99999999999999999999"}, ""},
		{"two in one", []string{"max-age=1; preload"}, ""},
		{"a value where none belongs", []string{"max-age=1", "preload=1"}, ""},
		{"a line break", []string{"max-age=1\r\nSet-Cookie: a=b"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := NewSecurityHeaders(SecurityHeadersOptions{HSTS: c.directives})
			servetest.Want(t, "refused", err != nil, c.want == "")
			if err != nil {
				return
			}
			wantField(t, through(plainOK, request("GET", "https://a.example/"), s), "Strict-Transport-Security", c.want)
			wantField(t, through(plainOK, request("GET", "http://a.example/"), s), "Strict-Transport-Security", "") // RFC 6797 §7.2
		})
	}
}

func TestSecurityHeaders(t *testing.T) {
	s, err := NewSecurityHeaders(SecurityHeadersOptions{
		NoSniff: true, FrameOptions: "SAMEORIGIN", ReferrerPolicy: "no-referrer, same-origin", ContentSecurityPolicy: "default-src 'self'",
	})
	servetest.Must(t, "options", err)
	w := through(plainOK, request("GET", "/"), s)
	wantField(t, w, "X-Content-Type-Options", "nosniff")
	wantField(t, w, "X-Frame-Options", "SAMEORIGIN")
	wantField(t, w, "Referrer-Policy", "no-referrer, same-origin")
	wantField(t, w, "Content-Security-Policy", "default-src 'self'")
	wantField(t, w, "Strict-Transport-Security", "")
	wantField(t, through(setting("X-Frame-Options", "DENY"), request("GET", "/"), s), "X-Frame-Options", "DENY")
	wantField(t, through(setting("X-Frame-Options"), request("GET", "/"), s), "X-Frame-Options", "")

	for _, o := range []SecurityHeadersOptions{
		{FrameOptions: "ALLOW-FROM https://a"},
		{FrameOptions: "deny"},
		{ReferrerPolicy: "never"},
		{ReferrerPolicy: "no-referrer,"},
		{ContentSecurityPolicy: "a\r\nb"},
	} {
		_, err := NewSecurityHeaders(o)
		servetest.Want(t, "refused", err != nil, true)
	}
	none, err := NewSecurityHeaders(SecurityHeadersOptions{})
	servetest.Must(t, "no options", err)
	servetest.Want(t, "fields of the zero value", len(through(setting("X", "y"), request("GET", "https://a/"), none).Header()), 1)
}
