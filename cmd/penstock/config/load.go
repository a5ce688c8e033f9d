package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile bounds a file, in bytes.
const maxFile = 1 << 20

// Options say how a file is read.
type Options struct {
	// Lookup is the environment. If nil, the process'.
	Lookup func(name string) (value string, ok bool)
}

// OriginKind is where a value comes from.
type OriginKind uint8

const (
	// FromDefault: nobody has given it.
	FromDefault OriginKind = iota
	// FromFile: it stands in the file.
	FromFile
	// FromEnv: the environment has given it, or a part of it, through ${NAME}.
	FromEnv
)

// Origin is where a value comes from.
type Origin struct {
	Kind OriginKind
	Line int // in the file
}

func (o Origin) String() string {
	switch o.Kind {
	case FromFile:
		return "file:" + strconv.Itoa(o.Line)
	case FromEnv:
		return "env, file:" + strconv.Itoa(o.Line)
	default:
		return "default"
	}
}

// File is a configuration that was read.
type File struct {
	Config *Config

	name    string
	origins map[string]Origin
	marks   map[string]mark
}

// Name is the file's.
func (f *File) Name() string { return f.name }

// Origin tells where the value of a key comes from, as "limits.connections".
func (f *File) Origin(path string) Origin { return f.origins[path] }

// Load reads a file. An error has all that is wrong with it, joined; each that
// concerns a place is a *Problem.
func Load(name string, opts Options) (*File, error) {
	r, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return Decode(name, data, opts)
}

// Decode reads data, whose problems are reported as of the file name.
func Decode(name string, data []byte, opts Options) (*File, error) {
	if opts.Lookup == nil {
		opts.Lookup = os.LookupEnv
	}
	d := &decoder{file: name, lookup: opts.Lookup, origins: make(map[string]Origin), marks: make(map[string]mark)}
	root, err := parse(name, data)
	if err != nil {
		return nil, err
	}
	f := &File{Config: new(Config), name: name, origins: d.origins, marks: d.marks}
	d.value(root, reflect.ValueOf(f.Config).Elem(), "", nil, 0)
	if err := d.problems.err(); err != nil {
		return nil, err
	}
	if problems := f.references(); len(problems.list) > 0 {
		return nil, problems.err()
	}
	return f, nil
}

// parse makes the nodes of the one document.
func parse(name string, data []byte) (*yaml.Node, error) {
	if len(data) > maxFile {
		return nil, &Problem{File: name, What: fmt.Sprintf("the file has more than %d bytes", maxFile)}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, &Problem{File: name, What: "the file is empty; it begins with version: 1"}
	case err != nil:
		return nil, syntaxProblem(name, err)
	}
	switch err := dec.Decode(&more); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return nil, syntaxProblem(name, err)
	default:
		return nil, &Problem{File: name, Line: more.Line, Column: more.Column, What: "a second document begins here; a file has one"}
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, &Problem{File: name, What: "the file has no keys; it begins with version: 1"}
	}
	return doc.Content[0], nil
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(.*)$`)

// syntaxProblem tells the line that the parser knows.
func syntaxProblem(name string, err error) error {
	m := yamlLine.FindStringSubmatch(strings.SplitN(err.Error(), "\n", 2)[0])
	p := &Problem{File: name, What: "no YAML: " + m[2]}
	if line, aerr := strconv.Atoi(m[1]); aerr == nil {
		p.Line, p.Column = line, 1
	}
	return p
}

// fault is a problem at the place of a key.
func (f *File) fault(s *problems, path, format string, args ...any) {
	at := f.marks[path]
	s.add(&Problem{File: f.name, Line: at.line, Column: at.column, Path: path, What: fmt.Sprintf(format, args...)})
}
