package handler

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

const policyText = `# who may do what
{"user": "ann", "path": "/v1/*"}
{"group": "readers", "path": "/v1/list", "readonly": true}

{"group": "*", "path": "/known/*"}
{"user": "*", "path": "/public/*", "readonly": true}
`

func policyFile(t *testing.T, text string) *PolicyFile {
	t.Helper()
	name := filepath.Join(t.TempDir(), "policy")
	servetest.Must(t, "write", os.WriteFile(name, []byte(text), 0o600))
	f, err := NewPolicyFile(name)
	servetest.Must(t, "policy", err)
	return f
}

func TestPolicyFile(t *testing.T) {
	f := policyFile(t, policyText)
	ann, rob := &User{Name: "ann"}, &User{Name: "rob", Groups: []string{"writers", "readers"}}
	for _, c := range []struct {
		name         string
		user         *User
		method, path string
		want         Decision
	}{
		{"below the path", ann, "POST", "/v1/x", DecisionAllow},
		{"the path itself", ann, "POST", "/v1/", DecisionAllow},
		{"not quite below", ann, "GET", "/v1", DecisionNoOpinion},
		{"another user", rob, "GET", "/v1/x", DecisionNoOpinion},
		{"by group", rob, "GET", "/v1/list", DecisionAllow},
		{"HEAD reads too", rob, "HEAD", "/v1/list", DecisionAllow},
		{"by group, but it writes", rob, "POST", "/v1/list", DecisionNoOpinion},
		{"one path is not a prefix", rob, "GET", "/v1/list/x", DecisionNoOpinion},
		{"any group", rob, "POST", "/known/x", DecisionAllow},
		{"any group, without one", ann, "POST", "/known/x", DecisionAllow},
		{"any group, but anonymous", &User{Name: "system:anonymous"}, "GET", "/known/x", DecisionNoOpinion},
		{"any group, but nobody was asked", nil, "GET", "/known/x", DecisionNoOpinion},
		{"anybody", nil, "GET", "/public/x", DecisionAllow},
		{"anybody writes", nil, "PUT", "/public/x", DecisionNoOpinion},
		{"elsewhere", ann, "GET", "/", DecisionNoOpinion},
		{"a user who is named like the star", &User{Name: "*"}, "GET", "/v1/x", DecisionNoOpinion},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := &Exchange{Request: request(c.method, c.path), User: c.user}
			d, _, err := f.Authorize(x)
			servetest.Must(t, "error", err)
			servetest.Want(t, "decision", d, c.want)
		})
	}
	x := &Exchange{Request: request("GET", "/public/x"), User: rob}
	servetest.Want(t, "allocations", testing.AllocsPerRun(100, func() { _, _, _ = f.Authorize(x) }), 0)
}

func TestPolicyFileBad(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nobody", `{"path": "/"}`, `line 1: give either "user" or "group"`},
		{"both", `{"user": "a", "group": "b", "path": "/"}`, `give either "user" or "group"`},
		{"no path", "\n" + `{"user": "a"}`, `line 2: "path" "": must begin with a slash`},
		{"star within", `{"user": "a", "path": "/a*/b"}`, "a star stands at the end alone"},
		{"two stars", `{"user": "a", "path": "/a**"}`, "a star stands at the end alone"},
		{"misspelt", `{"user": "a", "path": "/", "readOnlyy": true}`, `unknown field "readOnlyy"`},
		{"no JSON", `user a`, "line 1: invalid character"},
		{"two objects", `{"user": "a", "path": "/"} {}`, "more than one object"},
		{"all lines are told", "x\ny", "line 2: "},
		{"too large", strings.Repeat("#\n", maxPolicyFile/2+1), "more than 1048576 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "policy")
			servetest.Must(t, "write", os.WriteFile(name, []byte(c.text), 0o600))
			_, err := NewPolicyFile(name)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

// A file that became wrong leaves the rules as they were.
func TestPolicyFileReload(t *testing.T) {
	f := policyFile(t, policyText)
	allowed := func(path string) bool {
		d, _, _ := f.Authorize(&Exchange{Request: request("GET", path), User: &User{Name: "ann"}})
		return d == DecisionAllow
	}
	servetest.Must(t, "write", os.WriteFile(f.path, []byte(`{"user": "ann"`), 0o600))
	if err := f.Reload(); err == nil {
		t.Error("half a line was taken")
	}
	servetest.Want(t, "still allowed", allowed("/v1/x"), true)
	servetest.Must(t, "write", os.WriteFile(f.path, []byte(`{"user": "ann", "path": "/v2/*"}`), 0o600))
	servetest.Must(t, "reload", f.Reload())
	servetest.Want(t, "no more", allowed("/v1/x"), false)
	servetest.Want(t, "now", allowed("/v2/x"), true)
	servetest.Must(t, "remove", os.Remove(f.path))
	if err := f.Reload(); err == nil {
		t.Error("no file was taken")
	}
	servetest.Want(t, "still", allowed("/v2/x"), true)
}

func FuzzPolicy(f *testing.F) {
	f.Add(policyText)
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := readPolicy(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, r := range rules {
			if (r.User == "") == (r.Group == "") || !strings.HasPrefix(r.Path, "/") {
				t.Errorf("taken: %+v", r)
			}
		}
	})
}
