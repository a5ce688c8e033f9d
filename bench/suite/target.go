package suite

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A Target is a server of the comparison.
type Target struct {
	Name string
	// Needs is how to get it when it is not there.
	Needs string
	// binary answers where it is; an error: it cannot be had here.
	binary func(*Suite) (string, error)
	// start is how it is started for a work; nil: it does not do that.
	start func(p *place) *launch
	// version is the argument that has it tell its version; empty: its binary has
	// that of module.
	version, module string
}

// place is where a target is started, and for what.
type place struct {
	dir        string // of the site
	binary     string
	work       Work
	clear, tls int // ports
	origin     int
	workers    int
}

func (p *place) path(name string) string { return filepath.Join(p.dir, filepath.FromSlash(name)) }

// port is the one that the work is asked at.
func (p *place) port() int {
	if p.work.TLS {
		return p.tls
	}
	return p.clear
}

// launch is how a server is started: by its arguments and environment, behind the
// files that they name were written into the site's folder.
type launch struct {
	args, env []string
	files     []file
}

type file struct{ name, text string }

// Targets are all that the suite knows; penstock is the first.
func Targets() []Target {
	return []Target{
		{Name: "penstock", binary: func(s *Suite) (string, error) { return s.Penstock, nil }, start: startPenstock, version: "version"},
		{Name: "nginx", Needs: "apt-get install nginx", binary: inPath("nginx"), start: startNginx, version: "-v"},
		{Name: "h2o", Needs: "apt-get install h2o", binary: inPath("h2o"), start: startH2O, version: "--version"},
		{Name: "haproxy", Needs: "apt-get install haproxy", binary: inPath("haproxy"), start: startHAProxy, version: "-v"},
		{Name: "caddy", Needs: needsGo, binary: goPeer("caddy"), start: startCaddy, module: "github.com/caddyserver/caddy/v2"},
		{Name: "nethttp", Needs: needsGo, binary: goPeer("nethttp"), start: startNetHTTP},
		{Name: "fasthttp", Needs: needsGo, binary: goPeer("fasthttp"), start: startFastHTTP, module: "github.com/valyala/fasthttp"},
		{Name: "quicgo", Needs: needsGo, binary: goPeer("quicgo"), start: startQUICGo, module: "github.com/quic-go/quic-go"},
		{Name: "apiserver", Needs: needsGo, binary: goPeer("apiserver"), start: startAPIServer, module: "k8s.io/apiserver"},
	}
}

const needsGo = "it is built by the go command, which fetches its modules"

// SelectTargets are penstock and those of the names, parted by commas; none: all.
func SelectTargets(names string) ([]Target, error) {
	all := Targets()
	if names == "" {
		return all, nil
	}
	out := all[:1]
	for name := range strings.SplitSeq(names, ",") {
		i := slices.IndexFunc(all, func(t Target) bool { return t.Name == name })
		switch {
		case i < 0:
			return nil, fmt.Errorf("there is no server %q in the suite", name)
		case i > 0:
			out = append(slices.Clip(out), all[i])
		}
	}
	return out, nil
}

func inPath(name string) func(*Suite) (string, error) {
	return func(*Suite) (string, error) {
		for _, place := range []string{name, "/usr/sbin/" + name} {
			if path, err := exec.LookPath(place); err == nil {
				return path, nil
			}
		}
		return "", errors.New("it is not installed")
	}
}

// goPeer builds a peer of bench/targets, each a module of its own. A module that
// cannot be fetched, or not within the limit, is an error as any other: the peer
// is left out.
func goPeer(name string) func(*Suite) (string, error) {
	return func(s *Suite) (string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), s.buildLimit())
		defer cancel()
		out := filepath.Join(s.builds, name)
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", out, "./serve")
		build.WaitDelay = stopLimit // its compilers hold its output open
		build.Dir = filepath.Join(s.Root, "bench", "targets", name)
		build.Env = append(os.Environ(), "GOWORK=off")
		text, err := build.CombinedOutput()
		if ctx.Err() != nil {
			return "", fmt.Errorf("build %s: not done within %v", build.Dir, s.buildLimit())
		}
		if err != nil {
			return "", fmt.Errorf("build %s: %w: %s", build.Dir, err, lastLine(text))
		}
		return out, nil
	}
}

func lastLine(b []byte) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}

// versionOf is the first line of what a binary tells of itself, or what its build
// information has of module (without one: of Go).
func versionOf(t Target, path string) string {
	if t.version == "" {
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			return ""
		}
		return moduleVersion(info, t.module)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, t.version).CombinedOutput()
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return first
}

func moduleVersion(info *buildinfo.BuildInfo, module string) string {
	for _, m := range info.Deps {
		if m.Path == module {
			return fmt.Sprintf("%s %s, %s", m.Path, m.Version, info.GoVersion)
		}
	}
	return info.GoVersion
}
