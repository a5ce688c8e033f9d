package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/penstock-edge/penstock/bench"
	"github.com/penstock-edge/penstock/bench/report"
)

func newBenchCompareCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "compare A.json B.json",
		Short: "Tell whether one run is faster than another, or noise",
		Long: `Compare results of bench --json: is B faster or slower than A, or is the
difference within noise? Either side may be several files, parted by commas, or a
pattern. Four runs or more a side are judged as runs (Mann-Whitney U test); with
fewer, the intervals within them stand for runs, and a difference must also be above
5 %, because runs differ by that.

The exit code is 0 whatever the verdict.`,
		Example: `  penstock bench compare old.json new.json
  penstock bench compare 'old-*.json' 'new-*.json'
  penstock bench compare old1.json,old2.json new1.json,new2.json --json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && strings.Contains(args[0], ":") || len(args) == 2 {
				return nil
			}
			return &usageError{cmd.CommandPath(), fmt.Errorf("compare takes two sides, got %d; for several files of one side write them with commas, or quote the pattern", len(args))}
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 { // A1,A2:B1,B2
				a, b, _ := strings.Cut(args[0], ":")
				args = []string{a, b}
			}
			c, err := compareFiles(args[0], args[1])
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), c)
			}
			return report.WriteComparison(cmd.OutOrStdout(), c)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return cmd
}

func compareFiles(a, b string) (*bench.Comparison, error) {
	aFiles, aRuns, aErr := readSide(a)
	bFiles, bRuns, bErr := readSide(b)
	if err := errors.Join(aErr, bErr); err != nil {
		return nil, err
	}
	c, err := bench.Compare(aRuns, bRuns)
	if err != nil {
		return nil, err
	}
	c.A.Files, c.B.Files = aFiles, bFiles
	return c, nil
}

// readSide reads the files of one side: names parted by commas, or patterns.
func readSide(list string) (files []string, runs []*bench.Result, err error) {
	var errs []error
	for part := range strings.SplitSeq(list, ",") {
		if part == "" {
			continue
		}
		found, err := filepath.Glob(part)
		if err != nil || len(found) == 0 { // a name with brackets, or one that is not there
			found = []string{part}
		}
		files = append(files, found...)
	}
	for _, name := range files {
		r, err := readResultFile(name)
		errs = append(errs, err)
		runs = append(runs, r)
	}
	if len(files) == 0 {
		errs = append(errs, fmt.Errorf("%q names no file", list))
	}
	return files, runs, errors.Join(errs...)
}

func readResultFile(name string) (*bench.Result, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, innermost(err))
	}
	defer f.Close()
	r, err := bench.ReadResult(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}
