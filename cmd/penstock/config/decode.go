package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	maxDepth   = 32
	maxAliases = 1000
	maxNodes   = 100_000
)

// decoder fills the tree of structs from the nodes of the parser.
type decoder struct {
	file     string
	lookup   func(string) (string, bool)
	problems problems
	origins  map[string]Origin
	marks    map[string]mark // where values stand, for problems found later

	aliases, nodes int
}

// mark is a place in the file.
type mark struct{ line, column int }

func (d *decoder) fault(n *yaml.Node, path, format string, args ...any) *Problem {
	p := &Problem{File: d.file, Line: n.Line, Column: n.Column, Path: path, What: fmt.Sprintf(format, args...)}
	d.problems.add(p)
	return p
}

// value fills v from n. False: it could not.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string, k *key, depth int) bool {
	d.nodes++
	switch {
	case d.nodes > maxNodes:
		if d.nodes == maxNodes+1 {
			d.fault(n, path, "the file has more than %d values, aliases included", maxNodes)
		}
		return false
	case depth > maxDepth:
		d.fault(n, path, "more than %d levels", maxDepth)
		return false
	}
	if n.Kind == yaml.AliasNode {
		return d.alias(n, v, path, k, depth)
	}
	if n.Style&yaml.TaggedStyle != 0 {
		d.fault(n, path, "tags are not taken, %s: each key has its type", clip(n.Tag))
		return false
	}
	d.marks[path] = mark{n.Line, n.Column}
	if v.Kind() == reflect.Pointer {
		p := reflect.New(v.Type().Elem())
		ok := d.value(n, p.Elem(), path, k, depth+1)
		if ok || p.Elem().Kind() == reflect.Struct { // what could be read of it is checked too
			v.Set(p)
		}
		return ok
	}
	switch {
	case isText(v.Type()):
		return d.scalar(n, v, path, k)
	case v.Kind() == reflect.Struct:
		return d.mapping(n, v, path, depth)
	case v.Kind() == reflect.Map:
		return d.table(n, v, path, depth)
	case v.Kind() == reflect.Slice:
		return d.sequence(n, v, path, k, depth)
	}
	return d.scalar(n, v, path, k)
}

func (d *decoder) alias(n *yaml.Node, v reflect.Value, path string, k *key, depth int) bool {
	d.aliases++
	if d.aliases > maxAliases {
		if d.aliases == maxAliases+1 {
			d.fault(n, path, "more than %d uses of aliases", maxAliases)
		}
		return false
	}
	// No alias leads back to itself for ever: the schema has an end.
	return d.value(n.Alias, v, path, k, depth+1)
}

var kinds = map[yaml.Kind]string{
	yaml.MappingNode: "a mapping", yaml.SequenceNode: "a list", yaml.ScalarNode: "a value", yaml.DocumentNode: "a document",
}

// mapping fills a struct.
func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string, depth int) bool {
	keys := keysOf(v.Type())
	if n.Kind != yaml.MappingNode {
		d.fault(n, path, "%s stands where keys are expected: %s", kinds[n.Kind], names(keys))
		return false
	}
	good := true
	seen := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, content := n.Content[i], n.Content[i+1]
		at := slices.IndexFunc(keys, func(k key) bool { return k.name == name.Value })
		switch {
		case name.Tag == "!!merge":
			d.fault(name, path, "merge keys are not taken; write the keys out, or use an alias for a whole value")
			good = false
			continue
		case name.Kind != yaml.ScalarNode || at < 0:
			d.unknown(name, path, keys)
			good = false
			continue
		case seen[name.Value] > 0:
			d.fault(name, join(path, name.Value), "the key was given before, in line %d", seen[name.Value])
			good = false
			continue
		}
		seen[name.Value] = name.Line
		k := &keys[at]
		good = d.value(content, v.Field(k.index), join(path, k.name), k, depth+1) && good
	}
	for i := range keys {
		if k := &keys[i]; k.required() && seen[k.name] == 0 {
			d.fault(n, path, "%s is missing: %s", k.name, k.doc)
			good = false
		}
	}
	return good
}

