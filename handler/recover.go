package handler

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
)

const (
	// maxPanicStack bounds the stack that is logged: what panics in endless
	// recursion has one of a gigabyte. Its begin, the place of the panic, is kept.
	maxPanicStack = 32 << 10
	// maxPanicText bounds the panic's own text, and the path beside it.
	maxPanicText = 1 << 10
)

// Recovery keeps a panic of the handler, or of a stage behind it, from the
// engine. It is logged with its stack; the client gets 500 if nothing was sent
// yet, else an answer that visibly ends early (a closed connection, a reset
// stream). http.ErrAbortHandler asks for that quietly: it is not logged, only
// counted, by RequestMetrics.
//
// All Ends and Heads of the chain see the 500, also those of stages behind
// Recovery. runtime.Goexit is no panic: the engine ends its connection.
type Recovery struct{ log *slog.Logger }

// NewRecovery makes the stage; it is the first of a chain but for RequestID. If
// log is nil, slog.Default().
func NewRecovery(log *slog.Logger) *Recovery {
	if log == nil {
		log = slog.Default()
	}
	return &Recovery{log}
}

// Begin has nothing to do.
func (*Recovery) Begin(*Exchange) bool { return true }

// Panic answers and settles. It runs on the goroutine that panics, above the
// frames that did.
func (s *Recovery) Panic(x *Exchange) {
	x.Settle()
	if err, ok := x.Panicked().(error); ok && errors.Is(err, http.ErrAbortHandler) {
		x.Abort()
		return
	}
	s.report(x)
	if !x.Instead(x.internalError) {
		x.Abort()
	}
}

func (s *Recovery) report(x *Exchange) {
	stack := make([]byte, maxPanicStack)
	stack = stack[:runtime.Stack(stack, false)]
	r := x.Request
	// The request's own bytes are quoted: a text handler of slog need not.
	s.log.LogAttrs(r.Context(), slog.LevelError, "handler panicked",
		slog.String("panic", fmt.Sprintf("%.*s", maxPanicText, fmt.Sprint(x.Panicked()))),
		slog.String("id", x.ID), slog.String("route", x.Info.Route),
		slog.String("method", fmt.Sprintf("%.32q", r.Method)),
		slog.String("path", fmt.Sprintf("%.*q", maxPanicText, r.URL.Path)),
		slog.String("stack", string(stack)))
}

// internalError answers 500, without the fields that told of the handler's own
// content.
func (x *Exchange) internalError(w http.ResponseWriter) {
	h := w.Header()
	for _, name := range contentFields {
		delete(h, name)
	}
	h["Cache-Control"] = noCache
	internalErrorText.serve(w, x.Request)
}

var (
	contentFields = []string{
		"Accept-Ranges", "Content-Disposition", "Content-Encoding", "Content-Language", "Content-Location",
		"Content-Range", "Etag", "Expires", "Last-Modified", "Location", "Trailer", "Transfer-Encoding",
	}
	internalErrorText = newPage(http.StatusInternalServerError, textPlain, []byte("500 internal server error\n"))
)
