package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Schema is the JSON Schema (2020-12) of a file, for editors.
func Schema() []byte {
	root := schemaOf(reflect.TypeFor[Config](), nil)
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "penstock configuration"
	b, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic("BUG: " + err.Error())
	}
	return append(b, '\n')
}

func schemaOf(t reflect.Type, k *key) map[string]any {
	t = indirect(t)
	s := make(map[string]any)
	if k != nil {
		s["description"] = k.doc
		if k.byDefault != "" {
			s["default"] = typedDefault(t, k.byDefault)
		}
	}
	switch {
	case isText(t):
		s["type"] = []string{"string", "integer"}
	case t.Kind() == reflect.Struct:
		objectSchema(t, s)
	case t.Kind() == reflect.Map:
		s["type"], s["additionalProperties"] = "object", schemaOf(t.Elem(), nil)
	case t.Kind() == reflect.Slice:
		s["type"], s["items"] = "array", schemaOf(t.Elem(), nil)
	case t.Kind() == reflect.Bool:
		s["type"] = "boolean"
	case t.Kind() == reflect.Int:
		s["type"] = "integer"
	case t.Kind() == reflect.Float64:
		s["type"] = "number"
	default:
		s["type"] = "string"
	}
	if k != nil && len(k.enum) > 0 && t.Kind() == reflect.String {
		s["enum"] = k.enum
	}
	return s
}

// typedDefault is a default as it stands in JSON.
func typedDefault(t reflect.Type, s string) any {
	switch {
	case t.Kind() == reflect.Slice:
		list := []string{}
		for e := range strings.SplitSeq(strings.Trim(s, "[]"), ", ") {
			if e != "" {
				list = append(list, e)
			}
		}
		return list
	case t.Kind() == reflect.Bool:
		return s == "true"
	}
	if n, err := strconv.Atoi(s); err == nil && t.Kind() != reflect.String {
		return n
	}
	return s
}

func objectSchema(t reflect.Type, s map[string]any) {
	properties := make(map[string]any)
	var required []string
	for _, k := range keysOf(t) {
		properties[k.name] = schemaOf(k.typ, &k)
		if k.required() {
			required = append(required, k.name)
		}
	}
	s["type"], s["properties"], s["additionalProperties"] = "object", properties, false
	if required != nil {
		s["required"] = required
	}
}

// Reference is the reference of all keys, in Markdown.
func Reference() string {
	var b strings.Builder
	b.WriteString("| Key | Default | Meaning |\n|---|---|---|\n")
	reference(&b, reflect.TypeFor[Config](), "")
	return b.String()
}

func reference(b *strings.Builder, t reflect.Type, path string) {
	for _, k := range keysOf(t) {
		name, typ := join(path, k.name), indirect(k.typ)
		switch {
		case typ.Kind() == reflect.Map && indirect(typ.Elem()).Kind() == reflect.Struct:
			name, typ = name+".NAME", indirect(typ.Elem())
		case typ.Kind() == reflect.Slice && indirect(typ.Elem()).Kind() == reflect.Struct && !isText(indirect(typ.Elem())):
			name, typ = name+"[]", indirect(typ.Elem())
		}
		doc := k.doc
		if len(k.enum) > 0 {
			doc += ": " + strings.Join(k.enum, ", ")
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, quoted(k.byDefault), strings.ReplaceAll(doc, "|", "\\|"))
		if typ.Kind() == reflect.Struct && !isText(typ) {
			reference(b, typ, name)
		}
	}
}

func quoted(s string) string {
	if s == "" {
		return "–"
	}
	return "`" + s + "`"
}
