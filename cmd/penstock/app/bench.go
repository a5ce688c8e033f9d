package app

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/penstock-edge/penstock/bench"
	"github.com/penstock-edge/penstock/bench/report"
	"github.com/penstock-edge/penstock/handler"
)

const benchLong = `Ask a server for one URL, or those of --urls in turn, as fast as it answers, or
at a steady --rate, and tell what came back, how fast, and what it cost.

Without --rate each connection asks again when it was answered (a closed loop).
That finds the highest rate, but a server that stalls is asked less while it does,
so its latencies look better than users see them. With --rate requests have
intended times and latency counts from those; quote percentiles of these alone.

--find-max searches the highest rate at which --objective holds.

The summary ends with what its figures depend on: a generator that used up its
cores, or began requests late, is named there.

Ctrl-C ends a run early and prints what was found so far; a second one ends at once.

Exit codes:
  0  clean
  1  wrong flag, or a target that cannot be reached
  4  requests failed, or were answered 5xx (or not as --expect-status says)`

const benchExample = `  penstock bench http://127.0.0.1:8080/
  penstock bench https://localhost:8443/ --insecure -c 100 -m 10 --rate 20000 -d 30s --html report.html
  penstock bench http://127.0.0.1:8080/ --find-max --objective p99=50ms,errors=0.1%
  penstock bench compare old.json new.json`

func newBenchCommand(stopCh <-chan struct{}) *cobra.Command {
	o := newBenchOptions()
	cmd := &cobra.Command{
		Use:     "bench URL",
		Short:   "Load a server and measure what it answers",
		Long:    benchLong,
		Example: benchExample,
		Args:    oneURL,
		RunE: func(cmd *cobra.Command, args []string) error {
			plan, err := o.plan(cmd, args)
			if err != nil {
				return err
			}
			ctx, cancel := untilStopped(cmd.Context(), stopCh)
			defer cancel()
			run := &benchRun{plan: plan, stdout: cmd.OutOrStdout(), stderr: cmd.ErrOrStderr()}
			return run.run(ctx)
		},
	}
	o.addFlags(cmd.Flags())
	cmd.AddCommand(newBenchCompareCommand())
	return cmd
}

// oneURL takes the URL, or none: --urls may give them. What that leaves to say is
// said with all that is wrong with the flags.
func oneURL(cmd *cobra.Command, args []string) error {
	if len(args) <= 1 {
		return nil
	}
	return &usageError{cmd.CommandPath(), fmt.Errorf("bench takes one URL, got %q too; for several write a file and give it with --urls", args[1])}
}

// untilStopped is a context that stopCh ends.
func untilStopped(ctx context.Context, stopCh <-chan struct{}) (context.Context, context.CancelFunc) {
	if ctx == nil { // a command that was executed without one
		ctx = context.Background()
	}
	ctx, cancel := context.WithCancel(ctx)
	go func() { // ends with cancel
		select {
		case <-stopCh:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// benchRun is one call of the command, its flags understood.
type benchRun struct {
	plan           *benchPlan
	stdout, stderr io.Writer
}

func (b *benchRun) run(ctx context.Context) error {
	server, err := b.openAdmin(ctx)
	if err != nil {
		return err
	}
	if b.plan.findMax {
		return b.search(ctx, server)
	}
	r, err := b.measure(ctx, b.plan.options, server, "")
	if err != nil {
		return b.explain(err)
	}
	if err := b.write(r); err != nil {
		return err
	}
	return b.judge(r)
}

// measure is one run with its progress on stderr, and the server's view.
func (b *benchRun) measure(ctx context.Context, o bench.Options, server *serverView, prefix string) (*bench.Result, error) {
	tell := func(bench.Point) {}
	if !b.plan.quiet {
		p := report.StartProgress(b.stderr, report.ProgressOptions{
			Terminal: isTerminal(b.stderr), Width: terminalWidth(), Prefix: prefix,
			Duration: o.Duration, Requests: o.Requests, Warmup: o.Warmup,
		})
		defer p.Stop()
		tell = p.Point
	}
	o.Progress = func(p bench.Point) {
		server.point(ctx, p)
		tell(p)
	}
	server.begin(ctx)
	r, err := bench.Run(ctx, o)
	if err != nil {
		return nil, err
	}
	server.end(context.WithoutCancel(ctx), r)
	r.Target.URLs = max(r.Target.URLs, len(o.URLs))
	if r.Generator.Version == "" {
		r.Generator.Version = handler.BuildVersion().Version
	}
	return r, nil
}

// write gives the summary and the files that were asked for.
func (b *benchRun) write(r *bench.Result) error {
	return errors.Join(
		report.WriteSummary(b.text(), r),
		b.file("--json", b.plan.json, func(w io.Writer) error { return writeJSON(w, r) }),
		b.file("--html", b.plan.html, func(w io.Writer) error { return report.WritePage(w, r) }),
	)
}

// judge is the error that the exit code follows from.
func (b *benchRun) judge(r *bench.Result) error {
	failed := r.Failed
	if !b.plan.expects {
		failed += r.ServerErrors()
	}
	if failed == 0 {
		return nil
	}
	hint := ""
	if r.Completed == 0 && b.plan.options.URLs[0].Scheme == "http" && r.Errors[bench.ErrorClosed]+r.Errors[bench.ErrorProtocol]+r.Errors[bench.ErrorReset] > 0 {
		hint = "; if the port speaks TLS, write https://"
	}
	return &ExitCodeError{ExitFailed, fmt.Errorf("%d of %d requests failed%s", failed, r.Completed+r.Failed, hint)}
}

// search is --find-max: a table that grows, then what was found.
func (b *benchRun) search(ctx context.Context, server *serverView) error {
	f := b.plan.search
	out := b.text()
	if err := report.WriteStepHead(out); err != nil {
		return err
	}
	prefix := ""
	f.Begin = func(phase bench.Phase, rate float64) { prefix = fmt.Sprintf("%s %.0f/s: ", phase, rate) }
	f.Done = func(s bench.Step) { _ = report.WriteStep(out, s) } // a closed stdout shows in the end
	f.Run = func(ctx context.Context, o bench.Options) (*bench.Result, error) {
		return b.measure(ctx, o, server, prefix)
	}
	ramp, err := bench.FindMax(ctx, b.plan.options, f)
	if err != nil && (ramp == nil || len(ramp.Steps) == 0) {
		return b.explain(err)
	}
	if err != nil { // the target went away: what was found stands
		err = b.explain(err)
	}
	err = errors.Join(err,
		report.WriteRamp(out, ramp, false),
		b.file("--json", b.plan.json, func(w io.Writer) error { return writeJSON(w, ramp) }),
		b.file("--html", b.plan.html, func(w io.Writer) error { return report.WriteRampPage(w, ramp) }),
	)
	if err == nil && ramp.Rate == 0 && ramp.LimitedBy != bench.LimitEnded {
		err = &ExitCodeError{ExitFailed, errors.New("no rate holds the objectives")}
	}
	return err
}
