// Package front makes of a configuration what serves it: services, handlers, and the
// table of hosts and routes; and makes it anew when the configuration changes.
//
//	New, Apply  -> services.go  upstreams -> proxy.Service, by name
//	            -> build.go     routes    -> handlers, by host and id
//	            -> route.Table  swapped in one step
//
// What is equal before and after a reload is kept: a service with its pools, health
// and tunnels, the handler of a route with its cache and its buckets. Requests that
// run end on what they began with. An error changes nothing.
package front
