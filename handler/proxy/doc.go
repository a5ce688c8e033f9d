// Package proxy is the reverse proxy: an http.Handler that passes requests on to
// the upstreams of a Service, and their answers back.
//
// # The way of a request
//
//	Proxy.ServeHTTP
//	  prepare      (request.go)  what goes on: fields.go, forwarded.go, rewrite.go, replay.go
//	  attempt      (attempt.go)  upstream.Group picks; backend.go sends; again: retries
//	  compete      (race.go)     the same with a hedge beside, for services that have it
//	  pass         (answer.go)   head, content as it comes, trailer
//	  passUpgrade  (upgrade.go)  101 or extended CONNECT, then tunnel.go
//	  fail         (failure.go)  502, 503, 504 with a reason; a cut where the head has gone
//
// A transaction is the record of one request. Nothing of it is allocated for a
// request without content over HTTP/1.1 (TestAllocs).
//
// # Packages below
//
//   - upstream: which upstream gets a request, and how often one may be asked again.
//   - h1, h2: the clients, as strict on answers as the engines are on requests.
//   - link: connections and waits, on a shard or as goroutines.
//   - message: what proxy and clients tell each other.
//   - websocket: where frames end.
//
// # What is never done
//
// A request of which a byte may have reached an upstream is repeated only if its
// method may be; one of whose answer a byte was read, never. An answer that broke
// off never looks whole. A connection on which anything went otherwise than it
// should is never used again (package h1).
//
// # Limitations
//
//   - A tunnel over HTTP/2 or HTTP/3 ends in both directions when the upstream ends
//     its own: a stream ends in ours when the handler returns.
//   - Tunnels are copied, not spliced: a goodbye needs to know where frames end, and
//     messages are short. So is what clients send: engines have read its begin.
//   - A request has one hedge. The first final head is the answer, whatever its status.
//   - Over HTTP/1.1 upstreams a final answer ends the sending of the content.
package proxy
