package app_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const modulePath = "github.com/penstock-edge/penstock"

// A layer is one row of the import table: what a package may import besides
// the standard library. Imports only ever point to a lower level.
type layer struct {
	level   int
	pkg     string
	ours    []string // packages of this module
	foreign []string // modules of others
}

// layers is the import table. ARCHITECTURE.md shows it; TestLayersDocumented
// keeps the two alike. A row may stand before its package exists.
var layers = []layer{
	{0, "serve/semantics", nil, nil},
	{0, "serve/lazyctx", nil, nil},
	{0, "serve/bufpool", nil, []string{"github.com/valyala/bytebufferpool"}},
	{0, "serve/certs", nil, []string{"github.com/fsnotify/fsnotify"}},
	{0, "serve/h2/frame", nil, nil},
	{0, "serve/h2/hpack", nil, nil},
	{0, "serve/h3/frame", nil, nil},
	{0, "handler/debug", nil, nil},
	{0, "listener", nil, []string{"golang.org/x/sys"}},
	{1, "serve/shard", []string{"listener", "serve/bufpool"}, []string{"golang.org/x/sys"}},
	{1, "serve/h1/wire", []string{"serve/semantics"}, nil},
	{1, "serve/h3/qpack", []string{"serve/h2/hpack"}, nil},
	{1, "serve/message", []string{"serve/semantics", "serve/h2/hpack"}, nil},
	{1, "handler", []string{"serve/semantics", "serve/bufpool"}, []string{
		"github.com/prometheus/client_golang", "github.com/klauspost/compress", "github.com/golang-jwt/jwt",
	}},
	{2, "serve/h1", []string{"serve/h1/wire", "serve/semantics", "serve/lazyctx", "serve/bufpool"}, nil},
	{2, "serve/h2", []string{
		"serve/semantics", "serve/lazyctx", "serve/bufpool", "serve/message", "serve/h2/frame", "serve/h2/hpack",
	}, nil},
	{2, "serve/h3", []string{
		"serve/semantics", "serve/lazyctx", "serve/bufpool", "serve/message", "serve/h2/hpack", "serve/h3/frame", "serve/h3/qpack",
	}, []string{"github.com/quic-go/quic-go", "golang.org/x/net/ipv4"}},
	{2, "handler/route", []string{"handler"}, nil},
	{2, "handler/static", []string{"handler", "serve/semantics", "serve/bufpool"}, nil},
	{1, "handler/proxy/message", []string{"serve/semantics"}, nil},
	{1, "handler/proxy/upstream", nil, nil},
	{0, "handler/proxy/websocket", nil, nil},
	{2, "handler/proxy/link", []string{"serve/shard", "serve/lazyctx", "serve/bufpool"}, []string{"golang.org/x/sys"}},
	{3, "handler/proxy/h1", []string{
		"handler/proxy/link", "handler/proxy/message", "serve/h1/wire", "serve/semantics", "serve/bufpool",
	}, nil},
	{3, "handler/proxy/h2", []string{
		"handler/proxy/link", "handler/proxy/message", "serve/message", "serve/h2/frame", "serve/h2/hpack", "serve/semantics", "serve/bufpool",
	}, nil},
	{4, "handler/proxy", []string{
		"handler", "handler/proxy/link", "handler/proxy/message", "handler/proxy/upstream", "handler/proxy/h1", "handler/proxy/h2",
		"handler/proxy/websocket",
		"serve/semantics", "serve/bufpool",
	}, nil},
	{2, "bench", []string{"serve/h1/wire", "serve/h2/frame", "serve/h2/hpack", "serve/h3/frame", "serve/h3/qpack"}, []string{
		"github.com/quic-go/quic-go", "github.com/HdrHistogram/hdrhistogram-go", "golang.org/x/sys",
	}},
	{3, "bench/report", []string{"bench"}, nil},
	{3, "bench/suite", []string{"bench"}, nil},
	{4, "bench/suite/cmd/suite", []string{"bench/suite"}, nil},
	{3, "serve", []string{
		"listener", "serve/h1", "serve/h2", "serve/h3", "serve/shard", "serve/certs", "serve/semantics", "serve/bufpool", "handler",
	}, []string{"github.com/coreos/go-systemd"}},
	{2, "cmd/penstock/config", []string{"serve/certs", "serve/semantics"}, []string{"go.yaml.in/yaml"}},
	{5, "cmd/penstock/front", []string{
		"cmd/penstock/config", "handler", "handler/proxy", "handler/proxy/upstream", "handler/route", "handler/static",
	}, nil},
	{6, "cmd/penstock/app", []string{"*"}, []string{
		"github.com/spf13/cobra", "github.com/spf13/pflag", "go.yaml.in/yaml", "github.com/caddyserver/certmagic", "github.com/prometheus/client_golang",
	}},
	{7, "cmd/penstock", []string{"*"}, nil},
}

