package serve_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve"
	"github.com/penstock-edge/penstock/serve/servetest"
)

// inProcess makes a server of one handler, and its client.
func inProcess(t *testing.T, f http.HandlerFunc) *http.Client {
	t.Helper()
	s := newGeneric(t, serve.Config{})
	servetest.Must(t, "a path", s.Mux.HandlePrefix("/", f))
	return s.Client()
}

// TestInProcess: a request reaches the handler as from a connection, marked.
func TestInProcess(t *testing.T) {
	servetest.CheckLeaks(t)
	c := inProcess(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.Header.Get("X-Sent"))
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusCreated)
		w.Header().Set("X-Late", "1")
		fmt.Fprintf(w, "%s %s %s %s %v", r.Method, r.Host, r.RequestURI, body, serve.InProcess(r))
	})
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://self/a?b=c", strings.NewReader("content"))
	req.Header.Set("X-Sent", "field")
	resp, err := c.Do(req)
	servetest.Must(t, "Do", err)
	body, err := io.ReadAll(resp.Body)
	servetest.Must(t, "the body", err)
	resp.Body.Close()
	servetest.Want(t, "status", resp.Status, "201 Created")
	servetest.Want(t, "the field", resp.Header.Get("X-Seen"), "field")
	servetest.Want(t, "a field behind the head", resp.Header.Get("X-Late"), "")
	servetest.Want(t, "as the handler saw it", string(body), "POST self /a?b=c content true")
	r, _ := http.NewRequest(http.MethodGet, "/", nil)
	servetest.Want(t, "a request from elsewhere", serve.InProcess(r), false)
}

// TestInProcessForms: no content, no head, HEAD, panics.
func TestInProcessForms(t *testing.T) {
	servetest.CheckLeaks(t)
	c := inProcess(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/head":
			io.WriteString(w, "content of no use")
		case "/abort":
			io.WriteString(w, "half")
			panic(http.ErrAbortHandler)
		case "/panic":
			panic("in a handler")
		}
	})
	wantStatus(t, "nothing written", get(c, "http://self/"), http.StatusOK)
	resp, err := c.Head("http://self/head")
	servetest.Must(t, "HEAD", err)
	resp.Body.Close()
	servetest.Want(t, "HEAD", resp.StatusCode, http.StatusOK)
	a := get(c, "http://self/abort")
	servetest.Want(t, "what came before the abort", a.body, "half")
	servetest.WantErr(t, "aborted", a.err, io.ErrUnexpectedEOF)
	servetest.WantErr(t, "panicked", get(c, "http://self/panic").err, io.ErrUnexpectedEOF)
}

// TestInProcessCancel: a client that goes ends the handler, before and after the
// head.
func TestInProcessCancel(t *testing.T) {
	servetest.CheckLeaks(t)
	ended := make(chan error, 1)
	began := make(chan struct{}, 1)
	c := inProcess(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/flush" {
			http.NewResponseController(w).Flush()
		}
		began <- struct{}{}
		<-r.Context().Done()
		_, err := io.WriteString(w, "to nobody")
		ended <- err
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-began
		cancel()
	}()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://self/", nil)
	_, err := c.Do(req) //nolint:bodyclose // there is none with an error
	servetest.WantErr(t, "before the head", err, context.Canceled)
	if err := within(t, "the handler ends", ended); err == nil {
		t.Error("it wrote to nobody")
	}

	resp, err := c.Get("http://self/flush")
	servetest.Must(t, "Get", err)
	<-began
	resp.Body.Close()
	if err := within(t, "the handler ends", ended); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("it wrote to nobody: %v", err)
	}
}
