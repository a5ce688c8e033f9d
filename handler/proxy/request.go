package proxy

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/penstock-edge/penstock/handler/proxy/link"
	"github.com/penstock-edge/penstock/handler/proxy/message"
	"github.com/penstock-edge/penstock/handler/proxy/websocket"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// prepare makes the upstream's request of the client's. False: the client was
// refused.
func (t *transaction) prepare() bool {
	r, o := t.r, &t.p.opts
	t.gen = o.Service.now.Load()
	t.findProtocol()
	if t.upgrade != "" && !t.mayUpgrade() {
		return false
	}
	t.setDeadline()
	t.home = link.HomeOf(t.ctx, &t.p.portable)

	trusted := o.Forwarded.peerTrusted(r)
	if !t.fields.collect(r.Header, trusted) {
		t.refuse(http.StatusBadRequest, "Connection names a field that it must not")
		return false
	}
	t.fields.tellOfClient(r, &o.Forwarded, trusted)
	if !o.NoVia {
		t.fields.addVia(r)
	}
	if t.upgrade == "websocket" && len(r.Header["Sec-Websocket-Key"]) == 0 {
		t.fields.add("Sec-WebSocket-Key", websocket.NewKey()) // RFC 8441 §5: HTTP/2 has none
	}
	target := originForm(r.RequestURI)
	if !o.Rewrite.empty() && target != "*" {
		target = o.Rewrite.apply(target)
	}
	t.req = message.Request{
		Method: r.Method, Authority: r.Host, Target: target, Fields: t.fields.list,
		Protocol: t.upgrade, TETrailers: wantsTrailers(r.Header),
		HeadTimeout: t.gen.headTimeout, IdleTimeout: t.gen.idleTimeout,
	}
	if t.upgrade != "" {
		t.req.Method = http.MethodGet // an extended CONNECT goes on as an Upgrade does
	}
	if o.HeadTimeout != 0 {
		t.req.HeadTimeout = max(0, o.HeadTimeout)
	}
	if o.IdleTimeout != 0 {
		t.req.IdleTimeout = max(0, o.IdleTimeout)
	}
	if r.ProtoAtLeast(1, 1) { // a client of HTTP/1.0 understands none (RFC 9110 §15.2)
		t.req.Informational = t.interim
	}
	return t.prepareBody()
}

// setDeadline bounds the request, if it is asked for.
func (t *transaction) setDeadline() {
	d := t.p.opts.RequestTimeout
	if t.grpc {
		if own, ok := grpcTimeout(t.r.Header["Grpc-Timeout"]); ok && (d <= 0 || own < d) {
			d = own
		}
	}
	if d > 0 && t.upgrade == "" {
		t.ctx, t.cancel = context.WithDeadline(t.ctx, time.Now().Add(d))
	}
}

// prepareBody readies the request's content. False: the client was refused.
func (t *transaction) prepareBody() bool {
	r := t.r
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 || t.upgrade != "" {
		return true
	}
	o := &t.p.opts
	content := r.Body
	if r.ContentLength < 0 && r.ProtoMajor >= 2 && reads(r.Method) && len(r.Header["Expect"]) == 0 {
		first, err := firstByte(r.Body)
		switch {
		case err == io.EOF:
			return true
		case err != nil:
			t.fail(&failure{Error: &message.Error{Kind: message.RequestFailed, Unsent: true, Err: err}})
			return false
		}
		content = first
	}
	t.body = newReplay(content, r.ContentLength, o.ReplayBytes)
	t.req.Length = r.ContentLength
	if r.ContentLength < 0 {
		t.req.Length = -1
	}
	if len(r.Trailer) > 0 {
		t.req.Trailer = t.trailer
	}
	expects := len(r.Header["Expect"]) > 0 && (r.ContentLength < 0 || r.ContentLength > forwardExpect)
	n := o.BufferRequest
	if t.gen.hedge > 0 && t.req.Trailer == nil && t.gen.group.MayRepeat(r.Method) {
		n = max(n, o.ReplayBytes) // a hedge reads it beside the first attempt
	}
	if n > 0 && r.ContentLength > 0 && r.ContentLength <= n && !expects {
		if err := t.body.prefetch(r.ContentLength); err != nil {
			t.fail(&failure{Error: &message.Error{Kind: message.RequestFailed, Unsent: true, Err: err}})
			return false
		}
	}
	t.req.Expect = expects
	return true
}

// reads tells of methods that have no content as a rule. Over HTTP/2 and HTTP/3 the
// end of the stream may come behind the head, and until then the length is not
// known: such a request must not pass for one with content, which cannot be
// repeated and would be sent in chunks.
func reads(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodDelete:
		return true
	}
	return false
}

// firstByte reads one byte of body, and answers body with it in front; io.EOF: there
// is none.
func firstByte(body io.ReadCloser) (io.ReadCloser, error) {
	p := &begun{ReadCloser: body}
	for {
		n, err := body.Read(p.first[:])
		if n > 0 {
			return p, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// begun is a body of which one byte was read.
type begun struct {
	io.ReadCloser
	first [1]byte
	given bool
}

func (b *begun) Read(p []byte) (int, error) {
	if !b.given && len(p) > 0 {
		b.given = true
		p[0] = b.first[0]
		return 1, nil
	}
	return b.ReadCloser.Read(p)
}

// requestTrailer are the fields behind the request's content, which has been read.
func (t *transaction) requestTrailer() []message.Field {
	t.late = t.late[:0]
	for name, values := range t.r.Trailer {
		if semantics.ForbiddenTrailer(name) || forwardingName(name) {
			continue
		}
		for _, v := range values {
			t.late = append(t.late, message.Field{Name: bytesOf(name), Value: bytesOf(v)})
		}
	}
	return t.late
}

// findProtocol tells what kind of request it is.
func (t *transaction) findProtocol() {
	h := t.r.Header
	if ct := h["Content-Type"]; len(ct) > 0 && isGRPC(ct[0]) {
		t.grpc = true
	}
	switch {
	case t.r.ProtoMajor >= 2:
		if t.r.Method == http.MethodConnect {
			t.upgrade = first(h[":protocol"]) // RFC 8441 §4
		}
	case len(h["Upgrade"]) > 0 && connectionHas(h, "upgrade"):
		t.upgrade = strings.ToLower(first(h["Upgrade"]))
	}
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func connectionHas(h http.Header, option string) bool {
	for _, line := range h["Connection"] {
		if semantics.HasToken(line, option) {
			return true
		}
	}
	return false
}
