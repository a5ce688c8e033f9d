package handler

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// labelsHere are the labels of the goroutine that calls it, and of all others
// with some: this package's tests have none.
func labelsHere(tb testing.TB) string {
	tb.Helper()
	var b bytes.Buffer
	servetest.Must(tb, "goroutine profile", pprof.Lookup("goroutine").WriteTo(&b, 1))
	var found []string
	for line := range strings.Lines(b.String()) {
		if labels, ok := strings.CutPrefix(line, "# labels: "); ok {
			found = append(found, strings.TrimSpace(labels))
		}
	}
	return strings.Join(found, " ")
}

// labelChain is a chain whose handler tells the labels that it has run with.
func labelChain(t *testing.T, labels *ProfileLabels, handle func(w http.ResponseWriter)) (h http.Handler, seen *string) {
	seen = new(string)
	info := NewRequestInfo(newPathRules(t, PathRule{Pattern: "/api/", Name: "api"}).Resolve)
	return NewChain(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if handle != nil {
			handle(w)
		}
		*seen = labelsHere(t)
	}), NewRecovery(slog.New(slog.DiscardHandler)), info, labels), seen
}

func TestProfileLabels(t *testing.T) {
	labels := NewProfileLabels()
	h, seen := labelChain(t, labels, nil)

	get(h, "/api/1")
	servetest.Want(t, "nobody takes a profile: there are no labels", *seen, "")

	release := labels.Use()
	again := labels.Use()
	get(h, "/api/1")
	servetest.Want(t, "the handler has the labels of its route", *seen, `{"protocol":"h1", "route":"api"}`)
	servetest.Want(t, "they are gone behind the chain", labelsHere(t), "")
	r := stageRequest()
	r.ProtoMajor, r.URL.Path = 2, "/elsewhere"
	h.ServeHTTP(newStubWriter(), r)
	servetest.Want(t, "what has no route is other", *seen, `{"protocol":"h2", "route":"other"}`)

	release()
	release() // it has no more effect
	get(h, "/api/1")
	servetest.Want(t, "one of two uses is left", *seen, `{"protocol":"h1", "route":"api"}`)
	again()
	get(h, "/api/1")
	servetest.Want(t, "the last has released", *seen, "")
}

// A request outlives the use: nobody but its own End takes its labels away.
func TestProfileLabelsReleasedMeanwhile(t *testing.T) {
	labels := NewProfileLabels()
	release := labels.Use()
	h, seen := labelChain(t, labels, func(http.ResponseWriter) { release() })
	get(h, "/api/1")
	servetest.Want(t, "labels stay for the request", *seen, `{"protocol":"h1", "route":"api"}`)
	servetest.Want(t, "they are gone behind it", labelsHere(t), "")
}

func TestProfileLabelsPanic(t *testing.T) {
	labels := NewProfileLabels()
	defer labels.Use()()
	h, _ := labelChain(t, labels, func(http.ResponseWriter) { panic("handler") })
	servetest.Want(t, "the panic is answered", get(h, "/api/1").Code, http.StatusInternalServerError)
	servetest.Want(t, "labels are gone behind a panic", labelsHere(t), "")
}

// The goroutine is left as pprof.Do around the server wants it.
func TestProfileLabelsRestore(t *testing.T) {
	labels := NewProfileLabels()
	defer labels.Use()()
	h, _ := labelChain(t, labels, nil)
	pprof.Do(t.Context(), pprof.Labels("server", "1"), func(ctx context.Context) {
		h.ServeHTTP(newStubWriter(), stageRequest().WithContext(ctx))
		servetest.Want(t, "the labels of the request's context are back", labelsHere(t), `{"server":"1"}`)
	})
}

func TestProfileLabelsUpstream(t *testing.T) {
	labels := NewProfileLabels()
	upstream := func(w http.ResponseWriter) { labels.Upstream(ExchangeOf(w), "pool-a") }
	h, seen := labelChain(t, labels, upstream)
	get(h, "/api/1")
	servetest.Want(t, "nobody takes a profile: there are no labels", *seen, "")
	defer labels.Use()()
	get(h, "/api/1")
	servetest.Want(t, "the upstream is a label too", *seen, `{"protocol":"h1", "route":"api", "upstream":"pool-a"}`)
	servetest.Want(t, "they are gone behind the chain", labelsHere(t), "")
}

// Routes that a resolver makes of what clients send do not fill the memory.
func TestProfileLabelsBound(t *testing.T) {
	labels := NewProfileLabels()
	defer labels.Use()()
	n := 0
	x := &Exchange{Request: stageRequest()}
	for ; n < 2*maxLabelSets; n++ {
		x.Info.Route = strconv.Itoa(n)
		labels.Begin(x)
	}
	servetest.Want(t, "label sets are bounded", len(*labels.sets.Load()), maxLabelSets)
	servetest.Want(t, "what comes after is other", labelsHere(t), `{"protocol":"h1", "route":"other"}`)
	labels.End(x)
	servetest.Want(t, "labels are gone", labelsHere(t), "")
}
