package config

import (
	"reflect"
	"strings"
)

// key is one key of the schema, as its struct field describes it.
type key struct {
	name, doc, byDefault string
	enum                 []string
	index                int
	typ                  reflect.Type
}

// required tells whether the key must be there.
func (k *key) required() bool { return strings.Contains(k.doc, "; required") }

// keysOf are the keys of a struct.
func keysOf(t reflect.Type) []key {
	keys := make([]key, 0, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		k := key{name: f.Tag.Get("yaml"), doc: f.Tag.Get("doc"), byDefault: f.Tag.Get("default"), index: i, typ: f.Type}
		if enum := f.Tag.Get("enum"); enum != "" {
			k.enum = strings.Split(enum, "|")
		}
		keys = append(keys, k)
	}
	return keys
}

var textType = reflect.TypeFor[text]()

// isText tells whether a value is written as one scalar of its own form.
func isText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

// indirect is the type behind a pointer.
func indirect(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}
