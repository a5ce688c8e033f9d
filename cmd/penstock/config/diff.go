package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// ChangeKind is what happened to a value.
type ChangeKind string

const (
	Added   ChangeKind = "added"
	Removed ChangeKind = "removed"
	Changed ChangeKind = "changed"
)

// Change is one difference of two configurations. Old and New are as in a file;
// empty where there is none.
type Change struct {
	Kind     ChangeKind
	Path     string
	Old, New string
}

func (c Change) String() string {
	switch c.Kind {
	case Added:
		return fmt.Sprintf("added %s: %s", c.Path, c.New)
	case Removed:
		return fmt.Sprintf("removed %s: %s", c.Path, c.Old)
	default:
		return fmt.Sprintf("changed %s: %s -> %s", c.Path, c.Old, c.New)
	}
}

// Diff tells what a reload from the one to the other changes, sorted by path. Hosts
// are told apart by their first name, routes by their id.
func Diff(from, to *Config) []Change {
	a, b := flatten(from), flatten(to)
	var list []Change
	for path, old := range a {
		switch now, ok := b[path]; {
		case !ok:
			list = append(list, Change{Removed, path, old, ""})
		case now != old:
			list = append(list, Change{Changed, path, old, now})
		}
	}
	for path, now := range b {
		if _, ok := a[path]; !ok {
			list = append(list, Change{Added, path, "", now})
		}
	}
	slices.SortFunc(list, func(x, y Change) int { return strings.Compare(x.Path, y.Path) })
	return list
}

// flatten is all that is given, by path.
func flatten(c *Config) map[string]string {
	m := make(map[string]string)
	flattenValue(m, reflect.ValueOf(c), "")
	return m
}

func flattenValue(m map[string]string, v reflect.Value, path string) {
	given := false // what is there counts, though it is empty: false is not the default
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v, given = v.Elem(), true
	}
	before := len(m)
	defer func() {
		if len(m) == before && (given || v.Kind() == reflect.Slice && !v.IsNil()) {
			m[path] = emptyOf(v)
		}
	}()
	switch {
	case v.Kind() == reflect.Struct && !isText(v.Type()):
		for _, k := range keysOf(v.Type()) {
			flattenValue(m, v.Field(k.index), join(path, k.name))
		}
	case v.Kind() == reflect.Map:
		for it := v.MapRange(); it.Next(); {
			flattenValue(m, it.Value(), join(path, it.Key().String()))
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			flattenValue(m, v.Index(i), path+"["+label(v.Index(i), i)+"]")
		}
	case !v.IsZero():
		m[path] = show(v)
	}
}

// emptyOf is an empty value as it stands in a file.
func emptyOf(v reflect.Value) string {
	switch {
	case isText(v.Type()):
		return show(v)
	case v.Kind() == reflect.Slice:
		return "[]"
	case v.Kind() == reflect.Struct || v.Kind() == reflect.Map:
		return "{}"
	}
	return show(v)
}

// label names an element of a list, so that others before it do not change its name.
func label(v reflect.Value, i int) string {
	switch e := v.Interface().(type) {
	case *Host:
		if len(e.Names) > 0 {
			return e.Names[0]
		}
		return "*"
	case *Route:
		return e.ID
	case *Target:
		return e.URL
	}
	return strconv.Itoa(i)
}

// Hashes are the contents of the parts that a reload keeps while they stay the same.
type Hashes struct {
	Routes    map[string]string // by host's first name and route's id: "www.example.org/site"
	Upstreams map[string]string // by name
	TLS       map[string]string // by listener's name: its TLS, and its certificates
}

// HashesOf tells the contents of c's parts. Those of a route have what its host says
// for all of them, and what the whole file does.
func HashesOf(c *Config) Hashes {
	h := Hashes{make(map[string]string), make(map[string]string), make(map[string]string)}
	for name, l := range c.Listeners {
		if l.TLS == nil {
			continue
		}
		parts := []any{l.TLS}
		for _, cert := range l.TLS.Certificates {
			parts = append(parts, c.Certificates[cert])
		}
		h.TLS[name] = hash(parts...)
	}
	for name, u := range c.Upstreams {
		h.Upstreams[name] = hash(u)
	}
	for i, host := range c.Hosts {
		common := *host
		common.Routes, common.Names = nil, nil
		for _, r := range host.Routes {
			h.Routes[label(reflect.ValueOf(host), i)+"/"+r.ID] = hash(r, &common, &c.Forwarded, &Limits{MaxBody: c.Limits.MaxBody}, &Timeouts{Request: c.Timeouts.Request})
		}
	}
	return h
}

func hash(parts ...any) string {
	sum := sha256.New()
	for _, part := range parts {
		m := make(map[string]string)
		flattenValue(m, reflect.ValueOf(part), "")
		for _, path := range slices.Sorted(maps.Keys(m)) {
			fmt.Fprintf(sum, "%q:%q,", path, m[path])
		}
		sum.Write([]byte{0})
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}
