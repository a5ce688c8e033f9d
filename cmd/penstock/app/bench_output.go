package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
)

const standardOutput = "-"

// outputs are what is wrong with the files to write: told before a long run, not
// behind it.
func (o *benchOptions) outputs() (errs []error) {
	for _, f := range []struct{ flag, name string }{{"--json", o.json}, {"--html", o.html}} {
		if f.name == "" || f.name == standardOutput {
			continue
		}
		file, err := os.OpenFile(f.name, os.O_WRONLY|os.O_CREATE, 0o666) // what stands in it stays for now
		if err == nil {
			err = file.Close()
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s %s: %w", f.flag, f.name, innermost(err)))
		}
	}
	if o.json == standardOutput && o.html == standardOutput {
		errs = append(errs, errors.New("--json and --html cannot both be standard output"))
	}
	return errs
}

// text is where the summary goes: standard output, unless a file goes there.
func (b *benchRun) text() io.Writer {
	if b.plan.json == standardOutput || b.plan.html == standardOutput {
		return b.stderr
	}
	return b.stdout
}

// file writes the file of a flag, if it was given.
func (b *benchRun) file(flag, name string, write func(io.Writer) error) error {
	switch name {
	case "":
		return nil
	case standardOutput:
		return write(b.stdout)
	}
	f, err := os.Create(name)
	if err == nil {
		err = errors.Join(write(f), f.Close())
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", flag, name, innermost(err))
	}
	return nil
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// isTerminal tells whether one line may be written over and over.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// terminalWidth is what a shell tells of it; 0: nobody knows.
func terminalWidth() int {
	n, err := strconv.Atoi(os.Getenv("COLUMNS"))
	if err != nil || n < 40 || n > 400 {
		return 0
	}
	return n
}