func (d *decoder) unknown(name *yaml.Node, path string, keys []key) {
	var all []string
	for i := range keys {
		all = append(all, keys[i].name)
	}
	p := d.fault(name, path, "unknown key %q", clip(name.Value))
	if guess := nearest(name.Value, all); guess != "" {
		p.Fix = fmt.Sprintf("did you mean %q?", guess)
	} else {
		p.Fix = "known are " + strings.Join(all, ", ")
	}
}

func names(keys []key) string {
	all := make([]string, len(keys))
	for i := range keys {
		all[i] = keys[i].name
	}
	return strings.Join(all, ", ")
}

func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// table fills a map by names that are free.
func (d *decoder) table(n *yaml.Node, v reflect.Value, path string, depth int) bool {
	if n.Kind != yaml.MappingNode {
		d.fault(n, path, "%s stands where names with values are expected", kinds[n.Kind])
		return false
	}
	good := true
	m := reflect.MakeMap(v.Type())
	lines := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, content := n.Content[i], n.Content[i+1]
		below := join(path, name.Value)
		switch {
		case name.Tag == "!!merge" || name.Kind != yaml.ScalarNode || name.Value == "":
			d.fault(name, path, "a name is expected, not %q", clip(name.Value))
			good = false
			continue
		case lines[name.Value] > 0:
			d.fault(name, below, "the name was given before, in line %d", lines[name.Value])
			good = false
			continue
		}
		lines[name.Value] = name.Line
		e := reflect.New(v.Type().Elem()).Elem()
		good = d.value(content, e, below, nil, depth+1) && good
		if e.Kind() != reflect.Pointer || !e.IsNil() {
			m.SetMapIndex(reflect.ValueOf(name.Value), e)
		}
	}
	v.Set(m)
	return good
}

func (d *decoder) sequence(n *yaml.Node, v reflect.Value, path string, k *key, depth int) bool {
	if n.Kind != yaml.SequenceNode {
		d.fault(n, path, "%s stands where a list is expected; write [ ] around it", kinds[n.Kind])
		return false
	}
	good := true
	list := reflect.MakeSlice(v.Type(), 0, len(n.Content))
	for i, content := range n.Content {
		e := reflect.New(v.Type().Elem()).Elem()
		good = d.value(content, e, path+"["+strconv.Itoa(i)+"]", k, depth+1) && good
		if e.Kind() != reflect.Pointer || !e.IsNil() {
			list = reflect.Append(list, e)
		}
	}
	v.Set(list)
	d.origins[path] = Origin{Kind: FromFile, Line: n.Line}
	return good
}

// scalar fills a value that is written as one.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string, k *key) bool {
	if n.Kind != yaml.ScalarNode {
		d.fault(n, path, "%s stands where one value is expected", kinds[n.Kind])
		return false
	}
	if n.Tag == "!!null" {
		d.fault(n, path, "the value is empty; give one, or leave the key out")
		return false
	}
	s, fromEnv, err := expand(n.Value, d.lookup)
	if err == nil {
		err = setScalar(v, s)
	}
	if err == nil && k != nil && len(k.enum) > 0 && !slices.Contains(k.enum, s) {
		err = fmt.Errorf("must be %s", strings.Join(k.enum, ", "))
	}
	if err != nil {
		p := d.fault(n, path, "%q: %v", clip(s), err)
		if k != nil {
			if guess := nearest(s, k.enum); guess != "" && guess != s {
				p.Fix = fmt.Sprintf("did you mean %q?", guess)
			}
		}
		return false
	}
	o := Origin{Kind: FromFile, Line: n.Line}
	if fromEnv {
		o.Kind = FromEnv
	}
	d.origins[path] = o
	return true
}

func setScalar(v reflect.Value, s string) error {
	if isText(v.Type()) {
		return v.Addr().Interface().(text).parse(s)
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Bool:
		if s != "true" && s != "false" {
			return fmt.Errorf("must be true or false")
		}
		v.SetBool(s == "true")
	case reflect.Int:
		n, err := strconv.Atoi(s)
		if err != nil {
			return fmt.Errorf("a whole number is expected")
		}
		v.SetInt(int64(n))
	case reflect.Float64:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || f != f || f < 0 || f > 1e9 {
			return fmt.Errorf("a number from 0 to 1e9 is expected")
		}
		v.SetFloat(f)
	default:
		panic("BUG: the schema has a " + v.Kind().String())
	}
	return nil
}
