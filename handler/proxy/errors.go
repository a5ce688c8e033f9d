package proxy

import "errors"

var (
	// ErrClosed: the service was closed.
	ErrClosed = errors.New("proxy: service is closed")
	// ErrNoService: Options.Service is missing.
	ErrNoService = errors.New("proxy: no service is given; set Options.Service")

	// errAhead: the client has sent more than is held before it has its tunnel.
	errAhead = errors.New("proxy: too many bytes before the upgrade was answered")
)
