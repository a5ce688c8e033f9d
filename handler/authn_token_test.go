package handler

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/servetest"
)

// tokens knows users by name.
type tokens map[string]string

func (m tokens) AuthenticateToken(_ *Exchange, token string) (*User, bool, error) {
	if token == "boom" {
		return nil, false, errors.New("boom")
	}
	name, ok := m[token]
	return &User{Name: name}, ok, nil
}

func TestBearerHostile(t *testing.T) {
	a := BearerToken(tokens{"t1": "ann"}, tokens{"t2": "bob", "a.b-c_~+/=": "cid"})
	long := strings.Repeat("a", maxToken)
	for _, c := range []struct {
		name   string
		fields []string
		want   string // the user; empty: no opinion; "error"
	}{
		{"none", nil, ""},
		{"known", []string{"Bearer t1"}, "ann"},
		{"known to the second", []string{"Bearer t2"}, "bob"},
		{"scheme in another case", []string{"bEARER t2"}, "bob"},
		{"spaces around", []string{"  Bearer   t2  "}, "bob"},
		{"all characters", []string{"Bearer a.b-c_~+/="}, "cid"},
		{"unknown", []string{"Bearer t3"}, "error"},
		{"an authenticator's error", []string{"Bearer boom"}, "error"},
		{"another scheme", []string{"Basic dDE6"}, ""},
		{"a longer scheme", []string{"Bearerish t1"}, ""},
		{"no token", []string{"Bearer"}, "error"},
		{"only spaces", []string{"Bearer   "}, "error"},
		{"two tokens", []string{"Bearer t1 t2"}, "error"},
		{"two fields", []string{"Bearer t1", "Bearer t2"}, "error"},
		{"two fields alike", []string{"Bearer t1", "Bearer t1"}, "error"},
		{"beside another scheme", []string{"Basic a", "Bearer t1"}, "error"},
		{"only padding", []string{"Bearer =="}, "error"},
		{"a comma", []string{"Bearer t1,t2"}, "error"},
		{"a quote", []string{`Bearer "t1"`}, "error"},
		{"not ASCII", []string{"Bearer t\xc3\xa9"}, "error"},
		{"long", []string{"Bearer " + long}, "error"}, // unknown
		{"too long", []string{"Bearer a" + long}, "error"},
		{"a tab", []string{"Bearer\tt1"}, "error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request("GET", "/")
			r.Header["Authorization"] = c.fields
			u, ok, err := a.Authenticate(&Exchange{Request: r})
			servetest.Want(t, "error", err != nil, c.want == "error")
			servetest.Want(t, "ok", ok, c.want != "" && c.want != "error")
			if ok {
				servetest.Want(t, "user", u.Name, c.want)
			}
		})
	}
}

func tokenFile(t testing.TB, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "tokens.csv")
	servetest.Must(t, "write", os.WriteFile(name, []byte(content), 0o600))
	return name
}

// The table of kube-apiserver's tokenfile_test.go.
func TestTokenFile(t *testing.T) {
	f, err := NewTokenFile(tokenFile(t, `
token1,user1,uid1
token2,user2,uid2
token3,user3,uid3,"group1,group2"
token4,user4,uid4,"group2"
token5,user5,uid5,group5
token6,user6,uid6,group5,otherdata
token7,user7,uid7,"group1,group2",otherdata
,user8,uid8
token9,user9,uid9,""
`))
	servetest.Must(t, "read", err)
	for token, want := range map[string]string{
		"token1": "user1 uid1 []", "token2": "user2 uid2 []", "token3": "user3 uid3 [group1 group2]", "token4": "user4 uid4 [group2]",
		"token5": "user5 uid5 [group5]", "token6": "user6 uid6 [group5]", "token7": "user7 uid7 [group1 group2]",
		"token8": "", "": "", "token9": "user9 uid9 []", "token": "", "token11": "", "TOKEN1": "",
	} {
		u, ok, err := f.AuthenticateToken(nil, token)
		servetest.Must(t, token, err)
		servetest.Want(t, token+" is known", ok, want != "")
		if ok {
			servetest.Want(t, token, fmt.Sprint(u.Name, " ", u.UID, " ", u.Groups), want)
		}
	}
	servetest.Want(t, "the empty token is none", len(*f.users.Load()), 8)
}

