package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// EffectiveOptions shape what Effective writes.
type EffectiveOptions struct {
	// JSON writes JSON, without the origins.
	JSON bool
	// Defaults writes what nobody has given too, where a default is known.
	Defaults bool
}

// Effective writes the configuration with each value's origin as a comment:
// default, file:LINE or env. What it writes is valid input.
func (f *File) Effective(w io.Writer, opts EffectiveOptions) error {
	p := printer{f: f, opts: opts}
	root := p.value(reflect.ValueOf(f.Config).Elem(), "", nil)
	if root == nil {
		root = &yaml.Node{Kind: yaml.MappingNode}
	}
	if opts.JSON {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		if err := enc.Encode(tree(root)); err != nil {
			return err
		}
		_, err := w.Write(b.Bytes())
		return err
	}
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(root); err != nil {
		return err
	}
	return enc.Close()
}

// printer makes nodes of the tree of structs.
type printer struct {
	f    *File
	opts EffectiveOptions
}

// value makes the node of v; nil: there is nothing to write.
func (p *printer) value(v reflect.Value, path string, k *key) *yaml.Node {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return p.byDefault(k)
		}
		if v = v.Elem(); v.Kind() == reflect.Struct && !isText(v.Type()) {
			if n := p.mapping(v, path); n != nil {
				return n
			}
			return &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle} // it is there, and says something by that
		}
	}
	switch {
	case isText(v.Type()) || v.Kind() != reflect.Struct && v.Kind() != reflect.Map && v.Kind() != reflect.Slice:
		return p.scalar(v, path, k)
	case v.Kind() == reflect.Struct:
		return p.mapping(v, path)
	case v.Kind() == reflect.Map:
		return p.table(v, path)
	}
	if v.IsNil() {
		return p.byDefault(k)
	}
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for i := range v.Len() {
		if e := p.value(v.Index(i), path+"["+strconv.Itoa(i)+"]", nil); e != nil {
			n.Content = append(n.Content, e)
		}
	}
	if len(n.Content) == 0 || n.Content[0].Kind == yaml.ScalarNode {
		n.Style = yaml.FlowStyle
		for _, e := range n.Content {
			e.LineComment = ""
		}
		n.LineComment = p.f.Origin(path).String()
	}
	return n
}

func (p *printer) mapping(v reflect.Value, path string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	keys := keysOf(v.Type())
	for i := range keys {
		k := &keys[i]
		if e := p.value(v.Field(k.index), join(path, k.name), k); e != nil {
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: k.name}, e)
		}
	}
	if len(n.Content) == 0 {
		return nil
	}
	return n
}

func (p *printer) table(v reflect.Value, path string) *yaml.Node {
	if v.Len() == 0 {
		return nil
	}
	n := &yaml.Node{Kind: yaml.MappingNode}
	m := make(map[string]reflect.Value, v.Len())
	for it := v.MapRange(); it.Next(); {
		m[it.Key().String()] = it.Value()
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		e := p.value(m[name], join(path, name), nil)
		if e == nil {
			e = &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		}
		key := &yaml.Node{}
		key.SetString(name)
		n.Content = append(n.Content, key, e)
	}
	return n
}

func (p *printer) scalar(v reflect.Value, path string, k *key) *yaml.Node {
	o, given := p.f.origins[path]
	if v.IsZero() && !given {
		return p.byDefault(k)
	}
	s := show(v)
	n := scalarNode(v, s)
	if k == nil || !p.opts.JSON {
		n.LineComment = o.String()
	}
	return n
}

func show(v reflect.Value) string {
	if isText(v.Type()) {
		c := reflect.New(v.Type())
		c.Elem().Set(v)
		return c.Interface().(text).String()
	}
	return fmt.Sprint(v.Interface())
}

// scalarNode is a node that decodes as s again. A dollar is doubled: it was
// expanded already.
func scalarNode(v reflect.Value, s string) *yaml.Node {
	n := &yaml.Node{}
	switch v.Kind() {
	case reflect.Bool, reflect.Float64:
		n.Kind, n.Value = yaml.ScalarNode, s
	case reflect.Int:
		n.Kind, n.Value = yaml.ScalarNode, s
	default:
		n.SetString(strings.ReplaceAll(s, "$", "$$"))
	}
	return n
}

// byDefault is what holds without the key, if that is asked for and known.
func (p *printer) byDefault(k *key) *yaml.Node {
	if !p.opts.Defaults || k == nil || k.byDefault == "" {
		return nil
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: k.byDefault, LineComment: Origin{}.String()}
	if list, ok := strings.CutPrefix(k.byDefault, "["); ok {
		n = &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle, LineComment: Origin{}.String()}
		for e := range strings.SplitSeq(strings.TrimSuffix(list, "]"), ", ") {
			if e != "" {
				n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: e})
			}
		}
	}
	if indirect(k.typ).Kind() == reflect.String {
		n.Style |= yaml.DoubleQuotedStyle
	}
	return n
}

// tree is a node as encoding/json takes it.
func tree(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			m[n.Content[i].Value] = tree(n.Content[i+1])
		}
		return m
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, e := range n.Content {
			list[i] = tree(e)
		}
		return list
	default:
	}
	var v any
	if n.Tag == "!!str" || n.Style&yaml.DoubleQuotedStyle != 0 || n.Decode(&v) != nil {
		return n.Value
	}
	return v
}
