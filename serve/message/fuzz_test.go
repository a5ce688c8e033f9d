package message

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/penstock-edge/penstock/serve/h2/hpack"
	"github.com/penstock-edge/penstock/serve/semantics"
)

// FuzzHead: of any field section, the verdict depends on the section alone, and
// what is let through to a handler keeps to the rules. Lines are "name value".
func FuzzHead(f *testing.F) {
	for _, s := range []string{
		":method GET\n:scheme https\n:authority a\n:path /\nx-a 1\nx-a 2\ncookie a=b\ncookie c=d",
		":method POST\n:scheme http\n:path /a?b\nhost A.\ncontent-length 3\nexpect 100-continue\ntrailer x\npriority u=1, i",
		":method CONNECT\n:authority a:1", ":protocol p\n:method CONNECT\n:scheme https\n:authority [::1]:1\n:path /",
		":method OPTIONS\n:scheme https\n:authority a\n:path *", ":method GET\nx y\n:path /", "te trailers\nX 1\nconnection close", "",
	} {
		f.Add([]byte(s), []byte("x-b 2\ncookie d"))
	}
	f.Fuzz(func(t *testing.T, in, before []byte) {
		fields := section(in)
		h := new(Head)
		h.Read(fields, false, testRules)
		var other Head
		other.Read(section(before), false, testRules)
		header, given := other.Fill(nil, nil)
		other.Read(fields, false, testRules)
		if len(h.Names) == 0 {
			h.Names, h.Values, other.Names, other.Values = nil, nil, nil, nil // empty or nil
		}
		if !reflect.DeepEqual(h, &other) {
			t.Fatalf("%q behind %q:\n got %+v\nwant %+v", in, before, other, *h)
		}
		if h.Fault != "" {
			return
		}
		checkHead(t, h)
		header, _ = h.Fill(header, given)
		if fresh, _ := h.Fill(nil, nil); !reflect.DeepEqual(header, fresh) {
			t.Fatalf("%q behind %q: %v, want %v", in, before, header, fresh)
		}
		for name, values := range header {
			if len(values) == 0 || name != http.CanonicalHeaderKey(name) || (name == ":protocol") != strings.HasPrefix(name, ":") {
				t.Fatalf("%q: field %q has values %q", in, name, values)
			}
			for _, v := range values {
				if name[0] == ':' {
					continue
				}
				if clean, altered, sent := Clean(name, v); clean != v || altered || !sent {
					t.Fatalf("%q: %q: %q is not fit to be sent on", in, name, v)
				}
			}
		}
	})
}

// checkHead: what a head without fault keeps to.
func checkHead(t *testing.T, h *Head) {
	for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade", "Host", "Expect"} {
		for _, n := range h.Names {
			if n == name {
				t.Fatalf("%s is among the fields of a good head", name)
			}
		}
	}
	if len(h.Names) != len(h.Values) || h.Length < -1 || !semantics.IsToken(h.Method) {
		t.Fatalf("%+v", h)
	}
	if h.Status != 0 {
		return
	}
	host, err := semantics.ParseHost([]byte(h.Host))
	if err != nil || host != h.Host || h.Scheme != "http" && h.Scheme != "https" ||
		h.Path[0] != '/' || h.URL.Path == "" || h.URL.Scheme != "" ||
		len(h.Path) > testRules.TargetBytes || len(h.Method) > testRules.MethodBytes ||
		(h.Method == http.MethodConnect) != (h.Protocol != "") {
		t.Fatalf("%+v goes to a handler", h)
	}
}

func section(in []byte) (fields []hpack.Field) {
	for line := range strings.SplitSeq(string(in), "\n") {
		name, value, _ := strings.Cut(line, " ")
		fields = append(fields, hpack.Field{Name: name, Value: value})
	}
	return fields
}

// FuzzClean: what Clean lets through is a legal field, and stays as it is when
// it is cleaned again.
func FuzzClean(f *testing.F) {
	f.Add("X-A", "a\r\nSet-Cookie: b")
	f.Add("Bad Name", "x")
	f.Add("x", " \t\x7f a \x00")
	f.Fuzz(func(t *testing.T, name, value string) {
		clean, altered, sent := Clean(name, value)
		if sent != semantics.IsToken(name) {
			t.Fatalf("Clean(%q, %q): sent %v", name, value, sent)
		}
		if !sent {
			if !altered || clean != "" {
				t.Fatalf("Clean(%q, %q) = %q, %v", name, value, clean, altered)
			}
			return
		}
		if again, touched, _ := Clean(name, clean); again != clean || touched || !validValue(clean) {
			t.Fatalf("Clean(%q, %q) = %q, and of that %q, %v", name, value, clean, again, touched)
		}
		if !altered && clean != strings.Trim(value, " \t") {
			t.Fatalf("Clean(%q, %q) = %q, and it says nothing was altered", name, value, clean)
		}
	})
}
