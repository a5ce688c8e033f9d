package app

import (
	"context"
	"log/slog"
	"net"

	"github.com/penstock-edge/penstock/serve"
)

// maxBody is the largest request body that the commands take unless told
// otherwise: an upload has an owner who knows its size.
const maxBody = 3 << 20

// engineOptions are those of the engines.
func (c CompletedOptions) engineOptions(log *slog.Logger) serve.ServerOptions {
	o := serve.ServerOptions{Shards: c.Listeners, MaxBodyBytes: int64(c.MaxBody), ErrorLog: log}
	o.DisableHTTP1, o.DisableHTTP2, o.MaxStreams = c.DisableHTTP1, c.DisableHTTP2, c.MaxStreams
	// Requests depend on nothing of the start, not even on its values.
	o.BaseContext = func(net.Listener) context.Context { return context.Background() }
	o.Tasks = c.defaults.tasks
	o.Proxies = c.proxies()
	c.LimitOptions.apply(&o)
	if c.file != nil {
		c.file.tuneEngine(&o, c.file.config())
		o.Tasks, o.TaskSwitch = false, &c.file.tasks
	}
	if !c.EventLoop {
		o.EventLoop = serve.EventLoopOff
	}
	return o
}
