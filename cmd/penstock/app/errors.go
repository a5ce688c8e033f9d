package app

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// Exit codes of the command, see the package's story.
const (
	ExitClean  = 0
	ExitError  = 1
	ExitNoBind = 2
	ExitCut    = 3
	ExitFailed = 4
)

// An ExitCodeError carries the code the process ends with.
type ExitCodeError struct {
	Code int
	Err  error
}

// Error is the cause's text.
func (e *ExitCodeError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *ExitCodeError) Unwrap() error { return e.Err }

// ExitCode is the code an error of a command ends the process with.
func ExitCode(err error) int {
	var coded *ExitCodeError
	switch {
	case err == nil:
		return ExitClean
	case errors.As(err, &coded):
		return coded.Code
	}
	return ExitError
}

// usageError is a command line that cannot be understood: its text gets a
// hint at the help.
type usageError struct {
	command string // its full path, such as "penstock serve"
	err     error
}

func (e *usageError) Error() string {
	return fmt.Sprintf("%v; see '%s --help'", e.err, e.command)
}

func (e *usageError) Unwrap() error { return e.err }

// printError writes one line for each error that was joined into err.
func printError(w io.Writer, err error) {
	for _, line := range errorLines(err) {
		_, _ = fmt.Fprintf(w, "penstock: %s\n", line) // a closed stderr leaves nobody to tell
	}
}

func errorLines(err error) []string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var lines []string
		for _, e := range joined.Unwrap() {
			lines = append(lines, errorLines(e)...)
		}
		return lines
	}
	return []string{strings.ReplaceAll(err.Error(), "\n", " ")}
}

// explainFlag says in one line what is wrong with a flag that was typed.
func explainFlag(err error) error {
	var invalid *pflag.InvalidValueError
	if !errors.As(err, &invalid) {
		return err
	}
	return fmt.Errorf("--%s %q: %w", invalid.GetFlag().Name, invalid.GetValue(), explainValue(err))
}

// explainValue says what is wrong with a value, without the words of the
// parsing libraries.
func explainValue(err error) error {
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		err = invalid.Unwrap()
	}
	var number *strconv.NumError
	switch {
	case errors.As(err, &number) && number.Func == "ParseBool":
		return errors.New("must be true or false")
	case errors.As(err, &number):
		return errors.New("must be a whole number")
	case strings.HasPrefix(err.Error(), "time: "):
		return errors.New("must be a duration with its unit, such as 500ms, 30s or 2m")
	}
	return err
}
