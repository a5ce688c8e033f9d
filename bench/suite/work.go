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
	Hello  Kind = "hello"  // a text of its own: 13 bytes, or Answer
	Static Kind = "static" // a file
	Proxy  Kind = "proxy"  // 13 bytes of an origin
	Mix    Kind = "mix"    // 13 bytes, of which every hundredth answer sleeps first
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
	// Answer is the size of each answer's body, where it is not that of helloText.
	Answer int `json:"answer,omitempty"`
	// Latency and Syscalls ask for rounds of these too.
	Latency  bool `json:"latency,omitempty"`
	Syscalls bool `json:"syscalls,omitempty"`
}

// answer is the size of each answer's body.
func (w Work) answer() int {
	if w.Answer > 0 {
		return w.Answer
	}
	return len(helloText)
}

// url is where the work is asked of a server.
func (w Work) url(p *place) string {
	if w.TLS {
		return fmt.Sprintf("https://127.0.0.1:%d%s", p.tls, w.Path)
	}
	return fmt.Sprintf("http://127.0.0.1:%d%s", p.clear, w.Path)
}

// Works are all of the suite, in the order of its tables.
func Works() []Work {
	return slices.Concat(helloWorks(), bodyWorks(), staticWorks(), proxyWorks(), idleWorks())
}

// Paths of the site.
const (
	helloPath = "/hello"
	slowPath  = "/slow"
)

func h1(kind Kind, name, title, path string, connections int) Work {
	return Work{Name: name, Title: title, Kind: kind, Path: path, Protocol: "h1", Connections: connections, Streams: 1}
}

func multiplexed(protocol string, kind Kind, name, title, path string, streams int) Work {
	return Work{Name: name, Title: title, Kind: kind, Path: path, TLS: true, Protocol: protocol, Connections: 16, Streams: streams}
}

// with changes a work.
func (w Work) with(change func(*Work)) Work {
	change(&w)
	return w
}

func overTLS(w *Work)      { w.TLS = true }
func everyRequest(w *Work) { w.ConnectPerRequest = true }
func timed(w *Work)        { w.Latency = true }
func counted(w *Work)      { w.Syscalls = true }
func both(w *Work)         { w.Latency, w.Syscalls = true, true }
func posts(size int) func(*Work) {
	return func(w *Work) { w.Body = size }
}

func helloWorks() []Work {
	return []Work{
		h1(Hello, "h1", "keep-alive, clear, 64 connections", helloPath, 64).with(both),
		h1(Hello, "h1s", "keep-alive, TLS, 64 connections", helloPath, 64).with(overTLS).with(both),
		h1(Hello, "h1c1000", "keep-alive, clear, 1,000 connections", helloPath, 1000),
		h1(Hello, "h1c10000", "keep-alive, clear, 10,000 connections", helloPath, 10_000),
		h1(Hello, "h1post", "POST of 1 KiB, clear, 64 connections", helloPath, 64).with(posts(1 << 10)),
		h1(Hello, "h1post64k", "POST of 64 KiB, clear, 64 connections", helloPath, 64).with(posts(64 << 10)),
		h1(Hello, "churn", "a connection for each request, clear, 64 at a time", helloPath, 64).with(everyRequest).with(counted),
		h1(Hello, "churns", "a connection for each request, TLS, full handshake, 16 at a time", helloPath, 16).with(overTLS).with(everyRequest),
		h1(Mix, "mix", "every hundredth handler sleeps 50 ms, clear, 64 connections", helloPath, 64).with(timed),
		multiplexed("h2", Hello, "h2m1", "HTTP/2, 16 connections, 1 stream", helloPath, 1).with(counted),
		multiplexed("h2", Hello, "h2m32", "HTTP/2, 16 connections, 32 streams", helloPath, 32).with(both),
		multiplexed("h2", Hello, "h2m100", "HTTP/2, 16 connections, 100 streams", helloPath, 100),
		multiplexed("h2", Hello, "h2post", "POST of 1 KiB, HTTP/2, 16 connections, 4 streams", helloPath, 4).with(posts(1 << 10)),
		multiplexed("h2", Mix, "mixh2", "every hundredth handler sleeps 50 ms, HTTP/2, 16 connections, 32 streams", helloPath, 32).with(timed),
		multiplexed("h3", Hello, "h3m1", "HTTP/3, 16 connections, 1 stream", helloPath, 1).with(counted),
		multiplexed("h3", Hello, "h3m32", "HTTP/3, 16 connections, 32 streams", helloPath, 32).with(both),
	}
}

