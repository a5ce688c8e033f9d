package app_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/penstock-edge/penstock/cmd/penstock/app"
)

func readDocument(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(moduleRoot(t), filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The library example of the README is the body of an Example that compiles.
func TestReadmeExample(t *testing.T) {
	_, rest, ok := strings.Cut(readDocument(t, "README.md"), "\n```go\n")
	if !ok {
		t.Fatal("README.md has no Go example")
	}
	example, _, _ := strings.Cut(rest, "\n```")
	want, have := codeLines(example), codeLines(readDocument(t, "serve/example_test.go"))
	for i := range have {
		if i+len(want) <= len(have) && slices.Equal(have[i:i+len(want)], want) {
			return
		}
	}
	t.Errorf("serve/example_test.go does not contain the lines of README.md's example:\n%s", example)
}

// codeLines are the lines without their indentation.
func codeLines(s string) []string {
	var out []string
	for line := range strings.Lines(s) {
		out = append(out, strings.TrimSpace(line))
	}
	return out
}

// Files that ARCHITECTURE.md names, such as `serve/drain.go`, are where it says.
func TestArchitectureFiles(t *testing.T) {
	named := regexp.MustCompile("`([a-z0-9_./]+/[a-z0-9_]+\\.go)`").FindAllStringSubmatch(readDocument(t, "ARCHITECTURE.md"), -1)
	if len(named) < 20 {
		t.Errorf("found only %d file names", len(named))
	}
	for _, m := range named {
		if _, err := os.Stat(filepath.Join(moduleRoot(t), filepath.FromSlash(m[1]))); err != nil {
			t.Errorf("ARCHITECTURE.md names %s: %v", m[1], err)
		}
	}
}

// Commands and flags that a user can see stand in the README.
func TestReadmeFlags(t *testing.T) {
	readme := readDocument(t, "README.md")
	root := app.NewServerCommand(nil)
	commands := 0
	for _, cmd := range root.Commands() {
		if cmd.Hidden || !cmd.IsAvailableCommand() || cmd.Name() == "help" {
			continue
		}
		commands++
		if !strings.Contains(readme, "`penstock "+cmd.Name()+"`") {
			t.Errorf("README.md does not list the command %q", cmd.Name())
		}
		wantFlags(t, readme, cmd)
	}
	if commands < 4 {
		t.Errorf("found only %d commands", commands)
	}
}

func wantFlags(t *testing.T, readme string, cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		// `--name` or `--name VALUE`
		listed := strings.Contains(readme, "`--"+f.Name+"`") || strings.Contains(readme, "`--"+f.Name+" ")
		if !listed && !f.Hidden && f.Name != "help" {
			t.Errorf("README.md does not list --%s of %q", f.Name, cmd.Name())
		}
	})
}
