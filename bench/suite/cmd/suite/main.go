// Command suite runs penstock beside its peers; see package suite. `make bench` and
// `make bench-quick` call it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/penstock-edge/penstock/bench/suite"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "suite:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	works, peers          string
	rounds                int
	secs                  float64
	limit, buildLimit     time.Duration
	only                  bool
	penstock              string
	server, load          string
	out, merge, document  string
	release               string
	from, against, folder string
}

func parse() *options {
	o := new(options)
	flag.StringVar(&o.works, "works", "", "names of the works, parted by commas (empty: all)")
	flag.StringVar(&o.peers, "peers", "", "names of the peers, parted by commas (empty: all)")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds of each work")
	flag.Float64Var(&o.secs, "secs", 1, "seconds of each run")
	flag.BoolVar(&o.only, "cost-only", false, "leave out latency at a fixed rate and system calls")
	flag.DurationVar(&o.limit, "limit", 0, "begin no further work after so long (0: no limit)")
	flag.DurationVar(&o.buildLimit, "build-limit", 10*time.Minute, "how long fetching and building a peer may take")
	flag.StringVar(&o.penstock, "penstock", "", "binary under test (empty: it is built)")
	flag.StringVar(&o.server, "server-cores", "", "cores of the servers (empty: the first that is allowed)")
	flag.StringVar(&o.load, "load-cores", "", "cores of the generator and the origin (empty: the second)")
	flag.StringVar(&o.out, "out", "", "write the runs as JSON to this file")
	flag.StringVar(&o.merge, "merge", "", "put the works of this run in place of those of this file, which other works stay in")
	flag.StringVar(&o.release, "release", "", "measure nothing: keep the runs of -from beside it as those of this version, as v0.5.0")
	flag.StringVar(&o.document, "update", "", "put the tables and charts of -from, or of this run, into this document")
	flag.StringVar(&o.from, "from", "", "measure nothing: take the runs of this file")
	flag.StringVar(&o.against, "against", "", "judge this run by the runs of this file")
	flag.StringVar(&o.folder, "profile", "", "measure nothing: write profiles of penstock under the works into this folder")
	flag.Parse()
	return o
}

func run(ctx context.Context) error {
	o := parse()
	if err := o.check(); err != nil {
		return err
	}
	if o.from != "" {
		r, err := suite.Read(o.from)
		if err != nil {
			return err
		}
		if o.release != "" {
			if err := suite.Freeze(filepath.Dir(o.from), o.release, r); err != nil {
				return err
			}
		}
		return o.finish(r)
	}
	s, err := o.suite(ctx)
	if err != nil {
		return err
	}
	if o.penstock == "" {
		defer os.RemoveAll(filepath.Dir(s.Penstock))
	}
	if o.folder != "" {
		return s.Profile(ctx, o.folder)
	}
	r, err := s.Do(ctx)
	if r == nil || len(r.Works) == 0 {
		return err
	}
	if err := errors.Join(err, o.finish(r)); err != nil { // what was measured before Ctrl-C is kept
		return err
	}
	if faults := r.Faults(); len(faults) > 0 {
		return fmt.Errorf("runs of penstock failed:\n%s", strings.Join(faults, "\n"))
	}
	return nil
}

// check tells what cannot be, before an hour is spent on it.
func (o *options) check() error {
	switch {
	case o.merge != "" && o.peers != "":
		return errors.New("-merge with -peers: a work is replaced whole, and the other servers' figures would be lost; leave -peers out, or give -out")
	case o.release != "" && o.from == "":
		return errors.New("-release keeps the runs of a file: give -from")
	case o.rounds < 1 || o.secs <= 0:
		return errors.New("-rounds and -secs: must be above 0")
	}
	if o.merge != "" {
		if _, err := suite.Read(o.merge); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// finish does with a result what was asked for.
func (o *options) finish(r *suite.Result) error {
	if o.out != "" {
		if err := r.Write(o.out); err != nil {
			return err
		}
	}
	if o.against != "" {
		old, err := suite.Read(o.against)
		if err != nil {
			return err
		}
		fmt.Print(suite.Judge(old, r))
	}
	if o.merge != "" {
		merged, err := merge(o.merge, r)
		if err != nil {
			return err
		}
		r = merged
	}
	if o.document != "" {
		return update(r, o.document)
	}
	return nil
}

// merge puts the works of r into a file.
func merge(file string, r *suite.Result) (*suite.Result, error) {
	old, err := suite.Read(file)
	if errors.Is(err, os.ErrNotExist) {
		old, err = new(suite.Result), nil
	}
	if err != nil {
		return nil, err
	}
	merged, notes := suite.Merge(old, r)
	for _, n := range notes {
		log("NOTE %s", n)
	}
	return merged, merged.Write(file)
}

func log(format string, a ...any) { fmt.Printf(format+"\n", a...) }

// suite is what the flags ask for, with penstock built.
func (o *options) suite(ctx context.Context) (*suite.Suite, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	duration := time.Duration(o.secs * float64(time.Second))
	s := &suite.Suite{
		Root: root, Penstock: o.penstock, Rounds: o.rounds, Duration: duration, Warmup: min(time.Second/2, duration),
		ServerCores: o.server, LoadCores: o.load, Latency: !o.only, Syscalls: !o.only, Limit: o.limit, BuildLimit: o.buildLimit, Log: log,
	}
	var errs [2]error
	s.Works, errs[0] = suite.SelectWorks(o.works)
	s.Targets, errs[1] = suite.SelectTargets(o.peers)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	defaultCores(s)
	if s.Penstock == "" {
		return s, build(ctx, s)
	}
	return s, nil
}

// defaultCores gives the servers the first core that this process may use, and the
// generator the second.
func defaultCores(s *suite.Suite) {
	cores := suite.Cores()
	if len(cores) == 0 {
		cores = []int{0, 1}
	}
	if s.ServerCores == "" {
		s.ServerCores = fmt.Sprint(cores[0])
	}
	if s.LoadCores == "" {
		s.LoadCores = fmt.Sprint(cores[min(1, len(cores)-1)])
	}
	if s.ServerCores == s.LoadCores {
		log("NOTE server and generator share core %s: no figure of this run is to be quoted", s.LoadCores)
	}
}

// build makes the binary under test, in a folder of its own.
func build(ctx context.Context, s *suite.Suite) error {
	dir, err := os.MkdirTemp("", "penstock-binary-")
	if err != nil {
		return err
	}
	s.Penstock = filepath.Join(dir, "penstock")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", s.Penstock, "./cmd/penstock")
	build.Dir = s.Root
	if text, err := build.CombinedOutput(); err != nil {
		return errors.Join(fmt.Errorf("build penstock: %w: %s", err, text), os.RemoveAll(dir))
	}
	return nil
}

// update writes the tables into the document, and the charts beside it.
func update(r *suite.Result, document string) error {
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	charts := filepath.Join(filepath.Dir(document), "bench", "charts")
	if err := os.MkdirAll(charts, 0o755); err != nil {
		return err
	}
	for _, name := range suite.Charts() {
		if svg := r.Chart(name); svg != "" {
			if err := os.WriteFile(filepath.Join(charts, name+".svg"), []byte(svg), 0o644); err != nil {
				return err
			}
		}
	}
	releases, err := suite.Releases(filepath.Join(filepath.Dir(document), "bench", "results"))
	if err != nil {
		return err
	}
	return os.WriteFile(document, []byte(r.Update(string(text), releases)), 0o644)
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return filepath.Clean(string(out[:len(out)-1])), nil
}
