package app_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each row of APISERVER.md names the tests that prove it: they are there.
func TestAPIServerRows(t *testing.T) {
	root := moduleRoot(t)
	page, err := os.ReadFile(filepath.Join(root, "APISERVER.md"))
	if err != nil {
		t.Fatal(err)
	}
	known := testNames(t, root)
	rows := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if len(cells) != 3 || strings.HasPrefix(line, "| Upstream") {
			continue
		}
		rows++
		proofs := strings.TrimSuffix(cells[2], " |")
		if proofs == "–" {
			continue
		}
		for name := range strings.SplitSeq(proofs, ", ") {
			name = strings.Trim(name, "`")
			if strings.HasSuffix(name, ".go") {
				if _, err := os.Stat(filepath.Join(root, name)); err != nil {
					t.Error(err)
				}
			} else if !known[name] {
				t.Errorf("no test is named %q: %s", name, cells[0])
			}
		}
	}
	if rows < 50 {
		t.Errorf("%d rows were read", rows)
	}
}

var testName = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)

// testNames are the tests of the module.
func testNames(t *testing.T, root string) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, m := range testName.FindAllSubmatch(source, -1) {
			names[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
