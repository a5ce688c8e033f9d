package proxy

import (
	"github.com/penstock-edge/penstock/handler/proxy/message"
)

// spliceMin is the length of content from which on it is worth two system calls a
// piece, and a pipe, that its bytes are not copied in and out of the program
// (BenchmarkProxyLong).
const spliceMin = 256 << 10

// pipeSender is an engine's ResponseWriter that sends what lies in a pipe: HTTP/1.1
// on clear TCP.
type pipeSender interface {
	TakesPipe(n int64) bool
	SendPipe(fd int, n int64) (int64, error)
}

// splice passes the rest of a long content on inside the kernel, where both sides
// can do that. nil: there may be more to do, or nothing was done.
func (t *transaction) splice() *failure {
	x, ok := t.x.(message.Splicer)
	if !ok {
		return nil
	}
	left := x.Outside()
	w, ok := t.w.(pipeSender)
	if left == 0 || !ok || !w.TakesPipe(left) {
		return nil
	}
	pipes := &t.p.opts.Service.pipes
	p := pipes.Get()
	if p == nil {
		return nil
	}
	empty := true
	defer func() { pipes.Put(p, empty) }()
	if err := t.flush(); err != nil {
		return t.clientLeft(err)
	}
	for left > 0 {
		n, err := x.NextPipe(p.In)
		if err != nil {
			return t.cut(err)
		}
		empty = false
		if _, err := w.SendPipe(p.Out, n); err != nil {
			return t.clientLeft(err)
		}
		empty = true
		left -= n
	}
	return nil
}
