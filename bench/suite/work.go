package suite

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is what a work asks of a server.
type Kind string

// Kinds of work.
const (
	Hello  Kind = "hello"  // 13 bytes from memory
	Static Kind = "static" // a file
	Proxy  Kind = "proxy"  // 13 bytes of an nginx origin
	Idle   Kind = "idle"   // memory of connections that do nothing
)

// A Work is one kind of load.
type Work struct {
	Name        string `json:"name"`
	Title       string `json:"title"`
	Kind        Kind   `json:"kind"`
	Path        string `json:"path"`
	TLS         bool   `json:"tls"`
	Protocol    string `json:"protocol"` // h1, h2 or h3
	Connections int    `json:"connections"`
	Streams     int    `json:"streams"`
	// ConnectPerRequest makes a new connection for each request.
	ConnectPerRequest bool `json:"connect_per_request,omitempty"`
	// Body is the size of each request's body; 0: none, and GET.
	Body int `json:"body,omitempty"`
}

// Works are all of the suite, in the order of its tables.
func Works() []Work {
	return []Work{
		{Name: "h1", Title: "keep-alive, clear, 64 connections", Kind: Hello, Path: "/hello", Protocol: "h1", Connections: 64, Streams: 1},
		{Name: "h1s", Title: "keep-alive, TLS, 64 connections", Kind: Hello, Path: "/hello", TLS: true, Protocol: "h1", Connections: 64, Streams: 1},
		{Name: "h1c1000", Title: "keep-alive, clear, 1,000 connections", Kind: Hello, Path: "/hello", Protocol: "h1", Connections: 1000, Streams: 1},
		{Name: "h1post", Title: "POST of 1 KiB, clear, 64 connections", Kind: Hello, Path: "/hello", Protocol: "h1", Connections: 64, Streams: 1, Body: 1024},
		{Name: "churn", Title: "a connection for each request, clear, 64 at a time", Kind: Hello, Path: "/hello", Protocol: "h1", Connections: 64, Streams: 1, ConnectPerRequest: true},
		{Name: "churns", Title: "a connection for each request, TLS, full handshake, 16 at a time", Kind: Hello, Path: "/hello", TLS: true, Protocol: "h1", Connections: 16, Streams: 1, ConnectPerRequest: true},
		{Name: "h2m1", Title: "HTTP/2, 16 connections, 1 stream", Kind: Hello, Path: "/hello", TLS: true, Protocol: "h2", Connections: 16, Streams: 1},
		{Name: "h2m32", Title: "HTTP/2, 16 connections, 32 streams", Kind: Hello, Path: "/hello", TLS: true, Protocol: "h2", Connections: 16, Streams: 32},
		{Name: "h2m100", Title: "HTTP/2, 16 connections, 100 streams", Kind: Hello, Path: "/hello", TLS: true, Protocol: "h2", Connections: 16, Streams: 100},
		{Name: "h3m1", Title: "HTTP/3, 16 connections, 1 stream", Kind: Hello, Path: "/hello", TLS: true, Protocol: "h3", Connections: 16, Streams: 1},
		{Name: "h3m32", Title: "HTTP/3, 16 connections, 32 streams", Kind: Hello, Path: "/hello", TLS: true, Protocol: "h3", Connections: 16, Streams: 32},
		{Name: "s1k", Title: "file of 1 KiB, clear, 16 connections", Kind: Static, Path: "/1k.txt", Protocol: "h1", Connections: 16, Streams: 1},
		{Name: "s1ks", Title: "file of 1 KiB, TLS, 16 connections", Kind: Static, Path: "/1k.txt", TLS: true, Protocol: "h1", Connections: 16, Streams: 1},
		{Name: "s1kh2", Title: "file of 1 KiB, HTTP/2, 16 connections, 4 streams", Kind: Static, Path: "/1k.txt", TLS: true, Protocol: "h2", Connections: 16, Streams: 4},
		{Name: "s100k", Title: "file of 100 KB, clear, 16 connections", Kind: Static, Path: "/100k.bin", Protocol: "h1", Connections: 16, Streams: 1},
		{Name: "s100ks", Title: "file of 100 KB, TLS, 16 connections", Kind: Static, Path: "/100k.bin", TLS: true, Protocol: "h1", Connections: 16, Streams: 1},
		{Name: "s100kh2", Title: "file of 100 KB, HTTP/2, 16 connections, 4 streams", Kind: Static, Path: "/100k.bin", TLS: true, Protocol: "h2", Connections: 16, Streams: 4},
		{Name: "s1m", Title: "file of 1 MiB, clear, 16 connections", Kind: Static, Path: "/1m.bin", Protocol: "h1", Connections: 16, Streams: 1},
		{Name: "p", Title: "proxied, clear, 64 connections", Kind: Proxy, Path: "/hello", Protocol: "h1", Connections: 64, Streams: 1},
		{Name: "p_s", Title: "proxied, TLS, 64 connections", Kind: Proxy, Path: "/hello", TLS: true, Protocol: "h1", Connections: 64, Streams: 1},
		{Name: "p_h2m1", Title: "proxied, HTTP/2, 16 connections, 1 stream", Kind: Proxy, Path: "/hello", TLS: true, Protocol: "h2", Connections: 16, Streams: 1},
		{Name: "p_h2m32", Title: "proxied, HTTP/2, 16 connections, 32 streams", Kind: Proxy, Path: "/hello", TLS: true, Protocol: "h2", Connections: 16, Streams: 32},
		{Name: "idle", Title: "idle connection, clear", Kind: Idle, Path: "/hello", Protocol: "h1", Connections: 2000, Streams: 1},
		{Name: "idles", Title: "idle connection, TLS", Kind: Idle, Path: "/hello", TLS: true, Protocol: "h1", Connections: 2000, Streams: 1},
		{Name: "idleh2", Title: "idle connection, HTTP/2", Kind: Idle, Path: "/hello", TLS: true, Protocol: "h2", Connections: 2000, Streams: 1},
	}
}

// SelectWorks are those of the names, parted by commas; none: all.
func SelectWorks(names string) ([]Work, error) {
	all := Works()
	if names == "" {
		return all, nil
	}
	var out []Work
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(all, func(w Work) bool { return w.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no work %q; there are %s", name, workNames(all))
		}
		out = append(out, all[i])
	}
	return out, nil
}

func workNames(all []Work) string {
	var names []string
	for _, w := range all {
		names = append(names, w.Name)
	}
	return strings.Join(names, ", ")
}