func TestTokenFileBad(t *testing.T) {
	for name, content := range map[string]string{
		"two columns":        "token1,user1,uid1\ntoken3,user3\n",
		"one column":         "token4\n",
		"a token twice":      "token1,user1,uid1\ntoken1,user2,uid2\n",
		"no user":            "token1,,uid1\n",
		"an open quote":      "token1,\"user1,uid1\n",
		"no bearer token":    "secret token,user1,uid1\n",
		"too long a token":   strings.Repeat("a", maxToken+1) + ",user1,uid1\n",
		"too large a file":   strings.Repeat(",user,uid\n", maxTokenFile/10+1),
		"binary, not a text": "\x00\x01\x02,a,b",
	} {
		_, err := NewTokenFile(tokenFile(t, content))
		servetest.Want(t, name+": refused", err != nil, true)
		servetest.Want(t, name+": tells no secret", strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "token1"), false)
	}
	_, err := NewTokenFile(filepath.Join(t.TempDir(), "none"))
	servetest.WantErr(t, "no file", err, os.ErrNotExist)
}

func TestTokenFileReload(t *testing.T) {
	name := tokenFile(t, "token1,user1,uid1\n")
	f, err := NewTokenFile(name)
	servetest.Must(t, "read", err)
	known := func(token string) bool { _, ok, _ := f.AuthenticateToken(nil, token); return ok }
	servetest.Must(t, "write", os.WriteFile(name, []byte("token2,user2\n"), 0o600))
	servetest.Want(t, "a broken file", f.Reload() != nil, true)
	servetest.Want(t, "the old ones stay", known("token1"), true)
	servetest.Must(t, "write", os.WriteFile(name, []byte("token2,user2,uid2\n"), 0o600))
	servetest.Must(t, "reload", f.Reload())
	servetest.Want(t, "the new one", known("token2"), true)
	servetest.Want(t, "the old one", known("token1"), false)
}

// A field never gives a token that the grammar has not, and a bare token is the
// same with any white space around.
func FuzzBearerToken(f *testing.F) {
	f.Add("Bearer a.b.c")
	f.Add("bearer  x==")
	f.Add("Basic YQ==")
	f.Fuzz(func(t *testing.T, field string) {
		token, err := bearerToken([]string{field})
		if token != "" && (err != nil || !isToken68(token)) {
			t.Fatalf("%q gave %q, %v", field, token, err)
		}
		again, errAgain := bearerToken([]string{" " + field + "\t"})
		if again != token || (err == nil) != (errAgain == nil) {
			t.Fatalf("%q gave %q, with white space around %q", field, token, again)
		}
	})
}

// No file makes the reader panic, and each user has a name.
func FuzzTokenFile(f *testing.F) {
	f.Add("token1,user1,uid1,\"a,b\"\n")
	f.Add("\"\n,")
	f.Fuzz(func(t *testing.T, content string) {
		users, err := readTokens(strings.NewReader(content), &secretHash{})
		if err != nil && users != nil {
			t.Fatal("users beside an error")
		}
		for _, u := range users {
			if u.Name == "" {
				t.Fatal("a user without a name")
			}
		}
	})
}

func TestBearerAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	token := strings.Repeat("t", 600)
	file, err := NewTokenFile(tokenFile(t, token+",ann,1,users\n"))
	servetest.Must(t, "read", err)
	a := newTestAuthentication(t, AuthenticationOptions{Authenticator: UnionAuthenticator(NewClientCertificates(nil), BearerToken(file))})
	r := request("GET", "/")
	value := []string{"Bearer " + token}
	h, w := NewChain(NotFound{}, a), newStubWriter()
	servetest.Want(t, "allocations", testing.AllocsPerRun(200, func() {
		r.Header["Authorization"] = value
		h.ServeHTTP(w, r)
	}), 0)
}
