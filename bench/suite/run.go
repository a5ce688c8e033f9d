package suite

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/penstock-edge/penstock/bench"
)

// Suite says what is measured, and how.
type Suite struct {
	// Root is the module's folder.
	Root string
	// Penstock is the binary under test, which is the generator too.
	Penstock string
	// Targets and Works: each of the former on each of the latter that it does.
	Targets []Target
	Works   []Work
	// Rounds of each work, each of Duration behind a Warmup.
	Rounds           int
	Duration, Warmup time.Duration
	// ServerCores and LoadCores are lists as taskset takes them. If empty, 0 and 1.
	ServerCores, LoadCores string
	// Log is told of each step.
	Log func(format string, args ...any)

	builds string
}

// Run is one measured run.
type Run struct {
	Work   string `json:"work"`
	Target string `json:"target"`
	Round  int    `json:"round"`
	// Error is why it is void: the server did not start, or a request failed.
	Error string `json:"error,omitempty"`
	// Micros is the server's CPU time by request, in microseconds.
	Micros float64 `json:"micros,omitempty"`
	// KiB is memory by idle connection.
	KiB float64 `json:"kib,omitempty"`
	// Rate, and the latencies of a closed loop in seconds.
	Rate float64 `json:"rate,omitempty"`
	P50  float64 `json:"p50,omitempty"`
	P99  float64 `json:"p99,omitempty"`
	// ServerBusy and GeneratorBusy are shares of their cores.
	ServerBusy    float64 `json:"server_busy,omitempty"`
	GeneratorBusy float64 `json:"generator_busy,omitempty"`
}

// Do measures all. Servers that are not there are left out, and told; so is what a
// server does not do.
func (s *Suite) Do(ctx context.Context) (*Result, error) {
	dir, err := os.MkdirTemp("", "penstock-suite-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	s.builds = filepath.Join(dir, "peers")
	if err := os.Mkdir(s.builds, 0o755); err != nil {
		return nil, err
	}
	folder := filepath.Join(dir, "site")
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(folder, 0o755)); err != nil {
		return nil, err
	}
	place, err := newSite(folder)
	if err != nil {
		return nil, err
	}
	r := s.newResult()
	there := s.find(r)
	stop, err := s.startOrigin(place)
	if err != nil {
		s.Log("SKIPPED works through a proxy: %v", err)
	}
	defer stop()
	for _, w := range s.Works {
		if w.Kind == Proxy && err != nil {
			continue
		}
		for round := range s.Rounds {
			for _, t := range there {
				if ctx.Err() != nil {
					return r, ctx.Err()
				}
				if run, did := s.one(ctx, place, t, w, round); did {
					r.Runs = append(r.Runs, run)
				}
			}
		}
		s.Log("%s", r.line(w))
	}
	return r, nil
}

// found is a target that is there.
type found struct {
	Target
	path string
}

func (s *Suite) find(r *Result) (there []found) {
	for _, t := range s.Targets {
		path, err := t.binary(s)
		if err != nil {
			s.Log("SKIPPED %s: %v; %s", t.Name, err, t.Needs)
			r.Skipped = append(r.Skipped, t.Name)
			continue
		}
		there = append(there, found{t, path})
		r.Versions[t.Name] = versionOf(path, t.version)
	}
	return there
}

