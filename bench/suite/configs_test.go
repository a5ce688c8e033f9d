package suite

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// What each server does, of all works: a change of it is to be seen here.
func TestWhoDoesWhat(t *testing.T) {
	left := map[string]func(Work) bool{
		"penstock": func(Work) bool { return false },
		"nginx":    func(w Work) bool { return w.Protocol == "h3" || w.Kind == Mix },
		"h2o": func(w Work) bool {
			return w.Protocol == "h3" || w.Kind == Mix || strings.Contains(w.Name, "post") && w.Kind == Hello
		},
		"haproxy":   func(w Work) bool { return w.Protocol == "h3" || w.Kind == Static || strings.HasPrefix(w.Name, "b1m") },
		"caddy":     func(Work) bool { return false },
		"nethttp":   func(w Work) bool { return w.Protocol == "h3" },
		"fasthttp":  func(w Work) bool { return w.Protocol != "h1" },
		"quicgo":    func(w Work) bool { return w.Protocol != "h3" },
		"apiserver": func(w Work) bool { return !w.TLS || w.Protocol == "h3" || w.Kind == Static || w.Kind == Proxy },
	}
	if len(left) != len(Targets()) {
		t.Errorf("%d servers, want %d", len(Targets()), len(left))
	}
	for _, target := range Targets() {
		for _, w := range Works() {
			p := &place{dir: "SITE", binary: "BINARY", work: w, clear: 18080, tls: 18443, origin: 18000, workers: 1}
			l := target.start(p)
			if got, want := l == nil, left[target.Name](w); got != want {
				t.Errorf("%s leaves out %s: %v, want %v", target.Name, w.Name, got, want)
			}
			if l != nil {
				checkLaunch(t, target.Name, p, l)
			}
		}
	}
}

// checkLaunch: what a server is told has the ports, the origin of proxies, and the
// files that its arguments name.
func checkLaunch(t *testing.T, name string, p *place, l *launch) {
	t.Helper()
	all := strings.Join(l.args, " ")
	for _, f := range l.files {
		all += f.text
	}
	for _, f := range l.files {
		if !strings.Contains(all, "SITE/"+f.name) {
			t.Errorf("%s, %s: nobody reads %s", name, p.work.Name, f.name)
		}
	}
	want := []string{"BINARY", fmt.Sprint(p.port())}
	if p.work.Kind == Proxy {
		want = append(want, "18000")
	}
	for _, w := range want {
		if !strings.Contains(all, w) {
			t.Errorf("%s, %s: %q is not in %s", name, p.work.Name, w, all)
		}
	}
	if strings.Contains(all, "%!") {
		t.Errorf("%s, %s: a wrong format: %s", name, p.work.Name, all)
	}
}

func TestConfigs(t *testing.T) {
	got := configs()
	for _, want := range []string{
		"<summary>nginx</summary>", "worker_processes 1;", "penstock.yaml:", "delay: 50ms", `"handler": "suite_sleep"`, "lua-load SITE/slow.lua",
		"h1: penstock bench --quiet", "--tls-curves X25519", "apiserver -listen 127.0.0.1:8080", "penstock respond --header 'Content-Type: text/plain'",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
	if configs() != got || strings.Count(got, "<details>") != strings.Count(got, "</details>") {
		t.Error("it differs from call to call, or is not closed")
	}
}

func TestEstimate(t *testing.T) {
	s := &Suite{Rounds: 3, Duration: time.Second, Warmup: time.Second / 2, Latency: true, Syscalls: true, Log: t.Logf}
	var err error
	if s.Works, err = SelectWorks("h1,churns,idle,p"); err != nil {
		t.Fatal(err)
	}
	n := &session{Suite: s, site: &site{}, descriptors: 20_000}
	for _, target := range Targets() {
		if slices.Contains([]string{"penstock", "apiserver"}, target.Name) {
			n.there = append(n.there, found{Target: target})
		}
	}
	// h1 by penstock: 3 × (0.5 + 0.516 + 1), 3 × (0.5 + 0.516 + 1 + 1), 0.5 + 0.516 + 0.3 + 1; churns by both: 3 × (0.5 + 0.5 + 1); idle by penstock:
	// 2 × (0.5 + 1 + 3 + 6); p by none, as there is no origin.
	want := 3*2016 + 3*3016 + 2316 + 2*3*2000 + 2*10_500
	if got := n.estimate().Round(time.Millisecond); got != time.Duration(want)*time.Millisecond {
		t.Errorf("%v, want %d ms", got, want)
	}
	for _, c := range []struct {
		work  Work
		spent time.Duration
		want  string
	}{
		{Work{}, time.Minute, ""},
		{Work{Kind: Proxy}, 0, "there is no origin"},
		{Work{Connections: 20_000}, 0, "20000 connections need as many descriptors, and 20000 may be open: ulimit -Hn 40000"},
		{Work{}, time.Hour + 1, "the limit of 1h0m0s is over"},
	} {
		n.Limit = time.Hour
		if got := n.refuse(c.work, c.spent); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
