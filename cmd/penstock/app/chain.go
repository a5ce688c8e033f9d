package app

import (
	"fmt"
	"net/http"

	"github.com/penstock-edge/penstock/handler"
	"github.com/penstock-edge/penstock/serve"
)

// A serverFactory makes the servers of a run, and returns the outermost.
type serverFactory func(CompletedConfig) (*serve.GenericServer, error)

// ServerChain are the servers of serve. A request goes to the routes of each, in
// this order, until one knows its path:
//
//	front    reverse-proxy routes to services; the only one that listens
//	core     the embedded site, /version, OpenAPI, echo and respond
//	dynamic  routes that may be replaced while requests run
//	         404, or 503 as long as not all paths are installed
type ServerChain struct {
	Front, Core, Dynamic *serve.GenericServer
}

// CreateServerChain makes the chain from its inner end outwards.
func CreateServerChain(c CompletedConfig) (*ServerChain, error) {
	chain, site := &ServerChain{}, newSitePages()
	end := serve.NewEmptyDelegateWithCustomHandler(handler.EndOfChain{NotFound: c.Core.notFound(site)})
	var err error
	// Its table is empty until a configuration file has routes: Mux.Replace swaps
	// it as a whole.
	if chain.Dynamic, err = c.inner.New("dynamic", end); err != nil {
		return nil, err
	}
	all := func() []string { return chain.Front.ListedPaths() } // asked by requests, when there is one
	if chain.Core, err = c.newCore(chain.Dynamic, site, all); err != nil {
		return nil, err
	}
	if chain.Front, err = c.newFront(chain.Core); err != nil {
		return nil, err
	}
	return chain, nil
}

// newCore is the server of the built-in endpoints. list is for the index of paths.
func (c CompletedConfig) newCore(delegate serve.DelegationTarget, site http.Handler, list func() []string) (*serve.GenericServer, error) {
	s, err := c.inner.New("core", delegate)
	if err != nil {
		return nil, err
	}
	routes, err := c.Core.routes(c.log, site, list)
	if err != nil {
		return nil, fmt.Errorf("server core: %w", err)
	}
	return s, s.Mux.Replace(routes...)
}

// newFront is the server that listens: all stages are here.
func (c CompletedConfig) newFront(delegate serve.DelegationTarget) (*serve.GenericServer, error) {
	cfg := c.Generic
	cfg.PublicHealth = c.Core.has(endpointHealth)
	cfg.BuildHandlerChain = func(routes http.Handler, s *serve.GenericServer) (http.Handler, error) {
		if err := s.Initialize(c.Front.Resolver); err != nil {
			return nil, err
		}
		return c.stages.build(routes, s, c.Core.rules(c.Front.rules()), builtInPaths())
	}
	s, err := cfg.Complete().New("front", delegate)
	if err != nil {
		return nil, err
	}
	if err := c.Front.install(s, c.log); err != nil {
		return nil, fmt.Errorf("server front: %w", err)
	}
	return s, nil
}

// newChain is the factory of serve.
func newChain(core CoreConfig) serverFactory {
	return func(c CompletedConfig) (*serve.GenericServer, error) {
		c.Core = core
		chain, err := CreateServerChain(c)
		if err != nil {
			return nil, err
		}
		return chain.Front, nil
	}
}

// newSingle is the factory of commands with one handler for all paths. There is
// nothing around it but the stages that flags ask for.
func newSingle(h http.Handler) serverFactory {
	return func(c CompletedConfig) (*serve.GenericServer, error) {
		cfg := c.Generic
		cfg.BuildHandlerChain = func(_ http.Handler, s *serve.GenericServer) (http.Handler, error) {
			if !c.opts.asksForStages() {
				return h, nil
			}
			return c.stages.build(h, s, []handler.PathRule{{Pattern: "/"}}, nil)
		}
		return cfg.Complete().New("penstock", serve.NewEmptyDelegateWithCustomHandler(handler.EndOfChain{}))
	}
}
