package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/handler/proxy/upstream"
)

// failure is why a request has no answer of an upstream.
type failure struct {
	*message.Error        // nil: no upstream was asked
	upstream       string // that was asked last
	refused        error  // why none was asked
}

// statusClientLeft is what logs show where nobody was left to be answered (nginx's
// number: there is none in the registry).
const statusClientLeft = 499

// status is the answer to the client, and the reason for log and metric.
func (f *failure) status(ctx context.Context) (status int, reason string) {
	switch ended := ctx.Err(); {
	case errors.Is(ended, context.DeadlineExceeded), ended == nil && overdue(ctx):
		return http.StatusGatewayTimeout, "request timeout"
	case ended != nil:
		return statusClientLeft, message.Cancelled.String()
	}
	if f.Error == nil {
		switch {
		case errors.Is(f.refused, upstream.ErrNoneUp):
			return http.StatusServiceUnavailable, "no upstream is up"
		case errors.Is(f.refused, upstream.ErrQueueFull):
			return http.StatusServiceUnavailable, "upstream queue full"
		case errors.Is(f.refused, upstream.ErrQueueTimeout):
			return http.StatusServiceUnavailable, "upstream queue timeout"
		}
		return http.StatusServiceUnavailable, "no upstream has a place"
	}
	switch f.Kind {
	case message.ConnectTimeout, message.HeadTimeout, message.BodyTimeout:
		status = http.StatusGatewayTimeout
	case message.RequestFailed:
		status = http.StatusBadRequest
		if _, ok := errors.AsType[*http.MaxBytesError](f.Err); ok {
			status = http.StatusRequestEntityTooLarge
		}
	case message.Refused:
		status = http.StatusServiceUnavailable
	default:
		status = http.StatusBadGateway
	}
	return status, f.Kind.String()
}

// overdue tells whether the time of a request is over though its timer has not said
// so: an upstream that keeps the same deadline, as gRPC's do, may be the first.
func overdue(ctx context.Context) bool {
	d, ok := ctx.Deadline()
	return ok && !time.Now().Before(d)
}

// fail answers for an upstream that has not.
func (t *transaction) fail(f *failure) {
	status, reason := f.status(t.ctx)
	stats := &t.p.opts.Service.stats
	level := slog.LevelWarn
	switch {
	case f.Error == nil:
		stats.refused.Add(1)
	default:
		stats.failures[f.Kind].Add(1)
		if f.Kind == message.Cancelled || f.Kind == message.RequestFailed {
			level = slog.LevelDebug
		}
	}
	t.note(f.upstream, reason)
	t.log(level, f, status, reason)
	t.refuse(status, reason)
}

func (t *transaction) log(level slog.Level, f *failure, status int, reason string) {
	o := &t.p.opts
	if !o.ErrorLog.Enabled(t.ctx, level) {
		return
	}
	suppressed, ok := o.Service.logs.take(time.Now())
	if !ok {
		return
	}
	attrs := []slog.Attr{
		slog.String("route", o.Route), slog.String("service", o.Service.name), slog.String("reason", reason),
		slog.Int("status", status), slog.Int("attempts", t.attempts),
	}
	if f.upstream != "" {
		attrs = append(attrs, slog.String("upstream", f.upstream))
	}
	if suppressed > 0 {
		attrs = append(attrs, slog.Int("suppressed", suppressed))
	}
	if f.Error != nil && f.Err != nil {
		attrs = append(attrs, slog.Any("error", f.Err))
	}
	o.ErrorLog.LogAttrs(t.ctx, level, "proxy: request failed", attrs...)
}

// note tells the access log, if there is one.
func (t *transaction) note(upstream, reason string) {
	if x := handler.ExchangeOf(t.w); x != nil {
		x.Upstream, x.Reason = upstream, reason
	}
}

// refuse sends an answer of our own. Where the upstream's has begun, the client
// must see that it is cut: never a clean end.
func (t *transaction) refuse(status int, reason string) {
	if t.begun {
		panic(http.ErrAbortHandler)
	}
	h := t.w.Header()
	if t.grpc && t.r.ProtoMajor >= 2 && status != statusClientLeft {
		refuseGRPC(t.w, status, reason)
		return
	}
	h["Content-Type"] = contentTypeText
	h["X-Content-Type-Options"] = noSniff
	if status == http.StatusServiceUnavailable {
		h["Retry-After"] = retryAfter
	}
	if t.upgrade != "" && t.r.ProtoMajor == 1 { // other versions have a stream for it, and end that alone
		h["Connection"] = closeOption // H1-15: what came behind the request is nobody's
	}
	t.begun = true
	t.w.WriteHeader(status)
	if t.r.Method != http.MethodHead && status != statusClientLeft {
		// Whether it reaches the client is no matter any more.
		_, _ = t.w.Write([]byte(http.StatusText(status) + ": " + reason + "\n"))
	}
}

// Shared; nobody may change them.
var (
	contentTypeText = []string{"text/plain; charset=utf-8"}
	noSniff         = []string{"nosniff"}
	retryAfter      = []string{"1"}
	closeOption     = []string{"close"}
)
