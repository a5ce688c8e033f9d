package config

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// judge tells what of v the schema does not take, as far as our schema goes: types,
// enums, required and additional keys, items.
func judge(schema map[string]any, v any, path string) (faults []string) {
	fault := func(format string, args ...any) {
		faults = append(faults, path+": "+fmt.Sprintf(format, args...))
	}
	types, several := schema["type"].([]any)
	if !several {
		types = []any{schema["type"]}
	}
	if !slices.Contains(types, any(typeOf(v))) && (typeOf(v) != "integer" || !slices.Contains(types, any("number"))) {
		fault("is %s, want %v", typeOf(v), types)
		return faults
	}
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, v) {
		fault("%v is none of %v", v, enum)
	}
	switch v := v.(type) {
	case map[string]any:
		known, _ := schema["properties"].(map[string]any)
		for name, below := range v {
			sub, ok := known[name].(map[string]any)
			if !ok {
				sub, ok = schema["additionalProperties"].(map[string]any)
			}
			if !ok {
				fault("unknown key %s", name)
				continue
			}
			faults = append(faults, judge(sub, below, path+"."+name)...)
		}
		required, _ := schema["required"].([]any)
		for _, name := range required {
			if _, ok := v[name.(string)]; !ok {
				fault("%v is missing", name)
			}
		}
	case []any:
		for i, e := range v {
			faults = append(faults, judge(schema["items"].(map[string]any), e, path+"["+strconv.Itoa(i)+"]")...)
		}
	}
	return faults
}

func typeOf(v any) string {
	switch v.(type) {
	case string:
		return "string"
	case bool:
		return "boolean"
	case int:
		return "integer"
	case float64:
		return "number"
	case map[string]any:
		return "object"
	case []any:
		return "array"
	}
	return fmt.Sprintf("%T", v)
}

// TestSchemaTakesExample: the schema takes the example, what config show makes of it,
// and its own defaults, and refuses what the decoder does.
func TestSchemaTakesExample(t *testing.T) {
	var schema map[string]any
	servetest.Must(t, "the schema is JSON", json.Unmarshal(Schema(), &schema))
	servetest.Want(t, "its version", schema["$schema"], any("https://json-schema.org/draft/2020-12/schema"))
	example, err := os.ReadFile(filepath.Join("testdata", "front.yaml"))
	servetest.Must(t, "the example", err)
	var shown strings.Builder
	f, err := decode(string(example))
	servetest.Must(t, "decode", err)
	servetest.Must(t, "show", f.Effective(&shown, EffectiveOptions{JSON: true, Defaults: true}))
	tree := func(text string) (v any) {
		servetest.Must(t, "YAML", yaml.Unmarshal([]byte(text), &v))
		return v
	}
	for name, text := range map[string]string{"the example": string(example), "what is shown": shown.String()} {
		if faults := judge(schema, tree(text), ""); len(faults) > 0 {
			t.Errorf("%s: %q", name, faults)
		}
	}
	for _, wrong := range []string{
		"version: 1\nnonsense: 1", "limits: {}", "version: 1\nlog: {level: inof}", "version: 1\nhosts: {}",
		"version: 1\nadmin: {pprof: maybe}", "version: 1\nhosts: [{routes: [{match: {path: /}}]}]", "version: 1\nlisteners: {a: {}}",
	} {
		if len(judge(schema, tree(wrong), "")) == 0 {
			t.Errorf("the schema takes %q", wrong)
		}
		if _, err := decode(wrong); err == nil {
			t.Errorf("the decoder takes %q", wrong)
		}
	}
	var defaults func(s map[string]any, path string)
	defaults = func(s map[string]any, path string) {
		if d, ok := s["default"]; ok {
			if n, whole := d.(float64); whole && n == float64(int(n)) {
				d = int(n)
			}
			if faults := judge(s, d, path); len(faults) > 0 {
				t.Errorf("its own default: %q", faults)
			}
		}
		for _, below := range []string{"properties"} {
			all, _ := s[below].(map[string]any)
			for name, e := range all {
				defaults(e.(map[string]any), path+"."+name)
			}
		}
	}
	defaults(schema, "")
}

// TestSecretsInFiles: no key takes a secret itself.
func TestSecretsInFiles(t *testing.T) {
	var walk func(typ reflect.Type, path string)
	walk = func(typ reflect.Type, path string) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Map || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || isText(typ) {
			return
		}
		for _, k := range keysOf(typ) {
			for _, secret := range []string{"secret", "password", "passwd", "token", "credential", "private"} {
				if strings.Contains(k.name, secret) && !strings.HasSuffix(k.name, "_file") {
					t.Errorf("%s.%s takes a secret; let it name a file", path, k.name)
				}
			}
			if strings.HasPrefix(k.name, "key_") || strings.HasSuffix(k.name, "_key") {
				servetest.Want(t, path+"."+k.name, k.name, "key_file")
			}
			walk(k.typ, join(path, k.name))
		}
	}
	walk(reflect.TypeFor[Config](), "")
}

// TestAliases: a thousand uses are taken, one more is not.
func TestAliases(t *testing.T) {
	file := func(n int) string {
		return "version: 1\nforwarded: {trust: [&a 10.0.0.0/8" + strings.Repeat(", *a", n) + "]}\n"
	}
	f, err := decode(file(maxAliases))
	servetest.Must(t, "as many as may be", err)
	servetest.Want(t, "values", len(f.Config.Forwarded.Trust), maxAliases+1)
	_, err = decode(file(maxAliases + 1))
	if err == nil || !strings.Contains(err.Error(), "penstock.yaml:2:") || !strings.Contains(err.Error(), "more than 1000 uses of aliases") {
		t.Errorf("one more: %v", err)
	}
}

// TestEnvironmentInStrings: names of keys and of what they refer to are not expanded,
// and a structure cannot come from the environment.
func TestEnvironmentInStrings(t *testing.T) {
	env := func(string) (string, bool) { return "{level: debug}", true }
	for _, text := range []string{"version: 1\n${X}: 1", "version: 1\nlog: ${X}", "version: ${X}"} {
		if f, err := Decode("f", []byte(text), Options{Lookup: env}); err == nil {
			t.Errorf("%q became %+v", text, f.Config)
		}
	}
	f, err := Decode("f", []byte("version: 1\nupstreams: {\"${X}\": {targets: [{url: \"http://a\"}]}}"), Options{Lookup: env})
	servetest.Must(t, "a name", err)
	if f.Config.Upstreams["${X}"] == nil {
		t.Error("a name was expanded")
	}
}
