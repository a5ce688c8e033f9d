package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
)

// localRoundTripper answers requests with a handler of this process, in place of
// a loopback connection with a certificate and a token of its own.
type localRoundTripper struct {
	handler http.Handler
	log     *slog.Logger
}

type inProcessKey struct{}

// InProcess tells whether a request came through the in-process client of the
// server's own hooks. No request from outside can have that mark.
func InProcess(r *http.Request) bool { return r.Context().Value(inProcessKey{}) != nil }

// RoundTrip runs the handler on a goroutine, which ends when the handler
// returns. Closing the body cancels the handler's context.
func (t *localRoundTripper) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(context.WithValue(req.Context(), inProcessKey{}, true))
	in := serverRequest(ctx, req)
	w := newLocalWriter(req)
	asked := req.Context()
	stopWatching := context.AfterFunc(asked, func() { w.body.CloseWithError(context.Cause(asked)) })
	go func() {
		defer cancel()
		defer stopWatching()
		defer in.Body.Close()
		t.serve(w, in)
	}()
	select {
	case <-w.begun:
	case <-asked.Done():
	}
	if asked.Err() != nil { // even if the handler was as fast
		cancel()
		return nil, context.Cause(asked)
	}
	w.resp.Body = &localBody{w.body, cancel}
	return w.resp, nil
}

// serve runs the handler, whose panic ends the answer as an engine would end it.
func (t *localRoundTripper) serve(w *localWriter, r *http.Request) {
	defer func() {
		v := recover()
		if v == nil {
			w.end(nil)
			return
		}
		if err, ok := v.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
			t.log.Error("panic of a handler, asked in the process", slog.Any("panic", v), slog.String("stack", string(debug.Stack())))
		}
		w.end(fmt.Errorf("in-process request: %w", io.ErrUnexpectedEOF))
	}()
	t.handler.ServeHTTP(w, r)
}

// serverRequest is req as a server sees it.
func serverRequest(ctx context.Context, req *http.Request) *http.Request {
	in := req.Clone(ctx)
	in.RequestURI = req.URL.RequestURI()
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	in.RemoteAddr = "in-process"
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	if in.Method == "" {
		in.Method = http.MethodGet
	}
	if in.Header == nil {
		in.Header = http.Header{}
	}
	if in.Body == nil {
		in.Body = http.NoBody
	}
	return in
}

// localWriter makes a response of what a handler writes.
type localWriter struct {
	header http.Header
	body   *io.PipeReader
	write  *io.PipeWriter
	head   bool // of a HEAD request: no content

	mu     sync.Mutex
	status int
	begun  chan struct{} // closed when resp is set
	resp   *http.Response
}

func newLocalWriter(req *http.Request) *localWriter {
	r, w := io.Pipe()
	return &localWriter{
		header: http.Header{}, body: r, write: w, head: req.Method == http.MethodHead,
		begun: make(chan struct{}), resp: &http.Response{Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: -1, Request: req},
	}
}

func (w *localWriter) Header() http.Header { return w.header }

// WriteHeader begins the answer. Interim ones have no reader.
func (w *localWriter) WriteHeader(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status != 0 || status < http.StatusOK {
		return
	}
	w.status = status
	w.resp.StatusCode, w.resp.Status = status, fmt.Sprintf("%d %s", status, http.StatusText(status))
	w.resp.Header = w.header.Clone()
	close(w.begun)
}

// Write waits for the reader of the body.
func (w *localWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.head {
		return len(p), nil
	}
	return w.write.Write(p)
}

// Flush has nothing to do beyond the head: bytes are never held back.
func (w *localWriter) Flush() { w.WriteHeader(http.StatusOK) }

// end ends the body; err is what its reader gets instead of the end.
func (w *localWriter) end(err error) {
	w.WriteHeader(http.StatusOK)
	w.write.CloseWithError(err)
}

// localBody tells the handler when nobody reads any more.
type localBody struct {
	*io.PipeReader
	cancel context.CancelFunc
}

func (b *localBody) Close() error {
	b.cancel()
	return b.PipeReader.Close()
}