// versionOf is the first line of what a binary tells of itself.
func versionOf(path, argument string) string {
	if argument == "" {
		return "see its go.mod"
	}
	out, err := exec.Command(path, argument).CombinedOutput()
	if err != nil {
		return ""
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return first
}

// startOrigin runs the nginx that proxies pass requests on to.
func (s *Suite) startOrigin(place *site) (stop func(), err error) {
	nothing := func() {}
	path, err := inPath("nginx")(s)
	if err != nil {
		return nothing, fmt.Errorf("the origin is nginx: %w; apt-get install nginx", err)
	}
	conf, err := place.originConf()
	if err != nil {
		return nothing, err
	}
	p, err := startProcess(s.LoadCores, nil, path, "-c", conf)
	if err != nil {
		return nothing, err
	}
	if err := p.waitPort(place.originPort); err != nil {
		p.stop()
		return nothing, fmt.Errorf("origin: %w", err)
	}
	return p.stop, nil
}

// one measures one run. False: the target does not do that work.
func (s *Suite) one(ctx context.Context, where *site, t found, w Work, round int) (Run, bool) {
	run := Run{Work: w.Name, Target: t.Name, Round: round}
	if w.Protocol == "h3" && !t.http3 {
		return run, false
	}
	clear, err1 := freePort()
	secure, err2 := freePort()
	p := &place{site: where, binary: t.path, work: w, clear: clear, tls: secure, workers: 1 + strings.Count(s.ServerCores, ",")}
	args, err := t.command(p)
	if err := errors.Join(err1, err2, err); err != nil {
		run.Error = err.Error()
		return run, true
	}
	if args == nil {
		return run, false
	}
	if err := s.measure(ctx, p, args, &run); err != nil {
		run.Error = err.Error()
	}
	return run, true
}

func (s *Suite) measure(ctx context.Context, p *place, args []string, run *Run) error {
	server, err := startProcess(s.ServerCores, []string{fmt.Sprint("GOMAXPROCS=", p.workers)}, args...)
	if err != nil {
		return err
	}
	defer server.stop()
	port, scheme := p.clear, "http"
	if p.work.TLS {
		port, scheme = p.tls, "https"
	}
	if err := server.waitPort(port); err != nil {
		return err
	}
	url := fmt.Sprintf("%s://127.0.0.1:%d%s", scheme, port, p.work.Path)
	if p.work.Kind == Idle {
		run.KiB, err = s.idle(ctx, server, p.work, url)
		return err
	}
	if _, err := s.load(ctx, p.work, url, s.Warmup); err != nil {
		return fmt.Errorf("warm-up: %w", err)
	}
	begin, before := time.Now(), server.cpu()
	r, err := s.load(ctx, p.work, url, s.Duration)
	used, took := server.cpu()-before, time.Since(begin)
	if err != nil {
		return err
	}
	if r.Failed > 0 || r.Status[200] != r.Completed || r.Completed == 0 {
		return fmt.Errorf("void: %d completed, %d failed %v %v, by status %v", r.Completed, r.Failed, r.Errors, r.FirstError, r.Status)
	}
	run.Micros, run.Rate = used.Seconds()*1e6/float64(r.Completed), r.Rate
	run.P50, run.P99 = r.Latency.Quantile(.5).Seconds(), r.Latency.Quantile(.99).Seconds()
	run.ServerBusy, run.GeneratorBusy = used.Seconds()/took.Seconds()/float64(p.workers), r.Generator.Busy
	return nil
}

// load runs the generator as a process of its own.
func (s *Suite) load(ctx context.Context, w Work, url string, d time.Duration) (*bench.Result, error) {
	args := []string{
		"-c", s.LoadCores, s.Penstock, "bench", "--quiet", "--json", "-", "--connections", fmt.Sprint(w.Connections), "--streams", fmt.Sprint(w.Streams),
		"--protocol", w.Protocol, "--duration", d.String(),
	}
	if w.TLS {
		args = append(args, "--insecure")
	}
	if w.ConnectPerRequest {
		args = append(args, "--connect-per-request")
	}
	if w.Body > 0 {
		args = append(args, "--data", strings.Repeat("x", w.Body))
	}
	cmd := exec.CommandContext(ctx, "taskset", append(args, url)...)
	cmd.Env = append(os.Environ(), fmt.Sprint("GOMAXPROCS=", 1+strings.Count(s.LoadCores, ",")))
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	r := new(bench.Result)
	if jerr := json.Unmarshal(out, r); jerr != nil {
		return nil, fmt.Errorf("generator: %w: %s", errors.Join(err, jerr), strings.TrimSpace(errs.String()))
	}
	return r, nil
}
