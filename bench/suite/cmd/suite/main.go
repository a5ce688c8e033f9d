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

func run(ctx context.Context) error {
	works := flag.String("works", "", "names of the works, parted by commas (empty: all)")
	peers := flag.String("peers", "", "names of the peers, parted by commas (empty: all)")
	rounds := flag.Int("rounds", 5, "rounds of each work")
	secs := flag.Float64("secs", 3, "seconds of each run")
	penstock := flag.String("penstock", "", "binary under test (empty: it is built)")
	serverCores := flag.String("server-cores", "0", "cores of the servers")
	loadCores := flag.String("load-cores", "1", "cores of the generator and the origin")
	out := flag.String("out", "", "write the runs as JSON to this file")
	document := flag.String("update", "", "put the tables and charts of -from, or of this run, into this document")
	from := flag.String("from", "", "measure nothing: take the runs of this file")
	against := flag.String("against", "", "judge this run by the runs of this file")
	profiles := flag.String("profile", "", "measure nothing: write profiles of penstock under the works into this folder")
	flag.Parse()

	root, err := moduleRoot()
	if err != nil {
		return err
	}
	var r *suite.Result
	if *from != "" {
		r, err = suite.Read(*from)
	} else {
		s := &suite.Suite{
			Root: root, Penstock: *penstock, Rounds: *rounds, Duration: seconds(*secs), Warmup: min(time.Second, seconds(*secs)),
			ServerCores: *serverCores, LoadCores: *loadCores, Log: func(f string, a ...any) { fmt.Printf(f+"\n", a...) },
		}
		r, err = measure(ctx, s, *works, *peers, *profiles)
	}
	if *profiles != "" {
		return err
	}
	if err != nil {
		return err
	}
	if *out != "" {
		if err := r.Write(*out); err != nil {
			return err
		}
	}
	if *against != "" {
		old, err := suite.Read(*against)
		if err != nil {
			return err
		}
		fmt.Print(suite.Judge(old, r))
	}
	if *document != "" {
		return update(r, *document)
	}
	return nil
}

func seconds(f float64) time.Duration { return time.Duration(f * float64(time.Second)) }

func measure(ctx context.Context, s *suite.Suite, works, peers, profiles string) (r *suite.Result, err error) {
	var errs [2]error
	s.Works, errs[0] = suite.SelectWorks(works)
	s.Targets, errs[1] = suite.SelectTargets(peers)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, err
	}
	if s.Penstock == "" {
		dir, err := os.MkdirTemp("", "penstock-binary-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		s.Penstock = filepath.Join(dir, "penstock")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", s.Penstock, "./cmd/penstock")
		build.Dir = s.Root
		if text, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build penstock: %w: %s", err, text)
		}
	}
	if profiles != "" {
		return nil, s.Profile(ctx, profiles)
	}
	if r, err = s.Do(ctx); err != nil {
		return nil, err
	}
	for _, w := range r.Works {
		if c := r.Cell(w.Name, "penstock"); c != nil && c.Void > 0 {
			return r, fmt.Errorf("%s: %d runs of penstock are void: %s", w.Name, c.Void, c.Error)
		}
	}
	return r, nil
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
	for _, name := range []string{"h1", "h2", "h3", "static", "proxy", "idle"} {
		if svg := r.Chart(name); svg != "" {
			if err := os.WriteFile(filepath.Join(charts, name+".svg"), []byte(svg), 0o644); err != nil {
				return err
			}
		}
	}
	return os.WriteFile(document, []byte(r.Update(string(text))), 0o644)
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return filepath.Clean(string(out[:len(out)-1])), nil
}
