package h2

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

func hello(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }

// echo answers with the method, the target and the body.
func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	io.WriteString(w, r.Method+" "+r.RequestURI+" "+string(b))
}

// unreached is a handler that must not run.
func unreached(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("the handler saw %s %s", r.Method, r.RequestURI)
	}
}

// notes are what handlers tell a test, from any goroutine.
type notes struct {
	mu   sync.Mutex
	list []string
}

func (n *notes) add(format string, args ...any) {
	n.mu.Lock()
	n.list = append(n.list, fmt.Sprintf(format, args...))
	n.mu.Unlock()
}

// want wants exactly these, in this order, since the last time.
func (n *notes) want(t *testing.T, why string, list ...string) {
	t.Helper()
	synctest.Wait()
	n.mu.Lock()
	defer n.mu.Unlock()
	if !slices.Equal(n.list, list) {
		t.Fatalf("%s: handlers noted %q, want %q", why, n.list, list)
	}
	n.list = nil
}

// gates hold handlers up until the test lets them go, or has failed.
type gates struct {
	mu sync.Mutex
	m  map[string]chan struct{}
	up chan struct{} // all are open
}

func newGates(t *testing.T) *gates {
	g := &gates{m: make(map[string]chan struct{}), up: make(chan struct{})}
	t.Cleanup(func() { close(g.up) })
	return g
}

func (g *gates) of(name string) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.m[name] == nil {
		g.m[name] = make(chan struct{})
	}
	return g.m[name]
}

// wait waits at a gate.
func (g *gates) wait(name string) {
	select {
	case <-g.of(name):
	case <-g.up:
	}
}

// open opens a gate for ever.
func (g *gates) open(name string) { close(g.of(name)) }

var errBroken = errors.New("broken by the test")
