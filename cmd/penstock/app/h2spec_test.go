package app

import (
	"bytes"
	"encoding/xml"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// h2specTests is how many tests h2spec 2.2.1 has with --strict; none may be skipped.
const h2specTests = 146

// TestConformanceH2spec runs h2spec against a process that serves as users run
// it: over TLS beside HTTP/1.1, and in the clear with HTTP/2 alone. A clear
// listener of both answers a wrong preface as the wrong HTTP/1 request that it
// is, where h2spec wants silence.
func TestConformanceH2spec(t *testing.T) {
	h2spec := buildH2spec(t)
	for _, form := range []struct {
		name string
		tls  bool
		args []string
	}{
		{"TLS", true, []string{"--tls-listen", anyPort}},
		{"clear", false, []string{"--listen", anyPort, "--disable-http1-serving"}},
		{"TLS portable", true, []string{"--tls-listen", anyPort, "--event-loop=off"}},
		{"clear portable", false, []string{"--listen", anyPort, "--disable-http1-serving", "--event-loop=off"}},
	} {
		t.Run(form.name, func(t *testing.T) {
			// An answer below 16 bytes makes h2spec skip a test.
			p := start(t, nil, append([]string{"respond", "--body", strings.Repeat("penstock ", 4)}, form.args...)...)
			u, err := url.Parse(p.urls[0])
			if err != nil {
				t.Fatal(err)
			}
			runH2spec(t, h2spec, u, form.tls)
		})
	}
}

// buildH2spec builds the pinned h2spec, as the other tools of the Makefile.
func buildH2spec(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "h2spec")
	build := exec.Command("go", "build", "-modfile="+filepath.Join("..", "..", "..", ".tools", "go.mod"), "-o", bin, "github.com/summerwind/h2spec/cmd/h2spec")
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: h2spec cannot be built here (it needs the Go module proxy or a filled module cache): %v\n%s", err, out)
	}
	return bin
}

// h2specReport is its JUnit file.
type h2specReport struct {
	Suites []struct {
		Name    string `xml:"name,attr"`
		Package string `xml:"package,attr"`
		Cases   []struct {
			Name    string    `xml:"classname,attr"`
			Failure *struct{} `xml:"failure"`
			Error   *struct{} `xml:"error"`
			Skipped *struct{} `xml:"skipped"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

func runH2spec(t *testing.T, bin string, u *url.URL, secure bool) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "h2spec.xml")
	args := []string{"-S", "-o", "5", "-h", u.Hostname(), "-p", u.Port(), "-j", file}
	if secure {
		args = append(args, "-t", "-k")
	}
	out, err := exec.Command(bin, args...).CombinedOutput()
	text, rerr := os.ReadFile(file)
	if rerr != nil {
		t.Fatalf("h2spec wrote no report: %v, %v\n%s", err, rerr, out)
	}
	var report h2specReport
	text = bytes.ReplaceAll(text, []byte{0}, nil) // of frames that a failure quotes
	if err := xml.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	passed := 0
	for _, suite := range report.Suites {
		for _, c := range suite.Cases {
			if c.Failure != nil || c.Error != nil || c.Skipped != nil {
				t.Errorf("%s %s: %s: failed or skipped", suite.Package, suite.Name, c.Name)
				continue
			}
			passed++
		}
	}
	if passed != h2specTests || err != nil {
		t.Errorf("%d tests of h2spec passed, want %d (%v)", passed, h2specTests, err)
		t.Logf("%s", out)
	}
}