// bodySizes are those of answers that servers make themselves, by the files that
// stand for them where a server has no such answer.
var bodySizes = []struct {
	file, text string
	size       int
}{
	{"b1.txt", "1 B", 1},
	{"b1k.txt", "1 KiB", 1 << 10},
	{"b64k.txt", "64 KiB", 64 << 10},
	{"b1m.txt", "1 MiB", 1 << 20},
}

func bodyWorks() (works []Work) {
	for _, protocol := range []string{"h1", "h2", "h3"} {
		for _, b := range bodySizes {
			name, path := strings.TrimSuffix(b.file, ".txt"), "/"+b.file
			sized := func(w *Work) { w.Answer = b.size }
			if protocol == "h1" {
				works = append(works, h1(Hello, name, b.text+", clear, 16 connections", path, 16).with(sized))
				continue
			}
			title := fmt.Sprintf("%s, HTTP/%s, 16 connections, 4 streams", b.text, protocol[1:])
			works = append(works, multiplexed(protocol, Hello, name+protocol, title, path, 4).with(sized))
		}
	}
	return works
}

func staticWorks() []Work {
	const k, k100, m = 1 << 10, 100_000, 1 << 20
	sized := func(n int) func(*Work) { return func(w *Work) { w.Answer = n } }
	return []Work{
		h1(Static, "s1k", "file of 1 KiB, clear, 16 connections", "/1k.txt", 16).with(sized(k)).with(both),
		h1(Static, "s1ks", "file of 1 KiB, TLS, 16 connections", "/1k.txt", 16).with(sized(k)).with(overTLS),
		multiplexed("h2", Static, "s1kh2", "file of 1 KiB, HTTP/2, 16 connections, 4 streams", "/1k.txt", 4).with(sized(k)),
		h1(Static, "s100k", "file of 100 KB, clear, 16 connections", "/100k.bin", 16).with(sized(k100)).with(counted),
		h1(Static, "s100ks", "file of 100 KB, TLS, 16 connections", "/100k.bin", 16).with(sized(k100)).with(overTLS),
		multiplexed("h2", Static, "s100kh2", "file of 100 KB, HTTP/2, 16 connections, 4 streams", "/100k.bin", 4).with(sized(k100)),
		h1(Static, "s1m", "file of 1 MiB, clear, 16 connections", "/1m.bin", 16).with(sized(m)).with(counted),
	}
}

func proxyWorks() []Work {
	return []Work{
		h1(Proxy, "p", "proxied, clear, 64 connections", helloPath, 64).with(both),
		h1(Proxy, "p_s", "proxied, TLS, 64 connections", helloPath, 64).with(overTLS),
		h1(Proxy, "p_post", "proxied POST of 16 KiB, clear, 64 connections", helloPath, 64).with(posts(16 << 10)).with(counted),
		multiplexed("h2", Proxy, "p_h2m1", "proxied, HTTP/2, 16 connections, 1 stream", helloPath, 1),
		multiplexed("h2", Proxy, "p_h2m32", "proxied, HTTP/2, 16 connections, 32 streams", helloPath, 32),
	}
}

func idleWorks() []Work {
	return []Work{
		h1(Idle, "idle", "idle connection, clear", helloPath, 2000),
		h1(Idle, "idles", "idle connection, TLS", helloPath, 2000).with(overTLS),
		multiplexed("h2", Idle, "idleh2", "idle connection, HTTP/2", helloPath, 1).with(func(w *Work) { w.Connections = 2000 }),
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
