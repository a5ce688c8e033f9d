package debug

import (
	"bytes"
	"fmt"
	"html"
	"net/http"
	"net/http/pprof"
	"net/url"
	"runtime"
	runtimepprof "runtime/pprof"
	"strings"
)

// Options shapes a Handler. The zero value serves the profiles.
type Options struct {
	// DisablePprof leaves the profiles out.
	DisablePprof bool
	// Labels, if set, is called before a profile that has labels is taken, and
	// release behind it: handler.ProfileLabels.Use.
	Labels func() (release func())
	// Contention tells the index that StartContention has been called.
	Contention bool
	// Flight, if set, is served at /debug/flight.
	Flight *FlightRecorder
}

// NewHandler serves what opts allows of the process under /debug/. Put it behind
// Guard.
func NewHandler(opts Options) http.Handler {
	mux := http.NewServeMux()
	if opts.Flight != nil {
		mux.Handle("/debug/flight", opts.Flight)
	}
	if opts.DisablePprof {
		return mux
	}
	mux.Handle("/debug/pprof/{$}", index{opts})
	mux.HandleFunc("/debug/pprof/", pprof.Index) // by its name: any that is registered
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.Handle("/debug/pprof/goroutine", labelled{pprof.Handler("goroutine"), opts.Labels})
	mux.Handle("/debug/pprof/profile", labelled{http.HandlerFunc(pprof.Profile), opts.Labels})
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// NewPprof serves the profiles of the process under /debug/pprof/. Put it
// behind Guard.
func NewPprof() http.Handler { return NewHandler(Options{}) }

// labelled has requests labelled while a profile of them is taken.
type labelled struct {
	profile http.Handler
	use     func() (release func())
}

func (l labelled) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if l.use != nil {
		defer l.use()()
	}
	l.profile.ServeHTTP(w, r)
}

// index is the page that lists what can be asked for here and now.
type index struct{ opts Options }

func (i index) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	var b bytes.Buffer
	b.WriteString("<!DOCTYPE html>\n<html lang=\"en\">\n<title>Profiles</title>\n<h1>Profiles</h1>\n<table>\n")
	row := func(href, name, what string) {
		fmt.Fprintf(&b, "<tr><td><a href=\"%s\">%s</a><td>%s\n", html.EscapeString(href), html.EscapeString(name), html.EscapeString(what))
	}
	row("profile?seconds=30", "profile", "CPU, for 30 s; ends early when the connection does")
	row("trace?seconds=5", "trace", "execution trace of the next 5 s")
	if f := i.opts.Flight; f != nil {
		row("../flight", "flight", f.describe())
	}
	for _, p := range runtimepprof.Profiles() {
		row(url.PathEscape(p.Name())+"?debug=1", p.Name(), i.describe(p))
	}
	row("goroutine?debug=2", "goroutine stacks", "all of them, in full")
	row("cmdline", "cmdline", "arguments of the process")
	b.WriteString("</table>\n<p>Without ?debug, profiles are for <code>go tool pprof</code>; with ?seconds they are what was added in that time.\n</html>\n")

	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(b.Bytes())
}

// describe is a profile in few words: one that is empty for it is off says so.
func (i index) describe(p *runtimepprof.Profile) string {
	var what strings.Builder
	fmt.Fprintf(&what, "%d entries", p.Count())
	switch p.Name() {
	case "block":
		if !i.opts.Contention && p.Count() == 0 {
			what.WriteString(", since contention profiling is off")
		}
	case "mutex":
		if runtime.SetMutexProfileFraction(-1) == 0 {
			what.WriteString(", since contention profiling is off")
		}
	}
	return what.String()
}