const (
	testHelpers = "serve/servetest" // standard library only; imported by tests alone
	testCerts   = "serve/certs"     // whence any test may have a certificate
	targets     = "bench/targets"   // one folder for each peer; imports nothing of ours
)

// testForeign are second opinions, of use to tests alone.
var testForeign = []string{"golang.org/x/net", "github.com/quic-go/qpack", "github.com/quic-go/quic-go"}

func layerOf(pkg string) (layer, bool) {
	switch {
	case pkg == testHelpers, strings.HasPrefix(pkg, targets+"/"):
		return layer{pkg: pkg}, true
	}
	i := slices.IndexFunc(layers, func(l layer) bool { return l.pkg == pkg })
	if i < 0 {
		return layer{}, false
	}
	return layers[i], true
}

// A source is one Go file's place and imports, whatever system or build tag it
// is for: what `go list` shows is one system's view.
type source struct {
	file     string // relative to the root of the module
	pkg      string // its folder
	test     bool
	external bool // package x_test
	imports  []string
}

func TestLayers(t *testing.T) {
	sources := readSources(t)
	for _, s := range sources {
		l, ok := layerOf(s.pkg)
		if !ok {
			t.Errorf("%s: package %s has no row in the import table", s.file, s.pkg)
			continue
		}
		for _, imp := range s.imports {
			if why := forbidden(l, s, imp); why != "" {
				t.Errorf("%s imports %s: %s", s.file, imp, why)
			}
		}
	}
}

// forbidden says why a file may not import imp; empty: it may.
func forbidden(l layer, s source, imp string) string {
	if imp == "C" {
		return "no cgo"
	}
	if rel, ours := strings.CutPrefix(imp, modulePath+"/"); ours {
		return forbiddenOurs(l, s, rel)
	}
	if first, _, _ := strings.Cut(imp, "/"); !strings.Contains(first, ".") {
		return "" // standard library
	}
	under := func(module string) bool { return imp == module || strings.HasPrefix(imp, module+"/") }
	switch {
	case strings.HasPrefix(l.pkg, targets+"/"):
		return "" // a module of its own
	case slices.ContainsFunc(l.foreign, under):
		return ""
	case s.test && slices.ContainsFunc(testForeign, under):
		return ""
	case s.external && slices.ContainsFunc(layers, func(o layer) bool { return slices.ContainsFunc(o.foreign, under) }):
		return "" // a second opinion, from what the module needs anyway
	}
	return "a foreign module that the row of " + l.pkg + " does not name"
}

func forbiddenOurs(l layer, s source, rel string) string {
	switch {
	case s.external && rel == s.pkg:
		return ""
	case rel == testCerts && s.test && l.pkg != testHelpers:
		return ""
	case rel == testHelpers:
		if s.test {
			return ""
		}
		return "test helpers are for tests"
	case l.pkg == testHelpers && !s.external:
		return "test helpers know the standard library only"
	case strings.HasPrefix(rel, "cmd/") && !strings.HasPrefix(s.pkg, "cmd/"):
		return "nobody imports the command"
	case s.external, slices.Contains(l.ours, "*"), slices.Contains(l.ours, rel):
		return "" // package x_test stands above all libraries, as a user does
	}
	return "not in the row of " + l.pkg
}

// The rows themselves only look down, so that no cycle can be allowed.
func TestLayersLookDown(t *testing.T) {
	for _, l := range layers {
		for _, name := range l.ours {
			if name == "*" {
				continue
			}
			below, ok := layerOf(name)
			switch {
			case !ok:
				t.Errorf("row %s names %s, which has no row", l.pkg, name)
			case below.level >= l.level:
				t.Errorf("row %s (level %d) names %s (level %d)", l.pkg, l.level, name, below.level)
			}
		}
	}
}

