package handler

import (
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// APIRoute is one path of our own, as its documents show it.
type APIRoute struct {
	// Path begins with a slash; {name} is a variable, one of the path parameters.
	Path string
	// Group is the document of OpenAPI 3.0 that has the route. If empty, the first
	// segment of the path, or "root".
	Group string
	// Methods are those served. If empty, GET.
	Methods []string
	// Summary is one line; Description may be more.
	Summary, Description string
	Parameters           []APIParameter
	// Responses are by status. If empty, 200 "OK" of unknown type.
	Responses []APIResponse
}

// APIParameter is one input of a route.
type APIParameter struct {
	Name string
	// In is path, query or header. If empty, query.
	In string
	// Type is string, integer, number or boolean. If empty, string.
	Type        string
	Description string
	Required    bool // always so in a path
	Repeated    bool // may come more than once, in a query
}

// APIResponse is one answer of a route.
type APIResponse struct {
	Status      int
	Description string // if empty, the status text
	ContentType string // if empty, it has no content that is described
}

// build makes all documents. Maps are fine for it: encoding/json sorts them, and
// they live for one call.
func (a *OpenAPI) build() error {
	routes := a.o.Routes()
	info := jsonObject{"title": orElse(a.o.Title, "penstock"), "version": orElse(a.o.Version, "unversioned")}
	if a.o.Description != "" {
		info["description"] = a.o.Description
	}
	v2, groups := jsonObject{}, map[string]jsonObject{}
	for i := range routes {
		r := &routes[i]
		if err := r.check(); err != nil {
			return fmt.Errorf("route %q: %w", r.Path, err)
		}
		g := r.group()
		if groups[g] == nil {
			groups[g] = jsonObject{}
		}
		if v2[r.Path] != nil {
			return fmt.Errorf("route %q: twice", r.Path)
		}
		v2[r.Path], groups[g][r.Path] = r.operations(false), r.operations(true)
	}
	var err error
	if a.v2, err = newOpenAPIDocument(jsonObject{"swagger": "2.0", "info": info, "paths": v2}, ""); err != nil {
		return err
	}
	index := jsonObject{}
	a.groups = make(map[string]*openAPIDocument, len(groups))
	for g, paths := range groups {
		d, err := newOpenAPIDocument(jsonObject{"openapi": "3.0.0", "info": info, "paths": paths}, openAPIGroup+g)
		if err != nil {
			return err
		}
		a.groups[g] = d
		index[g] = jsonObject{"serverRelativeURL": d.location[0]}
	}
	a.v3, err = newOpenAPIDocument(jsonObject{"paths": index}, "")
	return err
}

// newOpenAPIDocument renders one; path is where its hash is asked for, if it is.
func newOpenAPIDocument(content jsonObject, path string) (*openAPIDocument, error) {
	b, err := json.Marshal(content)
	if err != nil {
		return nil, err
	}
	d := &openAPIDocument{page: newPage(http.StatusOK, jsonType, b), hash: fmt.Sprintf("%X", sha512.Sum512(b))}
	d.etag = []string{`"` + d.hash + `"`}
	if path != "" {
		u := url.URL{Path: path, RawQuery: "hash=" + d.hash}
		d.location = []string{u.String()}
	}
	return d, nil
}

type jsonObject map[string]any

func orElse(s, fallback string) string {
	if s == "" {
		return fallback
	}
	return s
}

func (r *APIRoute) group() string {
	if r.Group != "" {
		return r.Group
	}
	first, _, _ := strings.Cut(r.Path[1:], "/")
	return orElse(first, "root")
}

// check finds what would make a document invalid.
func (r *APIRoute) check() error {
	if !strings.HasPrefix(r.Path, "/") {
		return fmt.Errorf("a path begins with a slash")
	}
	for _, p := range r.Parameters {
		switch {
		case p.Name == "":
			return fmt.Errorf("a parameter without a name")
		case !slices.Contains([]string{"", "path", "query", "header"}, p.In):
			return fmt.Errorf("parameter %q in %q", p.Name, p.In)
		case !slices.Contains([]string{"", "string", "integer", "number", "boolean"}, p.Type):
			return fmt.Errorf("parameter %q of type %q", p.Name, p.Type)
		case p.In == "path" && !strings.Contains(r.Path, "{"+p.Name+"}"):
			return fmt.Errorf("parameter %q is not in the path", p.Name)
		}
	}
	for _, variable := range strings.Split(r.Path, "{")[1:] {
		name, _, closed := strings.Cut(variable, "}")
		if !closed || !slices.ContainsFunc(r.Parameters, func(p APIParameter) bool { return p.In == "path" && p.Name == name }) {
			return fmt.Errorf("the variable %q is not described", name)
		}
	}
	for _, m := range r.Methods {
		if !slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}, m) {
			return fmt.Errorf("method %q", m)
		}
	}
	return nil
}

// operations is the path item: the same for each method, but for its id.
func (r *APIRoute) operations(v3 bool) jsonObject {
	methods := r.Methods
	if len(methods) == 0 {
		methods = []string{http.MethodGet}
	}
	item := jsonObject{}
	for _, m := range methods {
		verb := strings.ToLower(m)
		op := jsonObject{"operationId": operationID(verb, r.Path), "responses": r.responses(v3)}
		if r.Summary != "" {
			op["summary"] = r.Summary
		}
		if r.Description != "" {
			op["description"] = r.Description
		}
		var parameters []jsonObject
		for _, p := range r.Parameters {
			parameters = append(parameters, p.object(v3))
		}
		if parameters != nil {
			op["parameters"] = parameters
		}
		if types := r.contentTypes(); !v3 && types != nil {
			op["produces"] = types
		}
		item[verb] = op
	}
	return item
}

// operationID is unique, as the specification wants it: getLivezCheck.
func operationID(verb, path string) string {
	words := strings.FieldsFunc(path, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	})
	for i, w := range words {
		words[i] = strings.ToUpper(w[:1]) + w[1:]
	}
	return verb + strings.Join(words, "")
}

func (r *APIRoute) contentTypes() (types []string) {
	for _, a := range r.Responses {
		if a.ContentType != "" && !slices.Contains(types, a.ContentType) {
			types = append(types, a.ContentType)
		}
	}
	return types
}

func (r *APIRoute) responses(v3 bool) jsonObject {
	list := r.Responses
	if len(list) == 0 {
		list = []APIResponse{{Status: http.StatusOK}}
	}
	all := jsonObject{}
	for _, a := range list {
		one := jsonObject{"description": orElse(a.Description, http.StatusText(a.Status))}
		if v3 && a.ContentType != "" {
			one["content"] = jsonObject{a.ContentType: jsonObject{}}
		}
		all[strconv.Itoa(a.Status)] = one
	}
	return all
}

func (p *APIParameter) object(v3 bool) jsonObject {
	in := orElse(p.In, "query")
	o := jsonObject{"name": p.Name, "in": in}
	if p.Required || in == "path" {
		o["required"] = true
	}
	if p.Description != "" {
		o["description"] = p.Description
	}
	schema := jsonObject{"type": orElse(p.Type, "string")}
	if p.Repeated {
		schema = jsonObject{"type": "array", "items": schema}
		if !v3 {
			schema["collectionFormat"] = "multi"
		}
	}
	if v3 {
		o["schema"] = schema
		return o
	}
	maps.Copy(o, schema)
	return o
}
