package handler

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
)

const (
	// maxPolicyFile bounds the file that is read: some 10 000 rules.
	maxPolicyFile = 1 << 20
	// anySubject and allBelow are the pattern's star.
	anySubject = "*"
	allBelow   = "*"
)

// PolicyFile allows what a line of a file allows, in the manner of
// kube-apiserver's ABAC file: one JSON object a line,
//
//	{"user": "ann", "path": "/v1/*"}
//	{"group": "readers", "path": "/*", "readonly": true}
//	{"user": "*", "path": "/public/index.html"}
//
// A line allows its user, or whoever is in its group, what is below its path: one
// path as it stands in the request's URL, decoded once, or all that begin with
// what is before a final "*". readonly allows GET, HEAD, OPTIONS and TRACE alone. "*" is
// any user, also who is anonymous, and any group: who is known. What no line
// allows is refused. Empty lines, and those that begin with "#", are left out.
type PolicyFile struct {
	path  string
	rules atomic.Pointer[[]policyRule]
}

// policyRule is a line. Exactly one of User and Group is given.
type policyRule struct {
	User     string `json:"user"`
	Group    string `json:"group"`
	Path     string `json:"path"`
	ReadOnly bool   `json:"readonly"`
}

// NewPolicyFile reads the file.
func NewPolicyFile(path string) (*PolicyFile, error) {
	f := &PolicyFile{path: path}
	if err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// Reload reads the file again. On an error the rules known until then stay. It
// may be called by any goroutine, at any time.
func (f *PolicyFile) Reload() error {
	file, err := os.Open(f.path)
	if err != nil {
		return fmt.Errorf("policy file: %w", err)
	}
	defer file.Close()
	rules, err := readPolicy(file)
	if err != nil {
		return fmt.Errorf("policy file %s: %w", f.path, err)
	}
	f.rules.Store(&rules)
	return nil
}

// Authorize allows what a rule allows, and has no opinion on the rest.
func (f *PolicyFile) Authorize(x *Exchange) (Decision, string, error) {
	for i := range *f.rules.Load() {
		if (*f.rules.Load())[i].allows(x) {
			return DecisionAllow, "", nil
		}
	}
	return DecisionNoOpinion, "no rule allows it", nil
}

func (r *policyRule) allows(x *Exchange) bool {
	return (!r.ReadOnly || ClassOf(x.Request.Method) == ClassRead) && r.isFor(x.User) && r.covers(x.Request.URL.Path)
}

func (r *policyRule) isFor(u *User) bool {
	switch {
	case r.User == anySubject:
		return true
	case u == nil || u.Anonymous():
		return false
	case r.User != "":
		return r.User == u.Name
	}
	return r.Group == anySubject || slices.Contains(u.Groups, r.Group)
}

func (r *policyRule) covers(path string) bool {
	if prefix, ok := strings.CutSuffix(r.Path, allBelow); ok {
		return strings.HasPrefix(path, prefix)
	}
	return path == r.Path
}

// readPolicy reads the lines. Unknown keys are errors: a misspelt "readonly" must
// not allow more than was meant.
func readPolicy(r io.Reader) ([]policyRule, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxPolicyFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxPolicyFile {
		return nil, fmt.Errorf("more than %d bytes", maxPolicyFile)
	}
	var rules []policyRule
	var errs []error
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, maxPolicyFile+1)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		rule, err := readPolicyRule(line)
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", n, err))
			continue
		}
		rules = append(rules, rule)
	}
	return rules, errors.Join(append(errs, lines.Err())...)
}

func readPolicyRule(line []byte) (r policyRule, err error) {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, err
	}
	if _, err := d.Token(); err != io.EOF {
		return r, errors.New("more than one object")
	}
	switch prefix := strings.TrimSuffix(r.Path, allBelow); {
	case (r.User == "") == (r.Group == ""):
		return r, errors.New(`give either "user" or "group"`)
	case !strings.HasPrefix(r.Path, "/"):
		return r, fmt.Errorf(`"path" %q: must begin with a slash`, r.Path)
	case strings.Contains(prefix, "*"):
		return r, fmt.Errorf(`"path" %q: a star stands at the end alone`, r.Path)
	}
	return r, nil
}