// The rule can fail: each of these imports is one that it must refuse.
func TestLayersRefuse(t *testing.T) {
	for _, c := range []struct {
		name, pkg, imp string
		test           bool
	}{
		{"engine imports engine", "serve/h1", "serve/h2", false},
		{"engine imports server", "serve/h1", "serve", false},
		{"codec imports pool", "serve/h1/wire", "serve/bufpool", false},
		{"listener imports server", "listener", "serve", false},
		{"server imports a handler's sub-package", "serve", "handler/static", false},
		{"library imports command", "handler", "cmd/penstock/app", true},
		{"helpers outside of tests", "serve", "serve/servetest", false},
		{"helpers import ours", "serve/servetest", "serve", false},
		{"load generator imports server", "bench", "serve", false},
		{"peer imports ours", "bench/targets/nethttp", "serve/semantics", false},
	} {
		l, ok := layerOf(c.pkg)
		if !ok {
			t.Fatalf("%s: no row for %s", c.name, c.pkg)
		}
		s := source{pkg: c.pkg, test: c.test}
		if forbidden(l, s, modulePath+"/"+c.imp) == "" {
			t.Errorf("%s: %s may import %s", c.name, c.pkg, c.imp)
		}
	}
	for _, imp := range []string{"github.com/spf13/cobra", "golang.org/x/net/http2", "github.com/quic-go/quic-go/http3", "C"} {
		if l, _ := layerOf("serve"); forbidden(l, source{pkg: "serve"}, imp) == "" {
			t.Errorf("serve may import %s", imp)
		}
	}
}

// Each direct requirement of go.mod belongs to a row: what no row names is a
// dependency nobody argued for.
func TestLayersModules(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join(moduleRoot(t), "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	known := slices.Clone(testForeign)
	for _, l := range layers {
		known = append(known, l.foreign...)
	}
	for line := range strings.Lines(string(mod)) {
		fields := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(fields) < 2 || !strings.HasPrefix(fields[1], "v") || strings.Contains(line, "// indirect") {
			continue
		}
		ok := slices.ContainsFunc(known, func(m string) bool {
			return fields[0] == m || strings.HasPrefix(fields[0], m+"/") // a major version: go-systemd/v22
		})
		if !ok {
			t.Errorf("go.mod requires %s, which no row of the import table names", fields[0])
		}
	}
}

func TestLayersDocumented(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join(moduleRoot(t), "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		if row := l.markdown(); !strings.Contains(string(doc), row+"\n") {
			t.Errorf("ARCHITECTURE.md lacks this row of the import table:\n%s", row)
		}
	}
}

func (l layer) markdown() string {
	list := func(names []string, none string) string {
		switch {
		case len(names) == 0:
			return none
		case names[0] == "*":
			return "every package"
		}
		return "`" + strings.Join(names, "`, `") + "`"
	}
	return fmt.Sprintf("| %d | `%s` | %s | %s |", l.level, l.pkg, list(l.ours, "–"), list(l.foreign, "–"))
}

// readSources parses the imports of every Go file of the module.
func readSources(t *testing.T) []source {
	t.Helper()
	root := moduleRoot(t)
	var out []source
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if skipFolder(name, root, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		s, err := readSource(root, name)
		out = append(out, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	packages := map[string]bool{}
	for _, s := range out {
		packages[s.pkg] = true
	}
	if !packages["cmd/penstock/app"] || len(packages) < 5 {
		t.Fatalf("found only %v below %s", slices.Sorted(maps.Keys(packages)), root)
	}
	return out
}

// skipFolder leaves out what the go command leaves out too.
func skipFolder(name, root, base string) bool {
	return name != root && (base == "testdata" || base[0] == '.' || base[0] == '_')
}

func readSource(root, name string) (source, error) {
	rel, err := filepath.Rel(root, name)
	if err != nil {
		return source{}, err
	}
	rel = filepath.ToSlash(rel)
	f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
	if err != nil {
		return source{}, err
	}
	s := source{file: rel, pkg: path.Dir(rel), test: strings.HasSuffix(rel, "_test.go")}
	s.external = s.test && strings.HasSuffix(f.Name.Name, "_test")
	for _, spec := range f.Imports {
		imp, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return source{}, err
		}
		s.imports = append(s.imports, imp)
	}
	return s, nil
}

// moduleRoot is the folder of go.mod, looked for upwards from this package.
func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the test's folder")
		}
		dir = up
	}
}
