package suite

import "fmt"

// The Go peers of bench/targets have the same flags.

// startPeer is a peer's launch by those flags.
func startPeer(p *place) *launch {
	args := []string{
		p.binary, "-listen", fmt.Sprint("127.0.0.1:", p.clear), "-tls-listen", fmt.Sprint("127.0.0.1:", p.tls),
		"-cert", p.path("cert.pem"), "-key", p.path("key.pem"),
	}
	switch p.work.Kind {
	case Static:
		args = append(args, "-root", p.path("www"))
	case Proxy:
		args = append(args, "-to", fmt.Sprintf("http://127.0.0.1:%d", p.origin))
	case Mix:
		args = append(args, "-slow", slowPath)
	case Hello, Idle:
		if p.work.Answer > 0 {
			args = append(args, "-body-size", fmt.Sprint(p.work.Answer))
		}
	}
	return &launch{args: args}
}

// startNetHTTP is net/http's server.
func startNetHTTP(p *place) *launch {
	if p.work.Protocol == "h3" {
		return nil
	}
	return startPeer(p)
}

// startFastHTTP speaks HTTP/1.1 alone.
func startFastHTTP(p *place) *launch {
	if p.work.Protocol != "h1" {
		return nil
	}
	return startPeer(p)
}

// startAPIServer speaks TLS alone, and has a handler alone.
func startAPIServer(p *place) *launch {
	if !p.work.TLS || p.work.Protocol == "h3" || p.work.Kind == Static || p.work.Kind == Proxy {
		return nil
	}
	return startPeer(p)
}

// startQUICGo is quic-go's http3.Server with net/http's handlers, for HTTP/3 alone.
func startQUICGo(p *place) *launch {
	if p.work.Protocol != "h3" || p.work.Kind != Hello && p.work.Kind != Static {
		return nil
	}
	return startPeer(p)
}
