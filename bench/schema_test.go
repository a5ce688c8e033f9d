package bench

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var updateSchema = flag.Bool("update", false, "write RESULT.md anew")

const schemaHead = `# What penstock bench writes as JSON

%s

Times are in seconds unless a name says otherwise, counts are of the measured time alone. ` + "`schema`" + ` is %d; it grows when a field
changes its meaning or goes, and new fields alone do not change it, so readers skip what they do not know. A field marked *optional* is
absent when it has nothing to say.

- ` + "`penstock bench URL --json FILE`" + ` writes a [Result](#result).
- ` + "`penstock bench URL --find-max --json FILE`" + ` writes a [Ramp](#ramp), whose ` + "`kind`" + ` is ` + "`find-max`" + `.
- ` + "`penstock bench compare A B --json`" + ` writes a [Comparison](#comparison), whose ` + "`kind`" + ` is ` + "`compare`" + `.

A histogram is an object of ` + "`count`, `min`, `mean`, `p50`, `p75`, `p90`, `p99`, `p999`, `p9999`, `max`" + ` and ` + "`hdr`" + `: all counts in
HdrHistogram's compressed V2 form (base64), in nanoseconds with three digits, from which any percentile can be had and which add exactly.
`

// RESULT.md is made from the types and their comments, and so stays true.
func TestSchemaDocument(t *testing.T) {
	var b strings.Builder
	fmt.Fprintf(&b, schemaHead, "Made from the comments of package bench by `go test ./bench -run SchemaDocument -update`; do not edit.", Schema)
	comments := readComments(t)
	var seen []reflect.Type
	for _, v := range []any{Result{}, Ramp{}, Comparison{}} {
		seen = describe(&b, reflect.TypeOf(v), comments, seen)
	}
	const file = "RESULT.md"
	if *updateSchema {
		if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if err != nil || !slices.Equal(outline(string(have)), outline(b.String())) {
		t.Errorf("%s is not what the types say (-update writes it anew): %v", file, err)
	}
}

// outline is a document without its prose: headings, and names and types of fields.
func outline(doc string) (lines []string) {
	for line := range strings.Lines(doc) {
		if cells := strings.SplitN(line, "|", 4); len(cells) == 4 {
			line = cells[1] + cells[2]
		} else if !strings.HasPrefix(line, "#") {
			continue
		}
		lines = append(lines, line)
	}
	return lines
}

// describe writes a table of t's fields, then those of the structs in it.
func describe(b *strings.Builder, t reflect.Type, comments map[string]string, seen []reflect.Type) []reflect.Type {
	if slices.Contains(seen, t) {
		return seen
	}
	seen = append(seen, t)
	fmt.Fprintf(b, "\n## %s\n\n%s\n\n| Field | Type | Meaning |\n|---|---|---|\n", t.Name(), comments[t.Name()])
	var inner []reflect.Type
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		kind, of := jsonType(f.Type)
		if of != nil {
			inner = append(inner, of)
		}
		if strings.Contains(options, "omitempty") {
			kind += ", optional"
		}
		meaning := comments[t.Name()+"."+f.Name]
		if meaning == "" && of != nil {
			meaning = comments[of.Name()]
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, kind, strings.ReplaceAll(meaning, "|", "\\|"))
	}
	for _, of := range inner {
		seen = describe(b, of, comments, seen)
	}
	return seen
}

// jsonType is a type in the words of JSON, and the struct that it leads to.
func jsonType(t reflect.Type) (string, reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer:
		return jsonType(t.Elem())
	case reflect.Slice:
		s, of := jsonType(t.Elem())
		return "list of " + s, of
	case reflect.Map:
		s, of := jsonType(t.Elem())
		return "object of " + s, of
	case reflect.Struct:
		switch t.Name() {
		case "Time":
			return "time, RFC 3339", nil
		case "Histogram":
			return "histogram", nil
		}
		return fmt.Sprintf("[%s](#%s)", t.Name(), strings.ToLower(t.Name())), t
	case reflect.Bool:
		return "true or false", nil
	case reflect.String:
		return "string", nil
	case reflect.Int, reflect.Int64:
		return "whole number", nil
	case reflect.Float64:
		return "number", nil
	default:
		return t.String(), nil
	}
}

// readComments are the comments of all structs and their fields, each as one line. A
// field without one, right below one that has, shares that, as "see".
func readComments(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, file := range []string{"result.go", "findmax.go", "compare.go", "statistics.go"} {
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if g, ok := n.(*ast.GenDecl); ok && g.Tok == token.TYPE {
				for _, spec := range g.Specs {
					typeComments(files, spec.(*ast.TypeSpec), g.Doc.Text(), all)
				}
			}
			return true
		})
	}
	return all
}

func typeComments(files *token.FileSet, spec *ast.TypeSpec, doc string, all map[string]string) {
	s, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	oneLine := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	all[spec.Name.Name] = oneLine(doc)
	above, last := "", 0 // the field whose comment stands for a group, and its last line
	for _, f := range s.Fields.List {
		if f.Tag == nil { // of no JSON form
			continue
		}
		line := files.Position(f.Pos()).Line
		tag := reflect.StructTag(strings.Trim(f.Tag.Value, "`"))
		switch {
		case f.Doc != nil:
			above, _, _ = strings.Cut(tag.Get("json"), ",")
		case line != last+1 || f.Comment != nil:
			above = ""
		}
		last = line
		text := oneLine(f.Doc.Text() + " " + f.Comment.Text())
		if text == "" && above != "" {
			text = "see `" + above + "`"
		}
		for _, name := range f.Names {
			all[spec.Name.Name+"."+name.Name] = text
		}
	}
}
